"""A workspace that compares runs on Weights & Biases: curves, test errors, errors against cost. Needs an account.

python -m scalarfid.dashboard
python -m scalarfid.dashboard entity=my-team group=ablation tags=mace,ethanol name="MACE on ethanol"

Runs are grouped by dataset, backbone and probe; a curve or bar is the mean over the seeds of one group. Every call
makes a new workspace. Without an account, `python -m scalarfid.report` compares the same runs from their files.

Words are key=value:

project     of the runs (scalarfid)
entity      user or team that has the project (yours)
group       only this experiment (all)
tags        comma-separated; only runs that have all of them: a backbone, a probe, a dataset, your own (all)
splits      comma-separated test sets, as in splits=test_300K,test_600K (test)
name        of the workspace (scalarfid)
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from rich.console import Console

from scalarfid.errors import ScalarFidError
from scalarfid.log import log
from scalarfid.results.units import QUANTITIES, Quantity
from scalarfid.words import command, options_of, show_path

if TYPE_CHECKING:
    from wandb_workspaces.reports.v2 import BarPlot, LinePlot, ScatterPlot
    from wandb_workspaces.workspaces import RunsetSettings, Section, Workspace

DEFAULTS = {"project": "scalarfid", "entity": None, "group": None, "tags": "", "splits": "test", "name": "scalarfid"}
GROUPING = ("dataset.name", "backbone.name", "probe.name")
COST = {
    "flops/total": "Operations (energy and forces of one frame)",
    "parameters/total": "Parameters",
    "parameters/probe": "Parameters of the probe",
    "training_time_s": "Training time (s)",
    "peak_memory_MB": "Peak memory (MB)",
}
"""Numbers of the summary that say what a run costs, and their titles."""
MOST = 200
"""Runs, or bars, that a panel shows at most."""
MARKS = "' \" = < > \\"
"""Marks that the filters of wandb-workspaces, which are text, read as their own."""
OFFLINE = "without an account `python -m scalarfid.report` compares runs from their files"


def workspace(options: Mapping[str, Any], entity: str) -> Workspace:
    """The comparison as an object, not yet saved; nothing online is needed.

    Args:
        options: of ``DEFAULTS``.
        entity: user or team.
    """
    ws, splits = _package("wandb_workspaces.workspaces"), options["splits"].split(",")
    errors = [(split, quantity) for split in splits for quantity in QUANTITIES]
    return ws.Workspace(
        entity=entity,
        project=options["project"],
        name=options["name"],
        sections=[
            _section("Validation", [_curve(quantity) for quantity in QUANTITIES]),
            _section("Test errors", [_bars(_error(*error), _title(*error)) for error in errors]),
            _section("Test errors against operations", [_scatter("flops/total", *error) for error in errors]),
            _section("Test errors against parameters", [_scatter("parameters/total", *error) for error in errors]),
            _section("Cost", [_bars(name, title) for name, title in COST.items()]),
        ],
        settings=ws.WorkspaceSettings(max_runs=MOST),
        runset_settings=_runs(options, splits),
    )


def _runs(options: Mapping[str, Any], splits: Sequence[str]) -> RunsetSettings:
    """Which runs are shown, by what they are grouped, and the columns of their table."""
    ws = _package("wandb_workspaces.workspaces")
    filters = [ws.Tags().isin([tag]) for tag in filter(None, options["tags"].split(","))]
    if options["group"]:
        filters.append(ws.Metric("Group") == options["group"])
    mean = [f"mean_predictor/{split}/forces_mae" for split in splits]
    columns = [*(f"{split}/{q.metric}_mae" for split in splits for q in QUANTITIES), *mean, *COST]
    return ws.RunsetSettings(
        filters=filters,
        groupby=[ws.Config(name) for name in GROUPING],
        pinned_columns=[f"summary:{name}" for name in columns],
    )


def _section(name: str, panels: Sequence[Any]) -> Section:
    ws = _package("wandb_workspaces.workspaces")
    layout = ws.SectionLayoutSettings(columns=len(QUANTITIES), rows=-(-len(panels) // len(QUANTITIES)))
    return ws.Section(name=name, panels=list(panels), is_open=True, layout_settings=layout)


def _curve(quantity: Quantity) -> LinePlot:
    wr = _package("wandb_workspaces.reports.v2")
    return wr.LinePlot(
        title=_title("val", quantity), x="epoch", y=[_error("val", quantity)], log_y=True, title_x="epoch",
        groupby_aggfunc="mean", groupby_rangefunc="minmax", max_runs_to_show=MOST,
    )  # fmt: skip


def _bars(metric: str, title: str) -> BarPlot:
    wr = _package("wandb_workspaces.reports.v2")
    return wr.BarPlot(
        title=title, metrics=[metric], groupby_aggfunc="mean", groupby_rangefunc="stddev",
        max_runs_to_show=MOST, max_bars_to_show=MOST,
    )  # fmt: skip


def _scatter(cost: str, split: str, quantity: Quantity) -> ScatterPlot:
    wr = _package("wandb_workspaces.reports.v2")
    x, y = wr.SummaryMetric(cost), wr.SummaryMetric(_error(split, quantity))
    return wr.ScatterPlot(title=_title(split, quantity), x=x, y=y, log_x=True, log_y=True)


def _error(split: str, quantity: Quantity) -> str:
    return f"{split}/{quantity.metric}_mae"


def _title(split: str, quantity: Quantity) -> str:
    return f"{split}: {quantity.label} MAE ({quantity.unit})"


def save(options: Mapping[str, Any]) -> str:
    """Make the workspace and return its address.

    Raises:
        ScalarFidError: without the packages, a login, or access to the project.
    """
    wandb = _package("wandb")
    refused = (wandb.errors.Error, getattr(import_module("wandb.apis.public.api"), "WandbApiFailedError", wandb.Error))
    try:
        entity = options["entity"] or wandb.Api().default_entity
        if entity is None:
            raise ScalarFidError("Your account has no default entity; give a user or a team as entity=….")
        return workspace(options, entity).save().url
    except refused as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        remedy = f"`wandb login`, check entity= and project=; {OFFLINE}"
        raise ScalarFidError(f"Weights & Biases: {reason}. {remedy}.") from error


def _package(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ModuleNotFoundError:
        raise ScalarFidError(f"The dashboard needs {name}: pip install 'scalarfid[wandb]'; {OFFLINE}.") from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the workspace that the command line asks for; the exit status is 0, or 2 after bad input."""
    return command(__doc__, arguments, _make)


def _make(words: list[str], out: Console) -> None:
    address = save(_parsed(words))
    log.info("made: a workspace of runs by dataset, backbone and probe, at the address below")
    show_path(out, address)


def _parsed(words: Sequence[str]) -> dict[str, Any]:
    options, others = options_of(words, DEFAULTS)
    if others:
        raise ScalarFidError(f"Cannot use {others[0]!r}: give {', '.join(DEFAULTS)} as key=value.")
    for key in ("group", "tags"):
        if set(MARKS.split()) & set(options[key] or ""):
            raise ScalarFidError(f"{key}={options[key]} cannot be a filter; choose one without any of {MARKS}.")
    return options


if __name__ == "__main__":
    sys.exit(main())
