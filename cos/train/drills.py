"""Drills, for models that start from nothing: many small claims of one sort in a row, some of them wrong.

Reading drills say all that a picture shows, one fact after the other in any order; computing drills show no picture and hold sums.

Before each number the model is to write the true one; at the number, the label rows are to say whether what stands there is true. A chain
holds a handful of such places among a hundred tokens, a drill little else: looking a thing up by its name, which reading and checking both
need, came within 500 batches of drills, and had not come after 1,300 batches of chains (docs/log.md).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from cos import template
from cos.chain import Chain, Problem, Step, StepLabels
from cos.models.encode import Encoder, Turn
from cos.problems.facts import facts
from cos.problems.sums import Sum, sums
from cos.train.data import IGNORE, Example
from cos.train.judged import labelled_example

WRONG = 0.4
"""Share of the words in question that are wrong; of numbers half are near misses (docs/log.md)."""
SHORT = 0.3
"""Share of the drills that are lists (`red 12, blue 5`) instead of a chain's sentences; there the name stands right before its value."""


MOST = 10
"""Facts in a row at most; a chart has about three for each of its bars."""
IN_STEPS = 0.6
"""Share of the computing drills whose sums stand as the steps of a chain. Without them a reward model told right sums from wrong ones in
drills at AUC 0.99 and hardly in chains (docs/log.md)."""
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
    """One row without a picture: `count` sums, comparisons and extremes, whose results are the only targets; each has a hint."""
    reply = _Reply(encoder)
    for one, said in _worked(rng, wrong, count):
        reply.text(one.opening)
        reply.claim(one.result, said)
        reply.close(".")
    return reply.row(Turn("user", WORK), None, "")


def computing_steps(encoder: Encoder, question: str, rng: random.Random, wrong: float = WRONG, count: int = 12) -> Example:
    """The same as the steps of a chain that answers `question`, with a label at the tag after each.

    From computing drills alone a model learned to tell right sums from wrong ones after `WORK`, and not in chains (docs/log.md).
    """
    worked = _worked(rng, wrong, count)
    chain, right = (
        Chain(tuple(Step("work", f"{one.opening} {r}.", "") for one, r in results), "")
        for results in (worked, [(one, one.result) for one, _ in worked])
    )
    marks = StepLabels(tuple(float(said == one.result) for one, said in worked), None, "truth")
    row = labelled_example(encoder, [Turn("user", question)], chain, marks, None, "", right, describe=False)
    return replace(row, targets=[IGNORE] * len(row.ids))  # what is to be added up next nobody can tell


def written_steps(encoder: Encoder, question: str, rng: random.Random, count: int = 12) -> Example:
    """The same for a policy, which is to write the results: no tags, nothing wrong, and the results are the only targets."""
    ids: list[int] = []
    targets: dict[int, int] = {}
    for one, _ in _worked(rng, 0.0, count):
        right, wrong = (_step_ids(encoder, f"{one.opening} {result}.", bool(ids)) for result in (one.result, one.others[0]))
        at = next(place for place, (a, b) in enumerate(zip(right, wrong, strict=False)) if a != b)
        targets[len(ids) + at - 1] = right[at]
        ids += right
    return _row(encoder, Turn("user", question), ids, targets)


def _step_ids(encoder: Encoder, thought: str, later: bool) -> list[int]:
    return encoder.piece(template.pieces(Chain((Step("work", thought, ""),) * (1 + later), None))[-1])


def _worked(rng: random.Random, wrong: float, count: int) -> list[tuple[Sum, str]]:
    return [(one, rng.choice(one.others) if rng.random() < wrong else one.result) for one in sums(rng, count)]


class _Reply:
    """The reply of a drill as it is written: before each claim the true word is to be written, at the claim what stands there judged."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._ids: list[int] = []
        self._targets: dict[int, int] = {}
        self._hints: list[tuple[int, float]] = []

    def text(self, words: str) -> None:
        self._ids += self._encoder.plain(" " * bool(self._ids) + words)

    def close(self, mark: str) -> None:
        self._ids += self._encoder.plain(mark)

    def claim(self, true: str, said: str) -> None:
        self._targets[len(self._ids) - 1] = self._encoder.plain(f" {true}")[0]
        self._hints.append((len(self._ids), float(said == true)))
        self.text(said)

    def row(self, ask: Turn, picture: int | None, stand_in: str) -> Example:
        return _row(self._encoder, ask, self._ids, self._targets, self._hints, picture, stand_in)


def _row(
    encoder: Encoder,
    ask: Turn,
    reply: Sequence[int],
    targets: dict[int, int],
    hints: Sequence[tuple[int, float]] = (),
    picture: int | None = None,
    stand_in: str = "",
) -> Example:
    """The request and its reply; `targets` and `hints` by their places in the reply."""
    encoded = encoder.conversation([ask, Turn("assistant", tuple(reply))], stand_in)
    start = encoded.turn.index(1)
    wanted = [IGNORE] * len(encoded.ids)
    for place, token in targets.items():
        wanted[start + place] = token
    return Example(encoded.ids, wanted, picture, hints=tuple((start + place, label) for place, label in hints))


def _misread(value: str, others: Sequence[str], rng: random.Random) -> str:
    at = others.index(value)
    near = [others[at + shift] for shift in (-2, -1, 1, 2) if 0 <= at + shift < len(others)]
    return rng.choice(near if rng.random() < 0.5 else [other for other in others if other != value])
