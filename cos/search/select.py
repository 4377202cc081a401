"""Selectors: which chain of a pool to take, and its answer. The methods end with them; evaluation runs them again on a kept pool.

    select(trace, "weighted_vote", "min", n=4)      # what a weighted vote over the first 4 chains of this best_of_n trace would say
    rechosen(trace, "best_of_n", "mean")            # any finished search as it would have ended by another rule

No model is asked: the rewards are in the trace. Ties go to the chain drawn first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from cos.answers import normalise
from cos.errors import UserError
from cos.scores import AGGREGATORS, vote, weighted_vote
from cos.search.trace import Node, SearchTrace


@dataclass(frozen=True)
class Choice:
    """The leaf that a search takes its answer from, the score that decided (None where none did), and why in one phrase."""

    leaf: Node
    score: float | None
    why: str


def chain_score(trace: SearchTrace, leaf: Node, aggregator: str) -> float:
    """Aggregate of the rewards on the way to `leaf`, its answer's apart from the steps'. A reward that is missing counts as NaN."""
    steps, answer = trace.rewards(leaf)
    return AGGREGATORS[aggregator]([math.nan if r is None else r for r in steps], answer)


def first(trace: SearchTrace, draws: Sequence[Node], aggregator: str) -> Choice | None:
    """The chain drawn first, if it came to an answer: what `sample` would have done with the same seed."""
    found = [leaf for leaf in draws if not any(leaf.path)]
    return Choice(found[0], None, "the first chain") if found else None


def largest(trace: SearchTrace, draws: Sequence[Node], aggregator: str) -> Choice | None:
    """Majority vote (self-consistency, arXiv 2203.11171): the answer given most often, by normal form."""
    answer, sizes = vote([leaf.answer for leaf in draws])
    if answer is None:
        return None
    votes = sizes[normalise(answer)]
    leaf = next(leaf for leaf in draws if normalise(leaf.answer or "") == normalise(answer))
    return Choice(leaf, votes / len(draws), f"{votes} of {len(draws)} votes")


def highest(trace: SearchTrace, draws: Sequence[Node], aggregator: str) -> Choice | None:
    """Best of N: the chain with the highest aggregate."""
    if not draws:
        return None
    scored = [(chain_score(trace, leaf, aggregator), leaf) for leaf in draws]
    score, leaf = max(scored, key=lambda pair: pair[0])
    return (
        Choice(leaf, score, f"{aggregator} {score:.3f}, the best of {len(draws)}")
        if score > -math.inf
        else Choice(leaf, None, "no rewards")
    )


def heaviest(trace: SearchTrace, draws: Sequence[Node], aggregator: str) -> Choice | None:
    """Weighted vote: the answer whose chains' aggregates have the greatest sum (search-and-learn's "weighted"), by its best chain.

    Raises ValueError for an aggregator with negative values.
    """
    scores = [chain_score(trace, leaf, aggregator) for leaf in draws]
    answer, sums = weighted_vote([leaf.answer for leaf in draws], scores)
    if answer is None:
        return None
    cluster = [(score, leaf) for score, leaf in zip(scores, draws, strict=True) if normalise(leaf.answer or "") == normalise(answer)]
    weight = sums[normalise(answer)]
    return Choice(
        max(cluster, key=lambda pair: pair[0])[1], weight, f"{len(cluster)} of {len(draws)} chains, {aggregator} sums to {weight:.3f}"
    )


SELECTORS: dict[str, Callable[[SearchTrace, Sequence[Node], str], Choice | None]] = {
    "sample": first,
    "vote": largest,
    "best_of_n": highest,
    "weighted_vote": heaviest,
}


def check(method: str, aggregator: str) -> None:
    """Raise UserError for a weighted vote with scores that are no weights."""
    if method == "weighted_vote" and AGGREGATORS[aggregator]([0.1], 0.1) < 0:
        raise UserError(f"weighted_vote adds scores up, and {aggregator} gives negative ones: take another of the two")


def choose(trace: SearchTrace, method: str, aggregator: str, n: int | None = None) -> Choice | None:
    """The choice of `method` among the answered chains of a pool, None where there are none.

    A leaf that stands for several equal draws counts as often. With `n` only the first `n` chains count; the trace must then be of a
    method that draws whole chains from the root.
    """
    if method not in SELECTORS:
        raise UserError(f"{method!r} can't be recomputed from a pool; these can: {', '.join(SELECTORS)}")
    check(method, aggregator)
    draws = [(tuple(path), leaf) for leaf in trace.pool() for path in (leaf.path, *leaf.merged)]
    kept = sorted(((path, leaf.id) for path, leaf in draws if n is None or path[0] < n))
    return SELECTORS[method](trace, [trace.nodes[id] for _, id in kept], aggregator)


def select(trace: SearchTrace, method: str, aggregator: str = "cos", n: int | None = None) -> str | None:
    """The answer of `choose`."""
    choice = choose(trace, method, aggregator, n)
    return choice.leaf.answer if choice else None


def rechosen(trace: SearchTrace, method: str, aggregator: str) -> SearchTrace:
    """The trace as it would be had the search ended in another choice among its finished paths. What was drawn and pruned stays."""
    again = SearchTrace.replay(event for event in trace.events if event["kind"] not in ("answered", "ended"))
    choice = choose(again, method, aggregator)
    head = {"round": max(node.round for node in again.nodes), "seconds": trace.seconds}
    if choice is not None:
        again.apply({"kind": "answered", **head, **answered(choice)})
    for event in trace.events:
        if event["kind"] == "ended":
            again.apply({**event, "why": choice.why} if choice is not None and event["ended"] == "answered" else event)
    return again


def answered(choice: Choice) -> dict[str, Any]:
    """What the event `answered` says of a choice."""
    leaf = choice.leaf
    score = choice.score if choice.score is None or math.isfinite(choice.score) else None
    return {"answer": leaf.answer, "chosen": leaf.id, "reward": leaf.reward, "score": score, "why": choice.why}
