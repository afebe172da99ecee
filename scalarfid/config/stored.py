"""What the configuration that a run keeps beside its model says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from scalarfid.errors import ScalarFidError

CONFIG_FILE = "config.yaml"


def stored_dataset(folder: Path) -> Mapping[str, Any]:
    """The dataset that the run of a directory was trained on.

    Raises:
        ScalarFidError: a configuration without one, as when it was copied in part.
    """
    path = folder / CONFIG_FILE
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))["dataset"]
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise ScalarFidError(f"{path} does not say what the run was trained on; copy it again.") from error
