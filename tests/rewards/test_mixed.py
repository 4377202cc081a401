"""Rewards made of others, on rules without weights."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos.chain import Chain, Step
from cos.errors import UserError
from cos.loading import fingerprint, load_scorer
from cos.models.scripted import ScriptedScorer
from cos.protocols import Costs, Prompt, ToScore
from cos.rewards.mixed import BlendScorer, OutcomeScorer, parse_blend
from cos.template import pieces

CHAIN = tuple(pieces(Chain((Step("a", "b", "c"), Step("d", "e", "f")), "7")))


def by_length(scale: float, costs: Costs | None = None) -> ScriptedScorer:
    return ScriptedScorer(lambda prompt, texts: scale * len(texts) / 10, costs=costs)


def test_an_outcome_reward_speaks_at_the_answer_alone() -> None:
    scorer = OutcomeScorer(by_length(1.0))
    (root,) = scorer.open([Prompt("How many?")])
    (whole,) = scorer.score([ToScore(root.handle, CHAIN)])
    assert whole.rewards == pytest.approx((0.5, 0.5, 0.3))
    (first,) = scorer.score([ToScore(root.handle, CHAIN[:2])])
    (last,) = scorer.score([ToScore(first.handles[-1], CHAIN[2:])])
    assert last.rewards == pytest.approx((0.3,))


def test_a_blend_is_the_weighted_mean_and_adds_up_what_was_read() -> None:
    parts = [by_length(1.0, Costs(2.0, 10.0, 4.0)), by_length(3.0, Costs(6.0, 30.0, 8.0))]
    scorer = BlendScorer([(3.0, parts[0]), (1.0, parts[1])])
    assert scorer.costs == Costs(4.0, 20.0, 6.0) and scorer.name == "blend:3*scripted+1*scripted"
    one, two = scorer.open([Prompt("How many?"), Prompt("Which?")])
    alone = by_length(1.0)
    (single,) = alone.open([Prompt("How many?")])
    assert one.prefill_tokens == 2 * single.prefill_tokens
    (mixed,) = scorer.score([ToScore(one.handle, CHAIN)])
    (read,) = alone.score([ToScore(single.handle, CHAIN)])
    assert mixed.rewards == pytest.approx([0.75 * k / 10 + 0.25 * 3 * k / 10 for k in (1, 2, 3)])
    assert mixed.tokens == tuple(2 * count for count in read.tokens)
    (later,) = scorer.score([ToScore(mixed.handles[1], CHAIN[2:])])
    assert later.rewards == pytest.approx(mixed.rewards[2:])
    scorer.close([one.handle])
    assert all(len(part.tree.places) == 1 for part in parts)  # the other prompt's root alone
    with pytest.raises(KeyError):
        scorer.score([ToScore(mixed.handles[0], CHAIN[:1])])
    assert scorer.score([ToScore(two.handle, CHAIN[:1])])


@given(
    st.lists(st.tuples(st.floats(0.01, 99), st.sampled_from(["embedded", "a/b", "runs/x+1/model", "judge:o/m"])), min_size=1, max_size=4)
)
def test_what_a_blend_is_made_of_can_be_read_back(parts: list[tuple[float, str]]) -> None:
    text = "+".join(f"{weight:.4f}*{name}" for weight, name in parts)
    found = parse_blend(text)
    assert [name for _, name in found] == [name for _, name in parts]
    assert all(math.isclose(a, b, abs_tol=1e-4) for (a, _), (b, _) in zip(found, parts, strict=True))


@pytest.mark.parametrize("text", ["", "embedded", "0.5*", "0*embedded", "-1*embedded", "1.2.3*embedded"])
def test_no_blend(text: str) -> None:
    with pytest.raises(UserError, match="weights above 0"):
        parse_blend(text)


def test_names() -> None:
    assert load_scorer("outcome:scripted").name == "outcome:scripted"
    assert load_scorer("blend:0.5*scripted+0.5*outcome:scripted").name == "blend:0.5*scripted+0.5*outcome:scripted"
    assert fingerprint("blend:1*scripted+2*scripted", "reward") == "1 x scripted + 2 x scripted"
    assert fingerprint("outcome:scripted", "reward") == "outcome of scripted"
    for name in ("judge", "visualprm:"):
        with pytest.raises(UserError, match="which model"):
            load_scorer(name)
