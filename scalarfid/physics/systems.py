"""What a potential is asked about: elements, crystals and molecules that belong to the set it was trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk, molecule
from ase.collections import g2
from ase.data import chemical_symbols

from scalarfid.data.config import as_config
from scalarfid.data.energies import is_isolated
from scalarfid.data.labels import labels_of
from scalarfid.data.loading import training_frames
from scalarfid.data.reading import read_frames
from scalarfid.data.sources import PACKAGED, locate
from scalarfid.data.splits import split_frames
from scalarfid.errors import ScalarFidError
from scalarfid.log import log

TestSets = dict[str, list[Atoms]]


@dataclass(frozen=True)
class System:
    """Subject of the questions.

    Attributes:
        name: of the dataset.
        elements: atomic numbers, sorted.
        crystals: by name, primitive cells near equilibrium.
        molecules: by name, near equilibrium, or a training frame where none is known; ``info["bond"]`` is the pair of
            atoms of a published scan. ``info["source"]`` says where a molecule or crystal is from.
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
    if not (crystals or molecules or recipe):
        molecules = trained_molecule(dataset)
    label = recipe.get("potential") or _LABELS.get(name)
    tests = partial(published_tests, dataset) if name in _TESTED else None
    return System(name, tuple(sorted(elements)), crystals, molecules, label, tests, dataset.get("cache"))


def trained_molecule(dataset: Mapping[str, Any]) -> dict[str, Atoms]:
    """The training frame of lowest energy of a set of one molecule, by name; none of other sets.

    It is as the set has it, not relaxed. Sets whose files are not on this machine have none, and say so.
    """
    try:
        frames = training_frames(dataset)
    except ScalarFidError as error:
        log.info("no molecule to ask about: %s", error)
        return {}
    energies = [labels_of(atoms).energy for atoms in frames]
    formulas = {atoms.get_chemical_formula() for atoms in frames}
    if len(formulas) != 1 or None in energies or any(atoms.pbc.any() for atoms in frames):
        return {}
    lowest = frames[int(np.argmin(energies))]
    source = f"training frame of lowest energy of {dataset['name']}, number {lowest.info['frame']} of its file"
    name = dataset.get("molecule") or (formulas.pop() if dataset["name"] == "file" else dataset["name"])
    return {name: Atoms(lowest.numbers, lowest.positions, info={"source": source})}


def published_molecules(name: str) -> dict[str, Atoms]:
    """Molecules of a set in this package, relaxed by its labels' potential, with the bond [2] of a published scan."""
    frames = read_frames(PACKAGED / f"{name}-start.xyz")
    for atoms in frames:
        atoms.info |= {"bond": [int(k) for k in atoms.info["bond"]], "source": f"{name}-start.xyz of this package"}
    return {atoms.info["molecule"]: atoms for atoms in frames}


def published_tests(dataset: Mapping[str, Any]) -> TestSets:
    """Every frame of the published test files of a dataset's configuration, and of its test split if one is made.

    Raises:
        ScalarFidError: files that are not there, or not as published.
    """
    config = as_config(dataset)
    located = locate(config)
    frames = {role: read_frames(path, located.keys, located.units) for role, path in located.files.items()}
    published = {role: part for role, part in frames.items() if role.startswith("test")}
    if "all" not in frames:
        return published
    own = {role: [atoms for atoms in part if not is_isolated(atoms)] for role, part in frames.items()}
    own.pop("isolated", None)
    split = split_frames(
        own, located.sizes, seed=config.split_seed, group_key=config.group_key, duplicates=config.duplicates
    )
    return {**split.test, **published}


def symbols(pair: tuple[int, int]) -> str:
    """``Li-F`` for (3, 9)."""
    return "-".join(chemical_symbols[z] for z in pair)
