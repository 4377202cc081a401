"""Methods that keep a population: rewards set how many draws each path gets, not who is kept. rebase, particle."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence

from cos.errors import UserError
from cos.scores import AGGREGATORS, EDGE
from cos.search.asking import Asking, Asks, Decide, Expand, Score, Settings
from cos.search.paths import alive, going, path_scores
from cos.search.select import Choice, chain_score, choose
from cos.search.trace import Node, SearchTrace


def rebase(trace: SearchTrace, settings: Settings) -> Asking:
    """Each live path gets draws in proportion to its softmaxed score (reward-balanced search, REBASE, arXiv 2408.00724).

    The n draws of a round become fewer by those that have come to an answer. Sharing is the code's: from the best path on, the next
    whole number of what is left (`widths`). The paper's last step is a weighted vote: `selector=weighted_vote`. With n = 1 it is `sample`.
    """
    beam = [trace.start] * settings.n
    while beam:
        children = alive((yield Expand(beam, 1, steps=settings.granularity)))
        yield Score(children)
        scores = path_scores(trace, going(children), settings.step_aggregator)
        ranked = sorted(_draws(going(children)), key=lambda node: (-scores[node.id], node.id))
        left = settings.n - sum(leaf.count for leaf in trace.pool())
        numbers = widths([scores[node.id] for node in ranked], left, settings.softmax_temperature)
        beam = [node for node, number in zip(ranked, numbers, strict=True) for _ in range(number)]
        yield from _share(trace, scores, beam, settings.step_aggregator)
    return choose(trace, settings.selector, settings.aggregator)


def widths(scores: Sequence[float], width: int, temperature: float) -> list[int]:
    """Shares of `width`, in sequence: the ceiling of what is left x exp(score / temperature) / the sum of what is left of these weights."""
    top = max(scores, default=0.0)
    weights = [math.exp((score - top) / temperature) for score in scores]
    found = []
    for index, weight in enumerate(weights):
        rest = math.fsum(weights[index:])
        found.append(min(width, math.ceil(width * weight / rest - 1e-9)) if rest else 0)  # less what rounding adds to a whole number
        width -= found[-1]
    return found


def particle(trace: SearchTrace, settings: Settings) -> Asking:
    """Particle filtering (Rollout Roulette, arXiv 2502.01618): n paths; in each round those alive are drawn anew by weight, with copies.

    A weight is the softmax of the logit of the path's score, as in its_hub; scores must lie in [0, 1]. Copies are dealt by systematic
    resampling (one random number a round, from the seed). Ours: a path with an answer leaves the population, with its place, rather than
    being copied on; the `particle_output` is taken among all that finished, the best by the aggregator or one sampled by the same weights.
    """
    _check(settings.step_aggregator)
    rng, beam = random.Random(f"particle {settings.seed}"), [trace.start] * settings.n
    while beam:
        children = alive((yield Expand(beam, 1, steps=settings.granularity)))
        yield Score(children)
        scores = path_scores(trace, going(children), settings.step_aggregator)
        live = _draws(going(children))
        beam = [live[i] for i in systematic(odds([scores[node.id] for node in live]), len(live), rng.random())]
        yield from _share(trace, scores, beam, settings.step_aggregator)
    return choose(trace, settings.selector, settings.aggregator) if settings.particle_output == "best" else _sampled(trace, settings, rng)


def odds(scores: Sequence[float]) -> list[float]:
    """Softmax of logits, not normalised: p / (1 - p), with p clipped to [EDGE, 1 - EDGE]."""
    clipped = [min(max(score, EDGE), 1.0 - EDGE) for score in scores]
    return [score / (1.0 - score) for score in clipped]


def systematic(weights: Sequence[float], count: int, uniform: float) -> list[int]:
    """`count` indices by weight: those that (i + uniform) / count of the whole mass fall on, i = 0, 1, ... (Carpenter et al., 1999)."""
    total, reach, found = math.fsum(weights), 0.0, list[int]()
    for index, weight in enumerate(weights):
        reach += weight
        while len(found) < count and (len(found) + uniform) * total < reach * count:
            found.append(index)
    return found + [len(weights) - 1] * (count - len(found))  # what rounding has kept from the last


def _sampled(trace: SearchTrace, settings: Settings, rng: random.Random) -> Choice | None:
    _check(settings.aggregator)
    pool = _draws(trace.pool())
    if not pool:
        return None
    weights = odds([chain_score(trace, leaf, settings.aggregator) for leaf in pool])
    leaf = pool[systematic(weights, 1, rng.random())[0]]
    share = weights[pool.index(leaf)] * leaf.count / math.fsum(weights)
    return Choice(leaf, chain_score(trace, leaf, settings.aggregator), f"sampled, with chance {share:.3f}, from {len(pool)} paths")


def _share(trace: SearchTrace, scores: dict[int, float], beam: Sequence[Node], what: str) -> Asks:
    """A verdict on every node of a round, by its number of draws in the next."""
    numbers = Counter(node.id for node in beam)
    told = [(id, f"{numbers[id]} of {len(beam)} draws, {what} {score:.3f}") for id, score in scores.items()]
    yield Decide([(trace.nodes[id], "kept" if numbers[id] else "pruned", why) for id, why in told])
    return list(beam)


def _draws(nodes: Sequence[Node]) -> list[Node]:
    return [node for node in nodes for _ in range(node.count)]


def _check(aggregator: str) -> None:
    if not all(0 <= AGGREGATORS[aggregator]([p, p], p) <= 1 for p in (0.1, 0.9)):
        raise UserError(f"particle reads scores as chances, and {aggregator} gives others: take prod, min, mean, last or cos")
