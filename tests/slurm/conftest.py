"""One SLURM for all of these tests, where it is installed."""

from __future__ import annotations

import os

import pytest
from slurm.cluster import Cluster, missing


@pytest.fixture(scope="session")
def slurm(tmp_path_factory):
    """A running SLURM that this process and those it starts see."""
    absent = missing()
    if absent:
        pytest.skip(f"needs {', '.join(absent)} (Debian: slurm-wlm munge slurmdbd mariadb-server)")
    cluster = Cluster(tmp_path_factory.mktemp("slurm"))
    before = os.environ.get("SLURM_CONF")
    os.environ["SLURM_CONF"] = str(cluster.conf)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        os.environ.pop("SLURM_CONF")
        if before is not None:
            os.environ["SLURM_CONF"] = before
