"""`cos bench`: a step search by this engine against the way without memory between calls, on the same tokens, pair by pair.

Without memory, the picture is encoded, the prompt is read and the chain so far is read again for every candidate at every step, by the
policy and by the reward model. The bound is the time of the forwards that can't be avoided, in batches of the same sizes.

example: cos bench --case internvl-256 --n 16 --width 4 --steps 5 --length 80 --json
"""

from __future__ import annotations

import argparse
from typing import Any

from cos.commands.options import Outcome, Progress

_CASES = {"embedded": "the models that ship", "internvl-256": "115M parameters, a tile", "internvl-1536": "115M parameters, six tiles"}


def add(parser: argparse.ArgumentParser) -> None:
    """The options; the defaults are the worked example of the cost model (N=16, M=4, S=5, L=80)."""
    shown = "; ".join(f"{name}: {meaning}" for name, meaning in _CASES.items())
    parser.add_argument("--case", default="embedded", choices=_CASES, help=f"{shown} (embedded)")
    parser.add_argument("--n", type=int, default=16, help="candidates a step (16)")
    parser.add_argument("--width", type=int, default=4, help="of them kept (4)")
    parser.add_argument("--steps", type=int, default=5, help="pieces of a chain, the answer among them (5)")
    parser.add_argument("--length", type=int, default=80, help="tokens of a piece (80)")
    parser.add_argument("--pairs", type=int, default=3, help="measurements, of which medians are given (3)")


def run(args: argparse.Namespace) -> Outcome:
    """Measure."""
    from cos.bench.cases import case
    from cos.bench.pairs import Plan, measure
    from cos.errors import UserError

    if args.pairs < 1:
        raise UserError(f"--pairs is {args.pairs}; it must be 1 or more")
    plan = Plan(args.n, args.width, args.steps, args.length, args.seed)
    plan.settings()  # what is wrong with them is said before a model is made
    result = measure(case(args.case), plan, args.pairs, Progress("pairs"))
    return Outcome(result, _text(result))


def _text(result: dict[str, Any]) -> str:
    seconds, tokens = result["seconds"], result["formula"]
    same = "equal" if result["same_scores"] else f"DIFFERENT by {result['difference']:.1e}"
    ratio = f"{result['ratio_seconds']:.1f} times"
    return (
        f"{result['case']}: ours {seconds['ours']:.2f} s, without memory {seconds['stateless']:.2f} s: {ratio}\n"
        f"token-forwards {tokens['ours']:,} against {tokens['stateless']:,}: {result['ratio_token_forwards']:.1f} times\n"
        f"bound {seconds['bound']:.2f} s: ours takes {result['bound_ratio']:.2f} times that; rewards are {same}"
    )
