"""Where bfloat16 is multiplied fast, and what is done where it isn't: a CPU without instructions for it takes some 60 times as long as for
float32 (docs/log.md, "a CPU without bfloat16")."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "bf16")
"""What a CPU calls them (x86, x86, ARM)."""


def autocast(device: torch.device, bf16: bool) -> torch.autocast:
    """Mixed precision, where it is wanted and the device is fast at it."""
    return torch.autocast(device.type, torch.bfloat16, enabled=bf16 and fast(device.type))


@cache
def fast(device: str) -> bool:
    """Whether a device of this type (`cpu`, `cuda`) multiplies bfloat16 at least as fast as float32. What can't be asked is taken to."""
    if device != "cpu" or not hasattr(torch.cpu, "get_capabilities"):
        return True
    known = torch.cpu.get_capabilities()
    return any(known.get(name) for name in INSTRUCTIONS)


def step(optimizer: torch.optim.Optimizer, device: str) -> None:
    """A step of the optimizer. `torch.optim.Muon` orthogonalises in bfloat16 always: in float32 here where that is slow."""
    how: AbstractContextManager[Any] = nullcontext() if fast(device) else _NoBfloat16()
    with how:
        optimizer.step()


class _NoBfloat16(TorchFunctionMode):
    """Within it `tensor.bfloat16()` gives a copy of the tensor as it is."""

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        return args[0].clone() if func is torch.Tensor.bfloat16 else func(*args, **(kwargs or {}))
