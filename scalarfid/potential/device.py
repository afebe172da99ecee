"""Where a potential computes."""

from __future__ import annotations

import torch

from scalarfid.errors import ScalarFidError


def device_of(name: str | torch.device, key: str = "device") -> torch.device:
    """Return the device of a name: auto, cpu, cuda, cuda:1.

    Args:
        name: of the device.
        key: what the user set, for the message.

    Raises:
        ScalarFidError: if it is none, or not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda"):
        raise ScalarFidError(f"{key}={name} is not a device; there are auto, cpu, cuda, cuda:0 ….")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ScalarFidError(f"{key}={name} is not there ({torch.cuda.device_count()} CUDA devices); use cpu.")
    return device
