"""Single facts of a picture, in the very words in which the worlds' chains state them: what reading drills ask for (`cos.train.drills`)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from cos.chain import Problem
from cos.problems.chart_pictures import TOP
from cos.problems.digits import values_of
from cos.problems.scenes_words import SIDE, label


@dataclass(frozen=True)
class Fact:
    """One thing that a picture shows: `The red bar reaches`, of `red`, 12. Values lie from 0 to `top`."""

    key: str
    opening: str
    values: tuple[int, ...]
    top: int


def facts(problem: Problem) -> list[Fact]:
    """One fact for each bar, digit, or shape that is alone in its form and colour; none for a picture without such things."""
    content = problem.truth["content"]
    if problem.world == "charts":
        return [Fact(name, f"The {name} bar reaches", (value,), TOP) for name, value in content["bars"]]
    if problem.world == "digits":
        return [Fact(name, f"The {name} digit is", (value,), 9) for name, value in values_of(problem.truth).items()]
    if problem.world == "scenes":
        count = Counter(map(label, content["things"]))
        alone = [thing for thing in content["things"] if count[label(thing)] == 1]
        return [Fact(label(thing), f"A {label(thing)} is at", (thing["x"], thing["y"]), SIDE - 1) for thing in alone]
    return []
