"""What a run will cost, before it begins: tokens by the meter's formulas (docs/architecture.md, "One meter"). No gradio.

With c tokens of picture and prompt, N chains of S pieces of L tokens: `sample` reads c and writes S L; `vote` writes N S L; what asks for
rewards reads c twice and judges N S (L + 1) more. An upper estimate: equal draws are judged once, and paths that end early save the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cos.search.methods import ONE_CHAIN
from workbench.limits import LIMITS

UNSCORED = frozenset({"vote"})
"""Methods with many chains and no rewards."""


@dataclass(frozen=True)
class Shape:
    """How long things are for a model: prompt with picture, a piece, and pieces in a chain (the answer is one)."""

    prompt: int
    piece: float
    pieces: float


SHAPES = {"scripted": Shape(30, 22.0, 4.0), "embedded": Shape(45, 22.0, 4.5)}
"""scripted: measured over its chains; embedded: 97 tokens a chain on average (docs/log.md, 2026-11-22)."""
OTHER = Shape(1900, 120.0, 5.0)
"""A model of another kind: 1,792 tokens of picture (7 tiles of 256, InternVL) and steps as long as the paper's (arXiv 2509.19003)."""


def tokens(method: str, n: int, policy: str) -> int:
    """Token-forwards of one search, about."""
    shape = SHAPES.get(policy, OTHER)
    chain = shape.piece * shape.pieces
    if method in ONE_CHAIN:
        return round(shape.prompt + chain)
    if method in UNSCORED:
        return round(shape.prompt + n * chain)
    return round(2 * shape.prompt + n * (2 * chain + shape.pieces))


def n_within(method: str, budget: float, policy: str) -> int:
    """The greatest N that this many tokens pay for; 1 at least, the app's limit at most."""
    return next((n for n in range(LIMITS.n, 1, -1) if tokens(method, n, policy) <= budget), 1)


def say(methods: Sequence[str], ns: Sequence[int], policy: str, pace: float | None) -> str:
    """One line for the page. `pace`: token-forwards a second, as measured in the last run with this policy; None where none was."""
    costs = [tokens(method, n, policy) for method, n in zip(methods, ns, strict=True)]
    parts = " · ".join(
        f"{method.replace('_', ' ')} {'' if method in ONE_CHAIN else f'N={n} '}≈ {cost:,}"
        for method, n, cost in zip(methods, ns, costs, strict=True)
    )
    seconds = f", about {max(0.1, sum(costs) / pace):.1f} s" if pace else ""
    return f"≈ {sum(costs):,} tokens{seconds} ({parts})" if costs else "Choose a method."
