"""Make the start of a policy from a reward model: its eyes and its words, with one layer of its language model left out.

python tools/start_policy.py runs/reward_7/model runs/policy_start 3

A reward model sees more sharply than the policies that began from nothing, and is too large for one. Layer 3 of 5 (from 0) is left out, and
the numbers at the start of a text get the meaning of those after a space, as in `tools/grow_reward.py` (docs/log.md).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from grow_reward import align_numbers

from cos.models.vlm import load


def main() -> None:
    """Read the arguments, leave the layer out, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("out", type=Path)
    parser.add_argument("layer", type=int)
    wanted = parser.parse_args()
    vlm = load(wanted.model)
    leave_out(vlm.model, wanted.layer)
    with torch.no_grad():
        align_numbers(vlm.model.get_input_embeddings().weight, vlm.encoder.plain)
    vlm.save(wanted.out)


def leave_out(model: Any, layer: int) -> None:
    """The model without this layer (from 0) of its language model."""
    layers, config = model.model.language_model.layers, model.config.text_config
    del layers[layer]
    for place, kept in enumerate(layers):
        kept.self_attn.layer_idx = place
    config.num_hidden_layers = len(layers)
    config.layer_types = config.layer_types[: len(layers)]


if __name__ == "__main__":
    main()
