"""Single facts of a picture, in the very words in which the worlds' chains state them: what reading drills ask for (`cos.train.drills`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from cos.chain import Problem
from cos.problems.chart_pictures import TOP
from cos.problems.chart_questions import ORDINALS
from cos.problems.digits import values_of
from cos.problems.scenes_words import SIDE, label


@dataclass(frozen=True)
class Fact:
    """One thing that a picture shows: `The red bar reaches`, of `red`, 12. `others`: what each value may be taken for, numbers in order."""

    key: str
    opening: str
    values: tuple[str, ...]
    others: tuple[str, ...]


def facts(problem: Problem) -> list[Fact]:
    """One fact for each bar, its place among the bars, the largest and the smallest; each digit; each shape that is alone in its form
    and colour. None for a picture without such things."""
    content = problem.truth["content"]
    if problem.world == "charts":
        return _of_bars(content["bars"], problem.truth["style"]["horizontal"])
    if problem.world == "digits":
        return [Fact(name, f"The {name} digit is", (str(value),), _up_to(9)) for name, value in values_of(problem.truth).items()]
    if problem.world == "scenes":
        count = Counter(map(label, content["things"]))
        alone = [thing for thing in content["things"] if count[label(thing)] == 1]
        return [Fact(label(t), f"A {label(t)} is at", (str(t["x"]), str(t["y"])), _up_to(SIDE - 1)) for t in alone]
    return []


def _of_bars(bars: Sequence[tuple[str, int]], horizontal: bool) -> list[Fact]:
    names, values = tuple(name for name, _ in bars), [value for _, value in bars]
    found = [Fact(name, f"The {name} bar reaches", (str(value),), _up_to(TOP)) for name, value in bars]
    for edge, ordered in zip(("top", "bottom") if horizontal else ("left", "right"), (names, names[::-1]), strict=True):
        found += [
            Fact(f"{place} from the {edge}", f"The {place} bar from the {edge} is", (name,), names)
            for place, name in zip(ORDINALS, ordered, strict=False)
        ]
    for word, value in (("largest", max(values)), ("smallest", min(values))):
        if values.count(value) == 1:
            found.append(Fact(word, f"The {word} bar is", (names[values.index(value)],), names))
    return found


def _up_to(top: int) -> tuple[str, ...]:
    return tuple(map(str, range(top + 1)))
