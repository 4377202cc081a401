"""The benchmark: both ways read and draw the same tokens, as many as the formulas say, and come to the same rewards."""

from __future__ import annotations

import json

import pytest
from tiny_models import SHAPE

from cos.__main__ import main
from cos.bench import cases, pairs
from cos.bench.pairs import Plan

TINY = cases.made("tiny", SHAPE, tiles=3)
PLAN = Plan(n=4, width=2, steps=3, length=8)


def test_a_pair_has_the_token_forwards_of_the_formulas_and_the_same_rewards() -> None:
    found = pairs.measure(TINY, PLAN, 1, lambda done, of: None)
    encoder = TINY.policy.encoder
    prompt = found["forwards"]["ours"]["policy_prefill"]
    assert prompt > 3 * encoder.image_tokens and prompt == found["forwards"]["ours"]["reward_prefill"]
    n, s, length = 4, 3, 8
    assert found["forwards"]["ours"] == {
        "policy_vision": 1,
        "policy_prefill": prompt,
        "policy_decode": n * s * length,
        "reward_vision": 1,
        "reward_prefill": prompt,
        "reward_step": n * s * (length + 1),
    }
    assert found["forwards"]["stateless"] == {
        "policy_vision": n * s,
        "policy_prefill": n * (s * prompt + length * s * (s - 1) // 2),
        "policy_decode": n * s * length,
        "reward_vision": n * s,
        "reward_step": n * (s * prompt + (length + 1) * s * (s + 1) // 2),
    }
    assert found["same_scores"] and found["difference"] < 1e-4
    assert found["ratio_token_forwards"] == found["formula"]["stateless"] / found["formula"]["ours"] > 1
    assert found["ratio_seconds"] > 0 < found["bound_ratio"]


def test_the_formulas_give_the_worked_example() -> None:
    """N=16, S=5, L=80, a prompt of 60 tokens and 256 or 1,500 of a picture (token-forwards by hand)."""
    assert pairs.formula(Plan(), 316, 316) == (13_512, 89_200)
    assert pairs.formula(Plan(), 1560, 1560) == (16_000, 288_240)


def test_what_is_written_is_a_chain_of_the_size_that_was_asked_for() -> None:
    _, _, trace = pairs.search(TINY, PLAN)
    assert trace.chosen is not None
    line = trace.line(trace.nodes[trace.chosen])
    assert [node.is_step for node in line] == [True, True, False] and line[-1].answer
    for node in trace.nodes[1:]:
        assert node.tokens == 8 == len(TINY.reward.encoder.piece(node.text)) and node.reward is not None
    assert len({node.text for node in trace.nodes}) == len(trace.nodes)


def test_the_verb(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(cases, "case", lambda name: TINY)
    words = ["bench", "--n", "4", "--width", "2", "--steps", "2", "--length", "7", "--pairs", "1"]
    assert main([*words, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert {"ratio_seconds", "ratio_token_forwards", "bound_ratio", "same_scores"} <= set(result) and result["same_scores"]
    assert main(words) == 0 and "rewards are equal" in capsys.readouterr().out
    for wrong, reason in ((["--length", "3"], "at least 2 of 7"), (["--pairs", "0"], "--pairs"), (["--n", "0"], "n is 0")):
        assert main([*words, *wrong]) == 2
        assert reason in capsys.readouterr().err


def test_the_names_of_the_cases_are_those_of_the_verb() -> None:
    from cos.commands import bench

    assert bench._CASES == cases.CASES
