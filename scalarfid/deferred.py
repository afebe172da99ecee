"""Modules that are imported when they are first used, though others import them at once.

The packages beneath a training run import far more than it touches: torch_geometric every data set and layer that it
has, torchmetrics the signals of scipy for one old name. That was half a second of the four to the first step.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

UNUSED = {
    "torch_geometric.datasets": (),
    "torch_geometric.explain": (),
    "torch_geometric.nn": (),
    "torch_geometric.transforms": (),
    "scipy.signal": ("hamming",),  # torchmetrics adds it to a scipy that has it no more
    "pandas": (),
    "fontTools.agl": (),
    "requests": (),
}
"""What a training step does without, and the names that others ask each for while they are imported."""


class Deferred(ModuleType):
    """A module that loads itself when it is asked for a name that it has not."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # whoever looks through all modules
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        self.load()
        return getattr(self, name)

    def load(self) -> None:
        """Become the module that it stands for."""
        with _LOADING:
            if type(self) is Deferred:
                self.__class__ = ModuleType
                for stand_in in UNUSED[self.__name__]:
                    delattr(self, stand_in)
                self.__loader__ = self.__spec__.loader = self.__spec__.loader_state
                self.__loader__.exec_module(self)


class _Finder:
    """First in ``sys.meta_path``: finds the modules of :data:`UNUSED` as usual and loads them as :class:`Deferred`."""

    @classmethod
    def find_spec(cls, name: str, path: Sequence[str] | None = None, _target: Any = None) -> ModuleSpec | None:
        package = sys.modules.get(name.rpartition(".")[0])
        if isinstance(package, Deferred):  # a part of it is wanted
            package.load()
            if name in sys.modules:
                return ModuleSpec(name, _There(sys.modules[name]))
        spec = PathFinder.find_spec(name, path) if name in UNUSED else None
        if spec is not None:
            spec.loader_state, spec.loader = spec.loader, cls
        return spec

    @staticmethod
    def create_module(spec: ModuleSpec) -> ModuleType:
        module = Deferred(spec.name)
        vars(module).update(dict.fromkeys(UNUSED[spec.name]))
        return module

    @staticmethod
    def exec_module(_module: ModuleType) -> None:
        """Nothing yet."""


class _There:
    """Loader of a module that came with its package in the middle of its own import."""

    def __init__(self, module: ModuleType) -> None:
        self.module, self.spec = module, module.__spec__

    def create_module(self, _spec: ModuleSpec) -> ModuleType:
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        """Leave it as it is."""
        module.__spec__ = self.spec


_LOADING = threading.RLock()


def defer() -> None:
    """Put off the modules of :data:`UNUSED` in this process: for entry points, which own theirs."""
    if _Finder not in sys.meta_path:
        sys.meta_path.insert(0, _Finder)
