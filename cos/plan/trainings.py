"""What a training costs: tokens and FLOPs of a row, and the memory of a device, as `cos.train` does it. No torch.

FLOPs a parameter and token: forward 2, backward 4, of which half is for the gradients of weights, which adapters do not need. Weights are
held in float32 and learn by AdamW; arithmetic is bfloat16 by autocast, as on a GPU; nothing is computed twice (no gradient
checkpointing).
"""

from __future__ import annotations

from dataclasses import dataclass

from cos.plan.searches import Lengths
from cos.plan.sizes import Size

STAGES = ("sft", "prm", "dpo")
MATRICES = 7
"""Matrices of a layer that get adapters (`cos.train.weights.Weights`): four of attention, three of the MLP."""
VISION_LAYER = 34.0
"""Bytes that a layer of the vision tower keeps for the backward pass, a patch and unit of width (Korthikanti et al., arXiv 2205.05198,
section 4.1, where attention itself is computed again)."""


@dataclass(frozen=True)
class Training:
    """A stage with `rank` of its adapters (0: all weights learn), `at_once` rows that a device holds at a time, on `devices` that share out
    weights and optimizer among them (FSDP2); with adapters each has all weights. The vision tower learns in DPO alone, as released."""

    stage: str
    rank: int = 0
    at_once: int = 1
    devices: int = 1

    @property
    def sees(self) -> bool:
        """Whether the vision tower learns."""
        return self.stage == "dpo" and not self.rank


def tokens(stage: str, lengths: Lengths) -> float:
    """Of a row: prompt and chain; a tag a piece for reward models; for DPO the prompt once and both chains (`cos.train.pairs`)."""
    chain = lengths.pieces * lengths.piece
    return {
        "sft": lengths.prompt + chain,
        "prm": lengths.reward_prompt + chain + lengths.pieces,
        "dpo": lengths.prompt + 2 * chain,
    }[stage]


def flops(training: Training, lengths: Lengths, image_tokens: float, size: Size) -> float:
    """Of a row, once through. DPO's reference reads each pair once besides, whatever the epochs (`reference_flops`)."""
    a_token = (4.0 if training.rank else 6.0) * size.parameters
    a_patch = (6.0 if training.sees else 2.0) * size.vision
    return a_token * tokens(training.stage, lengths) + a_patch * size.patches * image_tokens


def reference_flops(stage: str, lengths: Lengths, image_tokens: float, size: Size) -> float:
    """Of a pair under the reference model: one forward; 0 for other stages."""
    costs = size.costs(image_tokens)
    return costs.flops_per_token * tokens(stage, lengths) + costs.flops_per_image if stage == "dpo" else 0.0


def memory(training: Training, lengths: Lengths, image_tokens: float, size: Size) -> dict[str, float]:
    """Bytes on one device by what they are for: `weights` (float32, and the bfloat16 copies that a pass holds), `gradients`, `optimizer`,
    `activations`, and their sum `total`. A bound from below: fragments, buffers of communication and the framework come on top."""
    shared = 1 if training.rank else training.devices
    whole, learned = size.parameters + size.vision, _learned(training, size)
    parts = {
        "weights": (4.0 + 2.0) * whole / shared,
        "gradients": 4.0 * learned / shared,
        "optimizer": 8.0 * learned / shared,
        "activations": training.at_once * _activations(training, lengths, image_tokens, size),
    }
    return parts | {"total": sum(parts.values())}


def _learned(training: Training, size: Size) -> float:
    """Weights that learn. With adapters, embedding and head count whole: of them a few rows learn, but gradient and averages are whole."""
    if not training.rank:
        return size.parameters + (size.vision if training.sees else 0.0)
    keys = size.kv_heads * size.head_size
    sides = 2 * 2 * size.width + 2 * (size.width + keys) + 3 * (size.width + size.inner)  # q and o, k and v, the MLP
    return training.rank * size.layers * sides + 2.0 * size.vocabulary * size.width


def _activations(training: Training, lengths: Lengths, image_tokens: float, size: Size) -> float:
    """Bytes of a row that the backward pass needs. A layer keeps for each token, in units of its width: for its two norms the input and the
    normalised input in float32 (16), and in bfloat16 what its six matrices of this width read, copied for each (12), and the queries (2);
    keys and values; four of the MLP's inner width. Attention's own matrix is not kept. Words to be predicted have their logits in
    bfloat16 and, twice, in float32."""
    layer = 30 * size.width + 2 * 2 * size.kv_heads * size.head_size + 4 * 2 * size.inner
    words = {"sft": 1, "prm": 0, "dpo": 2}[training.stage] * lengths.pieces * lengths.piece
    tower = VISION_LAYER * size.vision_layers * size.vision_width * size.patches * image_tokens if training.sees else 0.0
    return size.layers * layer * tokens(training.stage, lengths) + words * size.vocabulary * (2 + 4 + 4) + tower
