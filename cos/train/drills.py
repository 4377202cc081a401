"""Reading drills: all that a picture shows, one fact after the other in any order, some of it wrong.

Before each number the model is to write the true one; at the number, the label rows are to say whether what stands there is true. A chain
holds a handful of such places among a hundred tokens, a drill little else: looking a thing up by its name, which reading and checking both
need, came within 500 batches of drills, and had not come after 1,300 batches of chains (docs/log.md).
"""

from __future__ import annotations

import random

from cos.chain import Problem
from cos.models.encode import Encoder, Turn
from cos.problems.facts import facts
from cos.train.data import IGNORE, Example

WRONG = 0.4
"""Share of the numbers that are wrong; half of them near misses (docs/log.md)."""
SHORT = 0.3
"""Share of the drills that are lists (`red 12, blue 5`) instead of a chain's sentences; there the name stands right before its value."""


def drill(encoder: Encoder, ask: str, problem: Problem, picture: int, stand_in: str, rng: random.Random, short: float = SHORT) -> Example:
    """One row: the request `ask` with the picture, and a reply whose numbers are the only targets; each has a hint."""
    listed, known = rng.random() < short, facts(problem)
    reply: list[int] = []
    targets: dict[int, int] = {}
    hints: list[tuple[int, float]] = []
    for fact in rng.sample(known, len(known)):
        reply += encoder.plain(" " * bool(reply) + (fact.key if listed else fact.opening))
        for place, value in enumerate(fact.values):
            if place and not listed:
                reply += encoder.plain(",")
            said = _misread(value, fact.top, rng) if rng.random() < WRONG else value
            targets[len(reply) - 1] = encoder.plain(f" {value}")[0]
            hints.append((len(reply), float(said == value)))
            reply += encoder.plain(f" {said}")
        reply += encoder.plain("," if listed else ".")
    encoded = encoder.conversation([Turn("user", ask, image=True), Turn("assistant", tuple(reply))], stand_in)
    start = encoded.turn.index(1)
    wanted = [IGNORE] * len(encoded.ids)
    for place, token in targets.items():
        wanted[start + place] = token
    return Example(encoded.ids, wanted, picture, hints=tuple((start + place, label) for place, label in hints))


def _misread(value: int, top: int, rng: random.Random) -> int:
    near = [value + shift for shift in (-2, -1, 1, 2) if 0 <= value + shift <= top]
    return rng.choice(near if rng.random() < 0.5 else [other for other in range(top + 1) if other != value])
