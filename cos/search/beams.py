"""Beam searches: what differs is who goes on. step_greedy, step_beam, annealed_beam, dvts, lookahead, retrace.

In each round they draw `n` candidates of `granularity` steps, score them, and go on from some. A path that comes to its answer leaves the
beam, so it neither takes the place of a live one nor is extended; all that finished compete at the end, by `selector` and `aggregator`.
Equal candidates are one node, yet keep their places in the beam: the budget goes where it would go with copies (else a step that the policy
writes in one way only, and that is right, would share the budget with all wrong ones). With n = 1 each is `sample`, draw for draw.

Ours: candidates that tie with the last one kept share its draws with it, instead of being dropped. That costs nothing, and where a score
can't tell candidates apart (all wrong by the truth, say), dropping some of them at random only loses answers. A beam in which all tie goes
on with the very chains that `best_of_n` would draw (`rows.Streams`). Scores of trained models hardly ever tie: then these are the plain
searches.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

from cos.search.asking import Asking, Asks, Decide, Expand, Request, Score, Settings
from cos.search.paths import alive, by_draw, close, going, keep, path_score, path_scores, shares
from cos.search.select import choose
from cos.search.trace import Node, SearchTrace


def step_greedy(trace: SearchTrace, settings: Settings) -> Asking:
    """N candidates for the next piece, keep the single best, go on from it (the step search of CoS, arXiv 2509.19003: N = 1 to 64).

    An answer competes with steps on equal terms, as in the paper: the search ends when an answer is the best candidate.
    """
    node = trace.start
    while node.status != "finished":
        children = alive((yield Expand([node], settings.n, steps=settings.granularity)))
        if not children:
            return None
        yield Score(children)
        scores = path_scores(trace, children, settings.step_aggregator)
        (node,) = yield from keep(trace, children, 1, scores, settings.step_aggregator)
    return choose(trace, settings.selector, settings.aggregator)


def step_beam(trace: SearchTrace, settings: Settings) -> Asking:
    """N candidates a round, shared evenly among the `width` best live paths (the beam search of search-and-learn)."""
    beam = [trace.start]
    while beam:
        beam = yield from _round(trace, beam, settings, settings.width)
    return choose(trace, settings.selector, settings.aggregator)


def annealed_beam(trace: SearchTrace, settings: Settings) -> Asking:
    """A beam that is wide at first, where rewards know least, and narrows (PRM-BAS, arXiv 2504.10222).

    Its width is n after the first round, then `anneal` times the one before, down to `width`. N candidates a round throughout.
    """
    beam, width = [trace.start], float(settings.n)
    while beam:
        beam = yield from _round(trace, beam, settings, max(settings.width, math.ceil(width)))
        width *= settings.anneal
    return choose(trace, settings.selector, settings.aggregator)


def dvts(trace: SearchTrace, settings: Settings) -> Asking:
    """`width` subtrees that never compete, each going on from its own best (diverse verifier tree search of search-and-learn).

    A subtree has n / `width` candidates a round (n need not be a multiple) and ends by itself; the others don't take over its draws.
    """
    k, n = min(settings.width, settings.n), settings.n
    sizes = [n * (i + 1) // k - n * i // k for i in range(k)]
    trees: list[list[Node]] = [[trace.start] for _ in range(k)]
    while any(trees):
        parents = [shares(tree, size) if tree else [] for tree, size in zip(trees, sizes, strict=True)]
        drawn = yield Expand([node for tree in parents for node in tree], 1, steps=settings.granularity)
        yield Score(alive(drawn))
        below = {node.id: iter(by_draw(node, drawn)) for tree in parents for node in tree}
        own = [[next(below[node.id]) for node in tree] for tree in parents]
        trees = yield from _best_of_each(trace, own, settings.step_aggregator)
    return choose(trace, settings.selector, settings.aggregator)


def lookahead(trace: SearchTrace, settings: Settings) -> Asking:
    """A beam whose candidates are ranked by where they lead: `lookahead` more steps at temperature 0 (search-and-learn; Snell, 2408.03314).

    What was drawn ahead is dropped, but for answers met on the way, which count as finished paths (ours). Where only one candidate is
    there, nothing is drawn ahead.
    """
    beam, width = [trace.start], min(settings.width, settings.n)
    while beam:
        before = {node.id: node.count for node in trace.nodes}  # among them what was drawn ahead, which takes no place in the beam
        children = alive((yield Expand(shares(beam, settings.n), 1, steps=settings.granularity)))
        copies = {node.id: node.count - before.get(node.id, 0) for node in children}
        yield Score(children)
        tips = {node.id: node for node in going(children)}
        for _ in range(settings.lookahead if len(tips) > 1 else 0):
            ahead = alive((yield Expand(going(list(tips.values())), 1, temperature=0.0)))
            tips |= {id: tip for id in tips for tip in ahead if trace.nodes[id] in trace.line(tip)}
        yield Score(list(tips.values()))
        scores = {id: path_score(trace, tip, settings.step_aggregator) for id, tip in tips.items()}
        own = path_scores(trace, going(children), settings.step_aggregator)
        what = f"{settings.step_aggregator} {settings.lookahead} ahead"
        beam = yield from keep(trace, going(children), width, scores, what, draws=settings.n, second=own, copies=copies)
    yield from close(trace, "only looked ahead to")
    return choose(trace, settings.selector, settings.aggregator)


def retrace(trace: SearchTrace, settings: Settings) -> Asking:
    """A beam that goes back where every candidate's newest reward is under `threshold`, up to `retraces` times.

    After SWIRES (LLaVA-CoT, arXiv 2411.10440), which redoes stages; the backtrack token that CoS declares and never writes would say this.
    Ours: it goes back to the last step at which a candidate was passed over that is not under the threshold, and goes on from there; where
    there is none, the same step is redone with n new candidates beside the old. A round in which all that is left are answers under the
    threshold is one to go back from, too.
    """
    rounds = [_Round([trace.start])]
    left, aggregator = settings.retraces, settings.step_aggregator
    while rounds[-1].beam:
        here = rounds[-1]
        drawn = yield Expand(shares(here.beam, settings.n), 1, steps=settings.granularity)
        children = [node for node in drawn if node.status in ("open", "finished", "pruned")]  # pruned: drawn again
        yield Score(children)
        here.passed = list(dict.fromkeys([*(node for node in children if node.answer is None), *here.passed]))
        candidates = here.passed
        if left and not _likely([*children, *candidates], settings.threshold):
            left -= 1
            yield Decide([(node, "pruned", f"all under {settings.threshold}: back") for node in candidates])
            back = max((i for i, other in enumerate(rounds) if _likely(other.passed, settings.threshold)), default=None)
            if back is None:
                continue
            rounds = rounds[: back + 1]
            candidates = _likely(rounds[back].passed, settings.threshold)
        width, scores = min(settings.width, settings.n), path_scores(trace, candidates, aggregator)
        kept = yield from keep(trace, candidates, width, scores, aggregator, draws=settings.n)
        rounds[-1].passed = [node for node in rounds[-1].passed if node not in kept]
        rounds.append(_Round(kept))
    return choose(trace, settings.selector, settings.aggregator)


@dataclass
class _Round:
    """A beam, and the candidates below it that were not gone on from."""

    beam: list[Node]
    passed: list[Node] = field(default_factory=list)


def _likely(nodes: Sequence[Node], threshold: float) -> list[Node]:
    return [node for node in nodes if (node.reward or 0.0) >= threshold]


def _round(trace: SearchTrace, beam: list[Node], settings: Settings, width: int) -> Asks:
    """One round of a plain beam: draw, score, keep."""
    children = alive((yield Expand(shares(beam, settings.n), 1, steps=settings.granularity)))
    yield Score(children)
    scores = path_scores(trace, going(children), settings.step_aggregator)
    width = min(width, settings.n)
    return (yield from keep(trace, going(children), width, scores, settings.step_aggregator, draws=settings.n))


def _best_of_each(trace: SearchTrace, trees: list[list[Node]], aggregator: str) -> Generator[Request, list[Node], list[list[Node]]]:
    """From the draws of each subtree the best open one, with those that tie; a verdict on each node, which may stand in several."""
    kept = []
    scores = path_scores(trace, going([node for tree in trees for node in tree]), aggregator)
    for tree in trees:
        ranked = sorted(going(tree), key=lambda node: (-scores[node.id], -(node.reward or 0.0), node.id))
        kept.append([node for node in ranked if scores[node.id] == scores[ranked[0].id]])
    verdicts = []
    for id, score in scores.items():
        own = [number for number, tree in enumerate(kept, start=1) if trace.nodes[id] in tree]
        where = f"best of subtree {', '.join(map(str, own))}" if own else "not the best of its subtree"
        verdicts.append((trace.nodes[id], "kept" if own else "pruned", f"{where}, {aggregator} {score:.3f}"))
    yield Decide(verdicts)
    return kept
