"""The molecular dynamics of an in-process reference runs once for all models; another schedule is another run."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ase.build import bulk
from physics.surfaces import lennard_jones

from scalarfid.physics import System, liquid, nve, stability, surface
from scalarfid.physics.kept import Store, run_mark
from scalarfid.physics.microcanonical import Course

COURSE = Course(300, 1.0, 0.0, 1.0, 0)
CASES = {
    "nve": (nve.measure, nve.NveOptions(atoms=8, duration=0.1, settle=0, timesteps=[4.0]), {"timesteps": [5.0]}),
    "rdf": (
        liquid.measure,
        liquid.LiquidOptions(atoms=8, melt=0.02, settle=0.02, duration=0.2),
        {"superheat": 3.0},
    ),
    "stability": (
        stability.measure,
        stability.StabilityOptions([300.0], seeds=2, duration=0.1, atoms=8),
        {"temperatures": [400.0]},
    ),
}


class Counted:
    """Counts the calls of a surface's calculator."""

    def __init__(self, of):
        self.calls, calculator = 0, of.calculator()
        calculate = calculator.calculate

        def count(*arguments, **options):
            self.calls += 1
            return calculate(*arguments, **options)

        calculator.calculate = count


def argon(epsilon):
    return surface(lennard_jones(epsilon))


@pytest.mark.parametrize("question", CASES)
def test_the_second_model_does_not_run_the_reference_again(question, tmp_path):
    measure, options, other = CASES[question]
    system = System("ag_emt", (47,), {"Ag fcc": bulk("Ag", a=4.06)}, reference="ag_emt", cache=str(tmp_path))
    calls, found = [], []
    for k, chosen in enumerate((options, options, replace(options, **other))):
        reference = surface("ag_emt")
        counted = Counted(reference)
        found.append(measure(argon(0.3 + 0.01 * k), reference, system, chosen, tmp_path / str(k)).numbers)
        calls.append(counted.calls)
    assert calls[0] > 20
    assert calls[1] == 0
    assert calls[2] > 20
    ofs = [key for key in found[0] if "reference" in key]
    assert ofs
    assert all(found[0][key].value == found[1][key].value for key in ofs if "overlap" not in key)


def test_a_run_of_the_reference_is_another_where_anything_of_it_is(tmp_path):
    start = bulk("Ag", a=4.06).repeat(2)
    moved, longer = start.copy(), start.copy()
    moved.positions[0, 0] += 1e-9
    longer.set_cell(1.001 * longer.cell[:])
    marks = {run_mark(atoms, COURSE) for atoms in (start, moved, longer)}
    marks |= {run_mark(start, replace(COURSE, **{key: 2})) for key in ("timestep", "duration", "seed", "temperature")}
    assert len(marks) == 7
    assert run_mark(start.copy(), replace(COURSE)) in marks


def test_only_an_in_process_reference_is_shared(tmp_path):
    store, start = Store(System("x", (47,), cache=str(tmp_path / "cache")), tmp_path / "work"), bulk("Ag")
    assert store.place(argon(0.3), "Ag, 0.5 fs.npz", start, COURSE) == tmp_path / "work" / "Ag, 0.5 fs.npz"
    shared = store.place(surface("ag_emt"), "Ag, 0.5 fs.npz", start, COURSE)
    assert shared.parent.parent == tmp_path / "cache" / "answers"
    assert shared.suffix == ".npz"
    assert replace(store, work=None).place(argon(0.3), "a.npz", start, COURSE) is None
