"""How long work takes on given hardware, and what that costs. No torch, and no table of devices or prices: both are told.

A forward takes the longer of two times: that of its arithmetic and, where few rows are drawn at a time, that of reading the weights and the
keys and values it needs from memory (the roofline of Williams et al., 2009). What a framework does besides is not in it; it decides for
models of a few million parameters (docs/log.md has measured ratios).
"""

from __future__ import annotations

from dataclasses import dataclass

from cos.plan.searches import Work
from cos.protocols import Costs


@dataclass(frozen=True)
class Hardware:
    """Some equal devices. `flops`: operations a second that one can do at most, in the arithmetic used (0: not told, no times are known);
    `bandwidth`: bytes a second of its memory (0: not told, memory is never waited for); `memory`: bytes (0: not told); `price`: of a
    device and hour, in any currency."""

    flops: float = 0.0
    bandwidth: float = 0.0
    memory: float = 0.0
    price: float = 0.0
    devices: int = 1
    utilisation: float = 0.4
    """Share of `flops` that large matrix products reach in the whole: trainings of language models report 30 to 45 % (SmolLM3 29 %,
    TorchTitan 45 %; PaLM 46 %, arXiv 2204.02311)."""

    def computing(self, flops: float) -> float:
        """Seconds of one device for so many operations."""
        return flops / (self.flops * self.utilisation)

    def seconds(self, work: Work, policy: Costs, reward: Costs, weight_bytes: float, together: int) -> float:
        """Of one piece of work on one device where so many go `together`, in one batch: each forward of the policy reads its weights
        (`weight_bytes`) once for all of them."""
        meter = work.meter
        drawing = policy.flops_per_token * meter.policy_decode
        seconds = self.computing(meter.flops - drawing)
        if not self.bandwidth:
            return seconds + self.computing(drawing)
        held = meter.policy_prefill + meter.policy_decode / 2  # of what is drawn half is there on average
        moved = work.forwards * (weight_bytes / together + policy.kv_bytes_per_token * held)
        return seconds + max(self.computing(drawing), moved / self.bandwidth)

    def price_of(self, seconds: float) -> float:
        """Of so many seconds of one device."""
        return seconds / 3600 * self.price
