"""``python -m scalarfid.dashboard``: the workspace survives the way to the server and back, and says what it needs."""

from __future__ import annotations

import json
import sys

import pytest
from training.runs import train

from scalarfid.dashboard import DEFAULTS, main, workspace
from scalarfid.errors import ScalarFidError
from scalarfid.training.mirror import flat_summary, tags

ws = pytest.importorskip("wandb_workspaces.workspaces")


class Server:
    """Stands where ``wandb.Api`` stands: keeps what is saved and gives it back, as text."""

    views: dict = {}  # noqa: RUF012 - one server
    entity: str | None = "me"

    def __init__(self):
        self._service_api = self
        self.default_entity = self.entity
        self.app_url = "https://wandb.ai"

    def execute_graphql(self, query, variables):
        if "upsertView" in query:
            self.views[variables["name"]] = variables
            return {"upsertView": {"view": {"id": "1", "name": variables["name"]}, "inserted": True}}
        saved = self.views[variables["viewName"]]
        node = {"id": "1", "displayName": saved["displayName"], "spec": saved["spec"]}
        return {"project": {"allViews": {"edges": [{"node": node}]}}}


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr("wandb.Api", Server)
    monkeypatch.setattr(Server, "views", {})
    return Server


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """Configuration, names of the summary and of the rows, and tags of a real run."""
    import yaml

    directory = train(tmp_path_factory.mktemp("run"), "training.max_epochs=1", "training.validate_every=1").directory
    config = yaml.safe_load((directory / "config.yaml").read_text(encoding="utf-8"))
    summary = json.loads((directory / "summary.json").read_text(encoding="utf-8"))
    rows = (directory / "metrics.csv").read_text().splitlines()[0].split(",")
    return config, set(flat_summary(summary)), set(rows), tags({**config, "logger": {"tags": []}})


def panels(view, name):
    (section,) = [section for section in view.sections if section.name == name]
    return section.panels


def test_what_is_saved_comes_back_as_it_was(server, capsys):
    assert main(["project=mine", "group=ablation", "tags=mace,pan+pgs", "splits=test,test_600K", "name=A B"]) == 0
    address = capsys.readouterr().out.splitlines()[-1]
    assert address.startswith("https://wandb.ai/me/mine?nw=")
    (sent,) = [dict(view) for view in server.views.values()]
    again = ws.Workspace.from_url(address)
    assert again.save().url == address
    (resent,) = server.views.values()
    assert json.loads(resent.pop("spec")) == json.loads(sent.pop("spec"))
    assert resent == {**sent, "id": "1"}
    assert (again.name, again.entity, again.project) == ("A B", "me", "mine")
    assert [group.name for group in again.runset_settings.groupby] == ["dataset.name", "backbone.name", "probe.name"]
    assert again.runset_settings.filters == (
        "Metric(\"Tags\") in ['mace'] and Metric(\"Tags\") in ['pan+pgs'] and Metric(\"Group\") == 'ablation'"
    )
    assert {section.name: len(section.panels) for section in again.sections} == {
        "Validation": 3,
        "Test errors": 6,
        "Test errors against operations": 6,
        "Test errors against parameters": 6,
        "Cost": 5,
    }
    titles = [panel.title for panel in panels(again, "Test errors")]
    assert titles[3] == "test_600K: energy MAE (eV/atom)"


def test_every_number_that_a_panel_shows_is_one_that_a_run_sends(logged):
    config, summary, rows, _ = logged
    view = workspace(DEFAULTS, "me")
    bars = [metric for name in ("Test errors", "Cost") for panel in panels(view, name) for metric in panel.metrics]
    points = [
        axis.name
        for name in ("Test errors against operations", "Test errors against parameters")
        for panel in panels(view, name)
        for axis in (panel.x, panel.y)
    ]
    columns = [c.removeprefix("summary:") for c in view.runset_settings.pinned_columns if c.startswith("summary:")]
    labelled = {name for name in [*bars, *points, *columns] if "stress" not in name}  # ethanol has no stresses
    assert labelled <= summary
    curves = [panel.y[0] for panel in panels(view, "Validation")]
    assert curves == ["val/energy_per_atom_mae", "val/forces_mae", "val/stress_mae"]
    assert set(curves[:2]) | {panels(view, "Validation")[0].x} <= rows
    for group in view.runset_settings.groupby:
        part, _, key = group.name.partition(".")
        assert isinstance(config[part][key], str)


def test_tags_to_filter_by_are_those_of_the_runs(logged):
    *_, names = logged
    view = workspace({**DEFAULTS, "tags": ",".join(names)}, "me")
    assert [f"['{name}']" in view.runset_settings.filters for name in names] == [True] * 3


def test_help_says_what_the_words_mean(capsys):
    assert main(["--help"]) == 0
    printed = capsys.readouterr().out
    assert all(f"\n{word} " in printed for word in DEFAULTS)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["projekt=mine"], "Cannot use 'projekt=mine': give project, entity"),
        (["mine"], "Cannot use 'mine'"),
        (["name="], "Cannot use 'name='"),
        (["group=it's"], "group=it's cannot be a filter"),
        (["tags=lr=1"], "tags=lr=1 cannot be a filter"),
    ],
)
def test_bad_words_are_one_line_and_status_two(server, capfd, words, message):
    assert main(words) == 2
    captured = capfd.readouterr()
    assert message in captured.err
    assert captured.err.count("error:") == 1
    assert captured.out == ""
    assert not server.views


def test_without_an_account_it_names_the_login_and_the_report(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    assert main([]) == 2
    (line,) = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error:")]
    assert "`wandb login`" in line
    assert "python -m scalarfid.report" in line


def test_an_account_without_an_entity_is_asked_for_one(server, monkeypatch, capfd):
    monkeypatch.setattr(server, "entity", None)
    assert main([]) == 2
    assert "entity=" in capfd.readouterr().err


def test_a_refusal_by_the_server_is_one_line(server, monkeypatch, capfd):
    from wandb.errors import CommError

    def refuse(self, query, variables):
        raise CommError("project not found\nstatus 404")

    monkeypatch.setattr(server, "execute_graphql", refuse)
    assert main(["project=nowhere"]) == 2
    (line,) = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error:")]
    assert "project not found. `wandb login`, check entity= and project=" in line


def test_without_the_package_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb_workspaces.workspaces", None)
    with pytest.raises(ScalarFidError, match=r"scalarfid\[wandb\]"):
        workspace(DEFAULTS, "me")
