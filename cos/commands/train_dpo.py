"""`cos train dpo`: a policy learns from pairs of chains, the better and the worse: released DPO rows, or what `cos prefer` writes.

The recipe's fields are those of `cos.train.dpo.Config` (its `schedule` those of `cos.train.loop.Schedule`), and `model`.

example: cos train dpo --model embedded --data runs/pairs.jsonl --out runs/dpo --steps 100 --batch 32 --learning-rate 2e-4
"""

from __future__ import annotations

import argparse

from cos.commands.options import Outcome, need
from cos.commands.recipe import add_training, apply_recipe, config_of, model_of, report, reporting

apply_file = apply_recipe


def add(parser: argparse.ArgumentParser) -> None:
    """The options."""
    add_training(parser, "new:policy")
    parser.add_argument("--data", metavar="FILE", help="pairs: released DPO rows or preferences")
    parser.add_argument("--images", metavar="ROOT", help="folder that the rows' pictures are under")
    parser.add_argument("--reference", help="the model to stay near (the one that training starts from)")
    parser.add_argument("--beta", type=float, help="how dear it is to leave the reference (0.1)")
    parser.add_argument("--chosen-nll", type=float, help="weight of the chosen chain's own loss (1; 0 is plain DPO)")


def run(args: argparse.Namespace) -> Outcome:
    """Train."""
    from cos.train import dpo

    config, name = config_of(args, dpo.Config, ("data", "images", "reference", "beta", "chosen_nll"))
    need(argparse.Namespace(data=config.data or None), data="--data")
    reference = model_of(config.reference, "policy") if config.reference else None
    return report(dpo.run(model_of(name, "policy"), config, reference, reporting(args)), config.out)
