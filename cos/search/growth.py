"""Growth: one running search. It turns what its method asks into rows for the models, and what they answer into events of its trace.

The scheduler owns a `Growth` for each live search and moves it on; nothing here calls a model.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from cos.errors import UserError
from cos.protocols import Costs, Draw, Opened, Piece, Prompt, Read, Scored, ToRead, ToScore
from cos.search.asking import Decide, Expand, Request, Score, Settings
from cos.search.chains import judge
from cos.search.methods import FIRST, METHODS
from cos.search.reading import Held, image_reference, meter, read_given, read_node
from cos.search.rows import Row, Streams, rows_of
from cos.search.select import Choice, answered
from cos.search.trace import SCHEMA, Node, SearchTrace


@dataclass
class Search:
    """One question to search, and the trace that grows. Raises UserError for a method that does not exist."""

    prompt: Prompt
    method: str = "step_beam"
    settings: Settings = field(default_factory=Settings)
    problem: str | None = None
    """Id of the problem and its gold answer: kept in the trace, seen by no model."""
    gold: str | None = None
    score_all: bool = False
    """Give every step a reward for display once the method has ended. What that costs is not the method's and is not metered."""
    given: tuple[str, ...] = ()
    """Pieces of a chain (`cos.template.pieces`) to go on from, as if the policy had drawn them; reading them counts as prefill. They are
    the trace's nodes of round 0, on the random streams of a first chain. Where the last is an answer, the chain is only judged."""
    calibration: Callable[[float], float] | None = None
    """The chance that a reward stands for, for adaptive_n; None: that of the scorer (its `calibration`), if it carries one."""
    trace: SearchTrace = field(default_factory=SearchTrace)
    """Grows while it runs. Its `seconds` are wall time since the search was taken up, and so count what runs beside it."""

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise UserError(f"no search method is called {self.method!r}; there are {', '.join(METHODS)}")

    @property
    def rows(self) -> int:
        """Rows that it fills of a first batch."""
        return min(FIRST.get(self.method, lambda settings: settings.n)(self.settings), self.settings.n)


class Growth:
    """A live search. `phase`: what it waits for, the policy's `open`, `read` or `draw`, the scorer's `rate_open` or `rate`; or `done`."""

    def __init__(self, search: Search, number: int, policy: tuple[str, Costs], scorer: tuple[str, Costs] | None) -> None:
        self.search, self.number = search, number
        self.trace, self.settings = search.trace, search.settings
        self.policy, self.scorer = Held(policy[1]), Held(scorer[1]) if scorer else None
        self.events: list[dict[str, Any]] = []
        self.phase: Literal["open", "read", "draw", "rate_open", "rate", "done"] = "open"
        self.method = METHODS[search.method](self.trace, self.settings)
        self.request: Request | None = None
        self.round = self.scored = 0
        self.shown = False  # rewards asked for display only
        self.streams = Streams()
        self.known: dict[tuple[int, str, str], Node] = {}
        self.rows: list[Row] = []  # of the pending Expand
        self.began = time.perf_counter()
        self._emit(
            "start",
            schema=SCHEMA,
            question=search.prompt.question,
            image=image_reference(search.prompt.image),
            method=search.method,
            settings=asdict(self.settings),
            seed=self.settings.seed,
            models={"policy": policy[0], "reward": scorer[0] if scorer else None},
            problem=search.problem,
            gold=search.gold,
        )

    def opened(self, opened: Opened) -> None:
        """The policy has read the prompt: the method starts, or the pieces that were given are read first."""
        self.policy.open(opened)
        if self.search.given:
            self.phase = "read"
        else:
            self._advance(None)

    def readings(self) -> list[ToRead]:
        """The one row of the pieces that were given."""
        return [ToRead(self.policy.handles[0], self.search.given)]

    def have_read(self, results: Sequence[Read]) -> None:
        """The answer to `readings`: the pieces become nodes, and the method starts below them. Raises UserError for what is no chain."""
        (read,) = results
        nodes = read_given(self.trace.root, self.search.given, read.tokens, self.settings)
        for node, handle in zip(nodes, read.handles, strict=True):
            self.policy.handles[node.id] = handle
        self.streams.ended(nodes[-1], nodes[-1].path)
        self.policy.prefill += sum(read.tokens)
        self._emit("expanded", nodes=[node.to_json() for node in nodes], merged=[], meter=self._meter())
        if self.trace.start.status == "finished":
            self.method = judge(self.trace, self.settings, scored=self.scorer is not None)
        self._advance(None)

    def draws(self, *, piecewise: bool = False) -> list[Draw]:
        """What is still to draw for the pending Expand, each draw as a whole or its next piece."""
        if not self.rows:
            assert isinstance(self.request, Expand)
            self.rows = rows_of(self.request, self.trace, self.settings, self.policy, self.streams)
        return [row.next(piecewise=piecewise) for row in self.rows if not row.ended]

    def drawn(self, results: Sequence[Sequence[Piece]]) -> None:
        """The answers to `draws`, in order. When all have come to their ends, they are hung into the tree and the method goes on."""
        for row, pieces in zip([row for row in self.rows if not row.ended], results, strict=True):
            row.add(pieces)
        if not all(row.ended for row in self.rows):
            return
        ask = self.request
        assert isinstance(ask, Expand)
        self.round += 1
        news: list[Node] = []
        merged: list[dict[str, Any]] = []
        leaves = []
        parents = [node for node in ask.nodes for _ in range(ask.per_node)]
        for node, row in zip(parents, self.rows, strict=True):
            leaves.append(self._hang(node, row, ask.to, news, merged).id)
        self.rows = []
        self._emit("expanded", nodes=[node.to_json() for node in news], merged=merged, meter=self._meter())
        self._advance([self.trace.nodes[id] for id in dict.fromkeys(leaves)])

    @property
    def wants_steps(self) -> bool:
        """Whether it waits for a single step, and so would wait for whole chains drawn beside it."""
        ask = self.request
        return self.phase == "draw" and isinstance(ask, Expand) and ask.to == "step" and ask.steps == 1

    @property
    def pending(self) -> int:
        """Rows that it fills of the next batch of draws."""
        return sum(not row.ended for row in self.rows) or self.search.rows

    @property
    def longest(self) -> int:
        """Tokens on the longest path that is gone on from, the prompt's included."""
        return max((row.held for row in self.rows), default=self.policy.prefill)

    def rate_opened(self, opened: Opened) -> None:
        """The scorer has read the prompt."""
        assert self.scorer is not None
        self.scorer.open(opened)
        self.phase = "rate"

    def ratings(self) -> list[ToScore]:
        """Rows of the pending Score that can be read now."""
        assert self.scorer is not None
        return [ToScore(self.scorer.handles[nodes[0].parent or 0], tuple(node.text for node in nodes)) for nodes in self._unread()]

    def rated(self, results: Sequence[Scored]) -> None:
        """The answers to `ratings`, in order. Raises ValueError for rewards that are none."""
        assert isinstance(self.request, Score) and self.scorer is not None
        rewards = []
        for nodes, scored in zip(self._unread(), results, strict=True):
            for node, reward, handle in zip(nodes, scored.rewards, scored.handles, strict=True):
                if not 0.0 <= reward <= 1.0:
                    raise ValueError(f"the reward of node {node.id} is {reward}; it must lie between 0 and 1")
                self.scorer.handles[node.id] = handle
                rewards.append([node.id, float(reward)])
            if not self.shown:
                self.scored += len(nodes)
                self.scorer.read += sum(scored.tokens)
        read = self.search.calibration
        chances = {"chances": [[id, float(read(reward))] for id, reward in rewards]} if read else {}
        self._emit("scored", rewards=rewards, **chances, shown=self.shown, meter=self._meter())
        if not self._unread():
            self._end() if self.shown else self._advance(list(self.request.nodes))

    def _unread(self) -> list[list[Node]]:
        """Runs of nodes that the scorer can read now. A path that shares unread nodes with one before it waits, so each is read once."""
        assert isinstance(self.request, Score) and self.scorer is not None
        runs: list[list[Node]] = []
        claimed: set[int] = set()
        for node in self.request.nodes:
            run = [n for n in self.trace.line(node) if n.id not in self.scorer.handles]
            if run and not claimed & {n.id for n in run}:
                claimed |= {n.id for n in run}
                runs.append(run)
        return runs

    def fail(self, why: str) -> None:
        """End this search with the reason in its trace; an answer that was found before stands."""
        self._ended("failed" if self.trace.answer is None else "answered", why)

    def stop(self) -> None:
        """End it because the user said so."""
        self._ended("stopped", "stopped by the user")

    def _advance(self, reply: list[Node] | None) -> None:
        try:
            while True:
                self.request = next(self.method) if reply is None else self.method.send(reply)
                if isinstance(self.request, Decide):
                    reply = self._decide(self.request)
                elif not self.request.nodes:
                    reply = []
                else:
                    return self._wait(self.request)
        except StopIteration as stop:
            self._answer(stop.value)

    def _wait(self, ask: Expand | Score) -> None:
        if isinstance(ask, Expand):
            self.phase = "draw"
        elif self.scorer is None:
            raise UserError(f"{self.search.method} needs a reward model, and none was given")
        elif self.scorer.root is None:
            self.phase = "rate_open"
        elif all(node.reward is not None for node in ask.nodes):
            self._advance(list(ask.nodes))
        else:
            self.phase = "rate"

    def _decide(self, ask: Decide) -> list[Node]:
        if ask.verdicts:
            self._emit("decided", nodes=[{"id": node.id, "status": status, "why": why} for node, status, why in ask.verdicts])
        return [node for node, _, _ in ask.verdicts]

    def _answer(self, choice: Choice | None) -> None:
        if choice is not None:
            self._emit("answered", **answered(choice))
        rest = [node for node in self.trace.nodes if (node.is_step or node.answer is not None) and node.reward is None]
        if self.search.score_all and self.scorer is not None and rest:
            self.shown, self.request = True, Score(rest)
            return self._wait(self.request)
        self._end()

    def _end(self) -> None:
        if self.trace.answer is not None:
            return self._ended("answered", self.trace.answer_why)
        ends = Counter(node.status for node in self.trace.leaves())
        self._ended(
            "no_answer", "no path came to an answer: " + (", ".join(f"{n} {status}" for status, n in ends.items()) or "nothing was drawn")
        )

    def _ended(self, ended: str, why: str) -> None:
        self.method.close()
        self._emit("ended", ended=ended, why=why, meter=self._meter())
        self.phase = "done"

    def _hang(self, node: Node, row: Row, to: str, news: list[Node], merged: list[dict[str, Any]]) -> Node:
        """Hang the pieces of one draw below `node`, each at its place or into the node that has its text already; return the last."""
        path = row.draw.path
        for index, piece in enumerate(row.pieces):
            self.policy.read += len(piece.tokens)
            key = (node.id, piece.text, piece.ending)
            if key in self.known:
                node = self.known[key]
                merged.append({"into": node.id, "path": list(path), "tokens": len(piece.tokens)})
            else:
                goes_on = index < len(row.pieces) - 1
                above, node = node, read_node(node, path, piece, len(self.trace.nodes) + len(news), self.round, self.settings)
                if node.status == "open" and goes_on:
                    node.status = "kept"
                elif node.status == "open" and to == "answer":
                    node.status, node.why = "cut", "drawing ended before an answer"
                self.policy.handles[node.id], self.known[above.id, piece.text, piece.ending] = piece.handle, node
                news.append(node)
            path = (*path, 0)
        self.streams.ended(node, path[:-1])
        return node

    def _meter(self) -> dict[str, float]:
        scorer = self.scorer if self.scored or not self.shown else None  # a root that was opened for display costs the method nothing
        return meter(self.policy, scorer or Held(Costs()), self.scored, time.perf_counter() - self.began).to_json()

    def _emit(self, kind: str, **content: Any) -> None:
        event = {"kind": kind, "round": self.round, **content, "seconds": time.perf_counter() - self.began}
        self.trace.apply(event)
        self.events.append(event)
