"""The formulas of labels against the meters of real labellings, on scripted chains of pieces that are all as long."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest
from PIL import Image

from cos.chain import Chain, Problem, Sample, Step
from cos.label import JUDGED, by_reward
from cos.models.scripted import ScriptedPolicy, ScriptedScorer, words
from cos.plan.labels import ASKED, VERDICT, halving, label
from cos.plan.searches import Lengths
from cos.protocols import Costs, Prompt
from cos.rollouts import Rollouts, by_binary_search, by_rollouts
from cos.template import pieces

STEPS, LENGTH, N = 4, 40, 3
PICTURE = Image.new("RGB", (4, 4))
PROBLEM = Problem("p", "How many red circles are there?", "a", image="p.png")
COSTS = Costs(10.0, 7.0, 3.0)
LENGTHS = Lengths(len(words(PROBLEM.question)) + 16, len(words(PROBLEM.question)) + 16, LENGTH, STEPS + 1)


def chain(steps: int, word: str, answer: str | None) -> Chain:
    """A chain whose pieces have LENGTH words each; `word` fills its thoughts, and stands in its answer."""
    bare = pieces(Chain((Step("s", word, "r"),) * steps, answer))
    fill = [word + f" {word}" * (LENGTH - len(words(piece))) for piece in bare]
    made = Chain(tuple(Step("s", thought, "r") for thought in fill[:steps]), None if answer is None else answer + fill[-1][len(word) :])
    assert {len(words(piece)) for piece in pieces(made)} <= {LENGTH}
    return made


def sample(answer: str = "wrong") -> Sample:
    return Sample(PROBLEM, 0, chain(STEPS, "given", answer))


def policy(error: int) -> ScriptedPolicy:
    """Comes to the right answer from before step `error` (counted from 0) of the given chain, and from nowhere else."""

    def script(prompt: Prompt, texts: tuple[str, ...], rng: random.Random) -> str:
        right = sum("given" in text for text in texts) <= error
        if len(texts) < STEPS:
            return pieces(chain(len(texts) + 1, "drawn", None))[-1]
        return pieces(chain(STEPS, "drawn", "right" if right else "wrong"))[-1]

    return ScriptedPolicy(script, costs=COSTS)


def grade(problem: Problem, answer: str | None) -> bool:
    return answer is not None and answer.startswith("right")


def test_roll_outs() -> None:
    (found,) = by_rollouts(policy(2), [sample()], lambda problem: PICTURE, grade, Rollouts(n=N), 0)
    planned = label("rollouts", LENGTHS, N, COSTS, Costs())
    assert planned.meter.spent() == {key: value for key, value in found.cost.items() if key != "seconds"}
    assert planned.meter.policy_decode == N * LENGTH * (4 + 3 + 2 + 1) and planned.forwards == 4 * LENGTH
    assert found.labels.steps == (1.0, 1.0, 0.0, 0.0), "the first two of the steps can still be gone on from"


def test_a_binary_search_on_the_mean_over_all_places_of_the_first_error() -> None:
    drawn = []
    for error in range(STEPS + 1):
        (found,) = by_binary_search(policy(error), [sample()], lambda problem: PICTURE, grade, Rollouts(n=N), 0)
        drawn.append(found.cost["policy_decode"])
        assert found.labels.first_error() == (error if error < STEPS else None)
    planned = label("binary", LENGTHS, N, COSTS, Costs()).meter
    assert planned.policy_decode == round(sum(drawn) / len(drawn)) and planned.policy_prefill == found.cost["policy_prefill"]
    assert [halving(steps) for steps in (0, 1, 2)] == [0, 1, Fraction(7, 3)], "by hand: 7 pieces over three places"


def test_a_chain_with_the_right_answer_costs_a_binary_search_nothing() -> None:
    (found,) = by_binary_search(policy(2), [sample("right")], lambda problem: PICTURE, grade, Rollouts(n=N), 0)
    assert set(found.cost) <= {"seconds"}


def test_a_reward_model() -> None:
    (found,) = by_reward(ScriptedScorer(costs=COSTS), [sample()], lambda problem: PICTURE)
    planned = label("reward", LENGTHS, N, Costs(), COSTS).meter
    assert planned.spent() == pytest.approx({key: value for key, value in found.cost.items() if key != "seconds"})


def test_what_a_judge_is_asked_and_says_is_about_as_long_as_planned() -> None:
    assert 0.8 < len(words(JUDGED.format(question="", chain=""))) / ASKED < 1.25
    assert 0.8 < len(words("Step 1: Good\n")) / VERDICT < 1.25
    planned = label("judge", LENGTHS, N, COSTS, Costs()).meter
    assert planned.policy_prefill == LENGTHS.prompt + ASKED + (STEPS + 1) * LENGTH and planned.policy_decode == (STEPS + 1) * VERDICT
