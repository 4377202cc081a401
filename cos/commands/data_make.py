"""`cos data make`: puzzles of a world with known truth: DIR/problems.jsonl and DIR/images/*.png.

example: cos data make --set charts --split test --n 200 --seed 0 --out data/charts
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import replace
from pathlib import Path

from cos.chain import Problem
from cos.commands.options import Outcome, Progress, need
from cos.problems.world import SPLITS


def add(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--set", metavar="W", help="charts, scenes, digits, refusals, or all (the first three)")
    parser.add_argument("--split", default="train", choices=SPLITS, help="splits share no picture; shift has unseen styles (train)")
    parser.add_argument("--n", type=int, default=100, help="number of problems (100)")
    parser.add_argument("--out", metavar="DIR", help="the folder; what is there already is not made again")


def run(args: argparse.Namespace) -> Outcome:
    """Make what is missing."""
    need(args, set="--set", out="--out")
    from cos.problems import draw, problems
    from cos.store import Log

    out, progress = Path(args.out), Progress("data make")
    wanted = [replace(problem, image=f"images/{problem.id}.png") for problem in problems(f"{args.set}:{args.split}", args.n, args.seed)]
    (out / "images").mkdir(parents=True, exist_ok=True)
    with Log(out / "problems.jsonl", "problem", key="id") as log:
        left = [problem for problem in wanted if problem.id not in log.done]
        for count, problem in enumerate(left):
            progress(len(wanted) - len(left) + count, len(wanted))
            part = out / "images" / f".{problem.id}.part"
            draw(problem).save(part, "PNG")
            part.replace(out / f"images/{problem.id}.png")
            log.add(problem.to_json())
    progress(len(wanted), len(wanted))
    result = {"problems": len(wanted), "made": len(left), **_counts(wanted), "out": str(out)}
    return Outcome(result, f"{len(wanted)} problems, {len(left)} of them new, in {out / 'problems.jsonl'}")


def _counts(made: list[Problem]) -> dict[str, dict[str, int]]:
    worlds, levels = Counter(problem.world for problem in made), Counter(str(problem.level) for problem in made)
    return {"worlds": dict(sorted(worlds.items())), "levels": dict(sorted(levels.items()))}
