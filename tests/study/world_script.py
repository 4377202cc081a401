"""A policy without weights that writes right and wrong chains of the worlds' problems, whatever the picture."""

from __future__ import annotations

import functools
import random

from cos.models.scripted import ScriptedPolicy
from cos.problems import chain, corrupt, problems
from cos.protocols import Costs, Prompt
from cos.template import pieces

SETS = {"all:test": 9, "all:shift": 24, "all:validation": 6, "all:train": 9}


def world_policy(costs: Costs | None = None) -> ScriptedPolicy:
    """Draws a right chain of the first problem with the question, or one of three wrong ones."""
    return ScriptedPolicy(_script, costs=costs)


def _script(prompt: Prompt, texts: tuple[str, ...], rng: random.Random) -> str:
    return rng.choice([one for one in _written(prompt.question) if tuple(one[: len(texts)]) == texts])[len(texts)]


@functools.cache
def _written(question: str) -> list[list[str]]:
    known = next(problem for name, count in SETS.items() for problem in problems(name, count) if problem.question == question)
    right = chain(known, random.Random(1))
    return [pieces(right), *(pieces(corrupt(known, right, random.Random(number))) for number in range(3))]
