"""The one cost meter: token-forwards by kind, vision-encoder calls, FLOPs, seconds, and the peak of keys and values held.

The unit is the token-forward (docs/architecture.md, "One meter"): reading or drawing one token with one model. A search's meter
counts what that search costs on its own with full reuse of prefixes, so that methods compare; what an engine really did
(it may share a root between searches) is counted by the engine. Standard library only.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass
class Meter:
    """Counters of one search. FLOPs are 2 x parameters a token, attention aside, plus the vision encoder."""

    policy_prefill: int = 0
    policy_decode: int = 0
    reward_prefill: int = 0
    reward_step: int = 0
    vision_calls: int = 0
    reward_calls: int = 0
    """Pieces scored."""
    flops: float = 0.0
    seconds: float = 0.0
    kv_peak_bytes: float = 0.0

    @property
    def tokens(self) -> int:
        """All token-forwards."""
        return self.policy_prefill + self.policy_decode + self.reward_prefill + self.reward_step

    def to_json(self) -> dict[str, float]:
        """Every counter, and `tokens`."""
        return {**asdict(self), "tokens": self.tokens}

    def spent(self) -> dict[str, float]:
        """Every counter that is not 0, and `tokens`."""
        return {key: value for key, value in self.to_json().items() if value}
