"""What a run writes, when it is passed over, begun anew or refused, and that it learns."""

from __future__ import annotations

import csv
import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from ase import Atoms
from ase.neighborlist import neighbor_list
from torch_geometric.data import Batch
from training.runs import Command, assert_equal, overrides, train

import scalarfid
from scalarfid.config import compose
from scalarfid.config.identity import run_hash
from scalarfid.config.messages import to_plain
from scalarfid.data import load
from scalarfid.errors import ScalarFidError
from scalarfid.files import read_json
from scalarfid.flops import count_flops
from scalarfid.potential import Potential, is_probe
from scalarfid.train import THREADS_PER_CORE, _run, parity_plots
from scalarfid.training import RunResult, errors_of
from scalarfid.training.checkpoint import read
from scalarfid.training.directory import RunDirectory
from scalarfid.training.history import History
from scalarfid.training.provenance import code_version
from scalarfid.training.recorder import Recorder
from scalarfid.training.report import peak_memory
from scalarfid.training.stopping import StopRequest


def rows(directory):
    with (directory / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def named_parameters(potential):
    return potential.named_backbone_parameters(), potential.named_probe_parameters()


def untouched(root):
    """No run directory came to be below ``root``."""
    return not [path for path in root.glob("*/*") if path.is_dir()]


def test_the_directory_has_what_it_should(uninterrupted):
    directory = uninterrupted()
    assert {path.name for path in directory.iterdir()} == {
        "checkpoints", "config.yaml", "diagnostics", "metrics.csv", "model.safetensors", "status.json", "summary.json",
    }  # fmt: skip
    summary, status = read_json(directory / "summary.json"), read_json(directory / "status.json")
    assert directory.name == f"mace-pan+pgs-ethanol-s0-{summary['hash']}"
    assert status["state"] == "finished"
    assert set(summary["metrics"]) == set(summary["mean_predictor"]) == {"train", "val", "test"}
    counted = [sum(p.numel() for _, p in parameters) for parameters in named_parameters(scalarfid.load(directory))]
    assert [summary["parameters"][name] for name in ("backbone", "probe", "total")] == [*counted, sum(counted)]
    assert min(counted) > 0
    assert summary["versions"]["torch"] == torch.__version__
    assert len(summary["fingerprint"]) == 64
    assert summary["epochs"] == 6


def test_the_summary_counts_the_operations_of_the_first_test_frame(uninterrupted):
    summary, cfg = read_json(uninterrupted() / "summary.json"), compose(overrides(uninterrupted().parents[1]))
    frame = load(cfg.dataset, cutoff=cfg.model.cutoff).test["test"][0]
    potential, batch = scalarfid.load(uninterrupted()), Batch.from_data_list([frame])
    flops = count_flops(lambda: potential(batch))
    assert summary["flops"] == {
        "matmul": flops.matmul,
        "elementwise": flops.elementwise,
        "total": flops.matmul + flops.elementwise,
        "atoms": 9,
        "edges": len(neighbor_list("i", Atoms(frame.z, frame.pos), cfg.model.cutoff)),
    }
    assert flops.matmul > 0


def test_the_summary_has_a_believable_peak_of_memory():
    before = peak_memory()
    block = np.ones(2**24)  # 134 MB, touched
    assert 100 < before <= peak_memory() < 1e5
    assert peak_memory() - before <= block.nbytes / 1e6 + 50


def test_the_summary_says_what_its_times_were_taken_on(tmp_path):
    summary = train(tmp_path, "run.device=cpu", "training.max_epochs=1").summary
    assert (summary["device"], summary["threads"], summary["compile"]) == ("cpu", torch.get_num_threads(), False)
    assert 0 < summary["processor_time_s"] < 2 * torch.get_num_threads() * summary["training_time_s"] + 1


def test_processor_time_goes_on_after_a_resume_and_is_unknown_after_an_older_checkpoint(tmp_path):
    directory = tmp_path / "run"
    for before, known in (({"elapsed": 100.0, "processor": 70.0}, True), ({"elapsed": 100.0}, False)):
        times = Recorder(RunDirectory(directory), {}, History(directory / "metrics.csv", ["forces"]), before).times
        assert 100 <= times.elapsed < 110
        assert 70 <= times.processor < 80 if known else times.processor is None


def test_the_summary_repeats_curves_and_configuration(uninterrupted):
    summary = read_json(uninterrupted() / "summary.json")
    found, history = rows(uninterrupted()), summary["history"]
    assert set(history) == {"epoch", "step", "val/loss", "val/energy_per_atom_mae", "val/forces_mae"}
    for name, values in history.items():
        assert values == [float(row[name]) if row[name] else None for row in found]
    assert [value is None for value in history["val/forces_mae"]] == [True, False] * 3
    config = yaml.safe_load((uninterrupted() / "config.yaml").read_text(encoding="utf-8"))
    assert summary["config"] == {name: config[name] for name in ("backbone", "probe", "model", "training")}


def test_the_summary_sorts_the_test_errors_into_bins_that_add_up(uninterrupted):
    summary = read_json(uninterrupted() / "summary.json")
    assert set(summary["binned"]) == {"test"}
    overall, frames = summary["metrics"]["test"], summary["n_frames"]["test"]
    for by, found in summary["binned"]["test"].items():
        atoms = np.array([row["atoms"] for row in found])
        assert atoms.sum() == 9 * frames
        mae = np.average([row["forces_mae"] for row in found], weights=atoms)
        mse = np.average([row["forces_rmse"] ** 2 for row in found], weights=atoms)
        assert (mae, mse) == pytest.approx((overall["forces_mae"], overall["forces_rmse"] ** 2), rel=1e-12), by
    elements = {row["bin"]: row["atoms"] for row in summary["binned"]["test"]["element"]}
    assert elements == {"C": 2 * frames, "H": 6 * frames, "O": frames}


def test_the_summary_names_the_code(uninterrupted):
    summary = read_json(uninterrupted() / "summary.json")
    begun = read_json(uninterrupted() / "status.json")  # written before the first batch
    assert summary["code"] == begun["code"] == code_version()
    assert summary["commit"] == begun["commit"]
    assert summary["commit"] is None or re.fullmatch(r"[0-9a-f]{40}\+?", summary["commit"])


def test_the_command_draws_the_test_frames_once(uninterrupted):
    directory, config = uninterrupted(), compose(["dataset=ethanol", "dataset.n_test=4"])
    dataset = load(config.dataset, cutoff=config.model.cutoff)
    result = RunResult(directory, "finished", read_json(directory / "summary.json"), dataset)
    (plot,) = parity_plots(result)
    assert plot.read_bytes().startswith(b"\x89PNG")
    drawn = plot.stat().st_mtime_ns
    assert parity_plots(result) == [plot]
    assert plot.stat().st_mtime_ns == drawn


def test_rows_are_epochs_and_validations_are_where_they_were_asked_for(uninterrupted):
    found = rows(uninterrupted())
    assert [int(row["epoch"]) for row in found] == list(range(6))
    assert [bool(row["val/forces_mae"]) for row in found] == [False, True] * 3
    assert all(float(row["train/loss"]) > 0 for row in found)


def test_the_exported_model_is_the_average_that_was_validated(uninterrupted):
    directory = uninterrupted()
    state = read(directory / "checkpoints" / "best.ckpt")
    potential = scalarfid.load(directory)
    average = {k.removeprefix("module."): v for k, v in state["ema"].items() if k != "n_averaged"}
    assert_equal(dict(potential.state_dict()), average)
    assert any(not torch.equal(average[key], state["model"][key]) for key in average)

    cfg = compose(overrides(directory.parents[1]))
    dataset = load(cfg.dataset, cutoff=cfg.model.cutoff)
    errors = errors_of(potential, dataset.val)
    row = rows(directory)[state["best"]["epoch"]]
    for name, value in errors.items():
        assert float(row[f"val/{name}"]) == pytest.approx(value, rel=1e-5)
        assert read_json(directory / "summary.json")["metrics"]["val"][name] == pytest.approx(value, rel=1e-5)


def test_the_same_command_passes_over_a_finished_run_and_force_does_it_again(tmp_path):
    first = train(tmp_path, "training.max_epochs=1")
    stamp = (first.directory / "model.safetensors").stat().st_mtime_ns
    second = train(tmp_path, "training.max_epochs=1", "run.threads=1", "run.experiment=default")
    assert (second.state, second.directory, second.summary) == (
        "skipped",
        first.directory,
        read_json(first.directory / "summary.json"),
    )
    assert (first.directory / "model.safetensors").stat().st_mtime_ns == stamp
    assert train(tmp_path, "training.max_epochs=1", "run.force=true").state == "finished"
    assert (first.directory / "model.safetensors").stat().st_mtime_ns != stamp


def test_a_longer_run_may_start_from_a_shorter_one(uninterrupted, tmp_path):
    origin = uninterrupted()
    result = train(tmp_path, "training.max_epochs=8", f"training.resume_from={origin}")
    assert result.directory.name != origin.name
    assert [int(row["epoch"]) for row in rows(result.directory)] == [6, 7]
    assert read(result.directory / "checkpoints" / "last.ckpt")["step"] == 64
    with pytest.raises(ScalarFidError, match="leaves nothing to do"):
        train(tmp_path, "training.max_epochs=6", f"training.resume_from={origin}")
    with pytest.raises(ScalarFidError, match="probe"):
        train(tmp_path, "training.max_epochs=8", "probe=none", f"training.resume_from={origin}")


def test_early_stopping_ends_a_run_that_gets_no_better(tmp_path):
    result = train(
        tmp_path, "training.lr=1e-12", "training.ema_decay=null", "training.validate_every=1",
        "training.early_stopping=2", "training.max_epochs=9", "model.dtype=float32",
    )  # fmt: skip
    assert result.summary["stopped_early"]
    assert result.summary["epochs"] < 9


def test_a_second_stage_has_its_own_weights_and_rate_and_a_best_of_its_own(tmp_path):
    stage = "training.stage_two={from_epoch: 2, energy_weight: 100.0, lr: 0.0005}"
    result = train(tmp_path, stage, "training.max_epochs=4", "training.validate_every=1", "training.schedule=constant")
    found = rows(result.directory)
    share = [float(r["train/loss_energy_weighted"]) / float(r["train/loss_energy"]) for r in found]
    assert share == pytest.approx([1 / 11, 1 / 11, 10 / 11, 10 / 11])
    assert [float(r["lr"]) for r in found] == pytest.approx([0.01, 0.01, 0.0005, 0.0005])
    assert result.summary["best_epoch"] >= 2


def test_probes_learn_at_a_rate_of_their_own(tmp_path):
    options = ("training.max_epochs=1", "training.ema_decay=null", "seed=3")
    moved = {}
    for rate in ("1e-12", "null"):
        result = train(tmp_path, *options, f"training.probe_lr={rate}", f"run.experiment=rate{rate}")
        potential = scalarfid.load(result.directory)
        fresh = dict(Potential.from_config(potential.config).named_parameters())
        change = {name: float((p - fresh[name]).detach().abs().max()) for name, p in potential.named_parameters()}
        moved[rate] = {kind: max(v for name, v in change.items() if is_probe(name) == kind) for kind in (True, False)}
    assert moved["1e-12"][True] < 1e-9 < moved["null"][True]
    assert moved["1e-12"][False] > 1e-4


def test_plateau_and_amsgrad_train_and_lower_the_rate(tmp_path):
    result = train(
        tmp_path, "training.optimizer=adam_amsgrad", "training.schedule=plateau", "training.lr=1e-12",
        "training.plateau={factor: 0.5, patience: 0}", "training.validate_every=1", "training.max_epochs=4",
        "training.warmup_steps=0", "training.ema_decay=null", "training.min_lr_ratio=0.3",
    )  # fmt: skip
    rates = [float(row["lr"]) for row in rows(result.directory)]
    assert rates[0] == 1e-12
    assert rates[-1] == pytest.approx(0.3e-12) or rates[-1] == pytest.approx(0.5e-12)
    assert "max_exp_avg_sq" in read(result.directory / "checkpoints" / "last.ckpt")["optimizer"]["state"][0]


def test_stresses_are_trained_on(tmp_path):
    result = train(
        tmp_path, "dataset=si_sw", "dataset.n_train=4", "dataset.recipe.frames=12", "training.stress_weight=5",
        "training.max_epochs=2", "training.batch_size=2", "model.dtype=float64", f"dataset.cache={tmp_path / 'cache'}",
    )  # fmt: skip
    row = rows(result.directory)[-1]
    assert float(row["train/loss_stress_weighted"]) == pytest.approx(5 / 16 * float(row["train/loss_stress"]))
    assert result.summary["metrics"]["test"]["stress_rmse"] > 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["training.stress_weight=1"], "stress"),
        (["training.energy_weight=0", "training.forces_weight=0"], "weight"),
        (["run.device=cuda:7"], "cuda:7"),
        (["run.device=tpu"], "tpu"),
        (["training.resume_from=/nowhere"], "/nowhere"),
        (["probe.pan.gate=sigmod"], "sigmod"),
        (["dataset.n_train=0"], "train"),
    ],
)
def test_bad_input_is_one_line_and_leaves_no_directory(tmp_path, words, message):
    with pytest.raises(ScalarFidError, match=message) as caught:
        train(tmp_path, *words)
    assert "\n" not in str(caught.value)
    assert untouched(tmp_path)


def test_the_command_says_bad_input_in_one_line_and_ends_with_status_2(tmp_path):
    command = Command.start(tmp_path / "runs", "training.stress_weight=1")
    assert command.end() == 2
    (line,) = [line for line in command.lines if not line.startswith(("INFO", " "))]
    assert line.startswith("error: training.stress_weight=1, ")
    assert command.out == ""


def test_bad_input_with_force_loses_nothing(tmp_path):
    first = train(tmp_path, "training.max_epochs=1")
    with pytest.raises(ScalarFidError):
        train(tmp_path, "training.max_epochs=1", "run.force=true", "run.device=cuda:7")
    assert read_json(first.directory / "summary.json") == first.summary


def test_divergence_is_named_and_recorded(tmp_path):
    with pytest.raises(ScalarFidError, match=r"lower training\.lr"):
        train(tmp_path, "training.lr=1e30", "training.clip=null", "training.loss=mse", "training.warmup_steps=0")
    (status,) = tmp_path.glob("*/*/status.json")
    assert read_json(status)["state"] == "failed"
    assert "ScalarFidError" in read_json(status)["error"]


def test_the_hash_covers_what_changes_numbers_and_nothing_else():
    def digest(*words, fingerprint="f", e0=-1.0):
        return run_hash(to_plain(compose(words)), fingerprint=fingerprint, e0={1: e0})

    base = digest()
    for word in (
        "run.root=/x",
        "run.force=true",
        "run.device=cpu",
        "run.workers=2",
        "logger=wandb",
        "dataset.root=/data",
    ):
        assert digest(word) == base, word
    changes = [
        "seed=1",
        "probe=pan",
        "backbone=mace",
        "model.cutoff=4.0",
        "training.lr=0.1",
        "training.resume_from=a/b",
    ]
    others = [digest(word) for word in changes] + [digest(fingerprint="g"), digest(e0=-2.0)]
    assert len({base, *others}) == len(others) + 1
    assert digest("training.resume_from=/elsewhere/b") == digest("training.resume_from=a/b")


def test_the_process_is_left_as_it_was(tmp_path):
    torch.manual_seed(1)
    before = torch.get_rng_state(), torch.get_default_dtype(), torch.get_num_threads(), dict(os.environ), Path.cwd()
    train(tmp_path, "training.max_epochs=1")
    after = torch.get_rng_state(), torch.get_default_dtype(), torch.get_num_threads(), dict(os.environ), Path.cwd()
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("nequip_tiny", "allegro_tiny")]


@pytest.mark.parametrize("backbone", ["mace_tiny", *SLOW])
def test_four_frames_are_learnt_by_heart(tmp_path, backbone):
    result = train(
        tmp_path, f"backbone={backbone}", "dataset.n_train=4", "training.batch_size=4", "training.max_epochs=300",
        "training.validate_every=300", "training.lr=0.02", "training.loss=mse", "training.ema_decay=0.9",
    )  # fmt: skip
    train_errors, mean = result.summary["metrics"]["train"], result.summary["mean_predictor"]["train"]
    assert train_errors["forces_rmse"] < 0.1 * mean["forces_rmse"]
    assert train_errors["energy_per_atom_rmse"] < 0.02


def test_more_threads_than_torch_survives_are_refused_before_anything_is_written(tmp_path):
    threads = THREADS_PER_CORE * os.cpu_count() + 1
    with pytest.raises(ScalarFidError, match=rf"run\.threads={threads} is too many; .* {os.cpu_count()} cores"):
        _run(compose(overrides(tmp_path, f"run.threads={threads}")), StopRequest())
    assert list(tmp_path.iterdir()) == []
