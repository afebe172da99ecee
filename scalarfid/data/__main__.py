"""``python -m scalarfid.data``: the sets, where they are and their licences; with names, their statistics.

python -m scalarfid.data
python -m scalarfid.data ethanol ag
python -m scalarfid.data rmd17 molecule=aspirin n_train=50 --cutoff 6
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from urllib.parse import urlparse

from ase.data import chemical_symbols
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.table import Table

from scalarfid.data.config import DatasetConfig, as_config, named, refuse_unread, set_names
from scalarfid.data.generate import generated_path
from scalarfid.data.loading import Dataset, load
from scalarfid.data.sources import find
from scalarfid.errors import ScalarFidError
from scalarfid.log import console, results_console, setup_logging

HINT = "statistics: python -m scalarfid.data ethanol ag"


def main(arguments: Sequence[str] | None = None) -> int:
    """List the sets, or show the statistics of those named; the exit status is 0, or 2 after bad input."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m scalarfid.data", description=__doc__, formatter_class=layout)
    parser.add_argument("names", nargs="*", metavar="NAME or key=value", help="sets, and keys to change in all of them")
    parser.add_argument("--cutoff", type=float, default=5.0, help="r_c in Å for neighbours and coordination (5)")
    options = parser.parse_args(arguments)
    setup_logging()
    changes = [word.removeprefix("dataset.") for word in options.names if "=" in word]
    names = [word for word in options.names if "=" not in word]
    out = results_console()
    try:
        if not names:
            out.print(listing([changed(named(name), changes) for name in set_names()]))
            return 0
        configs = [changed(named(name), changes) for name in names]
        out.print(statistics_table([load(config, cutoff=options.cutoff) for config in configs], options.cutoff))
    except ScalarFidError as error:
        console.print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        return 2
    return 0


def changed(config: DatasetConfig, changes: Sequence[str]) -> DatasetConfig:
    """The config with ``key=value`` strings applied."""
    try:
        node = OmegaConf.merge(OmegaConf.structured(config), OmegaConf.from_dotlist(list(changes)))
        refuse_unread(node)
        return as_config(node)
    except OmegaConfBaseException as error:
        raise ScalarFidError(
            f"{' '.join(changes)}: {str(error).splitlines()[0]}; see scalarfid/data/config.py"
        ) from error


def place(config: DatasetConfig) -> str:
    """Where the files of a set are, or would come from."""
    if config.recipe is not None:
        return "made before, in the cache" if generated_path(config)[0].is_file() else "made here in seconds"
    if not config.layouts:
        return "dataset.path=…"
    try:
        located = find(config)
    except ScalarFidError as error:
        return f"refused: {error}"
    if located is not None:
        names = {"package": "in the package", "cache": "downloaded before"}
        return names.get(located.where, f"found: {next(iter(located.files.values())).parent}")
    hosts = {urlparse(url).hostname for layout in config.layouts for url in layout.urls.values()}
    return f"to download from {', '.join(sorted(hosts))}" if hosts else "not on this machine"


def listing(configs: Sequence[DatasetConfig]) -> Table:
    """One row per set: name, place, licence, contents."""
    table = Table("dataset", "where", "licence", "contents", title="Datasets", show_lines=True, caption=HINT)
    for config in configs:
        table.add_row(config.name, place(config), config.licence, config.description)
    return table


def statistics_table(datasets: Sequence[Dataset], cutoff: float) -> Table:
    """One column per dataset, one row per number."""
    table = Table("", *[data.title for data in datasets], title=f"Statistics (training split, r_c = {cutoff:g} Å)")
    columns = [_rows(data) for data in datasets]
    for row in columns[0]:
        table.add_row(row, *[column[row] for column in columns])
    return table


def _rows(data: Dataset) -> dict[str, str]:
    s = data.statistics
    labelled = {name: "/".join(str(n) for n in counts.values()) for name, counts in s.n_labels.items()}

    def number(value: float | None, digits: int = 4) -> str:
        return "none" if value is None else f"{round(value, 12) + 0.0:.{digits}g}"

    def by_element(values: dict[int, float], digits: int) -> str:
        return "\n".join(f"{chemical_symbols[z]} {value:.{digits}f}" for z, value in values.items())

    return {
        "frames": "\n".join(f"{name} {count}" for name, count in s.n_frames.items()),
        "with energy/forces/stress": "\n".join(f"{name} {counts}" for name, counts in labelled.items()),
        "atoms a frame": "–".join(str(n) for n in sorted(set(s.n_atoms))),
        "E0 (eV)": by_element(data.e0, 4),
        "(E − ΣE0)/N, mean ± std (eV)": f"{number(s.energy_per_atom_mean)} ± {number(s.energy_per_atom_std, 3)}",
        "force component, rms (eV/Å)": number(s.rms_force),
        "largest force (eV/Å)": number(s.max_force),
        "stress component, rms (eV/Å³)": number(s.rms_stress, 3),
        "neighbours per atom": number(s.mean_neighbours),
        "coordination ⟨c⟩": by_element(s.mean_coordination, 2),
        "shortest distance (Å)": number(s.min_distance),
        "dropped": "\n".join(f"{reason} {count}" for reason, count in data.provenance["dropped"].items()) or "none",
        "where": data.provenance["where"],
        "licence": data.provenance["licence"],
        "fingerprint": data.fingerprint[:12],
    }


if __name__ == "__main__":
    sys.exit(main())
