"""Where a number comes from: the commit, the code that computes, the packages beneath it."""

from __future__ import annotations

import ast
import hashlib
import platform
import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from scalarfid.config import conf_dir

PACKAGES = (
    "scalarfid", "torch", "pytorch-lightning", "torch-geometric", "numpy", "scipy", "ase",
    "matscipy", "phonopy", "tblite", "e3nn", "mace-torch", "nequip", "nequip-allegro",
)  # fmt: skip
COMPUTES = ("seeds.py", "sites.py", "backbones", "data", "potential", "probes", "training")
"""Files and folders of the package that make the numbers of a run."""
PACKAGE = Path(__file__).resolve().parent.parent


def code_version(package: Path = PACKAGE, computes: Sequence[str] = COMPUTES) -> str:
    """Twelve hexadecimal digits over the syntax trees of what computes, comments and docstrings left out.

    Two runs with the same digits were made by the same code, whatever their commits say. The reverse holds for one
    minor version of Python: another may write the same tree differently.

    Args:
        package: folder that holds the files.
        computes: files and folders that count.
    """
    files = [file for name in computes for file in sorted((package / name).rglob("*.py")) or [package / name]]
    digest = hashlib.sha256()
    for file in files:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(getattr(node, "body", None), list):
                node.body = [line for line in node.body if not _is_text(line)]
        digest.update(f"{file.relative_to(package).as_posix()}\n{ast.dump(tree)}\n".encode())
    return digest.hexdigest()[:12]


def _is_text(line: ast.stmt) -> bool:
    return isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant)


def commit() -> str | None:
    """Commit of the source tree, with ``+`` if files differ from it; None outside a repository."""
    repository = conf_dir().parent
    if not (repository / ".git").exists():
        return None
    try:
        head = _git(repository, "rev-parse", "HEAD")
        changes = _git(repository, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return head + ("+" if changes else "")


def _git(repository: Path, *arguments: str) -> str:
    command = ["git", *arguments]
    answer = subprocess.run(command, cwd=repository, capture_output=True, text=True, timeout=20, check=True)  # noqa: S603 - ours
    return answer.stdout.strip()


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that make the numbers, those that are installed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
