"""The trace: the only currency between a search and the world. The app draws it, notebooks draw it, evaluation counts it, a file keeps it.

A trace is built only by `SearchTrace.apply`, from events; a live view, a file and a replay up to any event therefore agree:

    trace = SearchTrace()
    for event in events:                        # dicts of JSON values, each with `kind`, `round` and `seconds`
        trace.apply(event)

| kind | other keys |
|---|---|
| start | schema, question, image {path, sha256} or null, method, settings {...}, seed, models {policy, reward}, problem, gold |
| expanded | nodes [Node as JSON], merged [{into, path, tokens}], meter |
| scored | rewards [[id, reward]], meter, shown (true: after the search, for display only, not metered), perhaps chances [[id, chance]] |
| decided | nodes [{id, status, why}] |
| answered | answer, chosen (id of the leaf), reward (of its answer piece), score (that the choice went by), why |
| ended | ended (one of ENDINGS), why, meter |

Every time stands under a key `seconds`; without them the same seed gives the same bytes. Standard library only, with `cos.chain`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path
from typing import Any

from cos.chain import Chain, Step
from cos.errors import UserError
from cos.meter import Meter

SCHEMA = "cos.trace/1"
STATUSES = ("open", "kept", "pruned", "finished", "chosen", "cut", "malformed")
"""open: no decision yet; kept: gone on from; pruned: dropped by its score; finished: ends in an answer; chosen: on the path of the
search's answer; cut: ended at a limit; malformed: not a piece of a chain, `why` says where."""
ENDINGS = ("answered", "no_answer", "failed", "stopped")


@dataclass(eq=False)
class Node:
    """One drawn piece: a step (`name`, `thought`, `reflection`) or an `answer`; neither, where cut or malformed. Node 0 is the root."""

    id: int
    parent: int | None
    path: tuple[int, ...]
    """The name of its random stream: the path of the draw that it goes on (its parent's, or one that was merged into it) and 0, or its
    parent's and a running number from 1 where all of those have been gone on."""
    depth: int
    """Pieces from the root, this one included."""
    text: str = ""
    name: str | None = None
    thought: str | None = None
    reflection: str | None = None
    answer: str | None = None
    tokens: int = 0
    logprob: float = 0.0
    round: int = 0
    """The round in which it was drawn; rounds count expansions, from 1."""
    merged: list[list[int]] = field(default_factory=list)
    """Paths of further draws with the same text below the same parent: one node, scored once; votes count them all."""
    reward: float | None = None
    chance: float | None = None
    """The reward as the reward model's calibration reads it, where it has one."""
    status: str = "open"
    why: str = ""

    @property
    def count(self) -> int:
        """Draws that it stands for."""
        return 1 + len(self.merged)

    @property
    def is_step(self) -> bool:
        """Whether it holds a whole step."""
        return self.name is not None

    def to_json(self) -> dict[str, Any]:
        """Every field."""
        return {**vars(self), "path": list(self.path), "merged": [list(path) for path in self.merged]}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Node:
        """The inverse of `to_json`; unknown keys are ignored."""
        known = {key: row[key] for key in cls.__dataclass_fields__ if key in row}
        if wrong := next(
            (key for key in ("text", "name", "thought", "reflection", "answer") if not isinstance(known.get(key, ""), str | None)), None
        ):
            raise ValueError(f"{wrong} {known[wrong]!r} is no text")
        merged = [list(path) for path in row.get("merged", [])]  # a copy: the node's grows, the event's stays
        return cls(**{**known, "path": tuple(row["path"]), "merged": merged})


@dataclass
class SearchTrace:
    """All that one search did, as far as it has come. Read its fields; change it by `apply` alone."""

    question: str = ""
    image: dict[str, Any] | None = None
    method: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    models: dict[str, str | None] = field(default_factory=dict)
    problem: str | None = None
    """Id of the problem, where known; `gold` is its right answer."""
    gold: str | None = None
    nodes: list[Node] = field(default_factory=lambda: [Node(0, None, (), 0, status="kept")])
    """By id, in the order drawn."""
    answer: str | None = None
    answer_reward: float | None = None
    answer_score: float | None = None
    """What the choice went by: an aggregate, or a share of votes."""
    answer_why: str = ""
    chosen: int | None = None
    """The leaf that the answer was taken from."""
    ended: str | None = None
    """One of ENDINGS, None while it runs."""
    ended_why: str = ""
    meter: Meter = field(default_factory=Meter)
    seconds: float = 0.0
    events: list[dict[str, Any]] = field(default_factory=list)

    def apply(self, event: Mapping[str, Any]) -> None:
        """Take in one event (see the module's table). Raises ValueError for a kind or a status that is not in the schema."""
        getattr(self, f"_on_{event['kind']}", self._unknown)(event)
        if "meter" in event:
            self.meter = Meter(**{key: event["meter"][key] for key in Meter.__dataclass_fields__})
        self.seconds = event.get("seconds", self.seconds)
        self.events.append(dict(event))

    @classmethod
    def replay(cls, events: Iterable[Mapping[str, Any]]) -> SearchTrace:
        """The trace after these events: `replay(trace.events[:k])` is the search as it stood after event k."""
        trace = cls()
        for event in events:
            trace.apply(event)
        return trace

    @property
    def root(self) -> Node:
        """Node 0: image and question."""
        return self.nodes[0]

    @property
    def start(self) -> Node:
        """Where the search begins: the root, or the last piece that was given to it (round 0) and not drawn."""
        return next(node for node in reversed(self.nodes) if node.round == 0)

    def line(self, node: Node) -> list[Node]:
        """The nodes from the first piece to `node`, the root left out."""
        found = []
        while node.parent is not None:
            found.append(node)
            node = self.nodes[node.parent]
        return found[::-1]

    def chain(self, node: Node) -> Chain:
        """The steps on the way to `node` and the answer if it has one."""
        steps = (Step(n.name, n.thought or "", n.reflection or "") for n in self.line(node) if n.name is not None)
        return Chain(tuple(steps), node.answer)

    def rewards(self, node: Node) -> tuple[list[float | None], float | None]:
        """Rewards of the steps on the way to `node` (None where not scored), and of its answer."""
        return [n.reward for n in self.line(node) if n.is_step], node.reward if node.answer is not None else None

    def children(self, node: Node) -> list[Node]:
        """The nodes right below, in the order drawn."""
        return [child for child in self.nodes if child.parent == node.id]

    def leaves(self) -> list[Node]:
        """Nodes with nothing below them, the root left out."""
        parents = {node.parent for node in self.nodes}
        return [node for node in self.nodes[1:] if node.id not in parents]

    def pool(self) -> list[Node]:
        """The leaves that end in an answer and were not pruned, in the order drawn: what a vote or a choice is made among."""
        return [node for node in self.nodes if node.answer is not None and node.status in ("finished", "chosen")]

    def frontier(self, round: int) -> list[Node]:
        """The nodes gone on from in this round (the first is 1), in order."""
        parents = {node.parent: None for node in self.nodes if node.round == round and node.parent is not None}
        return [self.nodes[parent] for parent in parents]

    def to_json(self, *, times: bool = True) -> dict[str, Any]:
        """The file's form; `times=False` leaves out every `seconds`. Nodes are there for readers: `from_json` replays the events."""
        row = {"schema": SCHEMA, **{key: getattr(self, key) for key in self.__dataclass_fields__}}
        row |= {"nodes": [node.to_json() for node in self.nodes], "meter": self.meter.to_json()}
        return row if times else without_times(row)

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> SearchTrace:
        """Read the file's form. Raises UserError where the schema is not this one or events are missing or broken."""
        if row.get("schema") != SCHEMA:
            raise UserError(
                f"this trace says schema {row.get('schema')!r}; this version reads {SCHEMA!r}: write the trace anew or update cos"
            )
        try:
            return cls.replay(row["events"])
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as problem:
            raise UserError(f"this trace is damaged ({type(problem).__name__}: {problem}): its `events` can't be replayed") from problem

    def save(self, path: str | Path) -> None:
        """Write the file in one go: whoever reads it sees the old one or the whole new one."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.write_text(json.dumps(self.to_json(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        os.replace(draft, path)

    @classmethod
    def load(cls, path: str | Path) -> SearchTrace:
        """Read what `save` wrote, or a journal (`append_event`) as far as it has come. Raises UserError naming the file."""
        path = Path(path)
        try:
            text = path.read_text(encoding="utf-8")
            rows = _journal(text) if path.suffix == ".jsonl" else None
            return cls.from_json({"schema": rows[0].get("schema"), "events": rows} if rows else json.loads(text))
        except (OSError, ValueError, AttributeError, UserError) as problem:
            raise UserError(f"{path}: {problem}") from problem

    def _on_start(self, event: Mapping[str, Any]) -> None:
        for key in ("question", "image", "method", "settings", "seed", "models", "problem", "gold"):
            setattr(self, key, event[key])

    def _on_expanded(self, event: Mapping[str, Any]) -> None:
        for row in event["nodes"]:
            if row["id"] != len(self.nodes) or row["status"] not in STATUSES or not 0 <= row["parent"] < len(self.nodes):
                raise ValueError(f"node {row['id']} does not follow node {len(self.nodes) - 1}, or has no known status or parent")
            self.nodes.append(Node.from_json(row))
        for row in event["merged"]:
            self.nodes[row["into"]].merged.append(list(row["path"]))

    def _on_scored(self, event: Mapping[str, Any]) -> None:
        for id, reward in event["rewards"]:
            self.nodes[id].reward = _number(reward)
        for id, chance in event.get("chances", []):
            self.nodes[id].chance = chance

    def _on_decided(self, event: Mapping[str, Any]) -> None:
        for row in event["nodes"]:
            if row["status"] not in STATUSES:
                raise ValueError(f"status {row['status']!r} is none of {', '.join(STATUSES)}")
            self.nodes[row["id"]].status, self.nodes[row["id"]].why = row["status"], row["why"]

    def _on_answered(self, event: Mapping[str, Any]) -> None:
        self.answer, self.chosen, self.answer_why = event["answer"], event["chosen"], event["why"]
        self.answer_reward, self.answer_score = event["reward"], event["score"]
        for node in self.line(self.nodes[event["chosen"]]):
            node.status = "chosen"

    def _on_ended(self, event: Mapping[str, Any]) -> None:
        if event["ended"] not in ENDINGS:
            raise ValueError(f"ending {event['ended']!r} is none of {', '.join(ENDINGS)}")
        self.ended, self.ended_why = event["ended"], event["why"]

    def _unknown(self, event: Mapping[str, Any]) -> None:
        raise ValueError(f"event of unknown kind {event['kind']!r}")


def append_event(path: str | Path, event: Mapping[str, Any]) -> None:
    """Add one event to a JSON-lines journal, so that nothing is lost when the process ends; `SearchTrace.load` reads it."""
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(event, ensure_ascii=False) + "\n")


def without_times(value: Any) -> Any:
    """JSON values less every key `seconds`, at any depth."""
    if isinstance(value, Mapping):
        return {key: without_times(item) for key, item in value.items() if key != "seconds"}
    return [without_times(item) for item in value] if isinstance(value, list) else value


def _number(value: Any) -> Any:
    """A reward. Raises ValueError for what is none."""
    if value is None or isinstance(value, Real):
        return value
    raise ValueError(f"reward {value!r} is no number")


def _journal(text: str) -> list[dict[str, Any]]:
    rows = []
    for line in text.split("\n")[:-1]:  # what has no line end yet was cut while being written
        rows.append(json.loads(line))
    return rows
