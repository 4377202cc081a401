"""Study: the weight of steps against the answer in a chain's score, and every aggregator, on one pool.

The score is w * mean(steps) + (1 - w) * answer; the CoS paper finds w = 0.2 best (its figure 3, best of 16, one set, no intervals). Rules
are tried on kept rewards, so the sweep costs nothing beyond the pool.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from cos.scores import AGGREGATORS, Aggregator, cos_score
from cos.study.pools import Drawn, best, chains, first, voted
from cos.study.results import Difference, Point, Result, corrected, paired, panel, share
from cos.study.work import Asked, Cost, Study, Work, evaluated

WEIGHTS = tuple(round(0.1 * step, 1) for step in range(11))
PAPER = 0.2
"""The paper's best weight; what all others are compared with."""
TESTED = (0.0, 0.5, 1.0)
OTHERS = ("last", "min", "prod", "max", "sum", "log_odds")
"""Weights and aggregators that are tested against the paper's: few, since every test makes the correction harder on the rest."""
SIGNED = ("sum_log", "log_odds")
"""Aggregators with negative values, which can't be weights of a vote."""
Chosen = Callable[[Sequence[Drawn], Aggregator], bool]


@dataclass(frozen=True)
class Config:
    """Best of 16 as in the paper's figure 3, and the pool of 64 that the study of selectors draws."""

    set: str = "all:test"
    limit: int = 600
    n: int = 16
    pool_n: int = 64
    policy: str = "embedded"
    reward: str = "embedded"


def cost(config: Config) -> Cost:
    """The pool; that of the study of selectors serves."""
    return Cost(config.limit, config.limit * config.pool_n)


def run(config: Config, work: Work) -> Result:
    """Accuracy of best of N and of the weighted vote, by weight and by aggregator."""
    asked = Asked(config.set, config.limit, ("vote", "best_of_n"), (config.n,), config.policy, config.reward, config.pool_n)
    found = evaluated(asked, work)
    draws = [first(chains(trace, problem), config.n) for trace, problem in zip(found.pools(), found.problems, strict=True)]

    def right(chosen: Chosen, aggregate: Aggregator) -> list[bool]:
        return [chosen(own, aggregate) for own in draws]

    rules: dict[str, Chosen] = {"best_of_n": best, "weighted_vote": voted}
    by_weight = {(name, w): right(rule, partial(cos_score, weight=w)) for name, rule in rules.items() for w in WEIGHTS}
    by_name = {(name, a): right(rule, AGGREGATORS[a]) for name, rule in rules.items() for a in AGGREGATORS if fits(name, a)}
    vote: list[Point] = [share("vote", w, found.right("vote", config.n)) for w in (WEIGHTS[0], WEIGHTS[-1])]
    panels = (
        panel(
            "accuracy by the weight of the steps", "weight of the steps", [share(*key, value) for key, value in by_weight.items()] + vote
        ),
        panel("accuracy by aggregator", "aggregator", [share(*key, value) for key, value in by_name.items()]),
    )
    differences: list[Difference] = []
    for name in rules:
        mine = by_weight[name, PAPER]
        differences += [paired(f"w = {w}", f"w = {PAPER}", name, by_weight[name, w], mine, work.seed) for w in TESTED]
        differences += [
            paired(a, "cos", name, right, mine, work.seed) for (rule, a), right in by_name.items() if rule == name and a in OTHERS
        ]
    return Result(panels, corrected(differences), tuple(_top(name, by_weight) for name in rules))


def fits(rule: str, aggregator: str) -> bool:
    """Whether a rule can use an aggregator."""
    return rule == "best_of_n" or aggregator not in SIGNED


def _top(name: str, by_weight: dict[tuple[str, float], list[bool]]) -> str:
    """The best weights: several where problems do not tell them apart."""
    totals = {w: sum(by_weight[name, w]) for w in WEIGHTS}
    top = ", ".join(str(w) for w, total in totals.items() if total == max(totals.values()))
    low, high = min(totals.values()), max(totals.values())
    return f"{name}: most right at w = {top} ({high} problems), fewest {low}; w = {PAPER} has {totals[PAPER]}"


STUDY = Study(Config(), Config(limit=60, pool_n=16), cost, run)
