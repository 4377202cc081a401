"""Study: selectors on one pool, and the bound that no selector can pass.

Every selector chooses from the first N chains of the very same pool, so they differ in nothing but the choice; pass@N says what a choice
that never errs would give. Asked because gains of search are often those of answer frequency alone (docs/findings.md).
"""

from __future__ import annotations

from dataclasses import dataclass

from cos.metrics import pass_at_n
from cos.study.results import Point, Result, corrected, paired, panel, seeded, share
from cos.study.work import Asked, Cost, Evaluated, Study, Work, evaluated

SELECTORS = ("vote", "best_of_n", "weighted_vote")


@dataclass(frozen=True)
class Config:
    """Budgets to 64 and some hundred problems, as in the CoS paper's figure 5."""

    set: str = "all:test"
    limit: int = 600
    ns: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64)
    policy: str = "embedded"
    reward: str = "embedded"


def cost(config: Config) -> Cost:
    """A pool a problem, and a greedy chain."""
    return Cost(config.limit, config.limit * (max(config.ns) + 1))


def run(config: Config, work: Work) -> Result:
    """Accuracy by N, what each selector wins of the headroom, and each rewarded selector against the vote."""
    methods = ("greedy", *SELECTORS)
    found = evaluated(Asked(config.set, config.limit, methods, config.ns, config.policy, config.reward), work)
    points = [share(name, n, found.right(name, n)) for name in SELECTORS for n in config.ns]
    points += [share("greedy", n, found.right("greedy", n)) for n in (min(config.ns), max(config.ns))]
    points += [passed(found, n, work.seed) for n in config.ns]
    tested = [(name, n) for name in SELECTORS[1:] for n in config.ns if n > 1]
    differences = [paired(name, "vote", f"N = {n}", found.right(name, n), found.right("vote", n), work.seed) for name, n in tested]
    return Result((panel("accuracy by N", "N", points, log=True),), corrected(differences), (_headroom(found, max(config.ns)),))


def passed(found: Evaluated, n: int, seed: int) -> Point:
    """pass@n: the chance that n chains of the pool hold a right one, unbiased, over problems."""
    return seeded("pass@N", n, [pass_at_n(row["pool"]["n"], row["pool"]["right"], n) for row in found.records], seed)


def _headroom(found: Evaluated, n: int) -> str:
    """How much of what lies between one chain and pass@N each selector wins."""
    low, high = passed(found, 1, 0).value, passed(found, n, 0).value
    if high == low:
        return f"pass@{n} is pass@1: there is nothing to choose"
    accuracies = {name: sum(found.right(name, n)) / len(found.records) for name in SELECTORS}
    won = ", ".join(f"{name} {(value - low) / (high - low):.0%}" for name, value in accuracies.items())
    return f"of the {100 * (high - low):.1f} points between pass@1 ({low:.1%}) and pass@{n} ({high:.1%}) are won: {won}"


STUDY = Study(Config(), Config(limit=60, ns=(1, 4, 16)), cost, run)
