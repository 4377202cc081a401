"""Study: what is left where pictures look as none did in training.

The worlds' split `shift` asks the questions of `test` about pictures of styles that no other split has (docs/formats.md). Policy and reward
model stay as they are. Asked because a reward model that fails with its policy gives a search nothing to go by.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cos.answers import match
from cos.chain import REFUSAL
from cos.metrics import auc
from cos.study.results import Difference, Point, Result, Statistic, apart, corrected, paired, panel, share, statistic
from cos.study.selectors import passed
from cos.study.work import Asked, Cost, Evaluated, Study, Work, evaluated

METHODS = ("greedy", "vote", "best_of_n", "weighted_vote", "step_beam")
KINDS = {"all steps": ("see", "compute"), "reading": ("see",), "computing": ("compute",), "answers": ("answer",)}


@dataclass(frozen=True)
class Config:
    """The paper's middle budget, on as many problems of each set as a difference of ten points needs."""

    sets: tuple[str, ...] = ("all:test", "all:shift")
    limit: int = 300
    n: int = 16
    policy: str = "embedded"
    reward: str = "embedded"


def cost(config: Config) -> Cost:
    """For each problem a greedy chain, a pool and a step search."""
    count = config.limit * len(config.sets)
    return Cost(count, count * (2 * config.n + 1))


def run(config: Config, work: Work) -> Result:
    """Accuracy of every method and AUC of the rewards on each set; what each method has over the vote there."""
    found = {name: evaluated(Asked(name, config.limit, METHODS, (config.n,), config.policy, config.reward), work) for name in config.sets}
    accuracy = [share(method, name, one.right(method, config.n)) for method in METHODS for name, one in found.items()]
    for name, one in found.items():
        top = passed(one, config.n, work.seed)
        accuracy += [Point(f"pass@{config.n}", name, top.value, top.low, top.high, top.count), _refused(name, one)]
    known = [auc_point(kind, name, one, work.seed) for kind in KINDS for name, one in found.items()]
    panels = (panel("accuracy by set", "set", accuracy), panel("AUC of the rewards by set", "set", known, percent=False))
    return Result(panels, corrected(_differences(found, config.n, work.seed)))


def auc_point(kind: str, x: str, found: Evaluated, seed: int) -> Point:
    """AUC of the rewards of the pool's steps (a kind of KINDS) against the truth; the interval is over problems."""
    return statistic(kind, x, len(found.records), [step_auc(found, KINDS[kind])], seed)


def step_auc(found: Evaluated, kinds: tuple[str, ...]) -> Statistic:
    """Indices of problems -> AUC over all their steps of these kinds."""
    rows = [np.array([step[:2] for step in row["steps"] if step[2] in kinds], dtype=float).reshape(-1, 2) for row in found.records]

    def of(index: NDArray[np.intp]) -> float:
        steps = np.concatenate([rows[at] for at in index])
        return auc(steps[:, 0], steps[:, 1])

    return of


def _refused(name: str, found: Evaluated) -> Point:
    """How often greedy says that it can't tell."""
    return share(
        "greedy refuses", name, [match(row["methods"]["greedy"][str(found.asked.ns[0])]["answer"], REFUSAL) for row in found.records]
    )


def _differences(found: dict[str, Evaluated], n: int, seed: int) -> list[Difference]:
    inside = [
        paired(method, "vote", name, one.right(method, n), one.right("vote", n), seed)
        for name, one in found.items()
        for method in METHODS
        if method != "vote"
    ]
    first, *others = found
    moved = [
        apart(name, first, method, found[name].right(method, n), found[first].right(method, n), seed)
        for name in others
        for method in METHODS
    ]
    return inside + moved


STUDY = Study(Config(), Config(limit=45, n=8), cost, run)
