"""A policy that draws right and wrong chains of real world problems, and rewards that know the truth, or only pretend to."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from cos import problems as worlds
from cos.chain import Problem
from cos.models.scripted import ScriptedPolicy, ScriptedScorer
from cos.protocols import Prompt
from cos.rewards.oracle import truth
from cos.template import pieces


class Known:
    """Problems of a set, found again by question or by picture."""

    def __init__(self, *specs: str, count: int = 6) -> None:
        self.problems = [problem for spec in specs for problem in worlds.problems(spec, count)]
        self.pictures = {worlds.draw(problem).tobytes(): problem for problem in self.problems}
        self.chains: dict[str, list[tuple[str, ...]]] = {}
        self.judged: dict[tuple[str, str, bool], float] = {}
        for problem in self.problems:
            rng = random.Random(problem.id)
            right = worlds.chain(problem, rng)
            wrong = [worlds.corrupt(problem, right, rng) for _ in range(3)]
            self.chains[problem.id] = [tuple(pieces(chain)) for chain in (right, worlds.chain(problem, rng), *wrong)]

    def seen(self, prompt: Prompt) -> Problem | None:
        """The problem whose picture this is."""
        return self.pictures.get(prompt.image.tobytes())

    def asked(self, prompt: Prompt) -> Problem:
        """The first problem with this question, whatever the picture."""
        return next(problem for problem in self.problems if problem.question == prompt.question)

    def truth(self, problem: Problem, text: str, first: bool) -> float:
        """What the oracle says; each text is judged once."""
        key = (problem.id, text, first)
        if key not in self.judged:
            self.judged[key] = truth(problem, text, first=first)
        return self.judged[key]

    def policy(self) -> ScriptedPolicy:
        """Draws one of the problem's five chains, two of them right."""

        def script(prompt: Prompt, texts: tuple[str, ...], rng: random.Random) -> str:
            problem = self.seen(prompt)
            assert problem is not None
            fits = [chain for chain in self.chains[problem.id] if chain[: len(texts)] == texts and len(chain) > len(texts)]
            return rng.choice(fits)[len(texts)]

        return ScriptedPolicy(script)

    def scorer(self, find: Callable[[Prompt], Problem | None]) -> ScriptedScorer:
        """0.9 for what is right by the truth of the problem that `find` takes the prompt for, 0.2 for what is wrong, else 0.5."""

        def rule(prompt: Prompt, texts: tuple[str, ...]) -> float:
            problem = find(prompt)
            good = 0.5 if problem is None else self.truth(problem, texts[-1], len(texts) == 1)
            return {1.0: 0.9, 0.0: 0.2}.get(good, 0.5)

        return ScriptedScorer(rule)


def constant(prompt: Prompt, texts: tuple[str, ...]) -> float:
    """Says nothing."""
    return 0.7


def by_depth(prompt: Prompt, texts: tuple[str, ...]) -> float:
    """The later the worse."""
    return 1 - len(texts) / 20


def by_length(prompt: Prompt, texts: tuple[str, ...]) -> float:
    """The longer the worse."""
    return max(0.0, 1 - len(texts[-1]) / 2000)


def no_progress(*_: Any) -> None:
    """Nobody watches."""
