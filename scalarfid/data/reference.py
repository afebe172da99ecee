"""In-process reference potentials: exact surfaces that label generated sets and that physics compares with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT
from ase.data import ground_state_magnetic_moments

from scalarfid.data.rigid_ion import LiFIon
from scalarfid.errors import ScalarFidError

XTB_ACCURACY = 0.01  # tblite's default of 1 leaves forces 3 to 10 times worse


def _manybody(parameters: Mapping[str, Any]) -> Calculator:
    """Many-body potential of matscipy, which by itself cannot invert the cell of a molecule."""
    from matscipy.calculators.manybody import Manybody  # noqa: PLC0415 - half a second that only Si needs

    class Boxed(Manybody):
        def calculate(self, atoms: Atoms, properties: Sequence[str], system_changes: Sequence[str]) -> None:
            boxed = atoms.copy()
            boxed.cell = atoms.get_cell(complete=True)
            super().calculate(boxed, properties, system_changes)
            self.atoms = atoms.copy()  # what ASE compares the next question with
            if not atoms.pbc.all():
                del self.results["stress"], self.results["stresses"]

    return Boxed(**parameters)


def _stillinger_weber() -> Calculator:
    from matscipy.calculators.manybody.explicit_forms import StillingerWeber  # noqa: PLC0415 - as above
    from matscipy.calculators.manybody.explicit_forms.stillinger_weber import (  # noqa: PLC0415
        Stillinger_Weber_PRB_31_5262_Si,
    )

    return _manybody(StillingerWeber(Stillinger_Weber_PRB_31_5262_Si))


def _kumagai() -> Calculator:
    from matscipy.calculators.manybody.explicit_forms import Kumagai  # noqa: PLC0415 - as above
    from matscipy.calculators.manybody.explicit_forms.kumagai import (  # noqa: PLC0415
        Kumagai_Comp_Mat_Sci_39_Si,
    )

    return _manybody(Kumagai(Kumagai_Comp_Mat_Sci_39_Si))


def xtb(multiplicity: int | None = None) -> Calculator:
    """GFN2-xTB by tblite at accuracy 0.01; ``multiplicity`` as tblite takes it, lowest by default."""
    try:
        from tblite.ase import TBLite  # noqa: PLC0415 - an optional package
    except ImportError as error:
        raise ScalarFidError("the reference xtb needs tblite: pip install 'scalarfid[physics]'") from error
    return TBLite(method="GFN2-xTB", accuracy=XTB_ACCURACY, verbosity=0, multiplicity=multiplicity)


_MAKERS: dict[str, Callable[[], Calculator]] = {
    "ag_emt": EMT,
    "si_sw": _stillinger_weber,
    "si_kumagai": _kumagai,
    "lif_ion": LiFIon,
    "xtb": xtb,
}
# Lattice constants in Å: the minima of these very potentials.
_CRYSTALS = {
    "ag_emt": ("Ag", "fcc", 4.0636, (2, 2, 2)),
    "si_sw": ("Si", "diamond", 5.4310, (2, 2, 1)),
    "si_kumagai": ("Si", "diamond", 5.4290, (2, 2, 1)),
    "lif_ion": ("LiF", "rocksalt", 4.0386, (2, 2, 1)),
}


def reference(name: str) -> Calculator:
    """A new ASE calculator of the reference potential ``name``: energy, forces and, where periodic, stress.

    ``ag_emt`` (ASE's EMT; a 3e-5 eV step at its 5.88 Å list cutoff), ``si_sw`` (Stillinger–Weber, smooth),
    ``si_kumagai`` (modified Tersoff, the better physics), ``lif_ion`` (rigid ions, C³), ``xtb`` (GFN2-xTB).

    Raises:
        ScalarFidError: no such potential, or tblite is not installed.
    """
    if name not in _MAKERS:
        raise ScalarFidError(f"no reference potential is called {name!r}; there are {', '.join(_MAKERS)}")
    return _MAKERS[name]()


def perfect_structure(name: str, molecule_name: str | None = None) -> Atoms:
    """The unperturbed structure of a reference: a cubic supercell at its lattice constant, or a molecule of ASE's.

    Args:
        name: as for ``reference``.
        molecule_name: for ``xtb``, a name that ``ase.build.molecule`` knows, such as ``CH3CH2OH``.
    """
    if name in _CRYSTALS:
        symbol, lattice, a, repeats = _CRYSTALS[name]
        return bulk(symbol, lattice, a=a, cubic=True).repeat(repeats)
    reference(name)
    try:
        return molecule(molecule_name or "CH3CH2OH")
    except (KeyError, NotImplementedError) as error:
        raise ScalarFidError(
            f"dataset.molecule={molecule_name!r}: ase.build.molecule does not know it; "
            "take a name such as CH3CH2OH, C6H6 or CH3COCH3"
        ) from error


def isolated_atom(name: str, z: int) -> Atoms:
    """One atom of element ``z`` alone, labelled by the reference ``name`` with ``REF_energy`` in eV."""
    atoms = Atoms(numbers=[z], info={"config_type": "isolated_atom", "group": f"isolated-{z}"})
    if name.startswith("si_"):
        energy = 0.0  # pure pair and triplet sums, which have no terms here
    else:
        spin = round(ground_state_magnetic_moments[z])
        calc = xtb(multiplicity=spin + 1) if name == "xtb" else reference(name)
        energy = calc.get_potential_energy(atoms)
    atoms.info["REF_energy"] = float(energy)
    return atoms
