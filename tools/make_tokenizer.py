"""Train the embedded models' tokenizer on the words of the worlds, anew: `python tools/make_tokenizer.py FOLDER`.

The one that ships (cos/assets/tokenizer) was made by this at the start. It stays as it is when a world gets new words, since the shipped
models were trained with it; any text encodes, only a new word takes more tokens.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator

from cos import problems
from cos.chain import Problem
from cos.models.embedded import make_tokenizer
from cos.models.vlm import LOOK


def texts() -> Iterator[str]:
    """Questions, descriptions, right and wrong chains of the training splits.

    Numbers come first and often, with and without a blank before them, so that each up to 99 gets a token of its own.
    """
    for form in ("{0}", "a {0}, {0}."):
        yield from (form.format(number) for _ in range(30) for number in range(100))
    yield LOOK
    for spec, count in (("all:train", 6000), ("refusals:train", 600)):
        for problem in problems.problems(spec, count):
            yield from words(problem)


def words(problem: Problem) -> Iterator[str]:
    """All that is said about one picture."""
    yield problem.question
    yield problems.describe(problem)
    rng = random.Random(problem.id)
    for chain in (problems.chain(problem, rng), problems.corrupt(problem, problems.chain(problem, rng), rng)):
        yield chain.answer or ""
        for step in chain.steps:
            yield from (step.name, step.thought, step.reflection)


if __name__ == "__main__":
    make_tokenizer(texts()).save_pretrained(sys.argv[1])
