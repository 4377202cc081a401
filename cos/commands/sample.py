"""`cos sample`: a pool of chains for every problem of a set: DIR/pool.jsonl, which `cos train prm --pool` reads.

example: cos sample --set all:train --limit 12000 --n 4 --policy runs/policy/model --out runs/pool
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cos import template
from cos.chain import Chain, Problem
from cos.commands.options import Outcome, Progress, need
from cos.errors import UserError
from cos.protocols import Draw, Policy, Prompt
from cos.search.methods import Settings


@dataclass(frozen=True)
class Sampling:
    """How chains are drawn: `n` for each problem. The defaults are those of the released roll-outs (temperature 1)."""

    n: int = 16
    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = Settings.max_tokens
    max_steps: int = Settings.max_steps


_MEANING = {
    "n": "chains for each problem",
    "temperature": "of sampling",
    "top_p": "sample from the smallest set of tokens with this probability",
    "max_tokens": "limit for each step",
    "max_steps": "a chain with more steps is cut",
}


def add(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--set", metavar="S:SPLIT", help="charts, scenes, digits, refusals or all; train, validation, test or shift")
    parser.add_argument("--limit", type=int, default=100, help="number of problems (100)")
    parser.add_argument("--policy", default="embedded", help="embedded, scripted, a folder or a Hub id (embedded)")
    for name, meaning in _MEANING.items():
        default = getattr(Sampling, name)
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default, help=f"{meaning} ({default})")
    parser.add_argument("--out", metavar="DIR", help="the folder; a killed run goes on where it was")
    parser.add_argument("--block", type=int, default=64, help="problems at once (64)")


def run(args: argparse.Namespace) -> Outcome:
    """Draw what is missing."""
    need(args, set="--set", out="--out")
    from cos.loading import fingerprint, load_policy
    from cos.problems import problems
    from cos.runs import Run
    from cos.store import Log

    how = Sampling(**{name: getattr(args, name) for name in _MEANING})
    if min(args.limit, args.block, how.n) < 1:
        raise UserError("--limit, --block and --n must be 1 or more")
    wanted, progress = problems(args.set, args.limit, args.seed), Progress("sample")
    policy = load_policy(args.policy)
    out = Path(args.out)
    Run.start(out, {"set": args.set, "policy": fingerprint(args.policy, "policy"), **vars(how)}, args.seed)
    tokens = chains = answered = 0
    with Log(out / "pool.jsonl", "pool", key="id") as log:
        left = [problem for problem in wanted if problem.id not in log.done]
        for start in range(0, len(left), args.block):
            progress(len(wanted) - len(left) + start, len(wanted))
            block = left[start : start + args.block]
            for problem, (drawn, count) in zip(block, draw_chains(policy, block, how, args.seed), strict=True):
                log.add({"id": problem.id, "chains": [chain.to_json() for chain in drawn]})
                tokens, chains = tokens + count, chains + len(drawn)
                answered += sum(chain.answer is not None for chain in drawn)
    progress(len(wanted), len(wanted))
    file = str(out / "pool.jsonl")
    result = {"problems": len(wanted), "new": len(left), "chains": chains, "answered": answered, "tokens": tokens, "out": file}
    return Outcome(result, f"{chains} chains drawn, {answered} of them with an answer, {tokens} tokens; {file}")


def draw_chains(policy: Policy, block: Sequence[Problem], how: Sampling, seed: int) -> list[tuple[list[Chain], int]]:
    """For each problem its chains (complete steps and the answer, if there is one) and the number of tokens drawn."""
    from cos.problems import draw

    opened = policy.open([Prompt(problem.question, draw(problem)) for problem in block])
    try:
        asks = [
            Draw(root.handle, own, (number,), how.temperature, how.top_p, how.max_tokens, how.max_steps, "answer")
            for root, own in zip(opened, (zlib.crc32(f"{seed}/{problem.id}".encode()) for problem in block), strict=True)
            for number in range(how.n)
        ]
        rows = policy.draw(asks)
    finally:
        policy.close([root.handle for root in opened])
    found = []
    for first in range(0, len(rows), how.n):
        own = rows[first : first + how.n]
        chains = [template.read("".join(piece.text for piece in row)).chain for row in own]
        found.append((chains, sum(len(piece.tokens) for row in own for piece in row)))
    return found
