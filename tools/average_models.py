"""The mean of two models' weights: between what it was and what a leg of training made of it (model soups, arXiv 2203.05482).

python tools/average_models.py runs/reward_10/model runs/reward_11/model runs/reward_last/model

For a model and the same one trained on; the paper averages models that were fine-tuned from one. What it gave is in docs/log.md, "lists
until they err at random".
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from cos.errors import UserError
from cos.models.vlm import load


def main() -> None:
    """Read the arguments, average, save. Ends with a line where that can't be done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("other")
    parser.add_argument("out", type=Path)
    wanted = parser.parse_args()
    try:
        vlm = load(wanted.model)
        average(vlm.model, load(wanted.other).model)
        vlm.save(wanted.out)
    except UserError as error:
        sys.exit(str(error))


def average(model: torch.nn.Module, other: torch.nn.Module) -> None:
    """Each weight of `model` becomes the mean of both. Raises UserError, and changes nothing, where their weights are not of one shape."""
    own, others = dict(model.named_parameters()), dict(other.named_parameters())
    if {name: weight.shape for name, weight in own.items()} != {name: weight.shape for name, weight in others.items()}:
        raise UserError("the two models are of different shapes; take one and the same trained on")
    with torch.no_grad():
        for name, weight in own.items():
            weight.lerp_(others[name].to(weight.dtype), 0.5)


if __name__ == "__main__":
    main()
