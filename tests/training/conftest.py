"""Runs that several tests look at."""

from __future__ import annotations

import pytest
from training.runs import train


@pytest.fixture(scope="session")
def uninterrupted(tmp_path_factory):
    """Directory of a run that was left alone, by backbone."""
    done = {}

    def run(backbone="mace_tiny"):
        if backbone not in done:
            done[backbone] = train(tmp_path_factory.mktemp("whole"), f"backbone={backbone}").directory
        return done[backbone]

    return run
