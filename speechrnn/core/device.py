"""Find the device that a user names."""

from __future__ import annotations

import torch

from speechrnn.core.errors import UserError


def find_device(name: str) -> torch.device:
    """Return the device called `name`; "auto" is a CUDA device where there is one, else the CPU.

    Raises:
        UserError: there is no such device on this machine.

    >>> find_device("cpu")
    device(type='cpu')
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        if device.type not in ("cpu", "cuda", "mps"):
            raise RuntimeError
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise UserError(f"device={name} is not on this machine; choose auto, cpu, cuda, cuda:1 or mps.") from error
    return device
