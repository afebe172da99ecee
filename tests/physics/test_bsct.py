"""FSD by hand, against the published package's values, zero against itself; faults of broken surfaces by name."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.calculator import CalculationFailed
from ase.neighborlist import neighbor_list
from physics.surfaces import Pairs, added, headlines

import scalarfid
from scalarfid import ScalarFidError
from scalarfid.data import read_frames
from scalarfid.data.labels import labels_of
from scalarfid.physics import System, diagnostics, surface
from scalarfid.physics.bonds import ask, ask_reference, bond_scan, breakable, covalent_sums, crossings
from scalarfid.physics.bsct import HEADLINES, BsctOptions, crystal_scans, draw, fsd, measure, scans_of
from scalarfid.physics.curves import jumps, kinks, unexplained_work
from scalarfid.physics.kept import answers_of
from scalarfid.physics.roughness import looked_at
from scalarfid.physics.systems import published_molecules

WATER = System("water", (1, 8), {}, {"water": molecule("H2O")}, "pairs")
ETHANOL = System("ethanol", (1, 6, 8), {}, {"ethanol": molecule("CH3CH2OH")})
CUTOFF = 2.0  # the two H of water are 1.5 Å apart and cross it as one leaves


def morse(depth=4.0, a=2.0, length=1.2, cutoff=CUTOFF):
    """D(1 − e^(−a(r − r₀)))² times a (1 − u²)⁴ window, that is smooth at the cutoff."""

    def parts(r):
        x, u = np.exp(-a * (r - length)), np.minimum(r / cutoff, 1.0)
        return depth * ((1 - x) ** 2 - 1), 2 * depth * a * (1 - x) * x, (1 - u**2) ** 4, -8 * u * (1 - u**2) ** 3

    def energy(r):
        e, _, w, _ = parts(r)
        return e * w

    def force(r):
        e, slope, w, dw = parts(r)
        return -(slope * w + e * dw / cutoff)

    return Pairs(energy, force, cutoff)


def ask_water(model, reference=None, system=WATER):
    truth = reference and surface(reference)
    if truth is not None:
        truth.name = "pairs"
    outcome = measure(asked(model), truth, system, BsctOptions())
    return outcome, {name: number.value for name, number in outcome.numbers.items()}


def asked(model):
    found = surface(model)
    found.cutoff = CUTOFF
    return found


def test_fsd_of_forces_made_by_hand():
    # With a reference below the floor L is ln Σ|ΔF|² of the model, here by construction 6, 4, 1, 2, 5.
    logs = np.array([6.0, 4.0, 1.0, 2.0, 5.0])
    offset = np.array([[0.3, -0.2, 0.1], [-0.3, 0.2, -0.1]])
    model = offset + np.sqrt(np.exp(logs) / 6)[:, None, None]
    found = fsd(np.array([1.0, 1.5, 2.0, 2.5, 3.0]), model, np.tile(offset, (5, 1, 1)), 1)
    assert found["full"] == pytest.approx(6)
    assert found["compress"] == pytest.approx(4)
    assert found["stretch"] == pytest.approx(6)
    assert fsd(np.array([1.0, 1.5]), model[:2], model[:2] * 0, 0)["compress"] is None


def test_fsd_of_two_springs():
    # ΔF of the reference k x, of the model c k x on both atoms: L goes from 0 inside the floors to 2 ln c outside.
    x = np.linspace(-2, 2, 4001)
    spring = np.zeros((len(x), 2, 3))
    spring[:, 0, 0], spring[:, 1, 0] = x, -x
    found = fsd(x + 3, 2 * spring, spring, 2000)
    steepest = 2 / np.sqrt(0.125)  # d ln(8 x²)/dx where 8 x² leaves the floor
    assert found["full"] == pytest.approx(steepest, rel=5e-3)
    assert found["compress"] == pytest.approx(found["stretch"], rel=1e-6)


@pytest.fixture(scope="module")
def published():
    root = os.environ.get("SCALARFID_DATA")
    folder = Path(root or ".") / "bsct"
    if not root or not folder.is_dir():
        pytest.skip("SCALARFID_DATA with bsct/ is not there")
    frames = read_frames(folder / "bsct_spice_subset31.xyz.gz")

    def name(atoms):
        return f"{atoms.info['bond_type']}/{atoms.info['molecule']}"

    scans = {key: list(group) for key, group in groupby(frames, name)}
    return json.loads((folder / "fsd_gfn2.json").read_text()), np.load(folder / "gfn2_forces.npz"), scans


def test_fsd_is_the_published_packages(published):
    records, stored, scans = published
    assert len(records) == 10
    for key, record in records.items():
        energy = np.array([labels_of(atoms).energy for atoms in scans[key]])
        forces = np.array([labels_of(atoms).forces for atoms in scans[key]])
        low, high, points = record["perturb_range"]
        model = stored[f"{key.replace('/', '_')}_forces"]
        found = fsd(np.linspace(low, high, points), model, forces, int(energy.argmin()))
        for part, value in found.items():
            assert value == pytest.approx(record[f"{part}_smoothness"], abs=1e-6)
        assert np.abs(model - forces).mean() == pytest.approx(record["full_forces_mae"], abs=1e-9)


def test_scans_are_the_published_ones(published):
    for frames in published[2].values():
        first, last = frames[0], frames[-1]
        moved = last.get_all_distances() / first.get_all_distances().clip(1e-9)
        ratio = first.get_all_distances() / covalent_sums(first)
        (bond,) = [tuple(b) for b in np.argwhere(np.triu(np.isclose(ratio, 0.5) & np.isclose(moved, 4), 1))]
        middle = frames[33]
        assert bond in breakable(middle)
        alpha = np.linspace(0.5, 2, 100) * covalent_sums(middle)[bond]
        scan = bond_scan("it", middle, bond, alpha)
        worst = max(np.abs(a.positions - b.positions).max() for a, b in zip(scan.frames, frames, strict=True))
        assert worst < 1e-5


def test_bonds_in_rings_do_not_break():
    ring = molecule("C6H6")
    assert [sorted(ring.symbols[list(bond)]) for bond in breakable(ring)] == [["C", "H"]] * 6
    assert len(breakable(ETHANOL.molecules["ethanol"])) == 8
    assert breakable(Atoms("Ar")) == []


def test_fragments_move_rigidly_and_alpha_is_the_bond_length():
    atoms = ETHANOL.molecules["ethanol"]
    scan = next(scans_of(ETHANOL, BsctOptions(points=10)))
    assert scan.name == "ethanol C0-C1"
    assert [frame.get_distance(0, 1) for frame in scan.frames] == pytest.approx(scan.alpha.tolist())
    before, after = atoms.get_all_distances(), scan.frames[-1].get_all_distances()
    same = np.isclose(before, after, atol=1e-9)
    assert same[np.ix_([0, 6, 7, 8], [0, 6, 7, 8])].all()
    assert same[np.ix_([1, 2, 3, 4, 5], [1, 2, 3, 4, 5])].all()
    assert not same[np.ix_([0, 6, 7, 8], [1, 2, 3, 4, 5])].any()


def test_a_surface_against_itself_has_no_error_and_no_fault():
    outcome, found = ask_water(morse(), morse())
    assert outcome.findings == []
    assert {value for name, value in found.items() if "fsd" in name or "mae" in name} == {0.0}
    assert found["largest.work_error"] < 1e-3
    assert outcome.settings["scans"] == 2
    assert found["water O0-H1.cutoff_crossings"] == 1
    smooth = {f"mean.fsd_{part}" for part in ("full", "compress", "stretch")}
    assert set(headlines(outcome)) == smooth | {"largest.energy_jump", "largest.force_jump"}
    assert headlines(outcome)["mean.fsd_full"] == (0.0, "less", None)


def test_without_a_reference_only_numbers_that_need_none():
    outcome, found = ask_water(morse())
    assert outcome.reference is None
    assert not [name for name in found if "fsd" in name or "mae" in name]
    assert found["largest.energy_jump"] < 1e-3


def test_across_levels_of_theory_only_the_force_based_fsd_is_shown_and_marked():
    outcome, found = ask_water(morse(length=1.1), morse(), replace(WATER, reference="another"))
    assert outcome.settings["reference_level"] == "another than the labels': forces only"
    assert found["mean.other_level_fsd_full"] == ask_water(morse(length=1.1), morse())[1]["mean.fsd_full"] > 0
    assert not [name for name in found if "mae" in name or ".fsd" in name]
    assert not [name for name in outcome.arrays if "reference" in name]


def test_what_a_reference_said_is_kept_and_not_asked_again(tmp_path):
    class Counting(type(morse())):
        calls = 0

        def calculate(self, *arguments, **more):
            self.calls += 1
            super().calculate(*arguments, **more)

    counting = Counting(*morse().functions, CUTOFF)
    scans = list(scans_of(WATER, BsctOptions(points=10)))
    (first,) = ask_reference(surface(counting), scans[:1], tmp_path)
    again, _ = ask_reference(surface(counting), scans, tmp_path)
    assert counting.calls == 20
    assert np.array_equal(again.forces, first.forces)
    assert np.array_equal(again.energy, first.energy)


def test_only_an_in_process_reference_is_known_well_enough_to_keep_what_it_said(tmp_path):
    system = replace(WATER, cache=str(tmp_path))
    assert answers_of(surface(morse()), system) is None
    assert answers_of(surface("xtb"), system).relative_to(tmp_path / "answers").name.startswith("xtb-tblite-")


def test_a_published_bond_is_the_only_one_unless_all_are_wanted():
    (name, atoms), *_ = published_molecules("mol31").items()
    system = System("mol31", (1, 6), {}, {name: atoms})
    assert name == "C5H10-12878"
    assert [scan.name for scan in scans_of(system, BsctOptions(points=10))] == ["C5H10-12878 C0-C2"]
    assert len(list(scans_of(system, BsctOptions(bonds="all", points=10)))) == 14
    with pytest.raises(ScalarFidError, match=r"bsct.bonds=some is not a choice"):
        measure(surface(morse()), None, WATER, BsctOptions(bonds="some"))


@pytest.mark.parametrize("size", [0.05, 0.002])
def test_a_step_at_the_cutoff_is_named(size):
    stepped = added(morse(), lambda r: np.where(r < CUTOFF, size, 0.0), np.zeros_like)
    outcome, found = ask_water(stepped, morse())
    assert found["water O0-H1.energy_jump"] == pytest.approx(size, rel=0.01)
    assert found["water O0-H1.fsd_full"] == 0  # forces are the reference's: FSD cannot see it
    (fault, _) = outcome.findings
    assert fault.startswith(f"water O0-H1: the energy jumps by {1e3 * size:g} meV at ")
    assert fault.endswith("Å, where H1-H2 crosses the cutoff")


def test_a_jump_of_the_force_at_the_cutoff_is_named():
    kinked = added(morse(), lambda r: np.where(r < CUTOFF, r - CUTOFF, 0.0), lambda r: np.where(r < CUTOFF, -1.0, 0.0))
    outcome, found = ask_water(kinked)
    assert found["water O0-H1.force_jump"] == pytest.approx(np.sqrt(2), rel=0.01)
    assert outcome.findings[0].startswith("water O0-H1: the forces jump by 1.4")


def test_a_force_that_is_no_derivative_is_named():
    wrong = added(morse(), np.zeros_like, lambda r: 0.2 * np.exp(-(((r - 1.2) / 0.3) ** 2)))
    outcome, found = ask_water(wrong)
    assert found["largest.energy_jump"] < 0.005
    assert found["largest.work_error"] > 0.05
    assert all("the forces are no derivative of the energy: ΔE and −∫F·dx differ by 0.1" in f for f in outcome.findings)
    assert len(outcome.findings) == 2


def test_what_is_only_steep_is_no_jump():
    width = 0.001

    def step(r):
        return 0.05 * (np.tanh((r - 1.7) / width) - 1)

    steep = added(morse(), step, lambda r: -0.05 / width * (1 - np.tanh((r - 1.7) / width) ** 2))
    outcome, found = ask_water(steep)
    assert outcome.findings == []
    assert found["largest.energy_jump"] == 0
    assert found["largest.work_error"] < 1e-3


def bump(size, width, place=1.7):
    """A force ½ size (1 + tanh((r − place)/width)) and its energy, on top of the Morse pairs."""

    def energy(r):
        x = (r - place) / width
        return -0.5 * size * width * (np.logaddexp(x, -x) + x)

    return added(morse(), energy, lambda r: 0.5 * size * (1 + np.tanh((r - place) / width)))


def test_a_force_that_rises_within_a_hundred_thousandth_of_an_angstrom_is_no_jump():
    found = asked_roughness(bump(13.0, 2e-5))
    assert found.energy.size == found.force.size == found.slope.size == 0


def test_a_jump_of_the_force_has_its_size_and_place():
    found = asked_roughness(
        added(morse(), lambda r: -3 * np.maximum(r - 1.3, 0), lambda r: np.where(r > 1.3, 3.0, 0.0))
    )
    assert found.force.size == pytest.approx(3 * np.sqrt(2), rel=1e-3)
    assert found.force.low <= 1.3 <= found.force.high < found.force.low + 1e-5
    assert found.energy.size == 0
    assert not np.isfinite(found.slope.size)


def test_a_kink_of_the_force_has_its_size_and_place():
    def past(r):
        return np.maximum(r - 1.3, 0)

    found = asked_roughness(added(morse(), lambda r: -10 * past(r) ** 2, lambda r: 20 * past(r)))
    assert (found.energy.size, found.force.size) == (0, 0)
    assert found.slope.size == pytest.approx(20 * np.sqrt(2), rel=1e-2)
    assert found.slope.low <= 1.3 <= found.slope.high < found.slope.low + 1e-5


def singular(place, size=0.2):
    """Morse pairs and size · √(r − place) beyond: the force grows without end towards the place."""

    def past(r):
        return np.maximum(r - place, 1e-300)

    return added(
        morse(),
        lambda r: np.where(r > place, size * np.sqrt(past(r)), 0.0),
        lambda r: np.where(r > place, -0.5 * size / np.sqrt(past(r)), 0.0),
    )


def test_a_jump_without_end_has_no_number_and_no_headline_is_the_largest_of_the_others():
    molecules = {name: Atoms(name, [[0, 0, 0], [0.7, 0, 0]]) for name in ("OH", "H2")}
    outcome, found = ask_water(singular(1.6), None, System("two", (1, 8), {}, molecules))
    assert outcome.findings == ["OH O0-H1: the forces jump by inf eV/Å at 1.60 Å"]
    assert (found["OH O0-H1.force_jump"], found["H2 H0-H1.force_jump"]) == (None, 0.0)
    assert headlines(outcome)["largest.force_jump"] == (None, "less", None)
    assert headlines(outcome)["largest.energy_jump"] == (0.0, "less", None)
    note = "OH O0-H1: grows without end as steps become smaller"
    assert outcome.numbers["largest.force_jump"].note == note


@pytest.mark.parametrize("place", [1.06, 1.24, 1.38])
def test_a_force_that_grows_without_end_does_so_from_level_to_level_in_the_mean(place):
    assert np.isinf(asked_roughness(singular(place)).force.size)


class Broken(type(morse())):
    """No number where the bond of the first two atoms is long."""

    def calculate(self, atoms=None, *others, **more):
        super().calculate(atoms, *others, **more)
        if atoms.get_distance(0, 1) > 1.8:
            self.results["forces"] = np.nan * self.results["forces"]


def test_a_scan_without_finite_forces_leaves_no_headline_of_the_others():
    outcome, found = ask_water(Broken(*morse().functions, CUTOFF), morse())
    reason = "water O0-H1: the model's energy or forces are not finite"
    assert outcome.findings == [reason]
    assert found["water O0-H2.fsd_full"] == 0
    assert {value for value, _, _ in headlines(outcome).values()} == {None}
    assert len(headlines(outcome)) == len(HEADLINES)
    assert {outcome.numbers[name].note for name in (*HEADLINES, "mean.forces_mae", "largest.work_error")} == {reason}


def asked_roughness(model):
    """Of the bond of two atoms, whose force along it is f(α) on both."""
    scan = bond_scan("OH", Atoms("OH", [[0, 0, 0], [0.97, 0, 0]]), (0, 1), np.linspace(0.5, 1.9, 100))
    return looked_at(asked(model), scan, ask(asked(model), [scan])[0])


def test_frames_without_a_reference_are_dropped():
    class Failing(type(morse())):
        def calculate(self, atoms=None, *others, **more):
            if atoms.get_all_distances()[0].max() > 1.8:
                raise CalculationFailed("no convergence")
            super().calculate(atoms, *others, **more)

    failing = Failing(*morse().functions, CUTOFF)
    outcome, found = ask_water(morse(), failing)
    assert 0 < outcome.settings["frames_dropped"] < 100
    assert len(outcome.arrays["water O0-H1.alpha"]) == 100 - outcome.settings["frames_dropped"] / 2
    assert found["mean.fsd_full"] == 0


class Unanswered(type(morse())):
    """No answer at the fifth frame of a scan of CO, on its wall."""

    def calculate(self, atoms=None, *others, **more):
        if 0.79 < atoms.get_distance(0, 1) < 0.81:
            raise CalculationFailed("no convergence")
        super().calculate(atoms, *others, **more)


def test_a_frame_that_the_reference_lacks_hides_no_jump_of_the_model():
    smooth = morse(cutoff=5.0)
    stepped = added(smooth, lambda r: -0.5 * np.maximum(r - 2.0, 0.0), lambda r: np.where(r > 2.0, 0.5, 0.0))
    system = System("co", (6, 8), {}, {"CO": Atoms("CO", [[0, 0, 0], [1.15, 0, 0]])}, "pairs")
    outcome, _ = ask_water(stepped, Unanswered(*smooth.functions, 5.0), system)
    assert outcome.settings["frames_dropped"] == 1
    assert outcome.findings == ["CO C0-O1: the forces jump by 0.707 eV/Å at 2.00 Å, where C0-O1 crosses the cutoff"]


def test_crossings_are_counted_where_they_happen():
    scan = next(scans_of(WATER, BsctOptions(points=50)))
    (crossed,) = crossings(scan, 1.0)
    assert crossed.pair == "O0-H1"  # itself
    assert scan.alpha[crossed.interval] < 1.0 < scan.alpha[crossed.interval + 1]


def test_a_smooth_curve_has_no_jump_and_a_jump_its_size():
    x = np.linspace(0, 3, 100)
    smooth = np.stack([np.exp(-2 * x), np.sin(x)], 1)
    assert jumps(smooth).max() < 1e-3
    smooth[60:, 1] += 0.7
    assert jumps(smooth).argmax() == 59
    assert jumps(smooth)[59] == pytest.approx(0.7, abs=1e-2)
    assert kinks(x[:60], smooth[:60]).max() < 0.1
    bent = np.maximum(x - x[40], 0) * 5 + np.sin(x)
    assert kinks(x, bent)[[39, 40]] == pytest.approx([5, 5], abs=1e-2)
    assert np.abs(unexplained_work(x, np.cos(x), np.sin(x))).max() < 1e-7


def test_one_batched_call_is_the_same_as_frame_by_frame():
    potential = scalarfid.build("mace_tiny", "none", elements=["H", "O"], cutoff=3.0, dtype="float64")
    scans = list(scans_of(WATER, BsctOptions(points=12)))
    for one, other in zip(
        ask(surface(potential), scans), ask(surface(surface(potential).calculator()), scans), strict=True
    ):
        assert np.allclose(one.energy, other.energy, atol=1e-12, rtol=0)
        assert np.allclose(one.forces, other.forces, atol=1e-11, rtol=0)


def test_the_outcome_is_written_and_drawn(tmp_path):
    for reference in (None, morse()):
        outcome, _ = ask_water(morse(length=1.1), reference)
        assert outcome.write(tmp_path, draw).is_file()
        assert (tmp_path / "bsct.png").stat().st_size > 1000


SILICON = System("si_sw", (14,), {"Si diamond": bulk("Si", "diamond", a=5.431)}, reference="si_sw")
WIDE = 3.5


def pairs_of_silicon(step=0.0):
    """Morse pairs of silicon, with a step of so many eV at the cutoff."""
    base = morse(2.0, 1.5, 2.35, WIDE)
    return added(base, lambda r: np.where(r < WIDE, step, 0.0), np.zeros_like)


def ask_silicon(model, reference=None):
    asked, truth = surface(model), reference and surface(reference)
    asked.cutoff = WIDE
    if truth is not None:
        truth.name = "si_sw"
    return measure(asked, truth, SILICON, BsctOptions(points=40))


def test_an_atom_of_a_crystal_moves_along_the_bond_to_its_neighbour():
    salt = bulk("LiF", "rocksalt", a=4.04)
    first, second = crystal_scans(System("lif", (3, 9), {"LiF": salt}), BsctOptions(points=13))
    for scan, symbol in ((first, "Li"), (second, "F")):
        (moving,) = np.flatnonzero(scan.direction.any(axis=1))
        assert scan.frames[0].symbols[moving] == symbol
        assert scan.alpha[[0, 6, -1]] == pytest.approx(2.02 * np.array([0.7, 1.0, 1.3]))
        nearest = [frame.get_all_distances(mic=True)[moving] for frame in scan.frames]
        assert [np.sort(row)[1] for row in nearest][:7] == pytest.approx(scan.alpha[:7].tolist())
        assert all((frame.cell == scan.frames[0].cell).all() and frame.pbc.all() for frame in scan.frames)


def test_a_crystal_against_itself_has_no_fault_and_no_fsd():
    outcome = ask_silicon(pairs_of_silicon(), pairs_of_silicon())
    assert outcome.findings == []
    found = {name: number.value for name, number in outcome.numbers.items()}
    assert not [name for name in found if "fsd" in name]
    assert found["mean.forces_mae"] == found["largest.force_jump"] == 0
    assert found["largest.work_error"] < 1e-3
    assert found["Si diamond Si0-Si1.cutoff_crossings"] > 0


def test_a_step_at_the_cutoff_of_a_crystal_is_named_with_its_pairs():
    (fault,) = ask_silicon(pairs_of_silicon(0.01)).findings
    assert fault.startswith("Si diamond Si0-Si1: the energy jumps by ")
    assert "where Si1-Si" in fault or "-Si1 cross" in fault
    assert fault.endswith("the cutoff")


def test_crossings_of_a_crystal_are_those_of_its_neighbour_lists():
    (scan,) = crystal_scans(SILICON, BsctOptions(points=20))
    sizes = [len(neighbor_list("i", frame, WIDE)) // 2 for frame in scan.frames]
    counted = np.bincount([crossed.interval for crossed in crossings(scan, WIDE)], minlength=19)
    assert (np.abs(np.diff(sizes)) <= counted).all()
    assert np.array_equal(np.abs(np.diff(sizes)) % 2, counted % 2)
    assert counted.sum() > 0


def test_it_needs_a_structure_and_points():
    assert diagnostics()["bsct"].applies(None, SILICON) is None
    nothing = System("si", (14,))
    assert diagnostics()["bsct"].applies(None, nothing) == "bsct needs a structure, and si has none"
    with pytest.raises(ScalarFidError, match=r"bsct.points=5"):
        measure(surface(morse()), None, WATER, BsctOptions(points=5))
    with pytest.raises(ScalarFidError, match=r"bsct.crystal_nearest=2, crystal_furthest=1.3"):
        measure(surface(morse()), None, WATER, BsctOptions(crystal_nearest=2))
