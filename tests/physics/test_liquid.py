"""g(r) against ASE's and an independent run, zero against itself, a softened wall found, a run that goes on."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.geometry.rdf import get_rdf
from ase.md.nose_hoover_chain import NoseHooverChainNVT
from ase.optimize import FIRE
from ase.units import fs
from physics.surfaces import Pairs, added, headlines, lennard_jones

from scalarfid import ScalarFidError
from scalarfid.intervals import half_width
from scalarfid.physics import System, surface
from scalarfid.physics.dynamics import Schedule, heated, moving, supercell
from scalarfid.physics.liquid import LiquidOptions, compare, draw, measure, melt_of, moved
from scalarfid.physics.phases import FINEST, no_liquid, order, valley, waves
from scalarfid.physics.shells import BLOCKS, counts, curve, distribution, overlap, shell, shell_end

SYSTEM = System("argon", (18,), {"Ar": bulk("Ar", "fcc", a=5.4)}, reference="Pairs")
OPTIONS = LiquidOptions(
    110, 1.3, superheat=4, atoms=27, melt=3, settle=1, duration=10, every=50, timestep=10, friction=2, bins=60
)


def argon() -> Pairs:
    return lennard_jones(0.0104, 3.4, 7.0)


@pytest.fixture(scope="module")
def liquid():
    cell, schedule, counted = melt_of(SYSTEM.crystals["Ar"], OPTIONS)
    frames, failure = heated(cell, argon(), schedule)
    assert failure is None
    return frames[-counted:]


def edges_of(frames):
    return np.linspace(0, 0.5 / np.linalg.norm(frames[0].cell.reciprocal(), axis=1).max(), OPTIONS.bins + 1)


def test_the_cell_has_the_density_and_the_schedule_its_stretches():
    cell, schedule, counted = melt_of(bulk("Ag", a=4.1), LiquidOptions())
    grams, volume = cell.get_masses().sum() / 6.02214e23, cell.get_volume() * 1e-24
    assert grams / volume == pytest.approx(9.32, rel=1e-4)
    assert (len(cell), schedule.stretch, len(schedule.temperatures), counted) == (64, 10, 160, 100)
    assert (schedule.temperatures[0], schedule.temperatures[-1]) == (3500.0, 1400.0)
    with pytest.raises(ScalarFidError, match=r"no liquid Cu is known; give rdf\.temperature"):
        melt_of(bulk("Cu"), LiquidOptions())


def test_what_the_table_gave_is_in_the_settings(tmp_path):
    system = System("ag_emt", (47,), {"Ag fcc": bulk("Ag", a=4.06)}, reference="ag_emt", cache=str(tmp_path))
    short = LiquidOptions(atoms=8, melt=0.02, settle=0.02, duration=0.2)
    settings = measure(surface("ag_emt"), surface("ag_emt"), system, short).settings
    stated = settings["structures"]["Ag fcc"]
    assert (stated["atoms"], stated["temperature_K"], stated["melted_at_K"]) == (8, 1400.0, 3500.0)
    assert stated["density_g_per_cm3"] == pytest.approx(9.32)
    assert (settings["thermostat"][:8], settings["reference_level"]) == ("Langevin", "the labels' own")
    assert not {"temperature", "density", "atoms"} & set(settings)


def test_the_distribution_is_that_of_ase(liquid):
    edges, frames = edges_of(liquid), liquid[:5]
    ours = curve(frames, (18, 18), edges).g
    theirs, _ = get_rdf(frames, edges[-1] * (1 - 1e-9), OPTIONS.bins)
    assert np.allclose(ours, theirs, atol=1e-6)


def test_partial_distributions_are_those_of_ase():
    salt = bulk("LiF", "rocksalt", a=4.1, cubic=True).repeat(2)
    salt.rattle(0.2, seed=1)
    edges = np.linspace(0, 4.0, 41)
    for pair in ((3, 3), (3, 9), (9, 9)):
        rho = (salt.numbers == pair[1]).sum() / salt.get_volume()
        ours = distribution(counts([salt], pair, edges)[0], edges, rho)
        assert np.allclose(ours, get_rdf(salt, 4.0 - 1e-9, 40, elements=pair)[0], atol=1e-6)


def test_an_independent_run_of_ase_has_the_same_liquid(liquid):
    atoms = moving(liquid[0], 110, seed=7)
    atoms.calc = argon()
    dynamics = NoseHooverChainNVT(atoms, 10 * fs, temperature_K=110, tdamp=500 * fs)
    edges, distances = edges_of(liquid), []
    dynamics.run(200)
    for _ in range(100):
        dynamics.run(10)
        distances.append(atoms.get_all_distances(mic=True)[np.triu_indices(len(atoms), 1)])
    found = np.histogram(distances, edges)[0] / len(distances) * 2 / len(atoms)
    theirs = distribution(found, edges, len(atoms) / atoms.get_volume())
    ours = curve(liquid, (18, 18), edges)
    assert overlap(ours.g, theirs) > 0.95
    end = shell_end(ours.g, edges)
    one, other = ours.shells(end)[0], shell(theirs, found, edges, end)
    assert one.onset == pytest.approx(other.onset, abs=0.06)
    assert one.peak == pytest.approx(other.peak, abs=0.08)
    assert one.coordination == pytest.approx(other.coordination, rel=0.05)


def test_a_surface_agrees_with_itself(liquid):
    ours = curve(liquid, (18, 18), edges_of(liquid))
    numbers, faults = compare("Ar", ours, ours)
    assert faults == []
    assert numbers["Ar.overlap"].value == 1
    for of in ("onset", "peak", "height", "coordination"):
        assert numbers[f"Ar.{of}_difference"].value == numbers[f"Ar.{of}_difference"].high == 0
    assert moved(liquid) > 1


def test_a_liquid_is_told_from_a_crystal_and_from_a_glass(liquid):
    edges = edges_of(liquid)
    assert no_liquid(order(liquid), valley(liquid, edges)) is None
    crystal, _, _ = melt_of(SYSTEM.crystals["Ar"], OPTIONS)
    assert order([crystal]) == pytest.approx(1)
    hot = [crystal.copy() for _ in range(20)]
    for k, atoms in enumerate(hot):  # rms displacement along k is 0.3 Å: exp(−k²u²/2) of the shortest, (111)
        atoms.rattle(0.3, seed=k)
    shortest = 2 * np.pi * 3**0.5 / (crystal.cell.lengths()[0] / 3 * 2**0.5)
    assert order(hot) == pytest.approx(np.exp(-0.5 * (0.3 * shortest) ** 2), abs=0.03)
    assert no_liquid(order(hot), valley(hot, edges)).startswith("a crystal")
    melt, _ = heated(crystal.repeat(2), argon(), Schedule([500.0] * 20, 10, 10.0, 2.0, 0))
    glass = melt[-1]
    glass.calc = argon()
    FIRE(glass, logfile=None).run(fmax=0.01, steps=300)
    frames = [glass] * BLOCKS
    assert no_liquid(order(frames), valley(frames, edges)).startswith("a solid")


def test_the_waves_are_those_of_the_cell():
    cell = supercell(SYSTEM.crystals["Ar"], 27).cell
    found = waves(cell[:])
    assert np.allclose(np.exp(1j * found @ cell[:].T), 1)
    near = len(found) * (2 * np.pi) ** 3 / cell.volume
    assert near == pytest.approx(4 / 3 * np.pi * FINEST**3, rel=0.05)


def test_beside_a_reference_of_another_level_a_liquid_is_described_and_not_judged():
    other = System("argon", (18,), SYSTEM.crystals, reference="another")
    short = LiquidOptions(**{**vars(OPTIONS), "duration": 1, "melt": 0.2, "settle": 0.1})
    outcome = measure(surface(argon()), surface(argon()), other, short)
    assert "Ar.Ar-Ar.onset_difference" in outcome.numbers
    assert headlines(outcome) == {}


def test_frames_between_two_steps_are_refused():
    with pytest.raises(ScalarFidError, match=r"rdf\.every=5 fs is no multiple of rdf\.timestep=2 fs"):
        melt_of(bulk("Ag"), LiquidOptions(every=5))
    assert melt_of(bulk("Ag"), LiquidOptions(every=1, timestep=0.1))[1].stretch == 10


def test_a_softened_wall_lets_neighbours_too_close():
    lj = argon()
    bottom = 2 ** (1 / 6) * 3.4
    base = lj.functions[0](np.array(bottom))

    def energy(r):  # a fifth of the wall is left
        return np.where(r < bottom, -0.8 * (lj.functions[0](np.minimum(r, bottom)) - base), 0.0)

    def force(r):
        return np.where(r < bottom, -0.8 * lj.functions[1](np.minimum(r, bottom)), 0.0)

    short = LiquidOptions(**{**vars(OPTIONS), "duration": 4, "melt": 1, "settle": 0.5})
    outcome = measure(surface(added(lj, energy, force)), surface(lj), SYSTEM, short)
    (fault,) = outcome.findings
    assert fault.startswith("Ar.Ar-Ar: neighbours come too close, the first shell begins 0.")
    shift = outcome.numbers["Ar.Ar-Ar.onset_difference"]
    assert shift.low < shift.value < shift.high < 0
    first = {name.rpartition(".")[2]: found for name, found in headlines(outcome).items()}
    assert first == {"onset_difference": (shift.value, "zero", None)}
    assert outcome.numbers["Ar.Ar-Ar.overlap"].value < outcome.numbers["Ar.Ar-Ar.overlap_of_reference_halves"].value


def test_neighbours_that_stay_too_far_have_a_difference_and_no_fault(liquid):
    edges = edges_of(liquid)
    wide = [atoms.copy() for atoms in liquid]
    for atoms in wide:
        atoms.set_cell(1.03 * atoms.cell, scale_atoms=True)
    model, truth = (curve(frames, (18, 18), edges) for frames in (wide, liquid))
    numbers, faults = compare("Ar", model, truth)
    assert faults == []
    assert numbers["Ar.onset_difference"].value > 0.05
    shift = compare("Ar", truth, model)[0]["Ar.onset_difference"]
    assert shift.value == pytest.approx(-numbers["Ar.onset_difference"].value)
    assert (shift.better, shift.low < shift.high < 0) == ("zero", True)
    assert compare("Ar", truth, None)[0]["Ar.onset"].better == "reference"


def test_a_melt_that_explodes_and_one_that_stays_a_crystal_are_named(tmp_path):
    lj = argon()
    hole = added(lj, lambda r: -600.0 / r, lambda r: -600.0 / r**2)
    outcome = measure(surface(hole), None, SYSTEM, OPTIONS)
    outcome.write(tmp_path, draw)
    (fault,) = outcome.findings
    assert fault.startswith("Ar: the melt of Pairs fails after 0")
    cold = LiquidOptions(20, 1.7, superheat=1, atoms=8, melt=0.1, settle=0.1, duration=1, every=100, timestep=10)
    outcome = measure(surface(lj), surface(lj), SYSTEM, cold)
    outcome.write(tmp_path, draw)
    assert (tmp_path / "rdf.png").stat().st_size > 1000
    (stated,) = outcome.settings["structures"].values()
    assert stated["density_g_per_cm3"] == pytest.approx(1.7)
    assert (stated["formula"], stated["atoms"], stated["temperature_K"], stated["frames"]) == ("Ar8", 8, 20, 10)
    assert outcome.settings["reference_level"] == "the labels' own"
    of_model, of_reference = outcome.findings  # and none that neighbours come too close: crystals are not judged
    assert of_model.startswith("Ar: the melt of Pairs is a crystal: a wave of its density has 0.9")
    assert of_reference == of_model
    assert "Ar.Ar-Ar.onset_difference" in outcome.numbers
    assert headlines(outcome) == {}


def test_a_run_that_was_interrupted_goes_on_as_if_it_was_not(tmp_path):
    start = supercell(SYSTEM.crystals["Ar"], 8)
    path = tmp_path / "melt.traj"
    heated(start, argon(), Schedule([200.0, 200.0, 100.0], 5, 10.0, 2.0, 3), path)
    schedule = Schedule([200.0, 200.0, 100.0, 100.0, 100.0], 5, 10.0, 2.0, 3)
    resumed, _ = heated(start, argon(), schedule, path)
    whole, _ = heated(start, argon(), schedule)
    assert len(resumed) == len(whole) == 5
    assert np.array_equal(resumed[-1].positions, whole[-1].positions)
    assert np.array_equal(resumed[-1].get_momenta(), whole[-1].get_momenta())
    path.write_bytes(b"")
    assert len(heated(start, argon(), Schedule([200.0], 5, 10.0, 2.0, 3), path)[0]) == 1


def test_the_bath_has_its_temperature(liquid):
    found = [atoms.get_temperature() for atoms in liquid]
    assert np.mean(found) == pytest.approx(110, abs=2 * half_width(found) + 2)


def test_a_shell_by_hand():
    edges = np.linspace(0, 4, 41)
    r = 0.5 * (edges[1:] + edges[:-1])
    g = np.where(r > 2, 3 - 20 * (r - 2.37) ** 2, 0.0).clip(0) + np.where(r > 3.0, 0.5, 0.0)
    found = np.zeros(40)
    found[23] = 8.0
    one = shell(g, found, edges, 3.0)
    assert one.peak == pytest.approx(2.37, abs=0.01)
    assert one.height == pytest.approx(3, abs=0.02)
    assert one.coordination == 8
    assert 1.94 < one.onset < 2.06
    assert shell_end(g, edges) == pytest.approx(2.85, abs=0.11)
    lonely = Atoms("Ar", cell=[9, 9, 9], pbc=True)
    assert counts([lonely], (18, 18), edges).sum() == 0
