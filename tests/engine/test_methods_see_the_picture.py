"""Every search method on the engine, with a model that fails where a prompt comes without its picture: it reaches both models, once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from tiny_models import SHAPE

from cos.bench import cases, pairs
from cos.bench.pairs import Plan
from cos.engine.reader import Ask, Reader
from cos.search.methods import METHODS

CASE = cases.made("tiny", SHAPE, tiles=1)
PLAN = Plan(n=4, width=2, steps=3, length=7)


@pytest.fixture
def blind(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Prompts read; reading one without a picture fails."""
    read, prompts = Reader.read, []

    def watched(self: Reader, asks: list[Ask], *others: Any) -> Any:
        for ask in asks:
            if ask.parent is None:
                assert ask.seen is not None and torch.isfinite(ask.seen.features).all(), "a prompt without its picture"
                prompts.append(len(ask.seen.features))
        return read(self, asks, *others)

    monkeypatch.setattr(Reader, "read", watched)
    return prompts


@pytest.mark.parametrize("method", METHODS)
def test_the_picture_reaches_both_models_in_every_method(method: str, blind: list[int]) -> None:
    _, forwards, trace = pairs.search(CASE, replace(PLAN, method=method))
    assert trace.chosen is not None, trace.ended_why
    models = 1 + (trace.meter.reward_calls > 0)
    assert blind == [CASE.policy.encoder.image_tokens] * models
    assert forwards["policy_vision"] == 1 and forwards["reward_vision"] == models - 1 == trace.meter.vision_calls - 1
    meter = trace.meter
    assert (meter.policy_prefill, meter.policy_decode) == (forwards["policy_prefill"], forwards["policy_decode"])
    assert (meter.reward_prefill, meter.reward_step) == (forwards["reward_prefill"], forwards["reward_step"])


@pytest.mark.parametrize("method", ["best_of_n", "weighted_vote", "step_beam", "step_greedy", "dvts"])
def test_methods_that_draw_n_chains_cost_what_the_formula_says(method: str) -> None:
    _, _, trace = pairs.search(CASE, replace(PLAN, method=method))
    meter, n, s = trace.meter, PLAN.n, PLAN.steps
    assert (meter.policy_decode, meter.reward_step) == (n * s * 7, n * s * 8)
    assert meter.tokens == pairs.formula(PLAN, meter.policy_prefill, meter.reward_prefill)[0]
