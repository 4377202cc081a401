"""Preferences: from the scored chains of one problem to pairs of a better and a worse one.

The score of a chain is 0.2 * mean(steps) + 0.8 * answer, and a pair is kept where the scores are further apart than a threshold (arXiv
2509.19003, whose threshold is not published). No pair has two chains that say the same.

    pairs(labelled, Pairing(), grade)          # of one problem, the widest gap first
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import Literal

from cos.answers import normalise
from cos.chain import Chain, Labelled, Preference
from cos.errors import UserError
from cos.rollouts import Grade
from cos.scores import AGGREGATORS, WORST, Aggregator, cos_score
from cos.template import render

OUTCOME = "outcome"
"""The score is 1 where the answer is the right one and else 0, whatever the labels: the paper's control."""


@dataclass(frozen=True)
class Pairing:
    """How pairs are made. Raises UserError for an aggregator that does not exist."""

    aggregator: str = "cos"
    """Makes one number of a chain's labels: one of `scores.AGGREGATORS`, or `outcome`."""
    weight: float = 0.2
    """Share of the steps in `cos`; 0.2 is the paper's best (its figure 3)."""
    threshold: float = 0.0
    """Scores must differ by more than this."""
    pairs: Literal["best", "all"] = "best"
    """The best chain against the worst, or every pair."""
    length: float = 1.0
    """How much shorter than the longer chain of a pair the other may be, as a share of its characters; 1: any. Without such a bound a
    reward that likes long chains makes a policy that writes long ones."""

    def __post_init__(self) -> None:
        if self.aggregator not in (*AGGREGATORS, OUTCOME):
            raise UserError(f"no aggregator is called {self.aggregator!r}; there are {', '.join((*AGGREGATORS, OUTCOME))}")
        if not 0 <= self.weight <= 1 or not 0 <= self.length <= 1 or self.threshold < 0:
            raise UserError("weight and length must lie between 0 and 1, and threshold must not be negative")


def score(labelled: Labelled, how: Pairing, grade: Grade) -> float:
    """The score of one chain, steps without a label left out; `scores.WORST` where it can't be judged or has no answer."""
    if labelled.chain.answer is None or not labelled.chain.steps:
        return WORST
    if how.aggregator == OUTCOME:
        return float(grade(labelled.problem, labelled.chain.answer))
    aggregate: Aggregator = partial(cos_score, weight=how.weight) if how.aggregator == "cos" else AGGREGATORS[how.aggregator]
    return aggregate([label for label in labelled.labels.steps if label is not None], labelled.labels.answer)


def pairs(candidates: Sequence[Labelled], how: Pairing, grade: Grade) -> list[Preference]:
    """The pairs of one problem's chains, the widest gap first; of equal gaps the one whose chains came first. Chains that can't be judged
    are in none."""
    judged = [(value, one) for value, one in ((score(one, how, grade), one) for one in candidates) if value > WORST]
    found = []
    for (value, one), (other_value, other) in combinations(judged, 2):
        if abs(value - other_value) > how.threshold and not same(one.chain, other.chain) and _matched(one.chain, other.chain, how.length):
            (high, better), (low, worse) = sorted(((value, one), (other_value, other)), key=lambda pair: -pair[0])
            found.append(Preference(better.problem, better.chain, worse.chain, high, low))
    found.sort(key=lambda pair: pair.rejected_score - pair.chosen_score)
    return found if how.pairs == "all" else found[:1]


def same(one: Chain, other: Chain) -> bool:
    """Whether two chains have equal answers and equal steps, case and white space aside."""
    return _form(one) == _form(other)


def _form(chain: Chain) -> tuple[object, ...]:
    said = (" ".join(text.split()).casefold() for step in chain.steps for text in (step.name, step.thought, step.reflection))
    return (len(chain.steps), None if chain.answer is None else normalise(chain.answer), *said)


def _matched(one: Chain, other: Chain, length: float) -> bool:
    short, long = sorted((len(render(one)), len(render(other))))
    return short >= (1 - length) * long
