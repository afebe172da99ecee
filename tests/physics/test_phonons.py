"""Frequencies against springs by hand, phonopy and ASE alone; shifts made on purpose; modes of unstable crystals."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.optimize import BFGS
from matplotlib.figure import Figure
from physics.surfaces import Pairs, headlines, lennard_jones

import scalarfid
from scalarfid import ScalarFidError
from scalarfid.diagnose import options_for
from scalarfid.physics import System, diagnostics, surface
from scalarfid.physics.crystals import relax
from scalarfid.physics.phonons import PhononsOptions, draw, force_constants, measure, shift, spectrum
from scalarfid.physics.surface import OfCalculator

pytest.importorskip("phonopy")
OPTIONS = PhononsOptions(mesh=8, points=60)
ARGON = System("argon", (18,), {"Ar fcc": bulk("Ar", "fcc", a=3.9)}, reference="Pairs")
SILICON = System("si_sw", (14,), {"Si diamond": bulk("Si", a=5.43)}, reference="si_sw")
K, R0 = 2.0, 2.8


def springs(k: float = K) -> Pairs:
    return Pairs(lambda r: 0.5 * k * (r - R0) ** 2, lambda r: -k * (r - R0), 1.2 * R0)


def terahertz(curvature: float, mass: float) -> float:
    """√(Φ/m)/2π with Φ in eV/Å² and m in u."""
    return np.sqrt(curvature / mass) * 1000 * units.fs / (2 * np.pi)


def scaled(base: Pairs, factor: float) -> Pairs:
    return Pairs(lambda r: factor * base.functions[0](r), lambda r: factor * base.functions[1](r), base.cutoff)


def ask(model, reference=None, system=ARGON, options=OPTIONS):
    return measure(surface(model), None if reference is None else surface(reference), system, options)


def values(outcome, name):
    found = outcome.numbers.items()
    return {key.removeprefix(f"{name}."): number.value for key, number in found if key.startswith(f"{name}.")}


def test_springs_between_neighbours_of_a_face_centred_crystal():
    # Along Γ–X, mω² = 8k sin²(qa/4) along the wave and 4k sin²(qa/4) across it: the sum over twelve neighbours by hand.
    found = spectrum(surface(springs()), bulk("Ar", "fcc", a=R0 * np.sqrt(2)), OPTIONS)
    edge = found.corners[list(found.labels).index("X")]
    for reach in (1.0, 0.5):
        place = int(np.abs(found.path - reach * edge).argmin())
        sine = np.sin(np.pi / 2 * found.path[place] / edge) ** 2
        expected = [terahertz(c * K * sine, 39.948) for c in (4, 4, 8)]
        assert np.allclose(found.bands[place], expected, rtol=2e-4)
    assert np.allclose(found.gamma, 0, atol=1e-5)
    assert np.trapezoid(found.dos[1], found.dos[0]) == pytest.approx(3, rel=0.02)


def test_springs_of_diamond_at_gamma():
    # Four bonds: 4k/3 on each of the two sublattices against the other, mω² = 8k/3.
    found = spectrum(surface(springs()), bulk("Si", "diamond", a=4 * R0 / np.sqrt(3)), OPTIONS)
    assert np.allclose(found.gamma[3:], terahertz(8 * K / 3, 28.085), rtol=2e-4)


def test_the_same_as_phonopy_and_ase_alone():
    from phonopy import Phonopy
    from phonopy.structure.atoms import PhonopyAtoms

    crystal = ARGON.crystals["Ar fcc"].copy()
    crystal.calc = lennard_jones()
    crystal = relax(surface(lennard_jones()), crystal, 1e-6)
    cell = PhonopyAtoms(symbols=["Ar"], cell=crystal.cell[:], scaled_positions=[[0, 0, 0]])
    alone = Phonopy(cell, 2 * np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]]), primitive_matrix="P")
    alone.generate_displacements(distance=0.01, is_plusminus=True)
    forces = []
    for displaced in alone.supercells_with_displacements:
        atoms = Atoms("Ar32", positions=displaced.positions, cell=displaced.cell, pbc=True)
        atoms.calc = lennard_jones()
        forces.append(atoms.get_forces())
    alone.forces = forces
    alone.produce_force_constants()
    found = force_constants(surface(lennard_jones()), crystal, OPTIONS)
    for q in ([0.5, 0, 0], [0.5, 0.5, 0], [0.25, 0.25, 0.5], [0.11, 0.2, 0.37]):
        along = np.array(q) @ np.linalg.inv(alone.primitive.cell).T @ found.primitive.cell.T  # the same wave vector
        found.run_qpoints([along])
        alone.run_qpoints([q])
        assert np.allclose(found.qpoints.frequencies, alone.qpoints.frequencies, rtol=1e-4, atol=1e-4)


def test_silicon_at_gamma_by_ase_alone():
    crystal = SILICON.crystals["Si diamond"].copy()
    found = spectrum(surface("si_sw"), crystal, OPTIONS)
    crystal.calc = surface("si_sw").calculator()
    pull = []
    for step in (0.01, -0.01):
        moved = crystal.copy()
        moved.calc = crystal.calc
        moved.positions[0, 0] += step
        pull.append(moved.get_forces()[0, 0])
    curvature = (pull[1] - pull[0]) / 0.02  # both sublattices move: ω² = 2Φ/m
    assert np.allclose(found.gamma[3:], terahertz(2 * curvature, 28.085), rtol=1e-3)
    assert found.gamma[3:].mean() == pytest.approx(17.8, abs=0.1)  # published for Stillinger–Weber


def test_displaced_supercells_are_one_call():
    class Counted(OfCalculator):
        calls = ()

        def __call__(self, frames, *, stress=False):
            self.calls += ([len(atoms) for atoms in frames],)
            return super().__call__(frames, stress=stress)

    counted = Counted(surface("lif_ion").calculator())
    found = spectrum(counted, bulk("LiF", "rocksalt", a=4.0386), PhononsOptions(supercell=1, mesh=4))
    assert counted.calls == ([8] * 4,)
    assert (found.atoms, found.frames) == (8, 4)


def test_a_surface_agrees_with_itself_and_transverse_modes_are_named():
    system = System("lif_ion", (3, 9), {"LiF": bulk("LiF", "rocksalt", a=4.1)}, reference="lif_ion")
    outcome = ask("lif_ion", "lif_ion", system)
    found = values(outcome, "LiF")
    errors = ("shift", "relative_shift", "mean_absolute_error", "gamma_optical_error")
    assert [found[error] for error in errors] == [0, 0, 0, 0]
    assert found["gamma_optical"] == found["reference.gamma_optical"]
    assert found["gamma_optical_spread"] < 1e-3
    mean = found["mean_optical"]
    assert headlines(outcome) == {
        "LiF.mean_optical": (mean, "reference", mean),
        "LiF.imaginary_q": (0.0, "less", 0.0),
    }
    assert outcome.findings == []
    assert outcome.settings["non_analytic_correction"] == "none, in either"
    assert outcome.settings["LiF"]["atoms"] == 64
    figure = Figure()
    draw(outcome, figure)
    assert len(figure.axes) == 2


def test_forces_of_081_are_a_red_shift_of_a_tenth():
    outcome = ask(scaled(lennard_jones(), 0.81), lennard_jones())
    assert values(outcome, "Ar fcc")["relative_shift"] == pytest.approx(-10, abs=0.01)
    value, _, truth = headlines(outcome)["Ar fcc.mean_optical"]
    assert value / truth == pytest.approx(0.9, abs=1e-4)
    (fault,) = outcome.findings
    assert fault.startswith("Ar fcc: branches shifted to the red by 10.0 %")
    (fault,) = ask(scaled(lennard_jones(), 1.21), lennard_jones()).findings
    assert "shifted to the blue by 10.0 %" in fault


def test_the_mean_runs_over_optical_branches_where_there_are_any():
    crystal = SILICON.crystals["Si diamond"]
    found, other = (spectrum(surface(name), crystal, OPTIONS) for name in ("si_sw", "si_kumagai"))
    mean, expected = ((s.weights[:, None] * s.mesh[:, 3:]).sum() / 3 for s in (other, found))
    absolute, relative = shift(other, found)
    assert absolute == pytest.approx(mean - expected)
    assert relative == pytest.approx(100 * (mean - expected) / expected)


def test_only_the_labels_own_level_of_theory_gives_errors():
    outcome = ask("si_kumagai", "si_sw", System("si", (14,), SILICON.crystals))
    found = values(outcome, "Si diamond")
    assert found["reference.gamma_optical"] == pytest.approx(17.83, abs=0.01)
    assert not any("shift" in key or "error" in key for key in found)
    assert headlines(outcome)["Si diamond.mean_optical"][2] is None
    assert outcome.settings["errors"].startswith("none")
    context = outcome.settings["context"]["Si diamond"]
    assert [context[source]["gamma_optical_THz"] for source in ("PW91", "GAP-18")] == [15.085, 14.761]
    draw(outcome, Figure())
    assert "context" not in ask("si_sw", "si_sw", SILICON).settings


def test_an_unstable_crystal_has_imaginary_modes_unless_the_reference_has_them():
    system = System("argon", (18,), {"Ar bcc": bulk("Ar", "bcc", a=3.15)}, reference="Pairs")
    outcome = ask(lennard_jones(), system=system)
    found = values(outcome, "Ar bcc")
    assert found["lowest"] < -0.1
    assert 0 < found["imaginary_q"] < 100
    (fault,) = outcome.findings
    assert fault.startswith(f"Ar bcc: imaginary modes, down to {-found['lowest']:.2f}i THz at q = (")
    assert ask(lennard_jones(), lennard_jones(), system).findings == []


def test_a_crystal_without_a_minimum_is_a_fault():
    outcome = ask(Pairs(lambda r: np.exp(-r), lambda r: np.exp(-r), 7.0))
    assert outcome.findings == ["Ar fcc: Pairs has no minimum near the crystal (300 steps, half to double the volume)"]
    assert outcome.numbers == {}
    draw(outcome, Figure())


def test_surfaces_without_forces_or_with_broken_ones_end_with_a_word():
    flat = ask(Pairs(np.zeros_like, np.zeros_like, 7.0))
    assert flat.findings == ["Ar fcc: nothing holds the atoms, no mode is above 0.1 THz"]
    draw(flat, Figure())
    broken = ask(Pairs(lambda r: np.nan * r, lambda r: np.nan * r, 7.0))
    assert "has no minimum" in broken.findings[0]


def test_without_phonopy_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "phonopy", None)
    with pytest.raises(ScalarFidError, match=r"needs phonopy: pip install 'scalarfid\[physics\]'"):
        ask(springs())


def test_a_potential_of_ours_gives_the_same_in_one_batch_as_by_its_calculator():
    potential = scalarfid.build("mace_tiny", "pan+pgs", elements=["Ag"], cutoff=4.0, dtype="float64")
    crystal, options = bulk("Ag", a=4.06), PhononsOptions(supercell=1)
    batched = surface(potential)
    together = force_constants(batched, crystal, options).force_constants
    alone = force_constants(surface(batched.calculator()), crystal, options).force_constants
    assert np.allclose(together, alone, atol=1e-9)


def test_relaxation_finds_the_lattice_of_the_silicon_reference():
    relaxed = relax(surface("si_sw"), bulk("Si", a=5.5), 1e-5)
    assert relaxed.get_volume() == pytest.approx(5.43095**3 / 4, rel=1e-5)
    assert relaxed.calc is None
    sheared = relaxed.copy()
    sheared.set_cell(relaxed.cell @ np.array([[1, 0, 0], [0, 1, 0.02], [0, 0.02, 1]]), scale_atoms=True)
    still = relax(surface("si_sw"), sheared, 1e-5, cell=False)
    sheared.calc = surface("si_sw").calculator()
    BFGS(sheared, logfile=None).run(fmax=1e-5)
    assert np.allclose(still.cell, sheared.cell)
    assert np.allclose(still.get_all_distances(mic=True), sheared.get_all_distances(mic=True), atol=1e-6)


def test_the_file_of_options_has_the_defaults():
    assert options_for(diagnostics()["phonons"], []) == PhononsOptions()
