"""Evaluation: problems x policy x reward model x methods -> one record a problem (what they amount to: `cos.summary`).

One fixed pool of N whole chains is drawn and scored for each problem, as a best-of-N search; every selector chooses from that same
pool, so they differ in nothing but the choice. Greedy and the step searches run live. Records go to a file block by block: a killed run
goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from cos.chain import Problem
from cos.errors import UserError
from cos.meter import Meter
from cos.problems import check, draw, grade, grades
from cos.protocols import Costs, Policy, Prompt, Scorer, ToScore
from cos.rewards.oracle import OracleScorer
from cos.scores import AGGREGATORS
from cos.search.methods import METHODS, Settings
from cos.search.scheduler import Search, run
from cos.search.select import SELECTORS, select
from cos.search.trace import Node, SearchTrace
from cos.store import Log, read

RECORD = "eval"
"""The kind of the records (docs/formats.md)."""


@dataclass(frozen=True)
class Plan:
    """What to evaluate and how. Raises UserError for a method that does not exist, and where there are no problems."""

    problems: Sequence[Problem]
    methods: Sequence[str] = ("greedy", "vote", "best_of_n", "weighted_vote", "step_greedy", "step_beam")
    settings: Settings = field(default_factory=Settings)
    swap_images: bool = False
    """Score the pool a second time, the reward model being shown another problem's picture: what does it see?"""
    block: int = 32
    """Problems at once: what is held in memory."""
    traces: Path | None = None
    """A folder for every trace."""

    def __post_init__(self) -> None:
        if unknown := [name for name in self.methods if name not in METHODS]:
            raise UserError(f"no search method is called {unknown[0]!r}; there are {', '.join(METHODS)}")
        if "weighted_vote" in self.methods and AGGREGATORS[self.settings.aggregator]([0.1], 0.1) < 0:
            raise UserError(f"weighted_vote adds scores up, and {self.settings.aggregator} gives negative ones: take another of the two")
        if not self.problems or not self.methods or self.block < 1:
            raise UserError("nothing to evaluate: at least one problem, one method and a block of one are needed")


def evaluate(
    plan: Plan, policy: Policy, scorer: Scorer | None, records: Path, progress: Callable[[int, int], None] | None = None
) -> list[dict[str, Any]]:
    """The records of all problems of the plan, in its order; those that `records` holds already are not made again.

    `scorer` None: the truth itself rewards (the oracle). `progress(done, total)` is called at the start and after each block.
    """
    if scorer is None and plan.swap_images:
        raise UserError("the oracle looks at no picture, so swapping pictures says nothing of it: leave out --swap-images")
    with Log(records, RECORD, key="problem") as log:
        left = [problem for problem in plan.problems if problem.id not in log.done]
        for start in range(0, len(left), plan.block):
            if progress:
                progress(len(plan.problems) - len(left) + start, len(plan.problems))
            log.add(*_Block(plan, left[start : start + plan.block], policy, scorer).records())
    if progress:
        progress(len(plan.problems), len(plan.problems))
    made = {row["problem"]: row for row in read(records, RECORD, dict)}
    return [made[problem.id] for problem in plan.problems]


class _Clocked:
    """A policy or a scorer that adds up the seconds it works."""

    def __init__(self, model: Any) -> None:
        self.model, self.name, self.costs, self.seconds = model, model.name, model.costs, 0.0
        self.close = model.close

    def open(self, prompts: Sequence[Prompt]) -> Any:
        return self._time(self.model.open, prompts)

    def draw(self, requests: Sequence[Any]) -> Any:
        return self._time(self.model.draw, requests)

    def score(self, requests: Sequence[Any]) -> Any:
        return self._time(self.model.score, requests)

    def _time(self, call: Callable[[Any], Any], argument: Any) -> Any:
        began = perf_counter()
        try:
            return call(argument)
        finally:
            self.seconds += perf_counter() - began


class _Block:
    """Some problems, searched together."""

    def __init__(self, plan: Plan, problems: Sequence[Problem], policy: Policy, scorer: Scorer | None) -> None:
        self.plan, self.problems = plan, problems
        self.prompts = [Prompt(problem.question, draw(problem)) for problem in problems]
        self.policy = _Clocked(policy)
        self.scorer = _Clocked(scorer or OracleScorer(zip(self.prompts, problems, strict=True)))

    def records(self) -> list[dict[str, Any]]:
        """One for each problem."""
        pool, seconds = self._search("best_of_n")
        live = {name: self._search(name) for name in self.plan.methods if name not in SELECTORS}
        swapped = self._swapped(pool) if self.plan.swap_images else [{} for _ in pool]
        rows = []
        for index, (problem, trace) in enumerate(zip(self.problems, pool, strict=True)):
            methods = {}
            for name in self.plan.methods:
                if name in SELECTORS:
                    meter = _pool_meter(trace, name, self.policy.costs, seconds)
                    answer, ended = select(trace, name, self.plan.settings.aggregator), trace
                else:
                    ended, (policy_seconds, reward_seconds) = live[name][0][index], live[name][1]
                    answer, meter = ended.answer, replace(ended.meter, seconds=policy_seconds + reward_seconds)
                methods[name] = _result(problem, answer, meter, ended)
            head = {"problem": problem.id, "world": problem.world, "level": problem.level, "gold": problem.answer, "methods": methods}
            rows.append(head | {"pool": _pool(problem, trace, self.plan.settings.n), "steps": _steps(problem, trace, swapped[index])})
        return rows

    def _search(self, method: str) -> tuple[list[SearchTrace], tuple[float, float]]:
        """The traces of one method, and what the policy and the scorer took, in seconds a problem."""
        before = self.policy.seconds, self.scorer.seconds
        settings = replace(self.plan.settings, n=1) if method == "greedy" else self.plan.settings
        searches = [
            Search(prompt, method, settings, problem=problem.id, gold=problem.answer)
            for prompt, problem in zip(self.prompts, self.problems, strict=True)
        ]
        for _ in run(searches, self.policy, self.scorer):
            pass
        traces = [search.trace for search in searches]
        if all(trace.ended == "failed" for trace in traces):
            raise UserError(f"{method} fails on every problem: {traces[0].ended_why}")
        for trace in traces if self.plan.traces else ():
            trace.save(Path(self.plan.traces or "") / f"{trace.problem}.{method}.json")
        count = len(self.problems)
        return traces, ((self.policy.seconds - before[0]) / count, (self.scorer.seconds - before[1]) / count)

    def _swapped(self, pool: Sequence[SearchTrace]) -> list[dict[int, float]]:
        """Rewards by node id with another problem's picture before the reward model; question and steps stay."""
        prompts = [Prompt(problem.question, draw(_other(problem, self.plan.problems))) for problem in self.problems]
        roots = [opened.handle for opened in self.scorer.open(prompts)]
        handles: list[dict[int, int]] = [{0: root} for root in roots]
        rewards: list[dict[int, float]] = [{} for _ in roots]
        depths = [[node for node in trace.nodes if node.reward is not None] for trace in pool]
        for depth in range(1, 1 + max((node.depth for nodes in depths for node in nodes), default=0)):
            asked = [(index, node) for index, nodes in enumerate(depths) for node in nodes if node.depth == depth]
            for start in range(0, len(asked), 256):
                part = asked[start : start + 256]
                scored = self.scorer.score([ToScore(handles[index][node.parent or 0], (node.text,)) for index, node in part])
                for (index, node), answer in zip(part, scored, strict=True):
                    handles[index][node.id], rewards[index][node.id] = answer.handles[0], answer.rewards[0]
        self.scorer.close(roots)
        return rewards


def _other(problem: Problem, problems: Sequence[Problem]) -> Problem:
    """The next problem of the same world (of any, where it is alone in its own)."""
    place = next(index for index, other in enumerate(problems) if other.id == problem.id)
    order = [*problems[place + 1 :], *problems[:place]]
    if not order:
        raise UserError("to swap pictures at least two problems are needed")
    return next((other for other in order if other.world == problem.world), order[0])


def _result(problem: Problem, answer: str | None, meter: Meter, trace: SearchTrace) -> dict[str, Any]:
    verdicts = grades(problem, answer)
    counts = next(iter(verdicts.values()))
    row: dict[str, Any] = {"answer": answer, "right": counts.right, "rule": counts.rule}
    if len(verdicts) > 1:
        row |= {"read": counts.read, "also": {name: verdict.right for name, verdict in verdicts.items()}}
    row |= {"tokens": meter.tokens, "flops": meter.flops, "seconds": round(meter.seconds, 6)}
    return row | ({"failed": trace.ended_why} if trace.ended == "failed" else {})


def _pool(problem: Problem, trace: SearchTrace, n: int) -> dict[str, int]:
    leaves = trace.pool()
    right = sum(leaf.count for leaf in leaves if grade(problem, leaf.answer).right)
    return {"n": n, "answered": sum(leaf.count for leaf in leaves), "right": right}


def _pool_meter(trace: SearchTrace, method: str, costs: Costs, seconds: tuple[float, float]) -> Meter:
    """What a selector would have cost by itself: voting needs no rewards, and `sample` draws the first chain alone.

    `seconds`: those of policy and scorer a problem; `sample` is given its share of the tokens drawn.
    """
    drawn = next((event["meter"] for event in reversed(trace.events) if event["kind"] == "expanded"), None)
    if drawn is None or method in ("best_of_n", "weighted_vote"):
        return replace(trace.meter, seconds=sum(seconds))
    meter = Meter(**{key: drawn[key] for key in Meter.__dataclass_fields__} | {"seconds": seconds[0]})
    if method == "vote":
        return meter
    first = sum(node.tokens for node in trace.nodes[1:] if not any(node.path))
    saved = meter.policy_decode - first
    share = first / meter.policy_decode if meter.policy_decode else 1.0
    return replace(meter, policy_decode=first, flops=meter.flops - saved * costs.flops_per_token, seconds=share * meter.seconds)


def _steps(problem: Problem, trace: SearchTrace, swapped: dict[int, float]) -> list[list[Any]]:
    """`[reward, label, kind, reward with another picture or null]` for every distinct scored step or answer that the truth can judge."""
    rows: list[list[Any]] = []
    for node in trace.nodes:
        label, kind = _truth(problem, trace, node) if node.reward is not None else (None, "")
        if label is not None:
            rows.append([node.reward, label, kind, swapped.get(node.id)])
    return rows


def _truth(problem: Problem, trace: SearchTrace, node: Node) -> tuple[int | None, str]:
    if node.answer is not None:
        return int(grade(problem, node.answer).right), "answer"
    verdict = check(problem, trace.chain(node).steps[-1])
    return verdict.label, verdict.kind
