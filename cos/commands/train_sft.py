"""`cos train sft`: fine-tune a policy on chains, from a file of CoS rows or from the worlds.

The recipe's fields are those of `cos.train.sft.Config` (its `schedule` those of `cos.train.loop.Schedule`), and `model`.

example: cos train sft --config recipes/embedded_policy.yaml --out runs/policy
"""

from __future__ import annotations

import argparse

from cos.commands.options import Outcome
from cos.commands.recipe import add_training, apply_recipe, config_of, model_of, report, reporting

apply_file = apply_recipe


def add(parser: argparse.ArgumentParser) -> None:
    """The options."""
    add_training(parser, "new:policy")
    parser.add_argument("--data", metavar="FILE", help="SFT rows; without it the problems of `worlds` are taken")
    parser.add_argument("--images", metavar="ROOT", help="folder that the rows' pictures are under")


def run(args: argparse.Namespace) -> Outcome:
    """Train."""
    from cos.train import sft

    config, name = config_of(args, sft.Config, ("data", "images"))
    return report(sft.run(model_of(name, "policy"), config, reporting(args)), config.out)
