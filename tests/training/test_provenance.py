"""The version of the code follows what computes, and nothing else."""

from __future__ import annotations

import re
import shutil

import pytest

from scalarfid.training.provenance import COMPUTES, PACKAGE, code_version


@pytest.fixture
def package(tmp_path):
    """A copy of the package, to edit."""
    copy = tmp_path / "scalarfid"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def edit(file, old, new):
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_the_digits_are_those_of_the_files_wherever_they_are(package):
    assert re.fullmatch(r"[0-9a-f]{12}", code_version())
    assert code_version(package) == code_version()


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("data/coordination.py", "ON, OFF = 1.15, 1.45", "ON, OFF = 1.15, 1.45  # of the bond length"),
        ("data/coordination.py", "\n\n\ndef quintic_step", "\n\n\n\n\ndef quintic_step"),
        ("data/coordination.py", '"""C² step: 1 for r', '"""Smooth step: 1 for r'),
        ("training/metrics.py", '"""One :class:`ErrorSums` per label."""', '"""Sums."""'),
        ("training/binned.py", '"""Å; width of a bin', '"""In Å: the width of a bin'),
        ("seeds.py", '"""', '"""Seeds. '),
        ("evaluate.py", "E0_TOLERANCE = 1e-3", "E0_TOLERANCE = 1e-2"),
    ],
    ids=["comment", "layout", "docstring of a function", "of a class", "of a constant", "of a module", "evaluate"],
)
def test_what_changes_no_number_of_a_run_changes_no_digit(package, name, old, new):
    edit(package / name, old, new)
    assert code_version(package) == code_version()


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("data/coordination.py", "ON, OFF = 1.15, 1.45", "ON, OFF = 1.15, 1.46"),
        ("data/coordination.py", "* (u < 1)", "* (u <= 1)"),
        ("training/schedule.py", "math.cos(", "math.sin("),
        ("backbones/mace.py", "dim=0", "dim=-1"),
        ("seeds.py", "sha256", "sha512"),
    ],
)
def test_a_changed_number_or_operation_changes_the_digits(package, name, old, new):
    edit(package / name, old, new)
    assert code_version(package) != code_version()


def test_a_new_file_and_a_new_name_change_the_digits(package):
    (package / "probes" / "further.py").write_text("")
    with_file = code_version(package)
    (package / "probes" / "further.py").rename(package / "probes" / "other.py")
    assert len({code_version(), with_file, code_version(package)}) == 3


def test_every_part_that_computes_is_there():
    assert all((PACKAGE / name).exists() for name in COMPUTES)
