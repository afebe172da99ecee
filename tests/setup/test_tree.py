"""What the tree promises before any model is built: its shape, its imports, and nothing that belongs to one machine."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOP_LEVEL = {
    "pyproject.toml", "scalarfid", "conf", "experiments", "tests", "scripts", "Makefile", "README.md",
    "benchmarks", "docs", "LICENSE", "CHANGELOG.md",
}  # fmt: skip
# Registry hosts, index options with an address, and absolute paths that exist on one machine only.
PRIVATE = re.compile(
    r"pypi\.org|pythonhosted|download\.pytorch|conda\.anaconda|registry\.npmjs|deb\.debian|index-url\s*[= ]\s*\S*//"
    r"|/(?:root|home|work|opt|Users)/\w|/tmp/\w"
)
HERE = Path(__file__).name


def tracked() -> list[Path]:
    """Files of the repository, as git lists them."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def private_lines(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        return []
    return [f"{path}:{n}: {line.strip()}" for n, line in enumerate(lines, 1) if PRIVATE.search(line)]


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache"]
    environment = {"PYTHONPATH": str(folder)}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)


def test_top_level_holds_the_named_entries_and_dotfiles_only():
    entries = {path.relative_to(ROOT).parts[0] for path in tracked()}
    assert {name for name in entries if not name.startswith(".")} <= TOP_LEVEL


def test_no_file_names_a_registry_or_a_path_of_one_machine():
    found = [line for path in tracked() if path.name != HERE for line in private_lines(path)]
    assert found == []


# Put together here, so that this file holds none of them.
PATH, REGISTRY = "/".join(["", "root", "notes"]), ".".join(["pypi", "org"])


@pytest.mark.parametrize(
    "line", ["--index-url https://example.org/simple", f"see {PATH}", f"UV_INDEX=https://{REGISTRY}/simple"]
)
def test_the_search_for_private_lines_finds_them(tmp_path, line):
    path = tmp_path / "file.txt"
    path.write_text(f"innocent\n{line}\n")
    assert len(private_lines(path)) == 1


def test_no_lock_file_is_tracked():
    assert [path for path in tracked() if path.suffix == ".lock" or path.name.startswith("requirements")] == []


def test_imports_run_downwards_only():
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout


def test_an_upward_import_is_caught(tmp_path):
    shutil.copytree(ROOT / "scalarfid", tmp_path / "scalarfid", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / "scalarfid" / "sites.py").open("a") as file:
        file.write("\nfrom scalarfid import potential  # noqa\n")
    result = lint_imports(tmp_path)
    assert result.returncode != 0
    assert "scalarfid.sites" in result.stdout


@pytest.mark.parametrize("name", ["lightning", "pytorch-lightning"])
def test_compromised_releases_are_excluded(name):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = [*project["dependencies"], *(r for extra in project["optional-dependencies"].values() for r in extra)]
    requirements = [r for r in declared if re.fullmatch(rf"{name}\W.*|{name}", r)]
    assert requirements
    assert all("!=2.6.2" in r and "!=2.6.3" in r for r in requirements)


def test_torch_is_pinned_to_a_minor_version():
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert any(re.fullmatch(r"torch==\d+\.\d+\.\*", r) for r in dependencies)
