"""Labels by hand: the chains of a trace, a vote on every step, the record that `cos train prm --data` reads. No gradio.

What is asked is kept apart from what is known: `Task.rows` gives reward and truth only of steps that have their vote.
"""

from __future__ import annotations

import json
import re
import secrets
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from PIL import Image

from cos.chain import Chain, Labelled, Problem, Step, StepLabels
from cos.errors import UserError
from cos.problems import check, grade
from cos.problems.benchmarks import BENCHMARKS
from cos.problems.problem_files import drawn
from cos.problems.records import read_labelled
from cos.search.trace import Node, SearchTrace
from cos.store import dump, schema, write
from cos.template import TemplateError, pieces
from workbench.render.votes import WORDS, Row

MOST_CHAINS, MOST_LABELS, MOST_KEPT = 200, 500, 2000
"""Chains of a trace that are offered; chains that one visitor may label; files of labels in a folder. Ours."""
MEANS = {"right": 1.0, "neutral": None, "wrong": 0.0, None: None}
TOKEN = re.compile(r"[0-9a-f]{24}")
"""Name of a visitor's file: 96 random bits, so that nobody finds another's by trying."""
HALF = 0.5
"""A reward of a half or more takes a step for right."""


@dataclass(frozen=True)
class Candidate:
    """A chain of the trace, with the rewards of its steps and of its answer (None: not scored)."""

    chain: Chain
    rewards: tuple[float | None, ...]

    @property
    def texts(self) -> list[tuple[str, str, str]]:
        """(name, text, reflection) of each step, and of the answer where there is one."""
        steps = [(step.name, step.thought, step.reflection) for step in self.chain.steps]
        return steps if self.chain.answer is None else [*steps, ("Answer", self.chain.answer, "")]


@dataclass(frozen=True)
class Task:
    """What a visitor labels: the chains of one trace, the votes on the one that is open, and the labels that are saved."""

    problem: Problem
    source: str
    """Address of the picture."""
    chains: tuple[Candidate, ...]
    at: int = 0
    said: tuple[str | None, ...] = ()
    first: tuple[str | None, ...] = ()
    """The first vote on each step: made before reward and truth were shown."""
    stops: bool = True
    saved: tuple[Labelled, ...] = ()
    token: str = field(default_factory=lambda: secrets.token_hex(12))
    """Name of the visitor's file."""

    @property
    def open(self) -> Candidate:
        """The chain that is voted on."""
        return self.chains[self.at]

    @property
    def id(self) -> str:
        """Of the open chain: `PROBLEM/NUMBER`, the number made from its text, so that the same chain has the same id in every run."""
        return f"{self.problem.id}/{zlib.crc32(json.dumps(self.open.chain.to_json()).encode())}"

    def turn(self, at: int) -> Task:
        """Another chain, without votes."""
        count = len(self.chains[at].texts)
        return replace(self, at=at, said=(None,) * count, first=(None,) * count)

    def voted(self, votes: Sequence[str | None], stops: bool) -> Task:
        """All votes on the open chain as they are now. Raises UserError for what are none."""
        if len(votes) > len(self.open.texts) or not all(vote is None or vote in WORDS for vote in votes):
            raise UserError("These votes do not belong to the chain that is open; load the page again.")
        said = [*votes, *[None] * (len(self.open.texts) - len(votes))]
        if stops and "wrong" in said:
            said[said.index("wrong") + 1 :] = [None] * (len(said) - said.index("wrong") - 1)
        first = tuple(old if old is not None else new for old, new in zip(self.first, said, strict=True))
        return replace(self, said=tuple(said), first=first, stops=stops)

    def rows(self) -> list[Row]:
        """The steps as they are shown."""
        end = self.said.index("wrong") if self.stops and "wrong" in self.said else len(self.said)
        known = self.truths()
        found = []
        for place, (name, text, note) in enumerate(self.open.texts):
            row = Row(name, text, note, self.said[place], place > end)
            if self.said[place] is not None:
                label, why = known[place]
                row = replace(row, shown=True, reward=self.open.rewards[place], truth=label, why=why)
            found.append(row)
        return found

    def truths(self) -> list[tuple[str | None, str]]:
        """What the world says of each step (right, neutral, wrong; None where no truth is known), and why."""
        if not drawn(self.problem):
            return [(None, "")] * len(self.open.texts)
        found: list[tuple[str | None, str]] = []
        for step in self.open.chain.steps:
            verdict = check(self.problem, step)
            found.append((_word(verdict.label), "" if verdict.label == 1 else verdict.why))
        if self.open.chain.answer is not None:
            right = grade(self.problem, self.open.chain.answer).right
            found.append(("right", "") if right else ("wrong", f"it is {self.problem.answer}"))
        return found

    def save(self, folder: Path, picture: Image.Image | None) -> Task:
        """Keep the votes as labels: `folder/TOKEN.jsonl`, written anew as a whole, and `folder/images/` for a picture that no world draws.

        What the file holds already, by another page of the same visitor too, stays in it. Raises UserError where there is no vote, and
        beyond what one visitor may keep.
        """
        if not any(self.said):
            raise UserError("Vote on a step first: right, neutral or wrong.")
        row = self.record()
        saved = (*(one for one in kept(folder, self.token) or self.saved if one.id != row.id), row)
        file = folder / f"{self.token}.jsonl"
        if len(saved) > MOST_LABELS or (not file.exists() and sum(1 for _ in folder.glob("*.jsonl")) >= MOST_KEPT):
            raise UserError("More labels can't be kept here; download those that you have and go on in a new page.")
        if picture is not None and row.problem.image is not None and not drawn(row.problem):
            (folder / "images").mkdir(parents=True, exist_ok=True)
            picture.save(folder / row.problem.image)
        write(file, "labels", [one.to_json() for one in saved])
        return replace(self, saved=saved)

    def record(self) -> Labelled:
        """The votes as a record of labels with the source `human`."""
        count = len(self.open.chain.steps)
        values = [MEANS[word] for word in self.said]
        labels = StepLabels(tuple(values[:count]), values[count] if len(values) > count else None, "human")
        asked = {"said": list(self.said), "first": list(self.first)}
        details = {**asked, "reward": list(self.open.rewards), "truth": [word for word, _ in self.truths()]}
        return Labelled(self.id, self.problem, self.open.chain, labels, {}, details)

    def lines(self) -> str:
        """The saved labels as the text of a file."""
        return "".join(dump({"schema": schema("labels"), **one.to_json()}) + "\n" for one in self.saved)

    def agreement(self) -> str:
        """How far first votes agree with the reward and with the truth, over the saved chains and the open one."""
        rows = [one.details for one in self.saved if one.id != self.id] + [self.record().details]
        votes = [vote for row in rows for vote in zip(row["first"], row["reward"], row["truth"], strict=True)]
        judged = [(word == "right", reward >= HALF) for word, reward, _ in votes if word in ("right", "wrong") and reward is not None]
        known = [(word, truth) for word, _, truth in votes if word is not None and truth is not None]
        told = [f"{sum(a == b for a, b in judged)} of {len(judged)} votes as the reward" if judged else ""]
        told.append(f"{sum(a == b for a, b in known)} of {len(known)} as the truth" if known else "")
        return " · ".join(text for text in told if text)


def kept(folder: Path, token: object) -> tuple[Labelled, ...]:
    """What a visitor's file holds; nothing for a token that is none, and for a file that is not there or can't be read."""
    if not isinstance(token, str) or not TOKEN.fullmatch(token):
        return ()
    try:
        return tuple(read_labelled(folder / f"{token}.jsonl"))
    except UserError:
        return ()


def task_of(trace: SearchTrace, problem: Problem | None, source: str, name: str) -> Task:
    """The task of labelling a trace. `problem`: the world's, where it is known; else one is made of the question, called `name`, whose
    picture is `images/NAME.png`. Raises UserError for a trace without a step, and one that is damaged."""
    try:
        chains = list(dict.fromkeys(filter(None, (_candidate(trace, leaf) for leaf in trace.leaves()))))
        gold = None if trace.gold is None else str(trace.gold)
        image = f"images/{name}.png" if source else None
        asked = problem or Problem(name, str(trace.question), gold, image)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        raise UserError("This trace is damaged.") from None
    if not chains:
        raise UserError("There is no step to label in this trace.")
    if asked.world in BENCHMARKS:
        raise UserError("The pictures of a benchmark do not come with a trace, so its chains can't be labelled here.")
    return Task(asked, source, tuple(chains[:MOST_CHAINS])).turn(0)


def _candidate(trace: SearchTrace, leaf: Node) -> Candidate | None:
    """The chain that ends in a leaf; None where it holds no step, or text that can stand in no chain."""
    line = [node for node in trace.line(leaf) if node.is_step or node.answer is not None]
    steps = tuple(Step(str(node.name), str(node.thought or ""), str(node.reflection or "")) for node in line if node.is_step)
    chain = Chain(steps, None if leaf.answer is None else str(leaf.answer))
    try:
        pieces(chain)
    except TemplateError:
        return None
    rewards = tuple(None if node.reward is None else min(1.0, max(0.0, float(node.reward))) for node in line)
    return Candidate(chain, rewards) if steps and len(rewards) == len(steps) + (chain.answer is not None) else None


def _word(label: float | None) -> str:
    return "neutral" if label is None else "right" if label >= HALF else "wrong"
