"""`cos train prm`: train a step-tag reward model on labelled chains, from a file of CoS rows or from the worlds.

The recipe's fields are those of `cos.train.prm.Config` (its `schedule` those of `cos.train.loop.Schedule`), and `model`.

example: cos train prm --config recipes/embedded_reward_7.yaml --out runs/reward
"""

from __future__ import annotations

import argparse

from cos.commands.options import Outcome
from cos.commands.recipe import add_training, apply_recipe, config_of, model_of, report, reporting

apply_file = apply_recipe


def add(parser: argparse.ArgumentParser) -> None:
    """The options."""
    add_training(parser, "new:reward")
    parser.add_argument("--data", metavar="FILE", help="PRM rows; without it the problems of `worlds` are taken")
    parser.add_argument("--images", metavar="ROOT", help="folder that the rows' pictures are under")
    parser.add_argument("--pool", metavar="FILE", help="sampled chains to learn from too")


def run(args: argparse.Namespace) -> Outcome:
    """Train."""
    from cos.train import prm

    config, name = config_of(args, prm.Config, ("data", "images", "pool"))
    return report(prm.run(model_of(name, "reward"), config, reporting(args)), config.out)
