"""Drills, for models that start from nothing: many small claims of one sort in a row, some of them wrong.

Reading drills say all that a picture shows, one fact after the other in any order; computing drills show no picture and hold sums.

Before each number the model is to write the true one; at the number, the label rows are to say whether what stands there is true. A chain
holds a handful of such places among a hundred tokens, a drill little else: looking a thing up by its name, which reading and checking both
need, came within 500 batches of drills, and had not come after 1,300 batches of chains (docs/log.md).
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from cos.chain import Problem
from cos.models.encode import Encoder, Turn
from cos.problems.facts import facts
from cos.problems.sums import sums
from cos.train.data import IGNORE, Example

WRONG = 0.4
"""Share of the words in question that are wrong; of numbers half are near misses (docs/log.md)."""
SHORT = 0.3
"""Share of the drills that are lists (`red 12, blue 5`) instead of a chain's sentences; there the name stands right before its value."""


MOST = 10
"""Facts in a row at most; a chart has about three for each of its bars."""
WORK = "Work this out."
"""What a computing drill asks for."""


def reading(
    encoder: Encoder,
    ask: str,
    problem: Problem,
    picture: int,
    stand_in: str,
    rng: random.Random,
    wrong: float = WRONG,
    short: float = SHORT,
) -> Example:
    """One row: the request `ask` with the picture, and a reply whose values alone are targets; each has a hint. `wrong`: their share."""
    listed, known = rng.random() < short, facts(problem)
    reply = _Reply(encoder)
    for fact in rng.sample(known, min(len(known), MOST)):
        reply.text(fact.key if listed else fact.opening)
        for place, value in enumerate(fact.values):
            if place and not listed:
                reply.close(",")
            reply.claim(value, _misread(value, fact.others, rng) if rng.random() < wrong else value)
        reply.close("," if listed else ".")
    return reply.row(Turn("user", ask, image=True), picture, stand_in)


def computing(encoder: Encoder, rng: random.Random, wrong: float = WRONG, count: int = 12) -> Example:
    """One row without a picture: `count` sums, comparisons and extremes, whose results are the only targets; each has a hint.

    Half of the rows hold one on each line: there, as in a chain's thoughts, no space is before the first number, which makes it another
    token. A model that had seen them after spaces alone knew 0.99 of the sums in drills, and of those in chains no more than before
    (docs/log.md).
    """
    reply, apart = _Reply(encoder), rng.choice(" \n")
    for one in sums(rng, count):
        reply.text(one.opening, apart)
        reply.claim(one.result, rng.choice(one.others) if rng.random() < wrong else one.result)
        reply.close(".")
    return reply.row(Turn("user", WORK), None, "")


class _Reply:
    """The reply of a drill as it is written: before each claim the true word is to be written, at the claim what stands there judged."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._ids: list[int] = []
        self._targets: dict[int, int] = {}
        self._hints: list[tuple[int, float]] = []

    def text(self, words: str, apart: str = " ") -> None:
        self._ids += self._encoder.plain(apart * bool(self._ids) + words)

    def close(self, mark: str) -> None:
        self._ids += self._encoder.plain(mark)

    def claim(self, true: str, said: str) -> None:
        self._targets[len(self._ids) - 1] = self._encoder.plain(f" {true}")[0]
        self._hints.append((len(self._ids), float(said == true)))
        self.text(said)

    def row(self, ask: Turn, picture: int | None, stand_in: str) -> Example:
        encoded = self._encoder.conversation([ask, Turn("assistant", tuple(self._ids))], stand_in)
        start = encoded.turn.index(1)
        targets = [IGNORE] * len(encoded.ids)
        for place, token in self._targets.items():
            targets[start + place] = token
        return Example(encoded.ids, targets, picture, hints=tuple((start + place, label) for place, label in self._hints))


def _misread(value: str, others: Sequence[str], rng: random.Random) -> str:
    at = others.index(value)
    near = [others[at + shift] for shift in (-2, -1, 1, 2) if 0 <= at + shift < len(others)]
    return rng.choice(near if rng.random() < 0.5 else [other for other in others if other != value])
