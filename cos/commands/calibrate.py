"""`cos calibrate`: learn what a reward model's rewards are worth as probabilities, and keep it beside the model (calibration.json).

example: cos calibrate --reward runs/prm/model --set all:validation --limit 300

Search with `adaptive_n` and `cos card --file` read it there. For a reward that is no folder, name a file with --to.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict

from cos.commands.card import Work, add_data, calibrated
from cos.commands.options import Outcome, need
from cos.errors import UserError


def add(parser: argparse.ArgumentParser) -> None:
    """The options."""
    add_data(parser)
    parser.add_argument("--to", metavar="FILE", help="where the calibration goes (calibration.json beside the model)")


def run(args: argparse.Namespace) -> Outcome:
    """Judge the validation chains, fit, save."""
    need(args, set="--set")
    from cos.card.report import calibrate
    from cos.loading import calibration_file

    if args.set.partition(":")[2] in ("test", "shift"):
        raise UserError(f"{args.set}: a calibration is fitted on validation problems only, never on those of a test; take all:validation")
    file = args.to or calibration_file(args.reward)
    if file is None:
        raise UserError(f"reward {args.reward} has no folder of its own: name a file with --to")
    calibration = calibrated(Work(args, args.set), args.set, calibrate)
    calibration.save(file)
    about = calibration.about
    text = f"{about['labels']} steps and {about['rollouts']} roll-outs: {calibration.method}, temperature {calibration.temperature:.3f}"
    return Outcome(asdict(calibration) | {"out": str(file)}, f"{text}; {file}")
