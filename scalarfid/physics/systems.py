"""What a potential is asked about: elements, crystals and molecules that belong to the set it was trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ase import Atoms
from ase.build import bulk, molecule
from ase.collections import g2
from ase.data import chemical_symbols

from scalarfid.data.config import as_config
from scalarfid.data.energies import is_isolated
from scalarfid.data.reading import read_frames
from scalarfid.data.sources import PACKAGED, locate
from scalarfid.data.splits import split_frames

TestSets = dict[str, list[Atoms]]


@dataclass(frozen=True)
class System:
    """Subject of the questions.

    Attributes:
        name: of the dataset.
        elements: atomic numbers, sorted.
        crystals: by name, primitive cells near equilibrium; ``info["source"]`` of these and of molecules says where
            from.
        molecules: by name, near equilibrium; ``info["bond"]`` is the pair of atoms of a published scan.
        reference: name of the in-process potential that made the labels, None where they have another origin.
        tests: reads the labelled test sets by name when called; None unless they were published as questions.
        cache: ``dataset.cache``, the folder for what can be made again.
    """

    name: str
    elements: tuple[int, ...]
    crystals: dict[str, Atoms] = field(default_factory=dict)
    molecules: dict[str, Atoms] = field(default_factory=dict)
    reference: str | None = None
    tests: Callable[[], TestSets] | None = None
    cache: str | None = None

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Every pair of elements, once."""
        return [(a, b) for k, a in enumerate(self.elements) for b in self.elements[k:]]

    @property
    def sources(self) -> dict[str, str | None]:
        """Where every crystal and molecule is from, by name; None where it does not say."""
        return {name: atoms.info.get("source") for name, atoms in {**self.crystals, **self.molecules}.items()}


# Lattice constants in Å of the level of theory of the labels, where it is known; they only start a relaxation.
_CRYSTALS: dict[str, tuple[str, str, str, float]] = {
    "ag": ("Ag fcc", "Ag", "fcc", 4.15),
    "ag_emt": ("Ag fcc", "Ag", "fcc", 4.0636),
    "si": ("Si diamond", "Si", "diamond", 5.468),
    "si_sw": ("Si diamond", "Si", "diamond", 5.431),
    "lif": ("LiF rocksalt", "LiF", "rocksalt", 4.06),
    "lif_ion": ("LiF rocksalt", "LiF", "rocksalt", 4.0386),
}
_MOLECULES = {"ethanol": "CH3CH2OH", "botnet_ethanol": "CH3CH2OH", "benzene": "C6H6"}
_TESTED = ("acac", "botnet_ethanol", "3bpa")
_LABELS = {"ethanol": "xtb", "xtb": "xtb", "mol31": "xtb"}


def system_of(dataset: Mapping[str, Any], elements: Sequence[int]) -> System:
    """Describe the system of a dataset's configuration.

    Args:
        dataset: the ``dataset`` group of a run's configuration.
        elements: atomic numbers that the potential knows.
    """
    name = dataset["name"]
    crystals, molecules = {}, {}
    if name in _CRYSTALS:
        title, formula, lattice, a = _CRYSTALS[name]
        crystals[title] = bulk(formula, lattice, a=a)
        crystals[title].info["source"] = f"{formula} {lattice}, a = {a:g} Å"
    if name == "mol31":
        molecules = published_molecules(name)
    called = dataset.get("molecule") or name
    formula = _MOLECULES.get(called, called)
    if formula in g2.names:
        molecules[called] = molecule(formula)
        molecules[called].info["source"] = f"{formula} of ASE's g2 set"
    recipe = dataset.get("recipe") or {}
    label = recipe.get("potential") or _LABELS.get(name)
    tests = partial(published_tests, dataset) if name in _TESTED else None
    return System(name, tuple(sorted(elements)), crystals, molecules, label, tests, dataset.get("cache"))


def published_molecules(name: str) -> dict[str, Atoms]:
    """Molecules of a set in this package, relaxed by its labels' potential, with the bond [2] of a published scan."""
    frames = read_frames(PACKAGED / f"{name}-start.xyz")
    for atoms in frames:
        atoms.info |= {"bond": [int(k) for k in atoms.info["bond"]], "source": f"{name}-start.xyz of this package"}
    return {atoms.info["molecule"]: atoms for atoms in frames}


def published_tests(dataset: Mapping[str, Any]) -> TestSets:
    """Every frame of the published test files of a dataset's configuration, or of its test split if it has none.

    Raises:
        ScalarFidError: files that are not there, or not as published.
    """
    config = as_config(dataset)
    located = locate(config)
    frames = {role: read_frames(path, located.keys, located.units) for role, path in located.files.items()}
    published = {role: part for role, part in frames.items() if role.startswith("test")}
    if published:
        return published
    own = {role: [atoms for atoms in part if not is_isolated(atoms)] for role, part in frames.items()}
    own.pop("isolated", None)
    return split_frames(
        own, located.sizes, seed=config.split_seed, group_key=config.group_key, duplicates=config.duplicates
    ).test


def symbols(pair: tuple[int, int]) -> str:
    """``Li-F`` for (3, 9)."""
    return "-".join(chemical_symbols[z] for z in pair)
