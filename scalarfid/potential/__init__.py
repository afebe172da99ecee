"""The potential: backbone + probes + E0, scale, ZBL → energy [B], forces [N,3], stress [B,3,3]."""

from scalarfid.potential.build import MODEL_FILE, build, load, model_config, save
from scalarfid.potential.core import Potential, is_probe

__all__ = ["MODEL_FILE", "Potential", "build", "is_probe", "load", "model_config", "save"]
