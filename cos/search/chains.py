"""Methods that draw whole chains and choose among them: greedy, sample, vote, best_of_n, weighted_vote, adaptive_n."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import replace

from cos.search.asking import Asking, Expand, Request, Score, Settings
from cos.search.select import choose
from cos.search.trace import Node, SearchTrace


def greedy(trace: SearchTrace, settings: Settings) -> Asking:
    """One chain at temperature 0."""
    yield Expand([trace.start], 1, to="answer", temperature=0.0)
    return choose(trace, "sample", settings.aggregator)


def sample(trace: SearchTrace, settings: Settings) -> Asking:
    """One chain at the settings' temperature."""
    yield Expand([trace.start], 1, to="answer")
    return choose(trace, "sample", settings.aggregator)


def vote(trace: SearchTrace, settings: Settings) -> Asking:
    """N chains, the most frequent answer (self-consistency, arXiv 2203.11171). Asks for no rewards."""
    yield Expand([trace.start], settings.n, to="answer")
    return choose(trace, "vote", settings.aggregator)


def best_of_n(trace: SearchTrace, settings: Settings) -> Asking:
    """N chains, the one with the best aggregate (CoS, arXiv 2509.19003, section 4: 0.2 x mean step + 0.8 x answer)."""
    yield from _chains(trace, settings.n)
    return choose(trace, "best_of_n", settings.aggregator)


def weighted_vote(trace: SearchTrace, settings: Settings) -> Asking:
    """N chains, the answer with the greatest sum of aggregates (weighted best-of-N of search-and-learn; as CRISP sums a cluster)."""
    yield from _chains(trace, settings.n)
    return choose(trace, "weighted_vote", settings.aggregator)


def adaptive_n(trace: SearchTrace, settings: Settings) -> Asking:
    """Chains until one of them is right with probability `certainty`, N at most; then the best of them (IAS, arXiv 2506.09338).

    One chain in p is right, so ceil(ln(1 - C) / ln(1 - p)) are needed. p is the mean chance of the answers drawn so far (an answer's reward
    as the calibration reads it, else the reward itself; 0 for a chain without an answer). Ours: p is estimated anew while drawing, which
    at most doubles the chains each time; IAS estimates it once, from a prefix, by a reward model with a quantile head. The first k chains
    are those of `best_of_n`.
    """
    wanted, drawn, p = 1, 0, 0.0
    while drawn < wanted:
        yield from _chains(trace, wanted - drawn)
        drawn = wanted
        p = sum(_chance(leaf) * leaf.count for leaf in trace.pool()) / drawn
        wanted = max(drawn, min(chains_needed(p, settings.certainty), 2 * drawn, settings.n))
    found = choose(trace, "best_of_n", settings.aggregator)
    source = "calibrated" if any(leaf.chance is not None for leaf in trace.pool()) else "rewards taken as chances, no calibration"
    return found and replace(found, why=f"{found.why}; {drawn} of at most {settings.n} chains, each right with {p:.3f} ({source})")


def judge(trace: SearchTrace, settings: Settings, *, scored: bool) -> Asking:
    """In place of a method where a whole chain was given: there is nothing to draw."""
    if scored:
        yield Score([trace.start])
    return choose(trace, "best_of_n", settings.aggregator)


def chains_needed(p: float, certainty: float) -> int:
    """Chains of which one is right with probability `certainty` if each is with `p`; p is clipped to [1e-4, 1 - 1e-4] as in IAS' code."""
    return math.ceil(math.log(1 - certainty) / math.log(1 - min(max(p, 1e-4), 1 - 1e-4)))


def _chance(leaf: Node) -> float:
    return leaf.chance if leaf.chance is not None else leaf.reward or 0.0


def _chains(trace: SearchTrace, count: int) -> Generator[Request, list[Node], Sequence[Node]]:
    leaves = yield Expand([trace.start], count, to="answer")
    return (yield Score([leaf for leaf in leaves if leaf.status == "finished"]))
