"""`cos eval`: compare methods on one pool of chains, and by live search, over a set of problems.

example: cos eval --set all:test --limit 600 --methods greedy,vote,best_of_n,weighted_vote,step_beam --n 16 --json
"""

from __future__ import annotations

import argparse
import hashlib
from dataclasses import asdict
from pathlib import Path

from cos.commands.options import Outcome, Progress, add_models, add_search, need, settings
from cos.errors import UserError


def add(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--set", metavar="S:SPLIT", help="charts, scenes, digits, refusals or all; train, validation, test or shift")
    parser.add_argument("--limit", type=int, default=100, help="number of problems (100)")
    parser.add_argument("--methods", default="greedy,vote,best_of_n,weighted_vote,step_greedy,step_beam", help="names with commas between")
    add_models(parser)
    add_search(parser)
    parser.add_argument("--out", metavar="DIR", help="folder of the records, where a killed run goes on (runs/eval-...)")
    parser.add_argument("--block", type=int, default=32, help="problems at once (32)")
    parser.add_argument("--traces", action="store_true", help="keep every search under DIR/traces")
    parser.add_argument("--swap-images", action="store_true", help="also score with another problem's picture: does the reward model look?")


def run(args: argparse.Namespace) -> Outcome:
    """Make the records that are missing, then the summary of all."""
    need(args, set="--set")
    chosen = settings(args)
    from cos.evaluate import Plan, evaluate
    from cos.loading import fingerprint, load_policy, load_scorer
    from cos.problems import problems
    from cos.runs import Run
    from cos.store import dump, write
    from cos.summary import summarise, table

    methods = [name.strip() for name in args.methods.split(",") if name.strip()]
    if args.limit < 1:
        raise UserError(f"--limit is {args.limit}; it must be 1 or more")
    drawn = problems(args.set, args.limit, args.seed)
    models = {"policy": fingerprint(args.policy, "policy"), "reward": fingerprint(args.reward, "reward")}
    config = {"set": args.set, "methods": methods, **models, "settings": asdict(chosen), "swap_images": args.swap_images}
    out = Path(args.out or f"runs/eval-{args.set.replace(':', '-')}-{hashlib.sha256(dump(config).encode()).hexdigest()[:8]}")
    plan = Plan(drawn, methods, chosen, args.swap_images, args.block, out / "traces" if args.traces else None)
    policy = load_policy(args.policy)
    scorer = None if args.reward == "oracle" else load_scorer(args.reward)
    Run.start(out, config, args.seed)
    summary = summarise(evaluate(plan, policy, scorer, out / "records.jsonl", Progress("eval")), args.seed)
    result = {"set": args.set, "policy": args.policy, "reward": args.reward, **summary, "out": str(out)}
    write(out / "summary.json", "evaluation", [result])
    return Outcome(result, table(summary))
