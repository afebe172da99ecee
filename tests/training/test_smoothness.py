"""Watching bond scans during training: what it writes, when, and that it changes no weight."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from training.runs import overrides

import scalarfid
from scalarfid import ScalarFidError
from scalarfid.config import compose
from scalarfid.data.config import named
from scalarfid.physics.bonds import Track, answered
from scalarfid.physics.bsct import BsctOptions, scans_of
from scalarfid.physics.systems import system_of
from scalarfid.physics.watch import SmoothnessWatch
from scalarfid.training import StopRequest, run

SHORT = ("training.max_epochs=5", "training.validate_every=1", "run.smoothness=2")


class Short(SmoothnessWatch):
    """One scan of a dozen frames that also spends random numbers, and may ask for a stop."""

    stop: StopRequest | None = None

    def __call__(self, potential):
        torch.rand(3)
        if self.stop is not None:
            self.stop.signum = 15
        return super().__call__(potential)


def short_watch() -> Short:
    scans = list(scans_of(system_of({"name": "ethanol"}, ()), BsctOptions(points=12)))
    return Short(scans[:1], [None])


def rows(result):
    with (result.directory / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def assert_same_training(one, two):
    assert one.directory.name == two.directory.name
    ours, theirs = (load_file(result.directory / "model.safetensors") for result in (one, two))
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    for row, other in zip(rows(one), rows(two), strict=True):
        assert {key: value for key, value in row.items() if not key.startswith("smooth/")} == other


@pytest.mark.parametrize("decay", ["0.99", pytest.param("null", marks=pytest.mark.slow)])
def test_it_writes_its_columns_and_changes_no_weight_even_across_a_stop(decay, tmp_path):
    words = [*SHORT, f"training.ema_decay={decay}"]
    bare = run(compose(overrides(tmp_path / "bare", *words)))
    watch, again = short_watch(), compose(overrides(tmp_path / "watched", *words))
    object.__setattr__(watch, "stop", StopRequest())
    assert run(again, stop=watch.stop, watch=watch).state == "interrupted"
    watched = run(again, watch=short_watch())
    assert_same_training(watched, bare)
    jumps = [row["smooth/energy_jump"] for row in rows(watched)]
    assert [bool(jump) for jump in jumps] == [False, True, False, True, True]  # every second, and the last
    assert all(0 <= float(jump) < 1e-3 for jump in jumps if jump)


def test_the_fsd_stands_beside_the_potential_that_made_the_labels(tmp_path):
    watch = SmoothnessWatch.of({"name": "ethanol", "cache": str(tmp_path)})
    assert [scan.name for scan in watch.scans] == ["ethanol C0-C1", "ethanol C1-O2", "ethanol O2-H3"]
    potential = scalarfid.build("mace_tiny", "none", elements=["H", "C", "O"], cutoff=3.0, dtype="float64")
    found = watch(potential)
    assert list(found) == watch.columns == [*watch.measured]
    assert found["smooth/fsd"] > 0
    assert SmoothnessWatch.of({"name": "rmd17", "molecule": "ethanol"}).columns[0] == "smooth/energy_jump"


def test_a_model_without_finite_energies_has_no_numbers():
    potential = scalarfid.build("mace_tiny", "none", elements=["H", "C", "O"], cutoff=3.0, dtype="float64")
    potential.e0.fill_(np.nan)
    assert short_watch()(potential) == {}


def test_a_scan_without_answers_of_the_reference_is_left_out():
    scan, other = list(scans_of(system_of({"name": "ethanol"}, ()), BsctOptions(points=24)))[:2]
    energy, forces = np.arange(24.0), np.zeros((24, 9, 3))
    few = Track(np.where(energy < 9, energy, np.nan), forces)
    most = Track(np.where(energy < 10, energy, np.nan), forces)
    ((kept, track),) = answered([scan, other], [few, most])
    assert (kept.name, len(kept.frames), len(track.forces)) == (other.name, 10, 10)
    assert list(track.energy) == list(range(10))


def test_a_set_without_bonds_is_refused():
    with pytest.raises(ScalarFidError, match=r"run.smoothness: no bond to scan is known for si_sw"):
        SmoothnessWatch.of({"name": named("si_sw").name})
