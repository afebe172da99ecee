"""Memory that entry points ask for, seen from a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HUGE = Path("/sys/kernel/mm/transparent_hugepage/enabled")
TENSOR = """
from scalarfid.memory import keep_freed_memory, most_resident
keep_freed_memory()
import torch
before, tensor = most_resident(), torch.ones(30_000_000)  # 120 MB: the kernel counts pages in lots
flags = [line for line in open("/proc/self/smaps") if line.startswith("VmFlags")]
print(any(" hg" in line for line in flags), most_resident() - before)
"""


@pytest.mark.skipif(not HUGE.is_file(), reason="no Linux, or one without huge pages")
def test_large_tensors_ask_for_huge_pages_and_are_counted():
    run = subprocess.run([sys.executable, "-c", TENSOR], capture_output=True, text=True, check=True)
    asked, more = run.stdout.split()
    assert asked == "True"
    assert 1e8 <= int(more) < 1.5e8


def test_a_child_does_not_count_what_its_parent_held():
    child = "from scalarfid.memory import most_resident; print(most_resident())"
    parent = f"import subprocess, sys; held = b'x' * 300_000_000; subprocess.run([sys.executable, '-c', {child!r}])"
    run = subprocess.run([sys.executable, "-c", parent], capture_output=True, text=True, check=True)
    assert int(run.stdout) < 2e8
