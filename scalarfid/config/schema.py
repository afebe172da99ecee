"""Types of the configuration. Values live in ``conf/*.yaml``; the allowed words and ranges stand here."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from scalarfid.config.messages import explain, suggestion
from scalarfid.errors import ScalarFidError, check_number


@dataclass
class CoordinationConfig:
    """How c_i = Σ_j S(r_ij) is counted: the switch S, and whose coordination a message sees."""

    switch: str = MISSING
    of: str = MISSING


@dataclass
class ModelConfig:
    """What every backbone of an experiment shares: r_c in Å, precision, nuclear repulsion, coordination."""

    cutoff: float = MISSING
    dtype: str = MISSING
    zbl: bool = MISSING
    coordination: CoordinationConfig = field(default_factory=CoordinationConfig)


@dataclass
class PlateauConfig:
    """Learning rate × factor after ``patience`` validations without a better loss."""

    factor: float = MISSING
    patience: int = MISSING


@dataclass
class StageTwoConfig:
    """From this epoch on (None: never) other loss weights and another peak learning rate (None: the same)."""

    from_epoch: int | None = MISSING
    energy_weight: float | None = MISSING
    forces_weight: float | None = MISSING
    stress_weight: float | None = MISSING
    lr: float | None = MISSING


@dataclass
class TrainingConfig:
    """Loss, optimiser, schedule and stopping; meanings and units are in ``conf/training/default.yaml``."""

    max_epochs: int = MISSING
    batch_size: int = MISSING
    batch_edges: int | None = MISSING
    eval_batch_edges: int = MISSING
    validate_every: int = MISSING
    loss: str = MISSING
    huber_delta: float = MISSING
    energy_weight: float = MISSING
    forces_weight: float = MISSING
    stress_weight: float = MISSING
    stage_two: StageTwoConfig = field(default_factory=StageTwoConfig)
    optimizer: str = MISSING
    lr: float = MISSING
    probe_lr: float | None = MISSING
    weight_decay: float = MISSING
    clip: float | None = MISSING
    schedule: str = MISSING
    warmup_steps: int = MISSING
    min_lr_ratio: float = MISSING
    plateau: PlateauConfig = field(default_factory=PlateauConfig)
    ema_decay: float | None = MISSING
    early_stopping: int | None = MISSING
    resume_from: str | None = MISSING


@dataclass
class RunConfig:
    """Where and how a run happens; nothing here changes its numbers."""

    root: str = MISSING
    experiment: str = MISSING
    force: bool = MISSING
    device: str = MISSING
    threads: int | None = MISSING
    workers: int = MISSING
    compile: bool = MISSING
    progress: bool = MISSING
    smoothness: int | None = MISSING


@dataclass
class LoggerConfig:
    """Where the metrics are mirrored; ``metrics.csv`` is always written."""

    name: str = MISSING
    project: str | None = None
    entity: str | None = None
    offline: bool = False
    group: str | None = None
    tags: list[str] = field(default_factory=list)


@dataclass
class Config:
    """A whole run. ``backbone`` and ``probe`` are open: their parts check themselves when they are built.

    ``budget`` is a table by dataset that an experiment takes sizes from; what it took counts, the table does not.
    """

    seed: int = MISSING
    backbone: Any = MISSING
    probe: Any = MISSING
    dataset: Any = MISSING
    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    run: RunConfig = field(default_factory=RunConfig)
    logger: LoggerConfig = field(default_factory=LoggerConfig)
    budget: Any = None


# Schemas that live with the code they describe, found by name: this package is a leaf that everything may import.
FOREIGN = {"dataset": ("scalarfid.data.config", "DatasetConfig")}

CHOICES = {
    "model.dtype": ("float32", "float64"),
    "model.coordination.switch": ("covalent", "cutoff"),
    "model.coordination.of": ("centre", "both"),
    "training.loss": ("mse", "huber"),
    "training.optimizer": ("adamw", "adam_amsgrad"),
    "training.schedule": ("constant", "cosine", "plateau"),
    "logger.name": ("csv", "wandb"),
}

# key: smallest value; None: above zero
LEAST = {
    "seed": 0,
    "dataset.split_seed": 0,
    "model.cutoff": None,
    "training.max_epochs": 1,
    "training.batch_size": 1,
    "training.batch_edges": 1,
    "training.eval_batch_edges": 1,
    "training.validate_every": 1,
    "training.huber_delta": None,
    "training.energy_weight": 0,
    "training.forces_weight": 0,
    "training.stress_weight": 0,
    "training.stage_two.from_epoch": 1,
    "training.stage_two.energy_weight": 0,
    "training.stage_two.forces_weight": 0,
    "training.stage_two.stress_weight": 0,
    "training.stage_two.lr": None,
    "training.lr": None,
    "training.probe_lr": None,
    "training.weight_decay": 0,
    "training.clip": None,
    "training.warmup_steps": 0,
    "training.min_lr_ratio": 0,
    "training.plateau.factor": None,
    "training.plateau.patience": 0,
    "training.ema_decay": None,
    "training.early_stopping": 1,
    "run.threads": 1,
    "run.workers": 0,
    "run.smoothness": 1,
}
BELOW_ONE = ("training.plateau.factor", "training.ema_decay")


def schema() -> DictConfig:
    """Return the whole schema, those of other packages included."""
    root = OmegaConf.structured(Config)
    for key, (module, name) in FOREIGN.items():
        root[key] = OmegaConf.structured(getattr(import_module(module), name))
    OmegaConf.set_struct(root.dataset.e0_values, False)  # free keys, the elements
    return root


def register() -> None:
    """Put the schema into Hydra's ConfigStore as ``schema``, the first entry of ``conf/config.yaml``'s defaults."""
    ConfigStore.instance().store(name="schema", node=schema())


def check(cfg: DictConfig) -> None:
    """Check keys that were added with ``+``, keys that the set does not read, and words and ranges beyond types.

    Raises:
        ScalarFidError: the key, its value and what it may be.
    """
    try:
        OmegaConf.merge(schema(), OmegaConf.to_container(cfg))
    except OmegaConfBaseException as error:
        raise explain(error) from None
    _check_dataset(cfg)
    for key, allowed in CHOICES.items():
        value = _value(cfg, key)
        if value not in allowed:
            raise ScalarFidError(f"{key}={value} is not a choice; {suggestion(str(value), allowed)}.")
    for key, least in LEAST.items():
        value = _value(cfg, key)
        if value is not None:
            check_number(key, value, least, below=1 if key in BELOW_ONE else math.inf)


def _check_dataset(cfg: DictConfig) -> None:
    """Refuse keys that the chosen set would pass over."""
    dataset = _value(cfg, "dataset")
    if dataset is None:
        return
    try:
        import_module(FOREIGN["dataset"][0]).refuse_unread(dataset)
    except OmegaConfBaseException as error:
        raise explain(error) from None


def _value(cfg: DictConfig, key: str) -> Any:
    try:
        return OmegaConf.select(cfg, key)
    except OmegaConfBaseException as error:
        raise explain(error) from None
