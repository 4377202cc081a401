"""`cos data fetch`: problems of a data set on the Hugging Face Hub (`cos push data`) as a folder: DIR/problems.jsonl and their pictures.

example: cos data fetch owner/charts@4f1c2ab --out data/charts
"""

from __future__ import annotations

import argparse
from pathlib import Path

from cos.commands.options import Outcome, need


def add(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="owner/name, or owner/name@REVISION: a branch, a tag or a commit")
    parser.add_argument("--out", metavar="DIR", help="the folder; what is there already is not fetched again")


def run(args: argparse.Namespace) -> Outcome:
    """Fetch what is missing."""
    need(args, name="NAME", out="--out")
    from cos.publish.data import RECORDS, fetch_problems

    count, new = fetch_problems(args.name, args.out)
    result = {"problems": count, "new": new, "out": str(Path(args.out) / RECORDS)}
    return Outcome(result, f"{count} problems, {new} of them new, in {result['out']}")
