"""Fresh processes: what is imported when, that every command answers, and that a wheel works anywhere."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FORBIDDEN = ("lightning", "nequip.train", "nequip.scripts")


def run(*words: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, *words]
    options = {"capture_output": True, "text": True, "timeout": 300}
    # Away from the repository, so that only what is installed is found.
    return subprocess.run(command, check=False, cwd=cwd or Path.home(), env={**kept, **environment}, **options)


def loaded(code: str, *modules: str) -> list[str]:
    """Which of the modules are loaded after running code in a new process."""
    result = run("-c", f"{code}\nimport sys\nprint(*[m for m in {modules!r} if m in sys.modules])")
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()[-1].split()


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def test_no_module_of_ours_imports_the_other_lightning_or_the_trainer_of_nequip():
    for path in (ROOT / "scalarfid").rglob("*.py"):
        wrong = {name for name in imports(path) if any(name == f or name.startswith(f"{f}.") for f in FORBIDDEN)}
        assert wrong == set(), path


@pytest.mark.slow
def test_training_a_mace_loads_neither(tmp_path):
    code = "import scalarfid, scalarfid.train, scalarfid.training.running; scalarfid.build('mace_tiny', elements=['H'])"
    assert loaded(code, "pytorch_lightning", *FORBIDDEN) == ["pytorch_lightning"]


def test_importing_the_package_and_composing_a_configuration_need_no_torch():
    assert loaded("import scalarfid", "torch", "e3nn", "hydra") == []
    assert loaded("from scalarfid.config import compose; compose()", "torch", "e3nn") == []


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["scalarfid.train", "--help"], "probe: "),
        (["scalarfid.train", "--cfg", "job", "probe=pan"], "gate: tanh"),
        pytest.param(["scalarfid.evaluate", "--help"], "run directory or", marks=pytest.mark.slow),
        pytest.param(["scalarfid.data", "--help"], "where they are and their licences", marks=pytest.mark.slow),
    ],
)
def test_commands_answer_from_any_folder(words, expected, tmp_path):
    result = run("-m", *words, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert expected in result.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("word", ["prob=pan", "probe=pam", "training.lrr=1"])
def test_a_typo_is_one_line_with_alternatives_and_status_two(word, tmp_path):
    result = run("-m", "scalarfid.train", word, cwd=tmp_path)
    lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert result.returncode == 2
    assert len(lines) == 1
    assert "there are" in lines[0]
    assert "Traceback" not in result.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel of this tree, unpacked as an installer would into a folder of its own."""
    folder = tmp_path_factory.mktemp("wheel")
    built = run("-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=ROOT)
    assert built.returncode == 0, built.stderr
    (file,) = folder.glob("scalarfid-*.whl")
    site = folder / "site"
    subprocess.run([sys.executable, "-m", "zipfile", "-e", str(file), str(site)], check=True)
    return site


@pytest.mark.slow
def test_a_wheel_carries_the_configuration_and_finds_it_from_any_folder(wheel, tmp_path):
    code = "from scalarfid.config import conf_dir; print(conf_dir())"
    found = run("-c", code, cwd=tmp_path, PYTHONPATH=str(wheel)).stdout.strip()
    assert Path(found) == wheel / "scalarfid" / "conf"
    here = {path.relative_to(ROOT / "conf") for path in (ROOT / "conf").rglob("*.yaml")}
    assert {path.relative_to(found) for path in Path(found).rglob("*.yaml")} == here
    result = run("-m", "scalarfid.train", "--cfg", "job", "probe=pan+pgs", cwd=tmp_path, PYTHONPATH=str(wheel))
    assert result.returncode == 0, result.stderr
    assert "pgs_readout" in result.stdout


@pytest.mark.slow
def test_a_wheel_trains_and_evaluates(wheel, tmp_path):
    small = ["dataset.n_train=8", "dataset.n_val=4", "dataset.n_test=4", f"dataset.cache={tmp_path / 'cache'}"]
    words = ["backbone=mace_tiny", "training.max_epochs=1", *small]
    trained = run("-m", "scalarfid.train", *words, cwd=tmp_path, PYTHONPATH=str(wheel))
    assert trained.returncode == 0, trained.stderr
    directory = trained.stdout.splitlines()[-1]
    evaluated = run("-m", "scalarfid.evaluate", f"model={directory}", cwd=tmp_path, PYTHONPATH=str(wheel))
    assert evaluated.returncode == 0, evaluated.stderr
    assert (tmp_path / directory / "evaluation" / "ethanol" / "parity-test.png").is_file()
