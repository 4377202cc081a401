"""Make the start of a policy from a reward model: its eyes and its words, with one layer of its language model left out.

python tools/start_policy.py runs/reward_7/model runs/policy_start 3

A reward model sees more sharply than the policies that began from nothing, and is too large for one. Layer 3 of 5 (from 0) is left out, and
the numbers at the start of a text get the meaning of those after a space, as in `tools/grow_reward.py` (docs/log.md).
"""

from __future__ import annotations

from typing import Any

from grow_reward import reshape

from cos.errors import UserError


def main() -> None:
    """Read the arguments, leave the layer out, save."""
    reshape(__doc__ or "", "layer", leave_out)


def leave_out(model: Any, layer: int) -> None:
    """The model without this layer (from 0) of its language model. Raises UserError where it has none of that number."""
    layers, config = model.model.language_model.layers, model.config.text_config
    if not 0 <= layer < len(layers):
        raise UserError(f"layer {layer}: the model has layers 0 to {len(layers) - 1}")
    del layers[layer]
    for place, kept in enumerate(layers):
        kept.self_attn.layer_idx = place
    config.num_hidden_layers = len(layers)
    config.layer_types = config.layer_types[: len(layers)]


if __name__ == "__main__":
    main()
