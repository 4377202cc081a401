"""The chains of one pool as plain rows, so that any rule of choosing can be tried on them without a model.

draws = chains(trace, problem)
best(draws[:16], partial(cos_score, weight=0.5)), voted(draws[:16], AGGREGATORS["prod"])          # right or not
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cos import scores
from cos.answers import normalise
from cos.chain import Problem
from cos.scores import Aggregator
from cos.search.trace import SearchTrace
from cos.truths import Truth


@dataclass(frozen=True)
class Drawn:
    """A chain of a pool that came to an answer: which draw it was, whether that is right, the rewards of its steps and of its answer."""

    number: int
    answer: str
    right: bool
    steps: tuple[float, ...]
    reward: float | None


def chains(trace: SearchTrace | None, problem: Problem) -> list[Drawn]:
    """The answered chains of a pool in the order drawn; none where there is no pool. A reward that is missing is NaN."""
    if trace is None:
        return []
    truth, rows = Truth(problem), []
    for leaf in trace.pool():
        steps, reward = trace.rewards(leaf)
        known = tuple(math.nan if one is None else one for one in steps)
        for path in (leaf.path, *leaf.merged):
            rows.append(Drawn(path[0], leaf.answer or "", truth.right(leaf.answer), known, reward))
    return sorted(rows, key=lambda row: row.number)


def first(draws: Sequence[Drawn], n: int) -> list[Drawn]:
    """Those among the first `n` draws of the pool."""
    return [one for one in draws if one.number < n]


def best(draws: Sequence[Drawn], aggregate: Aggregator) -> bool:
    """Whether the chain with the highest score is right; of equals the first drawn. No chains: wrong."""
    return bool(draws) and draws[scores.best([aggregate(one.steps, one.reward) for one in draws])].right


def voted(draws: Sequence[Drawn], aggregate: Aggregator) -> bool:
    """Whether the answer with the greatest sum of scores is right. Raises ValueError for negative scores."""
    answer, _ = scores.weighted_vote([one.answer for one in draws], [aggregate(one.steps, one.reward) for one in draws])
    return answer is not None and next(one.right for one in draws if normalise(one.answer) == normalise(answer))
