"""Our training of a bare backbone ends where the trainer of its own package ends, within the noise of seeds.

Tiny presets, ten epochs, three seeds on each side; ``experiments/fair`` holds the same for the small presets.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "fair.py"
COMMANDS = {"mace": "mace_run_train", "nequip": "nequip-train"}
NOISE = 4.3  # two-sided 5 % point of Student's t with two degrees of freedom, the fewest that Welch's can have


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("backbone", COMMANDS)
def test_errors_agree_with_the_trainer_of_the_package(backbone, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    assert shutil.which(COMMANDS[backbone])
    words = [backbone, "--preset", f"{backbone}_tiny", "--epochs", "10", "--output", str(tmp_path)]
    subprocess.run([sys.executable, "-W", "ignore", str(SCRIPT), *words], check=True)
    record = json.loads((tmp_path / f"{backbone}.json").read_text())
    assert len(record["rows"]) == 6
    for metric in ("forces_mae", "forces_rmse"):
        found = record["summary"][metric]
        assert abs(found["t"]) < NOISE, (metric, found)
        assert found["scalarfid"] == pytest.approx(found["upstream"], rel=0.25), metric
