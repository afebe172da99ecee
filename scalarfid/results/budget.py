"""The budget of training in words: what of its configuration applies, and nothing that is off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LABELS = ("energy", "forces", "stress")


def budget(training: Mapping[str, Any] | None) -> str | None:
    """Epochs, batches, optimiser, the backbone's rate, averages, loss and second stage; None if not recorded.

    Args:
        training: part ``training`` of a run's configuration.
    """
    if not training:
        return None
    said = [f"{training.get('max_epochs')} epochs", _batches(training), f"{training.get('optimizer')}"]
    said += [f"learning rate {training.get('lr')}", _schedule(training)]
    for key, words in (("weight_decay", "weight decay"), ("clip", "gradients clipped at"), ("ema_decay", "EMA")):
        said += [f"{words} {training[key]}"] if training.get(key) else []
    said += [f"{training.get('loss')} loss with weights {_weights(training)}", _stage_two(training.get("stage_two"))]
    if training.get("early_stopping"):
        said.append(f"stopped after {training['early_stopping']} validations without a better loss")
    if training.get("resume_from"):
        said.append("continued from another run")
    return ", ".join(part for part in said if part)


def _batches(training: Mapping[str, Any]) -> str:
    edges = training.get("batch_edges")
    return f"batches of {training.get('batch_size')}" if edges is None else f"batches of about {edges} edges"


def _schedule(training: Mapping[str, Any]) -> str:
    name, plateau = training.get("schedule"), training.get("plateau") or {}
    steps = training.get("warmup_steps")
    form = {
        "cosine": f" to {training.get('min_lr_ratio')} of it",
        "plateau": f" (× {plateau.get('factor')} after {plateau.get('patience')} validations)",
    }
    said = f"{name} schedule{form.get(name, '')}" if name else ""
    return said + (f" after {steps} warm-up batches" if name and steps else "")


def _weights(part: Mapping[str, Any]) -> str:
    weights = {label: part.get(f"{label}_weight") for label in LABELS}
    return ", ".join(f"{label} {weight}" for label, weight in weights.items() if weight is not None)


def _stage_two(stage: Mapping[str, Any] | None) -> str:
    if not stage or stage.get("from_epoch") is None:
        return ""
    weights, rate = _weights(stage), stage.get("lr")
    changed = [*([f"weights {weights}"] if weights else []), *([f"learning rate {rate}"] if rate is not None else [])]
    return f"from epoch {stage['from_epoch']} {' and '.join(changed)}" if changed else ""
