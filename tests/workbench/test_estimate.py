"""What a run is said to cost, against what searches with the scripted models cost: no method is far from it, or dearer by much."""

from __future__ import annotations

import pytest

from cos.models.scripted import ScriptedPolicy, ScriptedScorer
from cos.protocols import Prompt
from cos.search.growth import Search
from cos.search.methods import METHODS, Settings
from cos.search.scheduler import run
from workbench import estimate

QUESTIONS = 12


@pytest.fixture(scope="module")
def means() -> dict[str, float]:
    """Mean token-forwards of each method over some questions."""
    asked = [
        Search(Prompt(f"How many red shapes are there in picture {number} of the row?"), name, Settings(n=8, seed=number))
        for name in METHODS
        for number in range(QUESTIONS)
    ]
    for _ in run(asked, ScriptedPolicy(), ScriptedScorer()):
        pass
    spent = dict.fromkeys(METHODS, 0.0)
    for one in asked:
        spent[one.method] += one.trace.meter.tokens / QUESTIONS
    return spent


@pytest.mark.parametrize("method", METHODS)
def test_a_method_costs_about_what_was_said(method: str, means: dict[str, float]) -> None:
    """At most a fifth more; and not less than half, but for searches that need not do what they may (go back, draw all N)."""
    ratio = means[method] / estimate.tokens(method, 8, "scripted")
    assert ratio < 1.2
    assert ratio > (0.15 if method == "adaptive_n" else 0.4 if method == "retrace" else 0.5)


def test_looking_ahead_and_going_back_are_counted() -> None:
    beam = estimate.tokens("step_beam", 8, "scripted")
    assert estimate.tokens("lookahead", 8, "scripted") > 1.5 * beam < estimate.tokens("retrace", 8, "scripted")


def test_the_n_that_a_budget_pays_for_is_the_greatest() -> None:
    for method in ("vote", "lookahead"):
        n = estimate.n_within(method, 2000, "scripted")
        assert estimate.tokens(method, n, "scripted") <= 2000 < estimate.tokens(method, n + 1, "scripted")
    assert estimate.n_within("lookahead", 2000, "scripted") < estimate.n_within("step_beam", 2000, "scripted")
    assert estimate.n_within("vote", 1, "scripted") == 1
