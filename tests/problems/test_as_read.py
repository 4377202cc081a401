"""The picture as a chain read it: what a chain read is true of it, and what follows from a misreading is right."""

import random

import pytest

from cos import problems
from cos.chain import Chain, Step
from cos.problems.as_read import as_read
from cos.problems.digits_words import values_of

WORLDS = ("charts", "digits", "scenes")


@pytest.mark.parametrize("world", WORLDS)
def test_of_a_right_chain_every_step_stays_right(world: str) -> None:
    for index, problem in enumerate(problems.problems(f"{world}:train", 60, 3)):
        chain = problems.chain(problem, random.Random(index))
        seen = as_read(problem, chain)
        if seen is None:
            assert world == "scenes" and problem.kind not in ("relation", "further", "distance")
            continue
        assert [problems.check(seen, step).label for step in chain.steps] == [1] * len(chain.steps)
        assert seen.answer is None and seen.question == problem.question


def test_a_misread_bar_is_what_the_picture_holds_now() -> None:
    problem = next(p for p in problems.problems("charts:train", 60, 3) if p.truth["ask"]["kind"] == "sum" and p.level == 1)
    one, two = problem.truth["ask"]["bars"]
    steps = (
        Step(f"read {one}", f"The {one} bar reaches 7.", "Its end lies between 5 and 10."),
        Step(f"read {two}", f"The {two} bar reaches 9.", "Its end lies between 5 and 10."),
        Step(f"read {two}", f"The {two} bar reaches 4.", "Its end lies between 0 and 5."),
        Step("add", "7 + 9 = 16.", f"This uses {one} 7 and {two} 9."),
        Step("add", "7 + 4 = 11.", f"This uses {one} 7 and {two} 4."),
    )
    seen = as_read(problem, Chain(steps, "16"))
    bars, before = dict(seen.truth["content"]["bars"]), dict(problem.truth["content"]["bars"])
    assert (bars[one], bars[two]) == (7, 9)  # the first reading, where two differ
    assert {**bars, one: 0, two: 0} == {**before, one: 0, two: 0}
    assert [problems.check(seen, step).label for step in steps] == [1, 1, 0, 1, 0]
    assert problems.chain(seen, random.Random(0)).answer == "16"


def test_a_misread_digit_and_the_places_beside_it() -> None:
    problem = problems.problems("digits:train", 1, 3)[0]
    place, value = next(iter(values_of(problem.truth).items()))
    chain = Chain((Step(f"read {place}", f"The {place} digit is {9 - value}.", ""),), "")
    assert values_of(as_read(problem, chain).truth) == {**values_of(problem.truth), place: 9 - value}


def test_of_a_scene_only_what_was_read_is_there_and_once() -> None:
    problem = next(p for p in problems.problems("scenes:train", 60, 3) if p.truth["ask"]["kind"] == "relation")
    words = ["A red circle is at 3, 4.", "The blue star is at 1, 2.", "A red circle is at 3, 4.", "An odd thing is here."]
    seen = as_read(problem, Chain(tuple(Step("find", thought, "") for thought in words), ""))
    assert [(t["colour"], t["shape"], t["x"], t["y"]) for t in seen.truth["content"]["things"]] == [
        ("blue", "star", 1, 2),
        ("red", "circle", 3, 4),
    ]
