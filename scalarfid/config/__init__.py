"""Configuration: Hydra groups of ``conf/``, typed by dataclasses; a typo is one line that names the alternatives."""

from scalarfid.config.composing import compose, conf_dir
from scalarfid.config.identity import NOT_IN_HASH, SCHEMA_VERSION, run_hash, run_name, run_path
from scalarfid.config.stored import CONFIG_FILE, stored_dataset

__all__ = [
    "CONFIG_FILE", "NOT_IN_HASH", "SCHEMA_VERSION", "compose", "conf_dir", "run_hash", "run_name", "run_path",
    "stored_dataset",
]  # fmt: skip
