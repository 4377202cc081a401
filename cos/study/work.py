"""What the studies share: where their parts are kept, how a run goes on after a kill, what they cost, and the evaluations they are made of.

Every part (a pool of chains, an evaluation, a training) has a folder named after all that it depends on, below the home of all studies. So
a study that was killed goes on, two studies that need the same part share it, and a replaced model is a new part.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from cos.chain import Problem
from cos.evaluate import Plan, evaluate
from cos.loading import fingerprint, load_policy, load_scorer
from cos.problems import problems
from cos.protocols import Costs
from cos.runs import Run
from cos.search.methods import Settings
from cos.search.trace import SearchTrace
from cos.store import dump
from cos.study.results import Result

Progress = Callable[[int, int], None]
CHAINS = 20.0
"""Chains of the embedded models drawn and scored a second on one core: 22 by best_of_n, 20 by step_beam, in `cos eval` on 240 problems."""
BATCHES = 0.7
"""Training batches of 32 chains a second on one core, for the embedded models (docs/log.md)."""


@dataclass(frozen=True)
class Cost:
    """What a study will do: problems, chains drawn (roll-outs and step searches counted as chains), batches of training."""

    problems: int
    chains: int
    batches: int = 0

    @property
    def minutes(self) -> float:
        """On one core with the embedded models, roughly."""
        return (self.chains / CHAINS + self.batches / BATCHES) / 60

    def __str__(self) -> str:
        trained = f", {self.batches:,} batches of training" if self.batches else ""
        return f"{self.problems:,} problems, {self.chains:,} chains{trained}; some {max(1, round(self.minutes))} minutes on one core"


@dataclass(frozen=True)
class Work:
    """Where a study works. `progress(what)` is what to tell of a part's progress."""

    home: Path
    seed: int
    progress: Callable[[str], Progress] = lambda what: lambda done, total: None

    def place(self, kind: str, **made_of: Any) -> Path:
        """Where a part belongs: another folder for every difference in `made_of` or seed."""
        digest = hashlib.sha256(dump({**made_of, "seed": self.seed}).encode()).hexdigest()[:8]
        return self.home / f"{kind}-{digest}"

    def folder(self, kind: str, **made_of: Any) -> Path:
        """The run folder of a part, begun or gone on with. (Trainings and rounds begin their own, in their `place`.)"""
        return Run.start(self.place(kind, **made_of), made_of, self.seed).folder


C = TypeVar("C")


@dataclass(frozen=True)
class Study(Generic[C]):
    """A study: its settings in full, those of `--quick` (within 5 minutes on two cores), what it costs, and the work."""

    full: C
    quick: C
    cost: Callable[[C], Cost]
    run: Callable[[C, Work], Result]


@dataclass(frozen=True)
class Asked:
    """One evaluation: the methods on the first `limit` problems of a set, with a pool of `pool_n` chains (0: the largest of `ns`)."""

    set: str
    limit: int
    methods: tuple[str, ...]
    ns: tuple[int, ...]
    policy: str = "embedded"
    reward: str = "embedded"
    pool_n: int = 0
    settings: Settings = field(default_factory=Settings)


@dataclass(frozen=True)
class Evaluated:
    """Its problems and records, in one order; `costs` are those of policy and reward model."""

    asked: Asked
    problems: list[Problem]
    records: list[dict[str, Any]]
    folder: Path
    costs: tuple[Costs, Costs]

    def right(self, method: str, n: int) -> list[bool]:
        """Of each problem: did `method` with this budget get it right?"""
        return [bool(row["methods"][method][str(n)]["right"]) for row in self.records]

    def mean(self, method: str, n: int, key: str) -> float:
        """Mean of one counter of the cost (`flops`, `tokens`, ...) over the problems."""
        return sum(float(row["methods"][method][str(n)][key]) for row in self.records) / len(self.records)

    def pools(self) -> Iterator[SearchTrace | None]:
        """The pool of each problem; None where drawing it failed. Needs `best_of_n` among the methods."""
        for row in self.records:
            file = row["methods"]["best_of_n"][str(max(self.asked.ns))].get("trace")
            yield SearchTrace.load(self.folder / file) if file else None


def evaluated(asked: Asked, work: Work) -> Evaluated:
    """The evaluation, what is missing of it made. Raises UserError as `cos.evaluate` does."""
    models = {"policy": fingerprint(asked.policy, "policy"), "reward": fingerprint(asked.reward, "reward")}
    settings = replace(asked.settings, seed=work.seed)
    how = {key: value for key, value in asdict(settings).items() if key not in ("n", "seed")}
    size = asked.pool_n or max(asked.ns)
    pools = work.folder("pool", set=asked.set, **models, n=size, settings=how)
    out = work.folder("eval", set=asked.set, **models, methods=asked.methods, ns=asked.ns, pool=size, settings=how)
    drawn = problems(asked.set, asked.limit, work.seed)
    plan = Plan(drawn, asked.methods, settings, budgets=asked.ns, pool_n=size, pools=pools)
    policy, scorer = load_policy(asked.policy), None if asked.reward == "oracle" else load_scorer(asked.reward)
    records = evaluate(plan, policy, scorer, out / "records.jsonl", work.progress(f"{asked.set}, {asked.reward}"))
    return Evaluated(asked, drawn, records, out, (policy.costs, scorer.costs if scorer else Costs()))
