"""Which runs are compared with which: the same data, split, backbone, budget, code and packages, or not at all."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from scalarfid.results.cells import Cell, canonical

Item = TypeVar("Item")
BARE = "none"
CONTROLS = {"pan": "mlp_pan", "pgs": "mlp_pgs", "pan+pgs": "mlp", "pgs_edge": "mlp_edge", "pgs_readout": "mlp_readout"}
"""The control of equal size of each probe set that has one."""
ORDER = (BARE, *(name for pair in CONTROLS.items() for name in pair))


@dataclass(frozen=True)
class Arm:
    """Cells that differ in their seed only.

    Attributes:
        probe: name of the probe set.
        label: the same, with the options in which it differs from the most common form of that set.
        cells: by seed.
    """

    probe: str
    label: str
    cells: dict[int, Cell]

    @property
    def first(self) -> Cell:
        """The cell of the smallest seed: it has what does not depend on the seed."""
        return self.cells[min(self.cells)]


@dataclass(frozen=True)
class Unequal:
    """A finished cell that is not compared, and why: (fact, its value, the group's value)."""

    cell: Cell
    differences: list[tuple[str, Any, Any]]


@dataclass(frozen=True)
class Group:
    """Cells of one dataset, split and backbone.

    Attributes:
        arms: that are compared, ``none`` first.
        unequal: cells that differ in a fact from those in ``arms``.
        replaced: (older, newer) of cells of the same arm and seed that agree; the newer one is in ``arms``.
    """

    arms: list[Arm]
    unequal: list[Unequal]
    replaced: list[tuple[Cell, Cell]]

    @property
    def any_cell(self) -> Cell:
        """A cell that is compared: it has the facts of all of them."""
        return self.arms[0].first

    @property
    def cells(self) -> list[Cell]:
        """All that are compared, by arm and seed."""
        return [arm.cells[seed] for arm in self.arms for seed in sorted(arm.cells)]

    @property
    def backbone(self) -> str:
        """Name of the backbone."""
        return self.any_cell.record["backbone"]

    @property
    def dataset(self) -> str:
        """Title of the dataset."""
        return self.any_cell.record.get("dataset_title") or self.any_cell.record["dataset"]

    @cached_property
    def title(self) -> str:
        """Dataset, training frames, backbone and its parameters; distinct groups may still share it."""
        frames, size = self.any_cell.get("n_frames", "train"), self.any_cell.get("parameters", "backbone")
        data = self.dataset + (f", {frames} training frames" if frames else "")
        return f"{data} · {self.backbone}" + (f", {size} parameters" if size else "")

    @property
    def splits(self) -> list[str]:
        """Names of the test splits."""
        return [name for name in self.any_cell.record["metrics"] if name not in ("train", "val")]

    @property
    def seeds(self) -> list[int]:
        """All seeds of all arms."""
        return sorted({seed for arm in self.arms for seed in arm.cells})

    def named(self, probe: str) -> list[Arm]:
        """Arms of a probe set: its most common form first, then its variants."""
        return [arm for arm in self.arms if arm.probe == probe]

    @property
    def missing(self) -> list[tuple[Arm, list[int]]]:
        """Arms and those of the group's seeds that they lack."""
        found = [(arm, [seed for seed in self.seeds if seed not in arm.cells]) for arm in self.arms]
        return [(arm, seeds) for arm, seeds in found if seeds]


def groups(cells: Iterable[Cell]) -> list[Group]:
    """Sort finished cells into groups, by title.

    Cells of one dataset and backbone that differ in split, frames or the backbone's sizes are groups of their own where
    each holds a pair (``none`` and another arm at one seed). In a group the largest set of cells that agree in every
    fact is compared (of equally large ones the newest); every other cell is in ``unequal``.
    """
    found = []
    for same in alike(cells, lambda cell: _text(cell, "dataset", "dataset_title", "backbone")):
        found += [_group(members) for members in _settings(same)]
    return sorted(found, key=lambda group: group.title)


def _settings(cells: Sequence[Cell]) -> list[list[Cell]]:
    parts = alike(cells, lambda cell: canonical([cell.get("fingerprint"), cell.get("config", "backbone")]))
    whole = [part for part in parts if _has_pair(part)] or [max(parts, key=_weight)]
    rest = [cell for part in parts if part not in whole for cell in part]
    largest = max(whole, key=_weight)
    return [part + rest if part is largest else part for part in whole]


def _group(cells: Sequence[Cell]) -> Group:
    parts = alike(cells, lambda cell: canonical(cell.facts()))
    chosen = max(parts, key=_weight)
    facts = chosen[0].facts()
    unequal = [Unequal(cell, differences(cell.facts(), facts)) for part in parts if part is not chosen for cell in part]
    replaced: list[tuple[Cell, Cell]] = []
    arms = [arm for probe in alike(chosen, lambda cell: cell.probe) for arm in _arms(probe, replaced)]
    return Group(sorted(arms, key=_place), unequal, replaced)


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """Keys whose values differ, with both values (None where a key is missing)."""
    keys = [*one, *(key for key in other if key not in one)]
    return [(key, one.get(key), other.get(key)) for key in keys if one.get(key) != other.get(key)]


def _arms(cells: Sequence[Cell], replaced: list[tuple[Cell, Cell]]) -> list[Arm]:
    """Forms of one probe set; older cells of the same form and seed go to ``replaced``."""
    forms = sorted(alike(cells, lambda cell: canonical(cell.options)), key=len, reverse=True)
    common, found = forms[0][0].options, []
    for form in forms:
        newest: dict[int, Cell] = {}
        for cell in sorted(form, key=lambda cell: cell.written):
            if cell.seed in newest:
                replaced.append((newest[cell.seed], cell))
            newest[cell.seed] = cell
        changed = ", ".join(f"{key}={mine}" for key, mine, _ in differences(form[0].options, common))
        name = form[0].probe
        found.append(Arm(name, f"{name} ({changed})" if changed else name, dict(sorted(newest.items()))))
    return found


def _place(arm: Arm) -> tuple[int, str, bool, str]:
    known = ORDER.index(arm.probe) if arm.probe in ORDER else len(ORDER)
    return known, arm.probe, arm.label != arm.probe, arm.label


def _has_pair(cells: Sequence[Cell]) -> bool:
    bare = {cell.seed for cell in cells if cell.probe == BARE}
    return any(cell.seed in bare for cell in cells if cell.probe != BARE)


def _weight(cells: Sequence[Cell]) -> tuple[int, float]:
    """Number of different cells, and the time of the newest."""
    distinct = Counter((cell.probe, canonical(cell.options), cell.seed) for cell in cells)
    return len(distinct), max(cell.written for cell in cells)


def _text(cell: Cell, *keys: str) -> str:
    return canonical([cell.get(key) for key in keys])


def alike(items: Iterable[Item], key: Callable[[Item], Hashable]) -> list[list[Item]]:
    """Items in lists of equal keys, by first appearance."""
    found: dict[Hashable, list[Item]] = defaultdict(list)
    for item in items:
        found[key(item)].append(item)
    return list(found.values())
