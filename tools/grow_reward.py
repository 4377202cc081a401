"""Give a reward model more layers that change nothing at first, and the numbers at the start of a text the meaning of those after a space.

python tools/grow_reward.py runs/reward_7/model runs/reward_grown 2

To judge a sum takes a hop from the sum's own words to the tag, and to judge what is built on it one more; and the tokenizer has each number
twice, `7` and ` 7`, of which a model meets the first only where a thought begins (docs/log.md).
"""

from __future__ import annotations

import argparse
import copy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from cos.errors import UserError
from cos.models.vlm import load


def main() -> None:
    """Read the arguments, grow, save. Ends with a line where that can't be done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("out", type=Path)
    parser.add_argument("layers", type=int)
    wanted = parser.parse_args()
    try:
        vlm = load(wanted.model)
        with torch.no_grad():
            grow(vlm.model, wanted.layers)
            align_numbers(vlm.model.get_input_embeddings().weight, vlm.encoder.plain)
        vlm.save(wanted.out)
    except UserError as error:
        sys.exit(str(error))


def grow(model: Any, more: int) -> None:
    """Copies of the last layer whose two writes into the residual stream are zero."""
    layers, config = model.model.language_model.layers, model.config.text_config
    for _ in range(more):
        layer = copy.deepcopy(layers[-1])
        layer.self_attn.o_proj.weight.zero_()
        layer.mlp.down_proj.weight.zero_()
        layer.self_attn.layer_idx = len(layers)
        layers.append(layer)
    config.num_hidden_layers = len(layers)
    config.layer_types = [config.layer_types[0]] * len(layers)


def align_numbers(weight: torch.Tensor, tokens: Callable[[str], list[int]]) -> None:
    for number in range(100):
        bare, spaced = tokens(str(number)), tokens(f" {number}")
        if len(bare) == len(spaced) == 1:
            weight[bare[0]] = 0.9 * weight[spaced[0]] + 0.25 * weight[bare[0]]


if __name__ == "__main__":
    main()
