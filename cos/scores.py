"""Scores: from the rewards of a chain to one number (aggregators), and from many chains to one (votes, the best).

Aggregate late: keep the raw rewards, so that the rule can change without a new run. Formulas and their published comparison are
listed by MM-PRM (arXiv 2505.13427), "Lessons of Developing PRMs" (2501.07301) and the CoS paper (2509.19003).

What holds for every aggregator `(steps, answer) -> float`, with rewards in [0, 1], and `answer` None where the chain has no answer yet:

- higher is better, and no result is NaN;
- all but `answer`, `cos` and `last` read the steps alone; where there are none, the answer's reward stands as the only step;
- nothing to judge by (neither steps nor answer), or a NaN or infinity among the rewards it reads: `WORST`, below all true scores.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from cos.answers import normalise

Aggregator = Callable[[Sequence[float], float | None], float]

WORST = -math.inf
"""The score of a chain that cannot be judged."""

EDGE = 1e-6
"""Logarithms and odds take rewards clipped to [EDGE, 1 - EDGE], so that one saturated reward does not hide all others."""


def last(steps: Sequence[float], answer: float | None) -> float:
    """The reward given last: the answer's, else the last step's."""
    values = _readable(steps if answer is None else [answer])
    return values[-1] if values else WORST


def lowest(steps: Sequence[float], answer: float | None) -> float:
    """`min`: a chain is as good as its weakest step."""
    return min(_values(steps, answer), default=WORST)


def highest(steps: Sequence[float], answer: float | None) -> float:
    """`max`: the best step. A weak rule, kept as a control."""
    return max(_values(steps, answer), default=WORST)


def mean(steps: Sequence[float], answer: float | None) -> float:
    """The mean step."""
    values = _values(steps, answer)
    return _mean(values) if values else WORST


def product(steps: Sequence[float], answer: float | None) -> float:
    """`prod`: the chance that every step is right, were they independent. Punishes long chains."""
    values = _values(steps, answer)
    return math.prod(values) if values else WORST


def total(steps: Sequence[float], answer: float | None) -> float:
    """`sum`: rewards length."""
    values = _values(steps, answer)
    return math.fsum(values) if values else WORST


def sum_log(steps: Sequence[float], answer: float | None) -> float:
    """Sum of log p: the order of `product`, but for the clipping. At most 0."""
    values = _values(steps, answer)
    return math.fsum(math.log(_clip(p)) for p in values) if values else WORST


def log_odds(steps: Sequence[float], answer: float | None) -> float:
    """Sum of log(p / (1 - p)) (DreamPRM, arXiv 2505.20241). Of any sign; a step at 1/2 counts nothing."""
    values = _values(steps, answer)
    return math.fsum(math.log(_clip(p) / (1.0 - _clip(p))) for p in values) if values else WORST


def mean_odds(steps: Sequence[float], answer: float | None) -> float:
    """Mean of p / (1 - p). MM-PRM names it without a formula; this is the plain reading."""
    values = _values(steps, answer)
    return _mean([_clip(p) / (1.0 - _clip(p)) for p in values]) if values else WORST


def min_mean(steps: Sequence[float], answer: float | None) -> float:
    """Half the lowest step and half the mean one. URSA (arXiv 2501.04686) names "min and average" without weights; equal ones are ours."""
    values = _values(steps, answer)
    return 0.5 * (min(values) + _mean(values)) if values else WORST


def answer_only(steps: Sequence[float], answer: float | None) -> float:
    """`answer`: the answer's reward; `WORST` without one, whatever the steps."""
    values = _readable([] if answer is None else [answer])
    return values[0] if values else WORST


def cos_score(steps: Sequence[float], answer: float | None, weight: float = 0.2) -> float:
    """`weight` x mean step + (1 - `weight`) x answer; 0.2 is the CoS paper's best. Where one part is missing, the other alone."""
    if answer is None or not steps:
        return mean(steps, answer)
    if not _readable([*steps, answer]):
        return WORST
    return weight * _mean(steps) + (1.0 - weight) * answer


AGGREGATORS: dict[str, Aggregator] = {
    "last": last,
    "min": lowest,
    "mean": mean,
    "prod": product,
    "max": highest,
    "sum": total,
    "sum_log": sum_log,
    "log_odds": log_odds,
    "mean_odds": mean_odds,
    "cos": cos_score,
    "min_mean": min_mean,
    "answer": answer_only,
}


def vote(answers: Sequence[str | None]) -> tuple[str | None, dict[str, int]]:
    """The answer of the largest cluster, as its first member wrote it, and the size of each cluster by normal form.

    Answers are one cluster where `answers.normalise` makes them equal. None (no answer) is in no cluster and wins only where all
    are None. Ties go to the cluster seen first.
    """
    totals = _clusters(answers, [1.0] * len(answers))
    return _winner(answers, totals), {form: int(votes) for form, votes in totals.items()}


def weighted_vote(answers: Sequence[str | None], scores: Sequence[float]) -> tuple[str | None, dict[str, float]]:
    """The answer of the cluster with the greatest sum of scores, and the sums by normal form; clusters, None and ties as in `vote`.

    Scores are weights and must not be negative: with log scores a sum would punish a cluster for its size (ValueError; take `prod` or
    `cos` instead). A score that is NaN or infinite (`WORST`) weighs nothing. Sums do not depend on the order.
    """
    weights = [score if math.isfinite(score) else 0.0 for score in scores]
    if any(weight < 0 for weight in weights):
        raise ValueError("a weighted vote needs scores that are not negative; log scores are no weights")
    totals = _clusters(answers, weights)
    return _winner(answers, totals), totals


def best(scores: Sequence[float]) -> int:
    """Index of the highest score; ties go to the first, NaN ranks below all. ValueError where there are no scores."""
    if not scores:
        raise ValueError("there is no best of no scores")
    return max(range(len(scores)), key=lambda i: _rank(scores[i]))


def tie_rate(pools: Sequence[Sequence[float]], answers: Sequence[Sequence[str | None]] | None = None) -> float:
    """Share of the pools (one list of scores a problem) whose top score is held by several chains; 0 without pools.

    With `answers` (same shape) only harmful ties count: those whose holders differ in answer, so that the tie rule decides it.
    """
    tied = 0
    for i, scores in enumerate(pools):
        top = _rank(scores[best(scores)])
        holders = [j for j, score in enumerate(scores) if _rank(score) == top]
        tied += len(holders if answers is None else {_form(answers[i][j]) for j in holders}) > 1
    return tied / len(pools) if pools else 0.0


def _values(steps: Sequence[float], answer: float | None) -> Sequence[float]:
    """The rewards of the steps, or of the answer where there are no steps; empty where they cannot be judged by."""
    return _readable(steps if steps or answer is None else [answer])


def _readable(values: Sequence[float]) -> Sequence[float]:
    return values if all(map(math.isfinite, values)) else ()


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _clip(p: float) -> float:
    return min(max(p, EDGE), 1.0 - EDGE)


def _rank(score: float) -> float:
    return WORST if math.isnan(score) else score


def _form(answer: str | None) -> str | None:
    return None if answer is None else normalise(answer)


def _clusters(answers: Sequence[str | None], weights: Sequence[float]) -> dict[str, float]:
    members: dict[str, list[float]] = {}
    for answer, weight in zip(answers, weights, strict=True):
        if answer is not None:
            members.setdefault(normalise(answer), []).append(weight)
    return {form: math.fsum(parts) for form, parts in members.items()}


def _winner(answers: Sequence[str | None], totals: dict[str, float]) -> str | None:
    if not totals:
        return None
    top = max(totals, key=lambda form: totals[form])  # dicts keep the order of insertion, max the first of equals
    return next(answer for answer in answers if _form(answer) == top)
