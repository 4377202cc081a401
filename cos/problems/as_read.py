"""The picture as a chain read it: what its later steps are right or wrong by, if what it read is taken as it is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from cos.chain import Chain, Problem
from cos.problems.chart_pictures import TOP
from cos.problems.digits_words import values_of

_BAR = re.compile(r"The (\w+) bar reaches (\d+)\.")
_END = re.compile(r"The (largest|smallest) bar is (\w+)\.")
_DIGIT = re.compile(r"The (.+) digit is (\d)\.")
_THING = re.compile(r"(?:An?|The) (\w+) (\w+) is at (\d+), (\d+)\.")


def as_read(problem: Problem, chain: Chain) -> Problem | None:
    """The problem with a picture that holds what the chain's steps read, in a world's own words, the first reading where two differ.

    Of digits that it did not read the truth stays, and of bars, as far as what it calls the largest or smallest lets them; of a scene
    only the shapes that it read are there. The gold answer is left out. None where the steps don't say all that the question needs: of a
    scene's groups they tell how many, and not which.
    """
    if problem.world == "scenes" and "groups" in problem.truth["ask"]:
        return None
    said = [text for step in chain.steps for text in (step.thought, step.reflection)]
    read = {"charts": _bars, "digits": _digits, "scenes": _things}[problem.world]
    content = {**problem.truth["content"], **read(problem, said)}
    return replace(problem, truth={**problem.truth, "content": content}, answer=None)


def _found(pattern: re.Pattern[str], said: Sequence[str]) -> list[tuple[str, ...]]:
    return [match.groups() for match in map(pattern.fullmatch, said) if match]


def _bars(problem: Problem, said: Sequence[str]) -> dict[str, Any]:
    read = {name: int(value) for name, value in reversed(_found(_BAR, said))}
    ends = {word: read[name] for word, name in _found(_END, said) if name in read}
    low, high = ends.get("smallest", 0) + 1, ends.get("largest", TOP + 1) - 1
    return {"bars": [[name, read.get(name, min(max(value, low), high))] for name, value in problem.truth["content"]["bars"]]}


def _digits(problem: Problem, said: Sequence[str]) -> dict[str, Any]:
    read = {place: int(value) for place, value in reversed(_found(_DIGIT, said))}
    values = iter([read.get(place, value) for place, value in values_of(problem.truth).items()])
    return {"rows": [[next(values) for _ in row] for row in problem.truth["content"]["rows"]]}


def _things(problem: Problem, said: Sequence[str]) -> dict[str, Any]:
    read = dict.fromkeys(_found(_THING, said))
    things = [{"colour": colour, "shape": shape, "x": int(x), "y": int(y)} for colour, shape, x, y in read]
    return {"things": sorted(things, key=lambda thing: (thing["y"], thing["x"]))}
