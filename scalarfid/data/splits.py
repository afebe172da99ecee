"""Which frame is in which split: a pure function of the files, the sizes and ``split_seed``."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

import numpy as np
from ase import Atoms
from scipy.cluster.hierarchy import DisjointSet

from scalarfid.data.copies import copy_classes
from scalarfid.errors import ScalarFidError
from scalarfid.log import log

DEFAULT_FRACTION = 0.1  # of the frames to be split, for a validation or test part that has no size of its own
WARNED_SURPLUS = 0.1  # of the frames to be split


@dataclass(frozen=True)
class Sizes:
    """Wanted numbers of frames (or fractions below 1); None takes what is there, or a tenth where a pool is split."""

    train: int | float | None = None
    val: int | float | None = None
    test: int | float | None = None


@dataclass
class Split:
    """Frames per split, and how many were left out for which reason."""

    train: list[Atoms]
    val: list[Atoms]
    test: dict[str, list[Atoms]]
    dropped: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Member:
    """A frame with the number it shares with its copies."""

    atoms: Atoms
    kind: int


def split_frames(
    roles: dict[str, list[Atoms]], sizes: Sizes, *, seed: int, group_key: str | None, duplicates: str
) -> Split:
    """Split the frames of each role into train, val and test sets.

    ``all`` is divided three ways; ``train`` without ``val`` gives up its validation part; ``test*`` stay what they
    are, subsampled to ``sizes.test``. Copies of a frame, and frames with one value of ``info[group_key]``, stay on one
    side: what is left of a group when its part is full is dropped, counted, and warned about above a tenth of the
    frames. Test sets may share frames with each other, because no number mixes them.

    Args:
        roles: frames of ``all``, or of ``train`` and perhaps ``val``, and of any number of ``test*``.
        sizes: how many of each.
        seed: ``dataset.split_seed``.
        group_key: name of the parent trajectory or configuration family in ``info``; None lets every frame stand alone.
        duplicates: what to do about frames that two files share: ``refuse``, or ``drop_from_train`` (and from val what
            test has).

    Raises:
        ScalarFidError: too few frames, a frame in two splits, a frame without its group.
    """
    rng = np.random.default_rng(seed)
    members = _members(roles)
    fixed = {role: part for role, part in members.items() if role.startswith(("test", "val"))}
    fixed = {role: _some(rng, part, sizes.val if role == "val" else sizes.test, role) for role, part in fixed.items()}
    pool = members.get("all", members.get("train", []))
    dropped = {}
    if duplicates == "drop_from_train":
        kept = _without_copies(pool, fixed)
        dropped = {"duplicates": len(pool) - len(kept)} if len(kept) < len(pool) else {}
        pool = kept
    parts, surplus = _divide(rng, pool, sizes, group_key, needs_val="val" not in fixed, needs_test="all" in roles)
    if surplus:
        dropped["surplus_copies" if group_key is None else "surplus_of_groups"] = surplus
        _warn_of_surplus(surplus, len(pool), group_key)
    parts = {name: part for name, part in (parts | fixed).items() if part or name in ("train", "val")}
    _check(parts)
    frames = {name: [member.atoms for member in part] for name, part in parts.items()}
    return Split(frames.pop("train"), frames.pop("val"), frames, dropped)


def _members(roles: dict[str, list[Atoms]]) -> dict[str, list[Member]]:
    kinds = iter(copy_classes([atoms for frames in roles.values() for atoms in frames]).tolist())
    return {role: [Member(atoms, next(kinds)) for atoms in frames] for role, frames in roles.items()}


def _some(rng: np.random.Generator, part: list[Member], wanted: int | float | None, role: str) -> list[Member]:
    """``wanted`` of the frames, drawn at random but kept in file order."""
    number = _number(wanted, len(part), role, default=len(part))
    return [part[k] for k in sorted(rng.permutation(len(part))[:number])]


def _number(wanted: int | float | None, available: int, role: str, *, default: int) -> int:
    if wanted is None:
        return default
    is_fraction = isinstance(wanted, float) and 0 < wanted < 1
    number = max(1, round(wanted * available)) if is_fraction else int(wanted)
    name = "test" if role.startswith("test") else role
    if isinstance(wanted, float) and wanted == 1:
        raise ScalarFidError(
            f"dataset.n_{name}={wanted} may be one frame or all of them; write 1 for one, {available} for all, or a "
            "fraction below 1"
        )
    if not 0 <= number <= available or (number != wanted and not is_fraction):
        raise ScalarFidError(
            f"dataset.n_{name}={wanted}, and {available} frames are to be had for {role}; take a "
            "whole number up to that, or a fraction below 1"
        )
    return number


def _without_copies(pool: list[Member], fixed: dict[str, list[Member]]) -> list[Member]:
    """The pool without frames that a fixed split holds; ``val`` loses what a test set holds."""
    tested = {member.kind for role, part in fixed.items() if role != "val" for member in part}
    if "val" in fixed:
        fixed["val"] = [member for member in fixed["val"] if member.kind not in tested]
    held = tested | {member.kind for member in fixed.get("val", [])}
    return [member for member in pool if member.kind not in held]


def _divide(
    rng: np.random.Generator,
    pool: list[Member],
    sizes: Sizes,
    group_key: str | None,
    *,
    needs_val: bool,
    needs_test: bool,
) -> tuple[dict[str, list[Member]], int]:
    """Groups, in random order, to test, then val, until each has its number; the rest is for training.

    Returns:
        The parts, and the number of frames that are in none because the last group of a part exceeds its number.
    """
    tenth = max(1, round(DEFAULT_FRACTION * len(pool)))
    wanted = {
        "test": _number(sizes.test, len(pool), "test", default=tenth) if needs_test else 0,
        "val": _number(sizes.val, len(pool), "val", default=tenth) if needs_val else 0,
    }
    groups = _groups(pool, group_key)
    order = [groups[k] for k in rng.permutation(len(groups))]
    parts: dict[str, list[Member]] = {"train": [], "val": [], "test": []}
    surplus = 0
    for part, number in wanted.items():
        taken: list[Member] = []
        while len(taken) < number and order:
            taken += order.pop(0)
        parts[part] = taken[:number]
        surplus += len(taken[number:])
    rest = [member for group in order for member in group]
    number = _number(sizes.train, len(rest), "train", default=len(rest))
    parts["train"] = [rest[k] for k in rng.permutation(len(rest))[:number]]
    return parts, surplus


def _warn_of_surplus(surplus: int, available: int, group_key: str | None) -> None:
    if surplus > WARNED_SURPLUS * available:
        together = "copies stay" if group_key is None else f"frames of one {group_key!r} (dataset.group_key) stay"
        remedy = "remove the copies" if group_key is None else "set dataset.n_val and dataset.n_test to sums of groups"
        log.warning(
            "%d of %d frames are in no split: %s together, and more than val or test take; %s",
            *(surplus, available, together, remedy),
        )


def _groups(pool: Sequence[Member], key: str | None) -> list[list[Member]]:
    """Frames that must stay together: linked by a common group or by being copies."""
    together = DisjointSet(range(len(pool)))
    first: dict[Hashable, int] = {}
    for number, member in enumerate(pool):
        together.merge(number, first.setdefault(("copy", member.kind), number))
        if key is not None:
            together.merge(number, first.setdefault(("group", _group_of(member.atoms, key)), number))
    return [[pool[number] for number in sorted(group)] for group in together.subsets()]


def _group_of(atoms: Atoms, key: str) -> str:
    if key not in atoms.info:
        raise ScalarFidError(
            f"frame {atoms.info.get('frame')} has no {key!r} to group by; its info holds "
            f"{', '.join(atoms.info)}: set dataset.group_key (null for none)"
        )
    return str(atoms.info[key])


def _check(parts: dict[str, list[Member]]) -> None:
    """Nothing empty, nothing shared."""
    for name in ("train", "val"):
        if not parts[name]:
            raise ScalarFidError(f"no frames are left for {name}; lower the other dataset.n_* or add frames")
    for number, one in enumerate(parts):
        for two in list(parts)[number + 1 :]:
            shared = {m.kind: m.atoms for m in parts[one]}.keys() & {m.kind for m in parts[two]}
            if shared and not (one.startswith("test") and two.startswith("test")):
                frame = next(m.atoms.info.get("frame") for m in parts[one] if m.kind in shared)
                raise ScalarFidError(
                    f"{len(shared)} frame(s) are in both {one} and {two} (first: frame {frame} of "
                    f"{one}'s file); set dataset.duplicates=drop_from_train"
                )
