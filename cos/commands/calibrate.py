"""`cos calibrate`: learn what a reward model's rewards are worth as probabilities, and keep it beside the model (calibration.json).

example: cos calibrate --reward runs/prm/model --set all:validation --limit 300
example: cos calibrate --reward runs/prm/model --file rolled-out/labels.jsonl

How often a step is right is learnt from the labels. How often going on from it succeeds is learnt from the roll-outs that made the labels
of a file (cos label --by rollouts), else from the sampled chains that share the step. Search with adaptive_n and cos card --file find it
beside the model. For a reward that is no folder, name a file with --to.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict

from cos.commands.card import Work, add_data, asked
from cos.commands.options import Outcome
from cos.errors import UserError

N = 16
"""Chains a question: the roll-outs of the CoS paper (arXiv 2509.19003), for that is what chains with the same beginning are."""


def add(parser: argparse.ArgumentParser) -> None:
    """The options."""
    add_data(parser, N)
    parser.add_argument("--to", metavar="FILE", help="where the calibration goes (calibration.json beside the model)")


def run(args: argparse.Namespace) -> Outcome:
    """Judge the validation chains, fit, save."""
    from cos.loading import calibration_file

    what = asked(args)
    file = args.to or calibration_file(args.reward)
    if file is None:
        raise UserError(f"reward {args.reward} has no folder of its own: name a file with --to")
    work = Work(args, what)
    work.start(what)
    calibration = work.calibration()
    calibration.save(file)
    about = calibration.about
    text = f"{about['labels']} steps and {about['rollouts']} roll-outs: {calibration.method}, temperature {calibration.temperature:.3f}"
    return Outcome(asdict(calibration) | {"out": str(file)}, f"{text}; {file}")
