"""adaptive_n: how many chains a success probability asks for, where that probability comes from, and which chains are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from search_scripts import PROMPT, STEPS, by_hash, numbers

from cos.models.scripted import ScriptedPolicy, ScriptedScorer
from cos.search.asking import Settings
from cos.search.chains import chains_needed
from cos.search.growth import Search
from cos.search.scheduler import run, solve
from cos.search.trace import SearchTrace


def searched(rule: Any = by_hash, calibration: Any = None, scorer: Any = None, **options: Any) -> SearchTrace:
    search = Search(PROMPT, "adaptive_n", Settings(**options), calibration=calibration)
    for _ in run([search], ScriptedPolicy(numbers), scorer or ScriptedScorer(rule)):
        pass
    return search.trace


def drawn(trace: SearchTrace) -> int:
    return sum(leaf.count for leaf in trace.leaves())


def test_chains_needed_by_hand() -> None:
    assert chains_needed(0.5, 0.99) == 7  # ln 0.01 / ln 0.5 = 6.64
    assert chains_needed(0.9, 0.99) == 2
    assert chains_needed(0.9, 0.9) == 1
    assert chains_needed(1.0, 0.99) == 1
    assert chains_needed(0.0, 0.99) == 46050  # p is clipped to 1e-4
    for p, c in ((0.03, 0.99), (0.4, 0.7), (0.77, 0.999)):
        n = chains_needed(p, c)
        assert 1 - (1 - p) ** n >= c > 1 - (1 - p) ** (n - 1)


@pytest.mark.parametrize(("reward", "chains"), [(1.0, 1), (0.9, 2), (0.5, 7), (0.3, 13), (0.05, 16)])
def test_it_draws_what_the_probability_asks_for_and_n_at_most(reward: float, chains: int) -> None:
    trace = searched(lambda prompt, texts: reward)
    assert drawn(trace) == chains
    assert trace.meter.reward_calls == chains * (STEPS + 1)


def test_its_chains_are_the_first_of_best_of_n() -> None:
    for seed in range(4):
        adaptive = searched(seed=seed, certainty=0.9)
        k = drawn(adaptive)
        pool = solve(PROMPT, ScriptedPolicy(numbers), ScriptedScorer(by_hash), "best_of_n", Settings(n=k, seed=seed))
        assert [adaptive.chain(leaf) for leaf in adaptive.pool()] == [pool.chain(leaf) for leaf in pool.pool()]
        assert adaptive.answer == pool.answer


def test_a_calibration_is_used_where_there_is_one_and_the_trace_says_which() -> None:
    raw = searched(lambda prompt, texts: 0.9)
    assert drawn(raw) == 2 and "rewards taken as chances, no calibration" in raw.answer_why
    read = searched(lambda prompt, texts: 0.9, calibration=lambda reward: reward - 0.4)
    assert drawn(read) == 7 and "(calibrated)" in read.answer_why and "each right with 0.500" in read.answer_why
    assert {node.chance for node in read.nodes[1:]} == {0.5} and {node.reward for node in read.nodes[1:]} == {0.9}
    assert SearchTrace.replay(read.events).to_json() == read.to_json()


def test_a_scorer_may_carry_a_calibration() -> None:
    @dataclass
    class Low:
        def low(self, reward: float) -> float:
            return reward / 2

    scorer: Any = ScriptedScorer(lambda prompt, texts: 0.9)
    scorer.calibration = Low()
    assert drawn(searched(scorer=scorer)) == chains_needed(0.45, 0.99) == 8
    assert drawn(searched(scorer=scorer, calibration=lambda reward: 1.0)) == 1
