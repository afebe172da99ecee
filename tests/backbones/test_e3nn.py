"""MACE on this project's e3nn (0.6) gives what it gives on the e3nn it pins (0.4.4): same state_dict, same energies.

Of the Wigner 3j symbols only signs changed, and only where l1 + l2 + l3 is odd. A saved state holds the symbols (and
the U tensors made of them) as buffers, so loading all of it restores the old convention; loading the parameters alone
does not. The reference was written by ``scripts/e3nn_reference.py`` in an environment of its own.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("mace")
HERE = Path(__file__).resolve().parent
SCRIPT = HERE.parents[1] / "scripts" / "e3nn_reference.py"
FRAMES = ("molecule", "crystal")
MODELS = ("l1_correlation2", "l1_correlation3", "l2_correlation2", "l2_correlation3", "both_parities")
TOLERANCE = 1e-10  # relative to the energy and to the largest force and stress component


@pytest.fixture(scope="module")
def script():
    """The functions that also wrote the reference; importing mace changes the environment, which is put back."""
    before = dict(os.environ)
    spec = importlib.util.spec_from_file_location("e3nn_reference", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def reference():
    with np.load(HERE / "e3nn_0.4.4.npz") as arrays:
        return dict(arrays)


@pytest.fixture(autouse=True)
def float64():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    with torch.random.fork_rng():
        yield
    torch.set_default_dtype(before)


def old_state(reference, name):
    prefix = f"{name}/state/"
    return {key.removeprefix(prefix): torch.tensor(value) for key, value in reference.items() if key.startswith(prefix)}


def evaluate(script, reference, model, frame):
    return script.evaluate(model, *(reference[f"{frame}/{key}"] for key in ("positions", "numbers", "cell")))


def error(value, expected):
    return np.abs(value - expected).max() / np.abs(expected).max()


def test_reference_was_made_with_the_pinned_release_and_this_one_is_newer(reference):
    assert json.loads(str(reference["json"]))["versions"]["e3nn"] == "0.4.4"
    assert importlib.metadata.version("e3nn") >= "0.6"


def test_reference_holds_the_models_of_the_script(script, reference):
    assert json.loads(str(reference["json"]))["models"] == script.MODELS
    assert tuple(script.MODELS) == MODELS


@pytest.mark.parametrize("name", MODELS)
def test_full_state_reproduces_energies_forces_and_stress(script, reference, name):
    model = script.build_model(script.MODELS[name], seed=1)
    model.load_state_dict(old_state(reference, name), strict=True)
    for frame in FRAMES:
        for key, value in evaluate(script, reference, model, frame).items():
            assert error(value, reference[f"{name}/{frame}/{key}"]) <= TOLERANCE, (frame, key)


@pytest.mark.parametrize("name", ["l1_correlation3", "both_parities"])
def test_parameters_without_the_buffers_do_not(script, reference, name):
    model = script.build_model(script.MODELS[name], seed=1)
    state = old_state(reference, name)
    names = [key for key, _ in model.named_parameters()]
    result = model.load_state_dict({key: state[key] for key in names}, strict=False)
    assert any("w3j" in key for key in result.missing_keys)
    assert any("U_matrix" in key for key in result.missing_keys)
    energy = evaluate(script, reference, model, "molecule")["energy"]
    assert error(energy, reference[f"{name}/molecule/energy"]) > 1e5 * TOLERANCE


def test_wigner_3j_differ_by_signs_of_odd_triples_only(reference):
    from e3nn import o3

    triples = [tuple(map(int, key.split("/")[1].split("_"))) for key in reference if key.startswith("wigner_3j/")]
    flipped = []
    for triple in triples:
        old, new = reference["wigner_3j/{}_{}_{}".format(*triple)], o3.wigner_3j(*triple).numpy()
        sign = np.sign((old * new).sum())
        np.testing.assert_allclose(sign * new, old, atol=1e-13)
        if sign < 0:
            flipped.append(triple)
    assert len(triples) == 65
    assert len(flipped) == 9
    assert all(sum(triple) % 2 for triple in flipped)
