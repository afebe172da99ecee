"""`make` lists its targets, and set-up passes on what the user told pip (nothing is installed here)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TARGETS = {"help", "setup", "train", "test", "test-all", "lint", "bench", "wheel", "clean"}

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


PIP = {
    "PIP_FIND_LINKS": "somewhere/wheels",
    "PIP_INDEX_URL": "https://a.example/simple",
    "PIP_EXTRA_INDEX_URL": "https://b.example/simple",
}


def make(*arguments: str, **environment: str) -> str:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PIP_", "UV_", "MAKE"))}
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env={**kept, **environment}, capture_output=True, text=True, check=True, timeout=60
    ).stdout


def test_make_alone_lists_every_target():
    assert set(re.findall(r"^  make (\S+)", make(), re.MULTILINE)) == TARGETS


@pytest.mark.parametrize("target", ["train", "test", "test-all", "lint", "bench", "wheel"])
def test_every_target_begins_with_its_own_set_up(target, tmp_path):
    plan = make("-n", target, f"VENV={tmp_path / 'fresh'}", **PIP)
    commands = {"train": "-m scalarfid.train", "lint": "-m ruff", "bench": "scalarfid.bench", "wheel": "-m hatchling"}
    assert 0 < plan.index("uv pip install") < plan.index(commands.get(target, "-m pytest"))


def test_set_up_is_done_once_until_pyproject_changes(tmp_path):
    (tmp_path / ".scalarfid-setup").touch()
    assert "uv pip install" not in make("-n", "test", f"VENV={tmp_path}", **PIP)
    os.utime(tmp_path / ".scalarfid-setup", (0, 0))
    assert "uv pip install" in make("-n", "test", f"VENV={tmp_path}", **PIP)


def test_settings_of_pip_reach_uv(tmp_path):
    plan = make("-n", "setup", f"VENV={tmp_path / 'fresh'}", **PIP)
    assert "UV_FIND_LINKS='somewhere/wheels'" in plan
    assert "UV_DEFAULT_INDEX='https://a.example/simple'" in plan
    assert "UV_INDEX='https://b.example/simple'" in plan


def test_settings_of_uv_win_over_those_of_pip(tmp_path):
    plan = make("-n", "setup", f"VENV={tmp_path / 'fresh'}", **PIP, UV_FIND_LINKS="from/uv")
    assert "UV_FIND_LINKS='from/uv'" in plan


def test_settings_in_the_file_of_pip_reach_uv_too(tmp_path):
    (tmp_path / "pip.conf").write_text("[global]\nfind-links = from/the/file\n")
    plan = make("-n", "setup", f"VENV={tmp_path / 'fresh'}", PIP_CONFIG_FILE=str(tmp_path / "pip.conf"))
    assert "UV_FIND_LINKS='from/the/file'" in plan


def test_ci_runs_the_command_of_the_readme():
    assert "make test" in (ROOT / "README.md").read_text()
    assert (ROOT / ".ci" / "run").read_text().rstrip().endswith("make test")
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
