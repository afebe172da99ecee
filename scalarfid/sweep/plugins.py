"""The sweeper and the launchers, as Hydra knows them: ``hydra/launcher=`` serial, parallel, slurm, sbatch or plan."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

from hydra.core.plugins import Plugins

from scalarfid.sweep.cluster import Sbatch, Slurm
from scalarfid.sweep.launching import Grid, Serial
from scalarfid.sweep.parallel import Parallel
from scalarfid.sweep.planning import Plan

NAME = "hydra_plugins.scalarfid"
PLUGINS = (Grid, Serial, Parallel, Slurm, Sbatch, Plan)


def register() -> None:
    """Make them known to Hydra as ``hydra_plugins.scalarfid.<Name>``.

    Hydra takes plugins only from modules called ``hydra_plugins.…``, a top-level package that projects share. Ours
    stay in this package; a module of that name refers to them.
    """
    if importlib.util.find_spec("hydra_plugins") is None:  # no plugin is installed
        sys.modules["hydra_plugins"] = ModuleType("hydra_plugins")
        sys.modules["hydra_plugins"].__path__ = []
    sys.modules[NAME] = ModuleType(NAME)
    for plugin in PLUGINS:
        plugin.__module__ = NAME
        setattr(sys.modules[NAME], plugin.__name__, plugin)
        Plugins.instance().register(plugin)
