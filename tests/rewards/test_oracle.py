"""The oracle gives what the worlds' checkers say, by piece."""

from __future__ import annotations

import random

import pytest

from cos import problems
from cos.answers import match
from cos.chain import Chain, Step
from cos.errors import UserError
from cos.protocols import Prompt, ToScore
from cos.rewards.oracle import OracleScorer
from cos.template import pieces


def test_right_chains_get_one_and_wrong_ones_what_the_checker_says() -> None:
    rng = random.Random(0)
    some = problems.problems("all:validation", 30)
    images = [problems.draw(problem) for problem in some]
    prompts = [Prompt(problem.question, image) for problem, image in zip(some, images, strict=True)]
    oracle = OracleScorer(zip(prompts, some, strict=True))
    roots = oracle.open(prompts)
    for problem, root in zip(some, roots, strict=True):
        right = problems.chain(problem, rng)
        wrong = problems.corrupt(problem, right, rng)
        good, bad = oracle.score([ToScore(root.handle, tuple(pieces(chain))) for chain in (right, wrong)])
        assert set(good.rewards) == {1.0}
        labels = [problems.check(problem, step).label for step in wrong.steps]
        assert list(bad.rewards) == [0.5 if label is None else label for label in labels] + [float(match(wrong.answer, problem.answer))]
    again = oracle.open([Prompt(some[0].question, images[0].copy())])  # equal pixels are the same picture
    steps = pieces(problems.chain(some[0], rng))
    one = oracle.score([ToScore(again[0].handle, tuple(steps[:1]))])[0]
    two = oracle.score([ToScore(one.handles[0], tuple(steps[1:]))])[0]
    assert {*one.rewards, *two.rewards} == {1.0}
    oracle.close([root.handle for root in roots + again])
    with pytest.raises(KeyError):
        oracle.score([ToScore(roots[0].handle, ("x",))])


def test_neutral_malformed_and_unknown() -> None:
    (problem,) = problems.problems("charts:test", 1)
    prompt = Prompt(problem.question, problems.draw(problem))
    oracle = OracleScorer([(prompt, problem)])
    (root,) = oracle.open([prompt])
    neutral = pieces(Chain((Step("think", "Let me think.", "Hm."),)))[0]
    for text, reward in ((neutral, 0.5), ("no step", 0.0), (neutral[:-5], 0.0)):
        assert oracle.score([ToScore(root.handle, (text,))])[0].rewards == (reward,)
    with pytest.raises(UserError, match="no truth"):
        oracle.open([Prompt(problem.question, None)])
