"""nequip's own suite of model tests passes with probes, see ``conformance.py``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SUITE = Path(__file__).with_name("conformance.py")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["TestNequIP", "TestAllegro"])
def test_nequips_own_suite_passes_with_probes(name):
    plugin = "nequip.utils.unittests.conftest"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-o",
        "addopts=",
        "-p",
        plugin,
        "--import-mode=importlib",
        "-k",
        name,
    ]
    done = subprocess.run([*command, str(SUITE)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout
