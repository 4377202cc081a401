"""The problem sets, and one door to all worlds: what a problem's world can do is asked for here, by the problem's own name for it.

for problem in problems("charts:test", 100): draw(problem).save(...); chain(problem, rng); check(problem, step)
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Protocol

from PIL import Image

import cos.problems.benchmarks as benchmarks
import cos.problems.refusals as refusals
from cos.answers import Verdict as Graded
from cos.answers import verdict
from cos.chain import Chain, Problem, Step
from cos.errors import UserError
from cos.problems.benchmarks.items import Item
from cos.problems.world import SPLITS, Verdict, World, generate


class Module(World, Protocol):
    """A world's module also makes wrong chains, for training a reward model."""

    def corrupt(self, problem: Problem, right: Chain, rng: random.Random) -> Chain:
        """A plausible wrong chain, made from a right one."""
        ...


PROBLEM_SETS: dict[str, Module] = {"charts": refusals.charts, "scenes": refusals.scenes, "digits": refusals.digits, "refusals": refusals}
"""Name -> module. `all` in a specification means the first three, in turn. A world of your own is one more entry (docs/extending.md)."""

SIZE = (320, 320)
"""Height and width of every picture of a world, in pixels."""

_FALSE_REFUSALS = 0.08
"""Share of the wrong chains of a good picture that refuse it."""


def problems(spec: str, n: int, seed: int = 0, source: benchmarks.Source | None = None) -> list[Problem]:
    """`n` problems of a set and split, such as "charts:test" or "all:shift"; with `all` the worlds come in turn, n in all.

    Of a benchmark ("mmstar:val", "ai2d_no_mask") the first `n` of `source`, whatever the seed. The same arguments give the same
    problems. Raises UserError for a set or split that doesn't exist, and for a source that is given to a world.
    """
    name, _, split = spec.partition(":")
    if name in benchmarks.BENCHMARKS:
        return list(benchmarks.load(spec, n, source))
    known = [*PROBLEM_SETS, "all", *benchmarks.BENCHMARKS]
    if source is not None and name in known:
        raise UserError(f"{name} makes its own problems; a file is for the benchmarks: {', '.join(benchmarks.BENCHMARKS)}")
    if name not in known:
        raise UserError(f"no problem set {name!r} in {spec!r}: take one of {', '.join(known)}, as in charts:test")
    if split not in SPLITS:
        raise UserError(f"no split {split!r} in {spec!r}: take one of {', '.join(SPLITS)}, as in {name}:test")
    if name != "all":
        return list(generate(PROBLEM_SETS[name], split, n, seed))
    worlds = list(refusals.WORLDS.values())
    streams = [generate(world, split, (n + len(worlds) - 1) // len(worlds), seed) for world in worlds]
    return [next(streams[index % len(streams)]) for index in range(n)]


def draw(problem: Problem) -> Image.Image:
    """The problem's picture, RGB; several pictures of a benchmark's item are joined into one."""
    if isinstance(problem, Item):
        return problem.draw()
    return _module(problem).draw(problem.truth)


def describe(problem: Problem) -> str:
    """Everything in the picture, in a fixed order and wording."""
    return _module(problem).describe(problem.truth)


def chain(problem: Problem, rng: random.Random) -> Chain:
    """A chain whose every step is right and that ends in the gold answer."""
    return _module(problem).chain(problem, rng)


def corrupt(problem: Problem, right: Chain, rng: random.Random) -> Chain:
    """A plausible wrong chain made from a right one; now and then one that refuses a good picture. `check` says which steps are wrong."""
    if problem.world in refusals.WORLDS and rng.random() < _FALSE_REFUSALS:
        return refusals.refuse_wrongly(problem, rng)
    return _module(problem).corrupt(problem, right, rng)


def check(problem: Problem, step: Step) -> Verdict:
    """Is the step right (1), wrong (0) or neutral (None) by the truth of this problem's picture, and why. Never raises for any text.

    Of a benchmark's pictures nothing is known, so that all steps are neutral.
    """
    if problem.world in benchmarks.BENCHMARKS:
        return Verdict(None, "a benchmark says nothing of steps")
    verdict = _module(problem).check(problem, step)
    if problem.world not in refusals.WORLDS:  # the refusals themselves, and worlds that they have no words for
        return verdict
    refusal = refusals.check_refusal(problem.world, refused=False, step=step)
    if refusal.label is None or verdict.label == 0:
        return verdict
    return refusal if refusal.label == 0 or verdict.label is None else replace(verdict, label=1)


def grade(problem: Problem, answer: str | None) -> Graded:
    """Is the answer right, by the rule of the problem's own set, and which rule decided. None (no answer) is wrong everywhere."""
    return next(iter(grades(problem, answer).values()))


def grades(problem: Problem, answer: str | None) -> dict[str, Graded]:
    """The verdict that counts, and after it those of the set's other published rules, by name."""
    if problem.world in benchmarks.BENCHMARKS:
        return benchmarks.grades(problem, answer)
    return {"default": verdict(answer, problem.answer)}


def _module(problem: Problem) -> Module:
    if problem.world not in PROBLEM_SETS:
        raise UserError(f"problem {problem.id}: the world {problem.world!r} is not known here: one of {', '.join(PROBLEM_SETS)} is needed")
    return PROBLEM_SETS[problem.world]
