"""Summaries of finished runs as one table: a row per ``summary.json``, a column per number."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from scalarfid.errors import ScalarFidError
from scalarfid.files import replacing, write_text

SUMMARY = "summary.json"
RERUN = "remove it and run its training command again"


class UnreadableError(ScalarFidError):
    """A file that cannot be used: ``path``, ``why`` (``is not JSON``, ``has no 'seed'``) and the ``remedy``."""

    def __init__(self, path: Path, why: str, remedy: str = RERUN) -> None:
        super().__init__(f"{path} {why}; {remedy}.")
        self.path, self.why, self.remedy = path, why, remedy


def read_summaries(places: str | Path | Iterable[str | Path]) -> pd.DataFrame:
    """Read every ``summary.json`` in or below the places given.

    Nested entries become dotted columns: ``metrics.test.forces_mae`` (eV, Å), ``parameters.probe``, ``versions.torch``.
    The column ``path`` is the run directory; rows are sorted by it.

    Raises:
        ScalarFidError: a place that does not exist or holds no finished run, or a summary that is not JSON.
    """
    rows = [{"path": str(file.parent), **read_object(file)} for file in summaries(places)]
    return pd.json_normalize(rows)


def summaries(places: str | Path | Iterable[str | Path]) -> list[Path]:
    """Find every ``summary.json`` in or below the places given, and every ``<run>.summary.json``, by path.

    Raises:
        ScalarFidError: a place that does not exist or holds no finished run.
    """
    places = [places] if isinstance(places, (str, Path)) else list(places)
    return sorted({file for place in places for file in _found(Path(place))})


def read_object(file: Path, remedy: str = RERUN) -> dict[str, Any]:
    """Read a JSON object; numbers that JSON does not have (NaN, infinities) become None.

    Raises:
        UnreadableError: a file that cannot be opened, is not UTF-8, not JSON, or no object; ``remedy`` is for what is
            wrong inside of it.
    """
    try:
        record = json.loads(file.read_bytes().decode("utf-8"), parse_constant=lambda _: None)
    except OSError as error:
        raise UnreadableError(
            file, f"cannot be opened ({error.strerror})", "give yourself the right to read"
        ) from error
    except UnicodeDecodeError as error:
        raise UnreadableError(file, f"is not UTF-8 ({error.reason} at byte {error.start})", remedy) from error
    except json.JSONDecodeError as error:
        raise UnreadableError(file, f"is not JSON ({error})", remedy) from error
    if not isinstance(record, dict):
        raise UnreadableError(file, "is not a JSON object", remedy)
    return record


def write_table(table: pd.DataFrame, path: str | Path) -> Path:
    """Write a table as ``.csv`` or ``.json`` in one step; the suffix decides.

    Raises:
        ScalarFidError: another suffix, or a file that cannot be written.
    """
    path = Path(path)
    if path.suffix == ".csv":
        with replacing(path) as temporary:
            table.to_csv(temporary, index=False)
        return path
    if path.suffix == ".json":
        return write_text(path, table.to_json(orient="records", indent=2))
    raise ScalarFidError(f"{path.name}: tables are written as .csv or .json; choose one of these suffixes.")


def _found(place: Path) -> list[Path]:
    if not place.exists():
        raise ScalarFidError(f"No runs at {place}: it does not exist; give run directories or a folder of them.")
    if place.is_file() and not place.name.endswith(SUMMARY):
        raise ScalarFidError(f"{place} is no {SUMMARY}; give run directories or a folder of them.")
    files = [place] if place.is_file() else [*place.rglob(SUMMARY), *place.rglob(f"*.{SUMMARY}")]
    if not files:
        raise ScalarFidError(f"No {SUMMARY} in or below {place}: no run there has finished.")
    return files
