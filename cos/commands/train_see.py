"""`cos train see`: first lessons in seeing, for an untrained embedded model; a pretrained one needs none.

The recipe's fields are those of `cos.train.see.Config` (its `schedule` those of `cos.train.loop.Schedule`), and `model`.

example: cos train see --config recipes/embedded_policy_see.yaml --out runs/policy_see
"""

from __future__ import annotations

import argparse

from cos.commands.options import Outcome
from cos.commands.recipe import add_training, apply_recipe, config_of, model_of, report, reporting

apply_file = apply_recipe


def add(parser: argparse.ArgumentParser) -> None:
    """The options."""
    add_training(parser, "new:policy, new:reward")


def run(args: argparse.Namespace) -> Outcome:
    """Train."""
    from cos.train import see

    config, name = config_of(args, see.Config)
    return report(see.run(model_of(name, "reward" if name == "new:reward" else "policy"), config, reporting(args)), config.out)
