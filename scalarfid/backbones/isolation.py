"""Build upstream models without leaving a trace in the process.

``import mace`` sets TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD, which makes every later ``torch.load`` unpickle code. nequip's
``set_global_state`` makes float64 the default dtype, reseeds every generator with 123, changes e3nn's code generation
and the multiprocessing sharing strategy, and does so once: whoever asks again relies on it. Both read the default dtype
while they build. All of it is put back here.
"""

from __future__ import annotations

import contextlib
import os
import random
import sys
import warnings
from collections.abc import Iterator

import e3nn
import numpy as np
import torch

from scalarfid.seeds import derive_seed

_NEQUIP, _DONE = "nequip.utils.global_state", "_GLOBAL_STATE_INITIALIZED"


@contextlib.contextmanager
def isolated(*, dtype: torch.dtype, seed: int) -> Iterator[None]:
    """Run a block with its own default dtype and generators seeded from (seed, "backbone"); restore state after it."""
    environment = dict(os.environ)
    default_dtype = torch.get_default_dtype()
    generators = random.getstate(), np.random.get_state()  # noqa: NPY002 - it is the global state that upstream reseeds
    optimisation = e3nn.get_optimization_defaults()
    sharing = torch.multiprocessing.get_sharing_strategy()
    done = getattr(sys.modules.get(_NEQUIP), _DONE, False)
    try:
        with torch.random.fork_rng(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.set_default_dtype(dtype)
            torch.manual_seed(derive_seed(seed, "backbone"))
            yield
    finally:
        os.environ.clear()
        os.environ.update(environment)
        torch.set_default_dtype(default_dtype)
        random.setstate(generators[0])
        np.random.set_state(generators[1])  # noqa: NPY002
        e3nn.set_optimization_defaults(**optimisation)
        torch.multiprocessing.set_sharing_strategy(sharing)
        if _NEQUIP in sys.modules:
            setattr(sys.modules[_NEQUIP], _DONE, done)
