"""`cos data check`: look at every row and every picture of a file of CoS rows (SFT, PRM, DPO, scoring) or of problems, or of all files
that a meta file (.json) names.

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
    from cos.problems import meta, problem_files, released

    if meta.is_meta(args.file):
        found = meta.check(args.file)
        told = [f"{args.file}, {row['set']}, line {row['line']}: {row['reason']}" for row in found["bad"]]
        return Outcome(found, "\n".join([*told, f"{found['rows']} rows, {len(told)} bad"]), code=1 if told else 0)
    check = problem_files.check if problem_files.holds_problems(args.file) else released.check
    report = check(args.file, args.images)
    bad = [f"{args.file}, line {line}: {reason}" for line, reason in report.bad]
    return Outcome(report.to_json(), "\n".join([*bad, f"{report.rows} rows, {len(bad)} bad"]), code=1 if bad else 0)
