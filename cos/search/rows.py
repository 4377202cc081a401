"""Draws: the random stream of each, and those on their way, asked for whole or piece by piece where others wait for their step."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from cos.protocols import Draw, Piece
from cos.search.asking import Expand, Settings
from cos.search.reading import Held
from cos.search.trace import Node, SearchTrace


@dataclass
class Row:
    """One draw and the pieces it has brought so far; both ways give the same pieces (`protocols.Draw`). `held`: tokens above."""

    draw: Draw
    held: int
    pieces: list[Piece] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        """Whether nothing is left to draw."""
        most = self.draw.max_steps if self.draw.to == "answer" else 1
        return bool(self.pieces) and (self.pieces[-1].ending != "step" or len(self.pieces) >= most)

    def next(self, *, piecewise: bool) -> Draw:
        """What to ask for now: all that is left of the draw, or its next piece."""
        done = len(self.pieces)
        draw = replace(self.draw, max_steps=self.draw.max_steps - done, path=(*self.draw.path, *(0,) * done))
        draw = replace(draw, parent=self.pieces[-1].handle) if done else draw
        return replace(draw, to="step", max_steps=1) if piecewise else draw

    def add(self, pieces: Sequence[Piece]) -> None:
        """Take in the answer to `next`. Raises ValueError where it is empty."""
        if not pieces:
            raise ValueError(f"the policy drew nothing at path {self.draw.path}")
        self.pieces += pieces
        self.held += sum(len(piece.tokens) for piece in pieces)


class Streams:
    """Names of random streams. A draw that ended in a node is gone on from on its own stream, `(*path, 0)`; further ones are numbered.

    So a chain drawn step by step is the chain drawn whole, also where it met others on the way (equal texts are one node); and a step
    search that has pruned nothing has drawn just the chains of `best_of_n`: with the same seed they differ by what was pruned alone.
    """

    def __init__(self) -> None:
        self._own: defaultdict[int, list[tuple[int, ...]]] = defaultdict(list, {0: [()]})
        self._further: defaultdict[int, int] = defaultdict(int)

    def ended(self, node: Node, path: tuple[int, ...]) -> None:
        """A draw at this path has ended in `node`."""
        self._own[node.id].append(path)

    def next(self, node: Node, *, apart: bool = False) -> tuple[int, ...]:
        """The path of one more draw below `node`; `apart`: of one that is not to go on with what ended there."""
        if self._own[node.id] and not apart:
            return (*self._own[node.id].pop(0), 0)
        self._further[node.id] += 1
        return (*node.path, self._further[node.id])


def rows_of(ask: Expand, trace: SearchTrace, settings: Settings, policy: Held, streams: Streams) -> list[Row]:
    """The draws that a request asks for, in order. Raises ValueError for a node that has ended."""
    rows = []
    for node in ask.nodes:
        if node.status not in ("open", "kept"):
            raise ValueError(f"node {node.id} is {node.status} and can't be gone on from")
        apart = ask.temperature is not None and node is not trace.start
        left = max(1, settings.max_steps + 1 - node.depth)  # the answer is a piece too
        draw = Draw(
            parent=policy.handles[node.id],
            seed=settings.seed,
            path=(),
            temperature=settings.temperature if ask.temperature is None else ask.temperature,
            top_p=settings.top_p,
            max_tokens=settings.max_tokens,
            max_steps=left if ask.to == "answer" else min(ask.steps, left),
            to="answer" if ask.steps > 1 else ask.to,
        )
        held = policy.prefill + sum(above.tokens for above in trace.line(node))
        rows += [Row(replace(draw, path=streams.next(node, apart=apart)), held) for _ in range(ask.per_node)]
    return rows
