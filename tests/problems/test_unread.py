"""A step is right only if all of it could be read: a word where a number belongs is never taken for right by what stands beside it."""

from __future__ import annotations

import random
import re
from dataclasses import replace

import pytest

from cos.card.cases import WORDINGS
from cos.chain import Step
from cos.problems import chain, check, problems

WORLDS = ("charts", "scenes", "digits")


@pytest.mark.parametrize("world", WORLDS)
def test_a_word_in_place_of_any_number_is_not_right(world: str) -> None:
    taken = [0, 0]
    for problem in problems(f"{world}:train", 18, 31):
        for step in chain(problem, random.Random(problem.id)).steps:
            for part in ("thought", "reflection"):
                text = getattr(step, part)
                for number in re.finditer(r"\d+", text):
                    changed = replace(step, **{part: text[: number.start()] + "photograph" + text[number.end() :]})
                    verdict = check(problem, changed)
                    assert verdict.label != 1, (changed, verdict)
                    taken[verdict.label is None] += 1
    assert sum(taken) > 100


@pytest.mark.parametrize("world", WORLDS)
def test_what_says_the_same_in_other_words_is_read_whole(world: str) -> None:
    for problem in problems(f"{world}:train", 18, 32):
        for step in chain(problem, random.Random(problem.id)).steps:
            texts = [step.thought, step.reflection]
            for old, new in WORDINGS:
                texts = [text.replace(old, new) for text in texts]
            verdict = check(problem, Step(step.name, *texts))
            assert verdict.label == 1, (texts, verdict)


@pytest.mark.parametrize(
    ("world", "thought", "reflection", "label"),
    [
        ("charts", "{a} + {b} =brown.", "This uses {one} {a} and {two} {b}.", 0),
        ("charts", "{a} + {b} = photograph.", "This uses {one} {a} and {two} {b}.", 0),
        ("charts", "photograph + {b} = 3.", "This uses {one} {a} and {two} {b}.", 0),
        ("charts", "{a} + photograph = 3.", "", 0),
        ("charts", "The {one} bar reaches of.", "The {two} bar reaches {b}.", None),
        ("charts", "The {one} bar reaches {a}, 3 of 7.", "", None),
        ("charts", "The {one} bar reaches {a}, as one can see.", "I am sure.", 1),
    ],
)
def test_by_hand(world: str, thought: str, reflection: str, label: int | None) -> None:
    sums = [one for one in problems(f"{world}:train", 60, 1) if one.kind == "sum"]
    problem = next(one for one in sums if not {"largest", "smallest"} & {*one.truth["ask"]["bars"]} and len(one.truth["ask"]["bars"]) == 2)
    values = dict(problem.truth["content"]["bars"])
    one, two = problem.truth["ask"]["bars"]
    words = {"one": one, "two": two, "a": values[one], "b": values[two]}
    assert check(problem, Step("work", thought.format(**words), reflection.format(**words))).label == label
