"""Labels by roll-outs: by formula on a policy whose chances are known, the binary search against all roll-outs, and on worlds."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cos.answers import match
from cos.chain import Chain, Problem, Sample, Step
from cos.models.scripted import ScriptedPolicy, words
from cos.problems import chain as right_chain
from cos.problems import check, corrupt, draw, problems
from cos.protocols import Costs, Policy, Prompt
from cos.rollouts import Rollouts, by_binary_search, by_rollouts
from cos.sample import Sampling, samples
from cos.template import pieces, read

CHANCE = 0.3
"""Of the scripted policy below to come to the right answer from a prefix without an error."""


def chance(prompt: Prompt, texts: tuple[str, ...], rng: random.Random) -> str:
    """One more step, then the answer: `yes` at CHANCE, but never after a step that is wrong."""
    steps = (Step("more", "right", ""),) * (len(texts) + 1)
    if "more" not in texts[-1]:
        return pieces(Chain(steps))[-1]
    right = rng.random() < CHANCE and not any("wrong" in text for text in texts)
    return pieces(Chain(steps[1:], "yes" if right else "no"))[-1]


def sure(prompt: Prompt, texts: tuple[str, ...], rng: random.Random) -> str:
    """`yes` where no step is wrong."""
    return pieces(Chain((Step("", "", ""),) * len(texts), "no" if any("wrong" in text for text in texts) else "yes"))[-1]


def chain(steps: int, first_error: int, answer: str = "no") -> Chain:
    """Wrong from step `first_error` on (its number: none)."""
    return Chain(tuple(Step(str(at), "wrong" if at >= first_error else "right", "") for at in range(steps)), answer)


def sampled(*chains: Chain) -> list[Sample]:
    return [Sample(Problem("p", "Is it?", "yes"), number, one) for number, one in enumerate(chains)]


def no_picture(problem: Problem) -> None:
    return None


def grade(problem: Problem, answer: str | None) -> bool:
    return match(answer, problem.answer)


@pytest.mark.parametrize("n", [1, 4])
def test_labels_come_as_often_as_the_formula_says(n: int) -> None:
    pool = sampled(*[chain(2, 1)] * 400)
    hard = by_rollouts(ScriptedPolicy(chance), pool, no_picture, grade, Rollouts(n), seed=1)
    expected = 1 - (1 - CHANCE) ** n
    share = sum(one.labels.steps[0] or 0 for one in hard) / 400
    assert abs(share - expected) < 4 * math.sqrt(expected * (1 - expected) / 400)
    assert all(one.labels.steps[1] == 0 and one.labels.answer == 0 for one in hard)  # from a wrong step nothing comes right
    soft = by_rollouts(ScriptedPolicy(chance), pool, no_picture, grade, Rollouts(n, soft=True), seed=1)
    assert abs(sum(one.labels.steps[0] or 0 for one in soft) / 400 - CHANCE) < 4 * math.sqrt(CHANCE * (1 - CHANCE) / 400 / n)
    assert [one.labels.steps[0] for one in soft] == [one.details["right"][0] / n for one in soft]


def test_more_rollouts_begin_with_the_fewer_and_thresholds_cut_the_shares() -> None:
    pool = sampled(*[chain(2, 2)] * 40)
    runs = {n: by_rollouts(ScriptedPolicy(chance), pool, no_picture, grade, Rollouts(n), seed=3) for n in (2, 6)}
    for few, many in zip(*runs.values(), strict=True):
        assert all(0 <= b - a <= 4 for a, b in zip(few.details["right"], many.details["right"], strict=True))
    strict = by_rollouts(ScriptedPolicy(chance), pool, no_picture, grade, Rollouts(6, threshold=0.5), seed=3)
    assert [[float(right > 3) for right in one.details["right"]] for one in runs[6]] == [list(one.labels.steps) for one in strict]
    alone = by_rollouts(ScriptedPolicy(chance), pool[7:8], no_picture, grade, Rollouts(6), seed=3)
    assert alone[0].labels == runs[6][7].labels, "what is labelled beside it changes nothing"


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 16), st.integers(0, 16)).map(lambda pair: (max(pair), min(pair))), min_size=1, max_size=5))
def test_the_binary_search_finds_the_first_error_of_all_rollouts(shapes: list[tuple[int, int]]) -> None:
    pool = sampled(*(chain(steps, first) for steps, first in shapes))
    whole = by_rollouts(ScriptedPolicy(sure), pool, no_picture, grade, Rollouts(2), seed=0)
    halves = by_binary_search(ScriptedPolicy(sure), pool, no_picture, grade, Rollouts(2), seed=0)
    for (steps, first), all_, some in zip(shapes, whole, halves, strict=True):
        assert some.labels.first_error() == all_.labels.first_error() == (first if first < steps else None)
        assert some.labels.steps == (1.0,) * first + (0.0,) * (first < steps) + (None,) * (steps - first - 1)
        begun = sum(count > 0 for count in some.details["drawn"])
        assert begun <= math.ceil(math.log2(steps + 1)) and sum(count > 0 for count in all_.details["drawn"]) == steps


def test_the_cost_is_by_formula_and_the_search_costs_a_fraction() -> None:
    costs = Costs(flops_per_token=2.0, kv_bytes_per_token=3.0)
    pool, n = sampled(chain(15, 9)), 4
    (whole,) = by_rollouts(ScriptedPolicy(sure, costs=costs), pool, no_picture, grade, Rollouts(n), seed=0)
    (halves,) = by_binary_search(ScriptedPolicy(sure, costs=costs), pool, no_picture, grade, Rollouts(n), seed=0)
    read = len(words("Is it?")) + sum(len(words(text)) for text in pieces(pool[0].chain)[:-1])
    written = len(words(pieces(Chain(pool[0].chain.steps, "no"))[-1]))
    for one, prefixes in ((whole, 15), (halves, 4)):
        assert (one.cost["policy_prefill"], one.cost["policy_decode"]) == (read, prefixes * n * written)
        assert one.cost["tokens"] * 2 == one.cost["flops"] and one.cost["tokens"] * 3 == one.cost["kv_peak_bytes"]
    proven = by_binary_search(ScriptedPolicy(sure), sampled(chain(15, 15, "yes")), no_picture, grade, Rollouts(n), seed=0)
    assert proven[0].cost == {} and proven[0].labels.steps == (1.0,) * 15 and proven[0].labels.answer == 1.0


def test_an_early_stop_leaves_the_rest_without_labels() -> None:
    pool = sampled(chain(4, 1), chain(3, 3), chain(2, 0), Chain())
    made = by_rollouts(ScriptedPolicy(sure), pool, no_picture, grade, Rollouts(2, early_stop=True), seed=0)
    assert [one.labels.steps for one in made] == [(1.0, 0.0, None, None), (1.0, 1.0, 1.0), (0.0, None), ()]
    assert made[0].details == {"drawn": [2, 2, 0, 0], "right": [2, 0, 0, 0]} and made[3].labels.answer is None


def test_nothing_is_left_open() -> None:
    policy = ScriptedPolicy(sure)
    by_rollouts(policy, sampled(chain(2, 1)), no_picture, grade, Rollouts(1), seed=0)
    broken = ScriptedPolicy(lambda prompt, texts, rng: 1 / 0)  # type: ignore[arg-type, return-value]
    with pytest.raises(ZeroDivisionError):
        by_rollouts(broken, sampled(chain(2, 1)), no_picture, grade, Rollouts(1), seed=0)
    assert not policy.tree.places and not broken.tree.places


def test_against_the_truth_labels_get_better_with_more_rollouts() -> None:
    """A policy that goes on from right steps to the right answer at CHANCE, and never from wrong ones, on chains of worlds."""
    rng, pool = random.Random(3), []
    for number, problem in enumerate(problems("all:train", 60)):
        pool.append(Sample(problem, number, corrupt(problem, right_chain(problem, rng), rng)))
    gold = {problem.question: problem for problem in (one.problem for one in pool)}

    def script(prompt: Prompt, texts: tuple[str, ...], rng: random.Random) -> str:
        problem = gold[prompt.question]
        fine = all(check(problem, step).label != 0 for step in read("".join(texts)).steps)
        answer = problem.answer if fine and rng.random() < CHANCE else "nothing"
        return pieces(Chain((Step("", "", ""),) * len(texts), answer))[-1]

    shares = []
    for n in (1, 4, 16):
        made = by_rollouts(ScriptedPolicy(script), pool, no_picture, grade, Rollouts(n), seed=0)
        same = [
            label == all(check(one.problem, step).label != 0 for step in one.chain.steps[: at + 1])
            for one in made
            for at, label in enumerate(one.labels.steps)
        ]
        shares.append(sum(same) / len(same))
        fine = sum(
            sum(check(one.problem, s).label != 0 for s in one.chain.steps[: at + 1]) == at + 1
            for one in made
            for at in range(len(one.chain.steps))
        )
        expected = 1 - fine / len(same) * (1 - CHANCE) ** n  # wrong steps are always found, right ones at 1 - (1 - CHANCE) ** n
        assert abs(shares[-1] - expected) < 4 * math.sqrt(0.25 / len(same))
    assert shares[0] < shares[1] < shares[2]


@pytest.fixture(scope="module")
def embedded() -> Policy:
    from cos.loading import load_policy

    return load_policy("embedded")


def test_on_worlds_the_search_begins_some_of_the_same_rollouts(embedded: Policy) -> None:
    pool = [one for own in samples(embedded, problems("all:train", 6), draw, Sampling(n=2), seed=5) for one in own]
    soft = by_rollouts(embedded, pool, draw, grade, Rollouts(3, soft=True), seed=5)
    assert all(label is not None and 3 * label in range(4) for one in soft for label in one.labels.steps)
    assert len({one.labels.steps[-1] for one in soft if one.labels.steps}) > 1
    some = by_binary_search(embedded, pool, draw, grade, Rollouts(3), seed=5)
    for whole, halves in zip(soft, some, strict=True):
        assert (
            halves.labels.answer
            == whole.labels.answer
            == (None if whole.chain.answer is None else grade(whole.problem, whole.chain.answer))
        )
        rolled = [right for drawn, right in zip(halves.details["drawn"], halves.details["right"], strict=True) if drawn]
        assert rolled == [whole.details["right"][at] for at, drawn in enumerate(halves.details["drawn"]) if drawn], "the same roll-outs"
    spent = [sum(one.cost.get("tokens", 0) for one in made) for made in (some, soft)]
    assert 0 < spent[0] < spent[1]
