"""What a report card is drawn up on: questions with pictures and labelled chains. Here from worlds: sampled, and labelled by the truth.

source = Worlds("charts:test", problems("charts:test", 100), policy, Sampling(n=8), seed=0)
for case in source.cases(source.problems[:16]): ...
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any, Protocol

from cos import problems as worlds
from cos.chain import Chain, Problem, Step
from cos.protocols import Policy
from cos.sample import Sampling, samples

WORDINGS = (
    ("reaches", "goes up to"),
    ("Its end lies", "It ends"),
    ("This uses", "I take"),
    ("This is", "That is"),
    ("It is", "It's"),
    ("The ", "I see that the "),
)
"""Phrases of the worlds' right chains, and others that say the same."""
FILLER = Step("Think", "I take it one step at a time.", "So I go on.")
"""A step that claims nothing."""


@dataclass(frozen=True)
class Item:
    """One chain with a label for each step (1 right, 0 wrong, None unknown or neutral) and one for its answer."""

    chain: Chain
    labels: tuple[float | None, ...]
    kinds: tuple[str, ...] = ()
    """What each step does, where a world knows it: `see`, `compute` or nothing."""
    right: float | None = None
    count: int = 1
    """How often it was drawn."""
    rollouts: tuple[tuple[int, int], ...] = ()
    """For each step, where that was tried: roll-outs begun after it, and those that came to the right answer."""


@dataclass(frozen=True)
class Edit:
    """A right chain, written another way. `added`: the place of a step that was put in, which no other version has."""

    chain: Chain
    added: int | None = None


@dataclass(frozen=True)
class Case:
    """A question, its picture (PIL, or None) and its chains. `edits`: `right` and the same chain `reworded`, `reordered`, with `filler`."""

    problem: Problem
    picture: Any
    items: tuple[Item, ...]
    edits: Mapping[str, Edit] = field(default_factory=dict)


class Source(Protocol):
    """Where cases come from: a set of a world, a file."""

    @property
    def name(self) -> str:
        """The set, or the file."""
        ...

    @property
    def problems(self) -> Sequence[Problem]:
        """All problems, in order."""
        ...

    def picture(self, problem: Problem) -> Any:
        """The picture of a problem, None without one."""
        ...

    def cases(self, problems: Sequence[Problem]) -> list[Case]:
        """The cases of these problems, in order."""
        ...


@dataclass(frozen=True)
class Worlds:
    """A set of worlds with truth; the chains are drawn from a policy, the same for the same seed, and labelled by the worlds' checkers.
    What is no chain at all stays among those drawn: it is a wrong answer."""

    name: str
    problems: Sequence[Problem]
    policy: Policy
    how: Sampling
    seed: int = 0

    def picture(self, problem: Problem) -> Any:
        """See `Source`."""
        return worlds.draw(problem)

    def cases(self, problems: Sequence[Problem]) -> list[Case]:
        """See `Source`."""
        found = []
        for own in samples(self.policy, problems, worlds.draw, self.how, self.seed, block=max(1, len(problems))):
            problem = own[0].problem
            drawn = Counter(sample.chain for sample in own)
            items = tuple(labelled(problem, chain, count) for chain, count in drawn.items())
            found.append(Case(problem, worlds.draw(problem), items, edits(problem, self.seed)))
        return found


def labelled(problem: Problem, chain: Chain, count: int = 1) -> Item:
    """A chain with the labels of the truth: the world's checker for each step, the problem's rule for the answer."""
    verdicts = [worlds.check(problem, step) for step in chain.steps]
    labels = tuple(None if verdict.label is None else float(verdict.label) for verdict in verdicts)
    return Item(chain, labels, tuple(verdict.kind for verdict in verdicts), float(worlds.grade(problem, chain.answer).right), count)


def edits(problem: Problem, seed: int) -> dict[str, Edit]:
    """A right chain of the problem's world and what was made of it without making a step wrong; what can't be done is left out."""
    check = cache(partial(worlds.check, problem))
    right = worlds.chain(problem, random.Random(f"{seed}/{problem.id}"))
    found = {"right": Edit(right)} | filled(right)
    others = (worlds.chain(problem, random.Random(f"{seed}/{problem.id}/{number}")) for number in range(8))
    other = next((chain for chain in others if Counter(chain.steps) != Counter(right.steps)), right)
    reworded = replace(other, steps=tuple(said if check(said := _said_otherwise(step)).label == 1 else step for step in other.steps))
    if reworded != right:
        found["reworded"] = Edit(reworded)
    first = next((i for i, step in enumerate(right.steps) if check(step).kind != "see"), len(right.steps))
    turned = replace(right, steps=(*reversed(right.steps[:first]), *right.steps[first:]))
    if turned.steps != right.steps:
        found["reordered"] = Edit(turned)
    return {name: edit for name, edit in found.items() if all(check(step).label != 0 for step in edit.chain.steps)}


def _said_otherwise(step: Step) -> Step:
    thought, reflection = step.thought, step.reflection
    for old, new in WORDINGS:
        thought, reflection = thought.replace(old, new), reflection.replace(old, new)
    return Step(step.name, thought, reflection)


def filled(right: Chain) -> dict[str, Edit]:
    """`filler`: the chain with FILLER after its first step."""
    return {"filler": Edit(replace(right, steps=(*right.steps[:1], FILLER, *right.steps[1:])), 1)} if right.steps else {}
