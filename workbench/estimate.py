"""What a run will cost, before it begins: tokens by the meter's formulas (`cos.plan.searches`) and the lengths known of a model. No gradio.

An upper estimate: equal draws are judged once, paths that end early save the rest, and a search that may go back need not.
"""

from __future__ import annotations

from collections.abc import Sequence

from cos.plan.searches import Lengths, search
from cos.protocols import Costs
from cos.search.methods import ONE_CHAIN, Settings
from workbench.limits import LIMITS

LENGTHS = {"scripted": Lengths(30, 30, 22.0, 4.0), "embedded": Lengths(45, 45, 22.0, 4.5)}
"""scripted: measured over its chains; embedded: 97 tokens a chain on average (docs/log.md, 2026-11-22)."""
OTHER = Lengths(1900, 1900, 120.0, 5.0)
"""A model of another kind: 1,792 tokens of picture (7 tiles of 256, InternVL) and steps as long as the paper's (arXiv 2509.19003)."""


def tokens(method: str, n: int, policy: str) -> int:
    """Token-forwards of one search, about."""
    lengths = LENGTHS.get(policy, OTHER)
    return search(method, Settings(n=n), lengths, Costs(), Costs()).meter.tokens


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
