"""nequip's own model tests, over NequIP and Allegro with probes that have moved.

Run by ``test_conformance.py`` in a process of its own: nequip's fixtures change the default dtype and e3nn's checks.
"""

from __future__ import annotations

import pytest
import torch
from nequip.model import model_builder
from nequip.utils.unittests.model_tests_basic import EnergyModelTestsMixin

from scalarfid.backbones.allegro import Allegro, AllegroModel
from scalarfid.backbones.nequip import NequIP, NequIPGNNModel
from scalarfid.config import compose
from scalarfid.probes import build_attachment
from scalarfid.sites import CoordinationOptions

CLASSES = {"nequip": (NequIP, NequIPGNNModel), "allegro": (Allegro, AllegroModel)}
SIZES = {
    "nequip": {"num_layers": 2, "num_features": 8, "l_max": 1, "parity": True, "radial_mlp_width": 16},
    "allegro": {
        "l_max": 1,
        "parity": True,
        "num_layers": 2,
        "num_scalar_features": 16,
        "num_tensor_features": 8,
        "radial_chemical_embed": {"_target_": "allegro.nn.TwoBodyBesselScalarEmbed", "num_bessels": 8},
    },
}
COMMON = {
    "seed": 123,
    "type_names": ["H", "C", "O"],
    "r_max": 4.0,
    "avg_num_neighbors": 12.0,
    "per_type_energy_scales": 1.3,
    "per_type_energy_shifts": {"H": 0.2, "C": -0.4, "O": 0.7},
}


@model_builder
def probed(name, probe, **kwargs):
    """Upstream's model with our probes mounted and moved, as a nequip model."""
    backbone_class, builder = CLASSES[name]
    model = builder(**kwargs)
    backbone = backbone_class(Holder(model))
    attachment = build_attachment(
        compose([f"backbone={name}_tiny", f"probe={probe}"]).probe,
        backbone.sites,
        dtype=torch.get_default_dtype(),
        seed=0,
    )
    backbone.mount(attachment, CoordinationOptions(elements=(1, 6, 8), mean=(1.0, 3.0, 2.0)))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for key, parameter in backbone.named_parameters():
            if "probe" in key.split("."):
                noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
                parameter.add_(0.5 * parameter.shape[-1] ** -0.5 * noise)
    return model


class Holder(torch.nn.Module):
    """Stands where a GraphModel stands: the mount happens before nequip wraps the model in one."""

    def __init__(self, model):
        super().__init__()
        self.model = model


class Contracts(EnergyModelTestsMixin):
    """nequip's suite over one probe set; subclasses name the backbone."""

    name: str

    @staticmethod
    def make_model(model_config, device):
        return probed(**model_config).to(device)

    @pytest.fixture(scope="class", params=["pan+pgs", "mlp"])
    @classmethod
    def config(cls, request):
        return {"name": cls.name, "probe": request.param, **SIZES[cls.name], **COMMON}

    @pytest.fixture
    def strict_locality(self):
        return self.name == "allegro"


class TestNequIP(Contracts):
    name = "nequip"


class TestAllegro(Contracts):
    name = "allegro"
