"""`cos data check`: look at every row and every picture of a file of CoS rows (SFT, PRM, DPO, scoring) or of problems.

Exit code 1 where a row is bad.

example: cos data check sft.jsonl --images pictures/ --json
"""

from __future__ import annotations

import argparse

from cos.commands.options import Outcome, need


def add(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("file", nargs="?", metavar="FILE", help="rows, one JSON object a line")
    parser.add_argument(
        "--images", metavar="ROOT", help="folder that the pictures are under; without it those of CoS rows are not looked at"
    )


def run(args: argparse.Namespace) -> Outcome:
    """Check the file."""
    need(args, file="FILE")
    from cos.problems import problem_files, released

    check = problem_files.check if problem_files.holds_problems(args.file) else released.check
    report = check(args.file, args.images)
    bad = [f"{args.file}, line {line}: {reason}" for line, reason in report.bad]
    return Outcome(report.to_json(), "\n".join([*bad, f"{report.rows} rows, {len(bad)} bad"]), code=1 if bad else 0)
