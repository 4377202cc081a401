"""Study: step search against best of N at equal FLOPs, over N; where they cross; and how long a right prefix survives.

Equal N is not equal cost: a step search draws a little more and has more pieces judged. So each step search with budget N is compared with
best of k, k the fewest first chains of the pool that cost at least as much. With the truth as reward (`oracle`) the same comparison says
what step search could give; what lies between is the reward model's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cos.pool import cost as cost_alone
from cos.search.methods import Settings
from cos.search.select import select
from cos.study.results import Difference, Panel, Point, Result, corrected, paired, panel, share
from cos.study.work import Asked, Cost, Evaluated, Study, Work, evaluated
from cos.truths import Truth

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Config:
    """The paper's budgets and its step search (`step_greedy`), and the beam of search-and-learn, M = 4."""

    set: str = "all:test"
    limit: int = 300
    ns: tuple[int, ...] = (1, 4, 16, 64)
    pool_n: int = 80
    """Chains for best of k: a quarter more than the largest N, since a step search costs more than best of the same N."""
    width: int = 4
    methods: tuple[str, ...] = ("step_greedy", "step_beam")
    rewards: tuple[str, ...] = ("embedded", "oracle")
    policy: str = "embedded"


@dataclass(frozen=True)
class Best:
    """Best of k on the pools, for k = 1 to N: `right` (problems, N), and the mean cost of each in FLOPs, (N,)."""

    right: Bools
    flops: NDArray[np.float64]

    def enough(self, flops: float) -> tuple[int, bool]:
        """The smallest k that costs at least as much, or N; and whether even N costs less."""
        fitting = np.flatnonzero(self.flops >= flops * (1 - 1e-9))
        return (int(fitting[0]) + 1, False) if fitting.size else (len(self.flops), True)


def cost(config: Config) -> Cost:
    """For each reward a pool, and every step search at every N."""
    chains = config.pool_n + len(config.methods) * sum(config.ns)
    return Cost(config.limit, config.limit * len(config.rewards) * chains)


def run(config: Config, work: Work) -> Result:
    """For each reward: accuracy by N and by FLOPs, the difference at equal FLOPs, the cross-over, the survival of right prefixes."""
    parts = [_one(config, reward, work) for reward in config.rewards]
    panels = tuple(one for part in parts for one in part.panels)
    notes = tuple(note for part in parts for note in part.notes)
    return Result(panels, corrected([row for part in parts for row in part.differences]), notes)


def _one(config: Config, reward: str, work: Work) -> Result:
    settings = Settings(width=config.width)
    methods = ("best_of_n", *config.methods)
    asked = Asked(config.set, config.limit, methods, config.ns, config.policy, reward, config.pool_n, settings)
    found = evaluated(asked, work)
    pool = best_of_each(found)
    differences, notes = [], []
    for method in config.methods:
        rows = list(_equal(found, pool, method, reward, work.seed))
        differences += rows
        notes.append(f"{reward}, {method}: {crossing([n for n in config.ns if n > 1], [row.value for row in rows])}")
    gains = [Point(row.ours, n, row.value, row.low, row.high, len(found.records)) for row, n in _by_n(differences, config.ns)]
    panels = (
        _costs(found, pool, config, reward),
        panel(f"accuracy gained over best of k at equal FLOPs, reward {reward}", "N", gains, log=True),
        _survival(found, config, reward),
    )
    return Result(panels, tuple(differences), tuple(notes))


def best_of_each(found: Evaluated) -> Best:
    """Best of k for every k, from the kept pools. A pool that failed is wrong and costs nothing."""
    size = found.asked.pool_n or max(found.asked.ns)
    right, flops = np.zeros((len(found.problems), size), dtype=bool), np.zeros((len(found.problems), size))
    for place, (trace, problem) in enumerate(zip(found.pools(), found.problems, strict=True)):
        if trace is not None:
            truth = Truth(problem)
            for k in range(1, size + 1):
                right[place, k - 1] = truth.right(select(trace, "best_of_n", found.asked.settings.aggregator, k))
                flops[place, k - 1] = cost_alone(trace, "best_of_n", k, *found.costs).flops
    return Best(right, flops.mean(axis=0))


def crossing(ns: Sequence[int], gains: Sequence[float]) -> str:
    """From which N on the sign of the gain over best of N stays what it is at the end, in words."""
    signs = [(gain > 0) - (gain < 0) for gain in gains]
    if not any(signs):
        return "equal to best of N at every N"
    at = len(signs) - 1
    while at and signs[at - 1] == signs[-1]:
        at -= 1
    place = {1: "ahead of", -1: "behind", 0: "level with"}[signs[-1]]
    return f"{place} best of N at equal FLOPs " + ("at every N" if at == 0 else f"from N = {ns[at]} on") + " (by the values alone)"


def _equal(found: Evaluated, pool: Best, method: str, reward: str, seed: int) -> Iterator[Difference]:
    """A method at every N against best of k at equal FLOPs (where FLOPs are unknown: at equal N)."""
    for n in [n for n in found.asked.ns if n > 1]:
        flops = found.mean(method, n, "flops")
        k, capped = pool.enough(flops) if flops else (n, False)
        less = ", which costs less" if capped else ""
        name = f"best of {k}{less}"
        yield paired(method, name, f"{reward}, N = {n}", found.right(method, n), [bool(one) for one in pool.right[:, k - 1]], seed)


def _by_n(rows: Sequence[Difference], ns: Sequence[int]) -> list[tuple[Difference, int]]:
    """Each difference with its N: methods one after the other, each over all N above 1."""
    budgets = [n for n in ns if n > 1]
    return [(row, budgets[place % len(budgets)]) for place, row in enumerate(rows)]


def _costs(found: Evaluated, pool: Best, config: Config, reward: str) -> Panel:
    """Accuracy against GFLOPs a problem (against N where FLOPs are unknown)."""
    known = bool(pool.flops.any())
    points = [
        share(method, found.mean(method, n, "flops") / 1e9 if known else n, found.right(method, n))
        for method in config.methods
        for n in config.ns
    ]
    for k in sorted({2**power for power in range(config.pool_n.bit_length())} | {config.pool_n}):
        points.append(share("best_of_n", pool.flops[k - 1] / 1e9 if known else k, [bool(one) for one in pool.right[:, k - 1]]))
    return panel(f"accuracy, reward {reward}", "GFLOPs a problem" if known else "N", points, log=True)


def _survival(found: Evaluated, config: Config, reward: str) -> Panel:
    """Share of the problems with a right prefix drawn that far, and with one left after the choice there."""
    points: list[Point] = []
    n = max(n for n in config.ns if n <= 16) if min(config.ns) <= 16 else min(config.ns)
    for method in config.methods:
        searches = [row["methods"][method][str(n)].get("survival") or [[0, 0]] for row in found.records]
        for depth in range(1, 1 + max(map(len, searches))):
            here = [search[min(depth, len(search)) - 1] for search in searches]
            points += [
                share(f"{method}, drawn", depth, [bool(drawn) for drawn, _ in here]),
                share(f"{method}, kept", depth, [bool(kept) for _, kept in here]),
            ]
    return panel(f"problems with a right prefix by depth, N = {n}, reward {reward}", "depth", points)


STUDY = Study(Config(), Config(limit=40, ns=(1, 4, 16), pool_n=20), cost, run)
