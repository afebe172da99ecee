"""Model files: bit-equal round trips, nothing unpickled, damage reported in a line."""

from __future__ import annotations

import checks
import pytest
import structures
import torch
import yaml
from potentials import BACKBONES, build, fresh, perturb, tiny

import scalarfid
from scalarfid import Potential, ScalarFidError
from scalarfid.potential import MODEL_FILE, save


@pytest.fixture
def file(tmp_path):
    path = tmp_path / MODEL_FILE
    save(tiny("mace", "pan+pgs", perturbed=True), path)
    return path


@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_saved_potential_comes_back_bit_equal(backbone, tmp_path):
    e0 = {"H": -13.5, "C": -1027.0}
    original = perturb(build(f"{backbone}_tiny", "pan+pgs", e0=e0, scale=1.7, zbl=True, dtype="float32"))
    save(original, tmp_path / "model.safetensors")
    for path in (tmp_path, tmp_path / "model.safetensors"):
        loaded = scalarfid.load(path)
        assert loaded.config == original.config
        assert not loaded.training
        checks.check_equal(checks.evaluate(loaded, *structures.mixed()), checks.evaluate(original, *structures.mixed()))
    assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors"], "a partial file was left"


def test_a_native_state_with_its_energies_survives_the_file(tmp_path):
    source = build("mace_tiny", e0={"C": -1000.0}, scale=3.0, seed=4)
    target = fresh("mace", "pan")
    target.load_native(source.native_state())
    save(target, tmp_path / "m.safetensors")
    loaded = scalarfid.load(tmp_path / "m.safetensors")
    checks.check_equal(checks.evaluate(loaded, structures.molecule()), checks.evaluate(source, structures.molecule()))
    assert loaded.config["e0"][6] == -1000.0


def test_the_configuration_is_readable_yaml_that_rebuilds_the_potential(file):
    from safetensors import safe_open

    with safe_open(file, framework="pt") as handle:
        (config,) = map(yaml.safe_load, handle.metadata().values())
    assert config["backbone"]["name"] == "mace"
    rebuilt = Potential.from_config(config)
    assert list(rebuilt.state_dict()) == list(tiny("mace", "pan+pgs").state_dict())


def test_a_file_has_the_mode_of_any_other(tmp_path):
    save(tiny("mace"), tmp_path / "model.safetensors")
    (tmp_path / "other").touch()
    assert (tmp_path / "model.safetensors").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_equal_potentials_have_equal_files_and_files_of_two_entries_are_read(file):
    """safetensors writes several entries of metadata in random order (its issue 584), so that hashes differed."""
    from safetensors import safe_open
    from safetensors.torch import save_file

    with safe_open(file, framework="pt") as handle:
        ((form, config),) = handle.metadata().items()
        state = {key: handle.get_tensor(key) for key in handle.keys()}  # noqa: SIM118
    again = [file.with_name(f"again-{i}") for i in range(8)]
    for path in again:
        save(scalarfid.load(file), path)
    assert {path.read_bytes() for path in again} == {file.read_bytes()}
    save_file(state, file, metadata={"format": form, "config": config})
    assert scalarfid.load(file).config == scalarfid.load(again[0]).config


@pytest.mark.parametrize("damage", ["truncated", "garbage", "empty", "foreign", "missing"])
def test_damage_is_one_clear_line(file, damage):
    data = file.read_bytes()
    if damage == "truncated":
        file.write_bytes(data[: len(data) // 2])
    elif damage == "garbage":
        file.write_bytes(b"x" * 1000)
    elif damage == "empty":
        file.write_bytes(b"")
    elif damage == "missing":
        file.unlink()
    else:
        from safetensors.torch import save_file

        save_file({"a": torch.zeros(1)}, file)
    with pytest.raises(ScalarFidError, match=r"model\.safetensors") as caught:
        scalarfid.load(file)
    assert "\n" not in str(caught.value)


def test_tensors_that_do_not_fit_their_configuration_are_one_clear_line(file):
    from safetensors import safe_open
    from safetensors.torch import save_file

    with safe_open(file, framework="pt") as handle:
        metadata, state = handle.metadata(), {key: handle.get_tensor(key) for key in handle.keys()}  # noqa: SIM118
    state.pop(next(iter(state)))
    save_file(state, file, metadata=metadata)
    with pytest.raises(ScalarFidError, match=r"model\.safetensors"):
        scalarfid.load(file)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_another_precision_gives_the_same_energies_to_rounding(backbone):
    single = tiny(backbone, "pan+pgs", perturbed=True, dtype="float32")
    double = single.with_dtype("float64")
    assert double.config["dtype"] == "float64"
    assert single.with_dtype("float32") is single
    a, b = (checks.evaluate(p, *structures.mixed()) for p in (single, double))
    assert checks.check_close(a, b, 1e-3) > 0
    checks.check_forces(double, structures.crystal())
