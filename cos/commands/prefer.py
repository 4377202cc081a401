"""`cos prefer`: preference pairs of scored chains: label records (cos label, of any source) or what `cos score` has written.

The score of a chain is weight * mean(steps) + (1 - weight) * answer, another aggregator, or the outcome alone. Chains without an answer are
left out.

example: cos prefer runs/rewards/labels.jsonl --threshold 0.2 --out runs/pairs.jsonl
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cos.chain import Labelled, Preference, Problem
from cos.commands.options import Outcome, need
from cos.errors import UserError
from cos.prefer import OUTCOME, Pairing, pairs, score
from cos.scores import AGGREGATORS, WORST
from cos.store import lines, write
from cos.template import render

if TYPE_CHECKING:
    from cos.problems.released_rows import Row


def add(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("file", nargs="?", metavar="FILE", help="label records, or scored rows")
    parser.add_argument("--out", metavar="F", help="where the pairs go")
    parser.add_argument("--to", choices=("own", "cos"), default="own", help="our own records, or released DPO rows (own)")
    parser.add_argument("--aggregator", default="cos", help=f"{', '.join(AGGREGATORS)}, or {OUTCOME}: is the answer right (cos)")
    parser.add_argument("--weight", type=float, default=Pairing.weight, help=f"share of the steps in cos ({Pairing.weight})")
    parser.add_argument("--threshold", type=float, default=Pairing.threshold, help="scores differ by more than this (0)")
    parser.add_argument("--pairs", choices=("best", "all"), default="best", help="best against worst, or every pair (best)")
    parser.add_argument("--length", type=float, default=Pairing.length, help="share by which one chain may be shorter (1: any)")


def run(args: argparse.Namespace) -> Outcome:
    """Read all, write the pairs; the file appears when it is whole."""
    need(args, file="FILE", out="--out")
    from cos.problems import grade
    from cos.problems.records import read_labelled
    from cos.problems.released import write_rows

    how = Pairing(args.aggregator, args.weight, args.threshold, args.pairs, args.length)

    def right(problem: Problem, answer: str | None) -> bool:
        return grade(problem, answer).right

    known: dict[str, list[Labelled]] = {}
    for one in _scored(args.file) if _is_scored(args.file) else read_labelled(args.file):
        known.setdefault(one.problem.id, []).append(one)
    if not known:
        raise UserError(f"{args.file}: no chains in this file")
    if how.aggregator == OUTCOME and any(own[0].problem.answer is None for own in known.values()):
        raise UserError(f"{args.file}: has problems without a gold answer, so their outcome is not known; take another --aggregator")
    made = [pair for own in known.values() for pair in pairs(own, how, right)]
    if args.to == "cos":
        rows = [_row(pair) for pair in made]
        Path(args.out).parent.mkdir(parents=True, exist_ok=True)
        write_rows(args.out, rows)
    else:
        write(args.out, "preference", (pair.to_json() for pair in made))
    left_out = sum(score(one, how, right) == WORST for own in known.values() for one in own)
    chains = sum(map(len, known.values()))
    result = {"problems": len(known), "chains": chains, "left_out": left_out, "pairs": len(made), **_sizes(made), "out": args.out}
    return Outcome(result, f"{len(made)} pairs of {chains} chains of {len(known)} problems, {left_out} chains left out; {args.out}")


def _sizes(made: list[Preference]) -> dict[str, float | None]:
    """Mean gap of the scores, and mean lengths in characters: does the score like long chains?"""

    def mean(values: Iterable[float]) -> float | None:
        given = list(values)
        return sum(given) / len(given) if given else None

    gap = mean(pair.chosen_score - pair.rejected_score for pair in made)
    lengths = (mean(len(render(chain)) for chain in side) for side in ([p.chosen for p in made], [p.rejected for p in made]))
    return {"gap": gap, **dict(zip(("chosen_length", "rejected_length"), lengths, strict=True))}


def _row(pair: Preference) -> Row:
    from cos.problems.records import preference_row
    from cos.problems.released_rows import BadRow

    try:
        return preference_row(pair)
    except BadRow as problem:
        raise UserError(f"{problem}, or take --to own") from None


def _is_scored(path: str) -> bool:
    first = next(iter(lines(path)), None)
    return first is not None and "step_scores" in first.row


def _scored(path: str) -> Iterator[Labelled]:
    """The rows of `cos score` as soft labels."""
    from cos.problems.released_rows import BadRow, parse_row

    for line in lines(path):
        try:
            if line.reason is not None:
                raise BadRow(line.reason)
            row, name = parse_row(line.row), line.row.get("question_id")
            if len(row.images) > 1 or name is None or "answer_score" not in line.row:
                raise BadRow("a scored row with a question_id, an answer_score and at most one picture is needed")
            problem = Problem(str(name), row.question, image=row.images[0] if row.images else None)
            labels: dict[str, Any] = {"steps": line.row["step_scores"], "answer": line.row["answer_score"]}
            about = {"id": f"{name}/{line.number}", "problem": problem.to_json(), "chain": row.chain.to_json()}
            yield Labelled.from_json({**about, "labels": labels, "source": "reward"})
        except (BadRow, KeyError, TypeError, ValueError) as problem_found:
            raise UserError(f"{path}, line {line.number}: {problem_found}") from None
