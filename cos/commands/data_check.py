"""`cos data check`: look at every row and every picture of a file of CoS rows (SFT, PRM, DPO, scoring) or of problems, or of all files
that a meta file (.json) names.

Exit code 1 where a row is bad.

example: cos data check sft.jsonl --images pictures/ --json
"""

from __future__ import annotations

import argparse
import sys
from time import perf_counter

from cos.commands.options import Outcome, need


def add(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("file", nargs="?", metavar="FILE", help="rows, one JSON object a line")
    parser.add_argument(
        "--images", metavar="ROOT", help="folder that the pictures are under; without it those of CoS rows are not looked at"
    )


def run(args: argparse.Namespace) -> Outcome:
    """Check the file, or the files; the text (not the JSON, which is the same each time) also says how fast, and in how much memory."""
    need(args, file="FILE")
    from cos.problems import meta, problem_files, released

    began = perf_counter()
    if meta.is_meta(args.file):
        found = meta.check(args.file)
    else:
        check = problem_files.check if problem_files.holds_problems(args.file) else released.check
        found = check(args.file, args.images).to_json()
    bad = [", ".join([args.file, *([row["set"]] if "set" in row else []), f"line {row['line']}: {row['reason']}"]) for row in found["bad"]]
    seconds, peak = perf_counter() - began, _peak()
    text = f"{found['rows']} rows, {len(bad)} bad; {found['rows'] / seconds:.0f} rows/s, {peak:.0f} MB of memory at most"
    return Outcome(found, "\n".join([*bad, text]), code=1 if bad else 0)


def _peak() -> float:
    """The most memory that this process has held, in MB; 0 where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
