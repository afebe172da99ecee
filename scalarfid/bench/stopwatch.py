"""Run a trainer's command, stopping at the first optimiser step of every epoch until told to go on.

    python stopwatch.py TELL ASK STEPS -m scalarfid.train …      python stopwatch.py TELL ASK STEPS bin/mace_run_train …

It knows nothing of the trainer: torch calls back after every step of any optimiser. At each stop a line of JSON with
wall and processor time in seconds since the last one (at first: since the process began) and the peak of memory in
bytes (of the GPU if it computes on one, else resident) goes to the file descriptor TELL, and a byte is awaited on ASK.
A file of its own, run by its path, so that nothing of this package is loaded into another's trainer.
"""

from __future__ import annotations

import json
import os
import resource
import runpy
import sys
import time


def peak() -> int:
    """Most memory so far in bytes. Linux's ``ru_maxrss`` begins with that of the process that started us."""
    import torch  # noqa: PLC0415 - its import is timed too

    if torch.cuda.is_initialized():
        return torch.cuda.max_memory_reserved()
    if sys.platform != "linux":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    with open("/proc/self/status") as status:
        return next(1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM:"))


def watch(tell: int, ask: int, steps: int, began: float) -> None:
    """Stop after the first of every ``steps`` optimiser steps."""
    import torch  # noqa: PLC0415 - its import is timed too
    from torch.optim.optimizer import register_optimizer_step_post_hook  # noqa: PLC0415

    state = {"step": 0, "wall": began, "processor": 0.0}

    def stop(*_: object) -> None:
        if state["step"] % steps == 0:
            if torch.cuda.is_initialized():
                torch.cuda.synchronize()
            times = {"wall": time.time() - state["wall"], "processor": time.process_time() - state["processor"]}
            os.write(tell, json.dumps({**times, "peak": peak()}).encode() + b"\n")
            if not os.read(ask, 1):
                os._exit(0)  # nobody waits for more
            state.update(wall=time.time(), processor=time.process_time())
        state["step"] += 1

    register_optimizer_step_post_hook(stop)


if __name__ == "__main__":
    tell, ask, steps = map(int, sys.argv[1:4])
    watch(tell, ask, steps, float(os.environ["STOPWATCH_BEGAN"]))
    del sys.argv[:4]
    if sys.argv[0] == "-m":
        del sys.argv[0]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = os.path.dirname(sys.argv[0])
        runpy.run_path(sys.argv[0], run_name="__main__")
