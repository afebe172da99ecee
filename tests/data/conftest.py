from __future__ import annotations

import os
from pathlib import Path

import ase.io
import pytest


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory):
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def stand_in():
    root = os.environ.get("SCALARFID_DATA")
    if not root:
        pytest.skip("SCALARFID_DATA is not set")
    return Path(root)


@pytest.fixture
def write(tmp_path):
    """Write frames to an extended xyz (or other) file and give its path as a string."""

    def writer(frames, name="frames.xyz", **options):
        path = tmp_path / name
        ase.io.write(path, frames, **options)
        return str(path)

    return writer
