"""A pool as rows: choosing on it is what the search's own selectors choose on its trace."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cos.models.scripted import ScriptedPolicy, ScriptedScorer
from cos.problems import draw, problems
from cos.protocols import Prompt
from cos.scores import AGGREGATORS
from cos.search.methods import Settings
from cos.search.scheduler import solve
from cos.search.select import select
from cos.search.trace import SearchTrace
from cos.study.pools import best, chains, first, voted
from cos.study.weights import fits
from cos.truths import Truth

PROBLEMS = problems("all:test", 9)


@pytest.fixture(scope="module")
def traces() -> list[SearchTrace]:
    prompts = [Prompt(problem.question, draw(problem)) for problem in PROBLEMS]
    return [solve(prompt, ScriptedPolicy(), ScriptedScorer(), "best_of_n", Settings(n=8)) for prompt in prompts]


def every() -> Iterator[tuple[str, str, int]]:
    for rule in ("best_of_n", "weighted_vote"):
        for name in AGGREGATORS:
            if fits(rule, name):
                yield from ((rule, name, n) for n in (1, 5, 8))


@pytest.mark.parametrize(("rule", "name", "n"), [*every()])
def test_choosing_is_what_the_selectors_choose(traces: list[SearchTrace], rule: str, name: str, n: int) -> None:
    chosen = {"best_of_n": best, "weighted_vote": voted}[rule]
    for trace, problem in zip(traces, PROBLEMS, strict=True):
        right = Truth(problem).right(select(trace, rule, name, n))
        assert chosen(first(chains(trace, problem), n), AGGREGATORS[name]) == right


def test_some_are_right_and_some_are_not(traces: list[SearchTrace]) -> None:
    rows = [one.right for trace, problem in zip(traces, PROBLEMS, strict=True) for one in chains(trace, problem)]
    assert 0 < sum(rows) < len(rows)


def test_a_pool_that_failed_is_wrong() -> None:
    assert chains(None, PROBLEMS[0]) == [] and not best([], AGGREGATORS["cos"]) and not voted([], AGGREGATORS["cos"])
