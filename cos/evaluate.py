"""Evaluation: problems x policy x reward model x methods x budgets -> one record a problem (what they amount to: `cos.summary`).

One fixed pool of whole chains is drawn and scored for each problem, as a best-of-N search with the largest N (`cos.pool`); every selector
chooses from the first n chains of that same pool, so they differ in nothing but the choice. Greedy and the step searches run live, at
each budget. Records go to a file block by block: a killed run goes on where it was.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cos.chain import Problem
from cos.clocked import Clocked
from cos.errors import UserError
from cos.meter import Meter
from cos.pool import clock, cost, keep, votes
from cos.problems import draw, grades
from cos.protocols import Policy, Prompt, Scorer, ToScore
from cos.rewards.oracle import OracleScorer
from cos.scale import Team, Work, complete, cut
from cos.scores import AGGREGATORS
from cos.search.methods import METHODS, ONE_CHAIN, Settings
from cos.search.reading import image_reference
from cos.search.scheduler import Search, run
from cos.search.select import SELECTORS, select
from cos.search.trace import SearchTrace
from cos.store import Log, read
from cos.truths import Truth

RECORD = "eval"
"""The kind of the records (docs/formats.md)."""


@dataclass(frozen=True)
class Plan:
    """What to evaluate and how. Raises UserError for a method that does not exist, and where there are no problems or a budget is none."""

    problems: Sequence[Problem]
    methods: Sequence[str] = ("greedy", "vote", "best_of_n", "weighted_vote", "step_greedy", "step_beam")
    settings: Settings = field(default_factory=Settings)
    swap_images: bool = False
    """Score the pool a second time, the reward model being shown another problem's picture: what does it see?"""
    block: int = 32
    """Problems at once: what is held in memory. A model keeps the last 32 pictures, so larger blocks encode them anew for each method."""
    traces: Path | None = None
    """A folder for every trace."""
    budgets: Sequence[int] = ()
    """Values of n; none: that of the settings alone."""
    pool_n: int = 0
    """Chains of a pool; 0: as many as the largest budget."""
    pools: Path | None = None
    """A folder that keeps the pools, for later runs of the same models on the same problems (who names it sees to that)."""

    def __post_init__(self) -> None:
        if unknown := [name for name in self.methods if name not in METHODS]:
            raise UserError(f"no search method is called {unknown[0]!r}; there are {', '.join(METHODS)}")
        if "weighted_vote" in self.methods and AGGREGATORS[self.settings.aggregator]([0.1], 0.1) < 0:
            raise UserError(f"weighted_vote adds scores up, and {self.settings.aggregator} gives negative ones: take another of the two")
        if not self.problems or not self.methods or self.block < 1:
            raise UserError("nothing to evaluate: at least one problem, one method and a block of one are needed")
        if self.ns[0] < 1 or self.drawn < self.ns[-1]:
            raise UserError(f"n is {', '.join(map(str, self.ns))}; it must be 1 or more, and a pool of {self.drawn} must hold as many")
        if self.swap_images and len(self.problems) < 2:
            raise UserError("to swap pictures at least two problems are needed")

    def check(self, *, truth: bool) -> None:
        """Raise UserError where the reward can't do what is planned. `truth`: it is the oracle."""
        if truth and self.swap_images:
            raise UserError("the oracle looks at no picture, so swapping pictures says nothing of it: leave out --swap-images")

    @property
    def ns(self) -> list[int]:
        """The budgets, each once, the smallest first."""
        return sorted({*self.budgets} or {self.settings.n})

    @property
    def drawn(self) -> int:
        """Chains of a pool."""
        return self.pool_n or self.ns[-1]


class Evaluator:
    """The work of an evaluation, block by block (a `cos.scale.Work`). `folder`: that of the records, which traces are named from."""

    def __init__(self, plan: Plan, policy: Policy, scorer: Scorer | None, folder: Path) -> None:
        plan.check(truth=scorer is None)
        self.plan, self.policy, self.scorer, self.folder = plan, policy, scorer, folder

    def load(self) -> None:
        """Nothing: the models are here."""

    def rows(self, number: int) -> list[dict[str, Any]]:
        """One record for each problem of block `number`."""
        block = self.plan.problems[number * self.plan.block : (number + 1) * self.plan.block]
        return _Block(self.plan, block, self.policy, self.scorer, self.folder).records()


def evaluate(
    plan: Plan, policy: Policy, scorer: Scorer | None, records: Path, progress: Callable[[int, int], None] | None = None
) -> list[dict[str, Any]]:
    """The records of all problems of the plan, in its order; those that `records` holds already are not made again.

    `scorer` None: the truth itself rewards (the oracle). `progress(done, total)` is called at the start and after each block.
    """
    return gather(plan, Evaluator(plan, policy, scorer, records.parent), records, None, progress)


def gather(
    plan: Plan, work: Work, records: Path, team: Team | None, progress: Callable[[int, int], None] | None = None
) -> list[dict[str, Any]]:
    """As `evaluate`, by a team that does what an `Evaluator` of this plan would do; None: by `work` here."""
    with Log(records, RECORD, key="problem") as log:
        complete(work, cut([problem.id for problem in plan.problems], plan.block), log, team, progress)
    made = {row["problem"]: row for row in read(records, RECORD, dict)}
    return [made[problem.id] for problem in plan.problems]


class _Block:
    """Some problems, searched together. `folder`: where the records lie; the names of traces are relative to it."""

    def __init__(self, plan: Plan, problems: Sequence[Problem], policy: Policy, scorer: Scorer | None, folder: Path) -> None:
        self.plan, self.problems, self.folder = plan, problems, folder
        self.prompts = [Prompt(problem.question, draw(problem)) for problem in problems]
        self.policy = Clocked(policy)
        self.scorer = Clocked(scorer or OracleScorer(zip(self.prompts, problems, strict=True)))
        self.truths = [Truth(problem) for problem in problems]

    def records(self) -> list[dict[str, Any]]:
        """One for each problem."""
        names = [name for name in self.plan.methods if name not in SELECTORS]
        pool = self._kept()
        missing = len(pool) < len(self.problems)
        with self._opened(bool(names) or missing):
            pool = self._drawn(pool) if missing else pool
            live = {name: self._live(name) for name in names}
        swapped = self._swapped(pool) if self.plan.swap_images else {}
        rows = []
        for index, problem in enumerate(self.problems):
            methods = {name: live[name][index] if name in live else self._chosen(index, pool[index], name) for name in self.plan.methods}
            head = {"problem": problem.id, "world": problem.world, "level": problem.level, "kind": problem.kind, "gold": problem.answer}
            groups = {"groups": problem.truth["groups"]} if "groups" in problem.truth else {}  # a benchmark's categories
            steps = self.truths[index].steps(pool[index], swapped.get(index, {}))
            rows.append(head | groups | {"methods": methods, "pool": self._pool(index, pool[index]), "steps": steps})
        return rows

    @contextmanager
    def _opened(self, wanted: bool) -> Iterator[None]:
        """Hold the block's prompts open, so that each is read once, and not again for every method."""
        held = [(model, model.hold(self.prompts)) for model in (self.policy, self.scorer) if wanted]
        try:
            yield
        finally:
            for model, opened in held:
                model.close([one.handle for one in opened])

    def _kept(self) -> dict[int, SearchTrace]:
        """The pools that are there from another run, by place. One of another problem under the same name is passed over."""
        found = {}
        for index, (problem, prompt) in enumerate(zip(self.problems, self.prompts, strict=True)):
            if self.plan.pools and (file := self._pool_file(index)).exists():
                trace = SearchTrace.load(file)
                if (trace.question, trace.gold, trace.image) == (problem.question, problem.answer, image_reference(prompt.image)):
                    found[index] = trace
        return found

    def _drawn(self, kept: Mapping[int, SearchTrace]) -> dict[int, SearchTrace]:
        """The pools, those that were missing drawn and scored; and kept, if they are to be."""
        pool = dict(enumerate(self._search("best_of_n", self.plan.drawn)))
        for index, trace in pool.items():
            if self.plan.pools and index not in kept and trace.ended != "failed":
                keep(trace, self._pool_file(index))
            elif self.plan.traces and not self.plan.pools:
                trace.save(self._pool_file(index))
        return pool | dict(kept)

    def _live(self, method: str) -> list[dict[str, Any]]:
        """For each problem the results of its own searches, by n."""
        ns, rows = self.plan.ns[:1] if method in ONE_CHAIN else self.plan.ns, list[dict[str, Any]]()
        for n in ns:
            for index, trace in enumerate(self._search(method, n)):
                file = self._file(index, f"{method}.{n}.json") if self.plan.traces else None
                if file:
                    trace.save(file)
                row = self._result(index, trace.answer, trace.meter, trace, file)
                if method not in ONE_CHAIN and self.truths[index].knows_steps:
                    row["survival"] = self.truths[index].survival(trace)
                if n == ns[0]:
                    rows.append({str(n): row for n in self.plan.ns})  # one chain is the same at every n
                rows[index][str(n)] = row
        return rows

    def _search(self, method: str, n: int) -> list[SearchTrace]:
        """The traces of one method on all problems; each meter has the problem's share of the seconds."""
        before, count = (self.policy.seconds, self.scorer.seconds), len(self.problems)
        settings = replace(self.plan.settings, n=1 if method in ONE_CHAIN else n)
        searches = [
            Search(prompt, method, settings, problem=problem.id, gold=problem.answer)
            for prompt, problem in zip(self.prompts, self.problems, strict=True)
        ]
        for _ in run(searches, self.policy, self.scorer):
            pass
        traces = [search.trace for search in searches]
        if all(trace.ended == "failed" for trace in traces):
            raise UserError(f"{method} fails on every problem: {traces[0].ended_why}")
        writing, judging = (self.policy.seconds - before[0]) / count, (self.scorer.seconds - before[1]) / count
        for trace in traces:
            clock(trace, writing + self.policy.reading, judging + self.scorer.reading if trace.meter.reward_calls else 0.0)
        return traces

    def _chosen(self, index: int, trace: SearchTrace, method: str) -> dict[str, Any]:
        """What a selector takes from the pool, by n."""
        kept = self.plan.traces if self.plan.pools is None else trace.ended != "failed"
        rows = {}
        for n in self.plan.ns:
            answer = select(trace, method, self.plan.settings.aggregator, n)
            meter = cost(trace, method, n, self.policy.costs, self.scorer.costs)
            rows[str(n)] = self._result(index, answer, meter, trace, self._pool_file(index) if kept else None)
        return rows

    def _result(self, index: int, answer: str | None, meter: Meter, trace: SearchTrace, file: Path | None) -> dict[str, Any]:
        verdicts = grades(self.problems[index], answer)
        counts = next(iter(verdicts.values()))
        row: dict[str, Any] = {"answer": answer, "right": counts.right, "rule": counts.rule}
        if len(verdicts) > 1:
            row |= {"read": counts.read, "also": {name: verdict.right for name, verdict in verdicts.items()}}
        row |= meter.to_json() | {"seconds": round(meter.seconds, 6)}
        if trace.ended == "failed":
            row["failed"] = trace.ended_why
        return row | ({"trace": Path(os.path.relpath(file, self.folder)).as_posix()} if file else {})

    def _pool(self, index: int, trace: SearchTrace) -> dict[str, Any]:
        """What the pool holds, and the majority vote over its first k chains, for every k: right or not, and what it costs."""
        n, right, leaves = self.plan.drawn, self.truths[index].right, trace.pool()
        flops = [cost(trace, "vote", k, self.policy.costs, self.scorer.costs).flops for k in range(1, n + 1)]
        row: dict[str, Any] = {"n": n, "answered": sum(leaf.count for leaf in leaves)}
        row["right"] = sum(leaf.count for leaf in leaves if right(leaf.answer))
        return row | {"votes": votes(trace, n, right), "vote_flops": flops}

    def _pool_file(self, index: int) -> Path:
        pools = self.plan.pools
        return pools / f"{_name(self.problems[index])}.jsonl" if pools else self._file(index, f"best_of_n.{self.plan.drawn}.json")

    def _file(self, index: int, ending: str) -> Path:
        return (self.plan.traces or self.folder) / f"{_name(self.problems[index])}.{ending}"

    def _swapped(self, pool: Mapping[int, SearchTrace]) -> dict[int, dict[int, float]]:
        """Rewards by place and node id with another problem's picture before the reward model; question and steps stay."""
        prompts = [Prompt(problem.question, draw(_other(problem, self.plan.problems))) for problem in self.problems]
        roots = [opened.handle for opened in self.scorer.open(prompts)]
        handles: list[dict[int, int]] = [{0: root} for root in roots]
        rewards: dict[int, dict[int, float]] = {index: {} for index in pool}
        scored = {index: [node for node in trace.nodes if node.reward is not None] for index, trace in pool.items()}
        for depth in range(1, 1 + max((node.depth for nodes in scored.values() for node in nodes), default=0)):
            asked = [(index, node) for index, nodes in scored.items() for node in nodes if node.depth == depth]
            for start in range(0, len(asked), 256):
                part = asked[start : start + 256]
                answers = self.scorer.score([ToScore(handles[index][node.parent or 0], (node.text,)) for index, node in part])
                for (index, node), answer in zip(part, answers, strict=True):
                    handles[index][node.id], rewards[index][node.id] = answer.handles[0], answer.rewards[0]
        self.scorer.close(roots)
        return rewards


def _other(problem: Problem, problems: Sequence[Problem]) -> Problem:
    """The next problem of the same world (of any, where it is alone in its own)."""
    place = next(index for index, other in enumerate(problems) if other.id == problem.id)
    order = [*problems[place + 1 :], *problems[:place]]
    return next((other for other in order if other.world == problem.world), order[0])


def _name(problem: Problem) -> str:
    """The problem's id as the name of a file: a benchmark's may hold a slash."""
    return quote(problem.id, safe=" ")
