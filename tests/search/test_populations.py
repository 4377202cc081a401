"""Shares of draws by reward: rebase and particle, by hand and by another library."""

from __future__ import annotations

import math
import random
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_scripts import PROMPT, answer_text, by_hash, numbers, step_text

from cos.errors import UserError
from cos.models.scripted import ScriptedPolicy, ScriptedScorer
from cos.protocols import Prompt
from cos.search.asking import Settings
from cos.search.paths import path_score
from cos.search.populations import odds, systematic, widths
from cos.search.scheduler import solve
from cos.search.trace import SearchTrace

rewards = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def uneven(prompt: Prompt, texts: tuple[str, ...], rng: random.Random) -> str:
    """Chains of 1 to 5 steps, no two draws alike."""
    count = len(texts)
    return answer_text(count, str(rng.getrandbits(60))) if count and rng.random() < 0.3 else step_text(count, str(rng.getrandbits(60)))


def searched(method: str, **options: object) -> SearchTrace:
    return solve(PROMPT, ScriptedPolicy(uneven), ScriptedScorer(by_hash), method, Settings(max_steps=6, **options))  # type: ignore[arg-type]


def test_widths_by_hand() -> None:
    # weights e^4.5 = 90.02, e^2.5 = 12.18, e^0.5 = 1.65: ceil(16 x 0.867) = 14, then ceil(2 x 12.18 / 13.83) = 2, then nothing is left
    assert widths([0.9, 0.5, 0.1], 16, 0.2) == [14, 2, 0]
    assert widths([0.5] * 5, 16, 0.2) == [4, 3, 3, 3, 3]
    assert widths([0.5] * 4, 4, 0.2) == [1, 1, 1, 1]
    assert widths([0.3], 7, 0.2) == [7]
    assert widths([], 5, 0.2) == []
    assert widths([900.0, -900.0], 3, 0.2) == [3, 0]  # sums of log-odds are no rewards, and don't overflow


@given(scores=rewards, width=st.integers(0, 64), temperature=st.floats(0.05, 5))
def test_widths_give_away_all_there_is_and_more_to_the_better(scores: list[float], width: int, temperature: float) -> None:
    found = widths(sorted(scores, reverse=True), width, temperature)
    assert sum(found) == width and min(found) >= 0
    assert all(a >= b - 1 for a, b in pairwise(found))


def test_rebase_shares_by_the_formula_and_finished_paths_take_their_draws_with_them() -> None:
    for seed in range(4):
        trace = searched("rebase", n=16, seed=seed)
        finished = 0
        for round in range(1, max(node.round for node in trace.nodes)):
            drawn = [node for node in trace.nodes if node.round == round]
            finished += sum(node.answer is not None for node in drawn)
            live = sorted((path_score(trace, node, "prod"), -node.id) for node in drawn if node.is_step and node.status != "cut")[::-1]
            left, total = 16 - finished, sum(math.exp(score / 0.2) for score, _ in live)
            for score, id in live:
                number = min(left, math.ceil(left * math.exp(score / 0.2) / total - 1e-9)) if left else 0
                assert len(trace.children(trace.nodes[-id])) == number
                left, total = left - number, total - math.exp(score / 0.2)


def test_systematic_resampling_by_hand() -> None:
    assert systematic([1, 2, 1], 4, 0.5) == [0, 1, 1, 2]  # marks at 0.5, 1.5, 2.5, 3.5 of a mass of 4
    assert systematic([1, 2, 1], 4, 0.0) == [0, 1, 1, 2]
    assert systematic([3, 1], 2, 0.9) == [0, 1]  # at 1.8 and 3.8
    assert systematic([3, 1], 2, 0.1) == [0, 0]  # at 0.2 and 2.2
    assert systematic([1.0] * 5, 5, 0.3) == [0, 1, 2, 3, 4]
    assert systematic([], 0, 0.3) == []


@given(weights=st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=20), count=st.integers(1, 40), uniform=st.floats(0, 1, exclude_max=True))
def test_resampling_gives_each_its_expected_number_but_for_rounding(weights: list[float], count: int, uniform: float) -> None:
    found = Counter(systematic(weights, count, uniform))
    assert sum(found.values()) == count
    for index, weight in enumerate(weights):
        assert abs(found[index] - count * weight / math.fsum(weights)) < 1 + 1e-6


def test_odds_are_the_softmax_of_logits() -> None:
    scores = [0.2, 0.5, 0.9]
    logits = np.log(np.array(scores) / (1 - np.array(scores)))
    assert np.allclose(np.array(odds(scores)) / sum(odds(scores)), np.exp(logits) / np.exp(logits).sum())
    assert odds([0.0, 1.0])[1] / odds([0.0, 1.0])[0] == pytest.approx(1e12, rel=1e-3)


def test_particles_are_drawn_anew_by_weight() -> None:
    for seed in range(4):
        trace = searched("particle", n=12, seed=seed)
        rng = random.Random(f"particle {seed}")
        for round in range(1, max(node.round for node in trace.nodes)):
            live = [node for node in trace.nodes if node.round == round and node.is_step and node.status != "cut"]
            p = np.array([path_score(trace, node, "prod") for node in live])
            cumulated = np.cumsum(p / (1 - p)) / np.sum(p / (1 - p))
            marks = (np.arange(len(live)) + rng.random()) / len(live)
            numbers = np.bincount(np.searchsorted(cumulated, marks, side="right"), minlength=len(live))
            assert [len(trace.children(node)) for node in live] == numbers.tolist()


def test_the_output_is_the_best_path_or_one_sampled_by_weight() -> None:
    def two(prompt: Prompt, texts: tuple[str, ...], rng: random.Random) -> str:
        return answer_text(1, rng.choice("ab")) if texts else step_text(0, "x")

    def rule(prompt: Prompt, texts: tuple[str, ...]) -> float:
        return 0.9 if ">a<" in texts[-1] else 0.5

    answers: dict[str, Counter[str | None]] = {"best": Counter(), "sampled": Counter()}
    for output, seen in answers.items():
        for seed in range(40):
            settings = Settings(n=8, seed=seed, particle_output=output, aggregator="answer")
            seen[solve(PROMPT, ScriptedPolicy(two), ScriptedScorer(rule), "particle", settings).answer] += 1
    assert answers["best"]["a"] >= 38  # a pool may have drawn no "a" at all
    assert 30 <= answers["sampled"]["a"] <= 39  # odds 9 to 1, and about as many of each


def test_scores_that_are_no_chances_are_refused() -> None:
    for options in ({"step_aggregator": "log_odds"}, {"aggregator": "sum", "particle_output": "sampled"}):
        with pytest.raises(UserError, match="particle reads scores as chances"):
            searched("particle", **options)
    assert solve(PROMPT, ScriptedPolicy(numbers), ScriptedScorer(by_hash), "rebase", Settings(step_aggregator="log_odds")).answer
