"""Monte Carlo tree search over steps, with PUCT and the reward as value."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Generator

from cos.search.asking import Asking, Asks, Decide, Expand, Request, Score, Settings
from cos.search.paths import alive, close, path_scores
from cos.search.select import chain_score, choose
from cos.search.trace import Node, SearchTrace

BASE = 19652
"""pb_c_base of AlphaZero (arXiv 1712.01815) and OpenR: how slowly exploration grows with visits."""


def mcts(trace: SearchTrace, settings: Settings) -> Asking:
    """Simulations: walk down by PUCT to a path not yet gone on from, then step by step to an answer, with `width` children each time.

    A child's value is its path's score so far (`mcts_value` reward) or the score of the chain that one draw makes of it (rollout). Q is the
    mean of the values at and below a node, its prior the share of the sibling draws that wrote it (the policy's own frequency). Constants
    as in OpenR, whose simulations go to the end too. Ours: every child is valued when it is drawn; paths with nothing left to draw are not
    walked again; simulations go on for as many draws as `n` chains have, if all are as long as the longest met. With n = 1 it is `sample`.
    """
    tree = _Tree(trace, settings)
    node = tree.walk(trace.start)
    while node is not None and tree.may_draw():
        children = yield from tree.grow(node)
        met = any(child.answer is not None for child in children)
        node = tree.walk(trace.start if met or node.id in tree.shut else node)
    yield from close(trace, "the simulations are over")
    return choose(trace, settings.selector, settings.aggregator)


def puct(q: float, prior: float, visits: int, above: int, exploration: float) -> float:
    """Q + c x prior x sqrt(visits of the parent) / (1 + visits), c = exploration + log((visits of the parent + BASE + 1) / BASE).

    With `exploration` 0, Q alone.
    """
    c = exploration + math.log((above + BASE + 1) / BASE) if exploration else 0.0
    return q + c * prior * math.sqrt(above) / (1 + visits)


class _Tree:
    """The searched part of a trace: visits, values, and which paths have something left to draw."""

    def __init__(self, trace: SearchTrace, settings: Settings) -> None:
        self.trace, self.settings = trace, settings
        self.width = min(settings.width, settings.n)
        self.children: dict[int, list[Node]] = {}
        self.above: dict[int, Node] = {}
        self.visits: defaultdict[int, int] = defaultdict(int)
        self.worth: defaultdict[int, float] = defaultdict(float)
        self.shut: set[int] = set()

    def may_draw(self) -> bool:
        """Whether one more step stays within `n` chains as long as the longest so far (as the limit, while none has ended)."""
        drawn = sum(node.count for node in self.trace.nodes if node.round)
        length = max((leaf.depth - self.trace.start.depth for leaf in self.trace.pool()), default=self.settings.max_steps + 1)
        return drawn + self.width <= self.settings.n * length

    def walk(self, node: Node) -> Node | None:
        """The path to go on from below `node`, None where there is none left."""
        while node.id in self.children and node.id not in self.shut:
            node = max(self._open(node), key=lambda child: self._urgency(node, child))
        return None if node.id in self.shut else node

    def grow(self, node: Node) -> Asks:
        """Draw, value and back up the children of `node`."""
        drawn = yield Expand([node], self.width, steps=self.settings.granularity)
        children = [child for child in drawn if child.status in ("open", "finished", "kept")]  # kept: a roll-out has been there
        yield Score(children)
        values = yield from self._values(children)
        self.children[node.id] = children
        for child in children:
            self.above[child.id] = node
            self._back_up(child, values.get(child.id, 0.0))
        self.shut |= {child.id for child in children if child.status == "finished"}
        self._shut(node)
        if node.parent is not None:
            yield Decide(
                [(node, "kept", f"grown as number {len(self.children)}, mean {self.worth[node.id] / max(1, self.visits[node.id]):.3f}")]
            )
        return children

    def _values(self, children: list[Node]) -> Generator[Request, list[Node], dict[int, float]]:
        """By id; none for a roll-out that came to no answer."""
        trace, settings = self.trace, self.settings
        if settings.mcts_value == "reward":
            return path_scores(trace, children, settings.step_aggregator)
        ends = alive((yield Expand([child for child in children if child.answer is None], 1, to="answer")))
        yield Score(ends)
        ends += [child for child in children if child.answer is not None]
        return {node.id: chain_score(trace, end, settings.aggregator) for end in ends for node in trace.line(end) if node in children}

    def _open(self, node: Node) -> list[Node]:
        return [child for child in self.children[node.id] if child.id not in self.shut]

    def _urgency(self, node: Node, child: Node) -> float:
        drawn = sum(sibling.count for sibling in self.children[node.id])
        q = self.worth[child.id] / self.visits[child.id]
        return puct(q, child.count / drawn, self.visits[child.id], self.visits[node.id], self.settings.exploration)

    def _back_up(self, node: Node | None, value: float) -> None:
        while node is not None:
            self.visits[node.id] += 1
            self.worth[node.id] += value
            node = self.above.get(node.id)

    def _shut(self, node: Node | None) -> None:
        """Shut `node` and those above it as far as nothing is left below them."""
        while node is not None and not self._open(node):
            self.shut.add(node.id)
            node = self.above.get(node.id)
