"""The nouns: what flows through the workbench, as frozen dataclasses that can each be written as one JSON line.

A *chain* is a sequence of *steps* (name, thought, reflection) and an answer, after "Unveiling Chain of Step Reasoning
for Vision-Language Models with Fine-grained Rewards" (arXiv 2509.19003, section 3). Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

REFUSAL = "can't tell"
"""The answer to give where the picture does not hold what the question asks for."""


@dataclass(frozen=True)
class Step:
    """One reasoning step. The reflection ties the step to the image and to earlier steps."""

    name: str
    thought: str
    reflection: str

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Step:
        """Read `{name, thought, reflection}`; the released spelling `step_name` ... is accepted too."""
        return cls(*(str(row[key] if key in row else row[f"step_{key}"]) for key in ("name", "thought", "reflection")))


@dataclass(frozen=True)
class Chain:
    """Steps and the answer; `answer` is None while the chain has not come to one."""

    steps: tuple[Step, ...] = ()
    answer: str | None = None

    def to_json(self) -> dict[str, Any]:
        """`{steps: [{name, thought, reflection}], answer}`."""
        return {"steps": [asdict(step) for step in self.steps], "answer": self.answer}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Chain:
        """The inverse of `to_json`. ValueError where the answer is neither a text nor null."""
        return cls(tuple(Step.from_json(step) for step in row["steps"]), _text(row, "answer", needed=False))


@dataclass(frozen=True)
class Problem:
    """A question about a picture, with the gold answer where one is known.

    `image` is a path relative to the file the problem came from (None: text only). `truth` holds what a world knows of its own
    picture (JSON values); its checker reads it, no model ever does.
    """

    id: str
    question: str
    answer: str | None = None
    image: str | None = None
    world: str = ""
    split: str = ""
    level: int = 0
    kind: str = ""
    truth: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """One JSON object with every field."""
        return asdict(self)

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Problem:
        """The inverse of `to_json`; unknown keys are ignored, so that newer files stay readable. ValueError where a text is none."""
        for key in ("id", "question", "answer", "image"):
            _text(row, key, needed=key in ("id", "question"))
        if not isinstance(row.get("truth", {}), Mapping):
            raise ValueError("`truth` is no object")
        return cls(**{key: row[key] for key in cls.__dataclass_fields__ if key in row})


@dataclass(frozen=True)
class Sample:
    """A chain that a policy drew for a problem: its complete steps, and the answer where it came to one."""

    problem: Problem
    number: int
    """Which of the problem's draws it is, from 0."""
    chain: Chain
    tokens: tuple[tuple[int, ...], ...] = ()
    """Ids of each piece as drawn, of what could not be read as a chain too."""
    logprobs: tuple[float, ...] = ()
    """Of each piece: the sum over its tokens at temperature 1."""
    ending: str = "answer"
    """How the last piece ended (`protocols.Ending`)."""

    @property
    def id(self) -> str:
        """`PROBLEM/NUMBER`."""
        return f"{self.problem.id}/{self.number}"

    def to_json(self) -> dict[str, Any]:
        """`{id, problem, number, chain, tokens, logprobs, ending}`."""
        drawn = {"tokens": [list(piece) for piece in self.tokens], "logprobs": list(self.logprobs), "ending": self.ending}
        return {"id": self.id, "problem": self.problem.to_json(), "number": self.number, "chain": self.chain.to_json(), **drawn}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Sample:
        """The inverse of `to_json`; what was drawn may be missing."""
        tokens = tuple(tuple(map(int, piece)) for piece in row.get("tokens", ()))
        chain, logprobs = Chain.from_json(row["chain"]), tuple(map(float, row.get("logprobs", ())))
        return cls(Problem.from_json(row["problem"]), int(row["number"]), chain, tokens, logprobs, str(row.get("ending", "answer")))


@dataclass(frozen=True)
class StepLabels:
    """One label a step and one for the answer: 1 right, 0 wrong, between for soft labels, None where neutral or not labelled."""

    steps: tuple[float | None, ...]
    answer: float | None = None
    source: str = ""
    """Where they come from: `truth`, `rollouts`, `binary`, `judge`, `reward`, `human`, `consensus`, `released`."""

    def first_error(self, threshold: float = 0.5) -> int | None:
        """Index of the first step labelled under `threshold`, None where there is none."""
        return next((i for i, label in enumerate(self.steps) if label is not None and label < threshold), None)


@dataclass(frozen=True)
class Labelled:
    """A chain with its labels, where they come from and what they cost."""

    id: str
    """Of the sample: `PROBLEM/NUMBER`."""
    problem: Problem
    chain: Chain
    labels: StepLabels
    cost: Mapping[str, float] = field(default_factory=dict)
    """Counters of a meter (`cos.meter`), as far as they are not 0."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """What the source says beside: of roll-outs how many were drawn at each step and how many came out right."""

    def to_json(self) -> dict[str, Any]:
        """`{id, problem, chain, labels: {steps, answer}, source, cost, details}`."""
        labels = {"steps": list(self.labels.steps), "answer": self.labels.answer}
        about = {"source": self.labels.source, "cost": dict(self.cost), "details": dict(self.details)}
        return {"id": self.id, "problem": self.problem.to_json(), "chain": self.chain.to_json(), "labels": labels, **about}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Labelled:
        """The inverse of `to_json`. ValueError where there is not one label, between 0 and 1 or null, for each step."""
        chain, given = Chain.from_json(row["chain"]), row["labels"]
        steps, answer = tuple(map(_label, given["steps"])), _label(given.get("answer"))
        if len(steps) != len(chain.steps):
            raise ValueError(f"{len(steps)} labels for {len(chain.steps)} steps")
        labels, about = StepLabels(steps, answer, str(row.get("source", ""))), (row.get("cost", {}), row.get("details", {}))
        if not all(isinstance(part, Mapping) for part in about):
            raise ValueError("`cost` and `details` must be objects")
        return cls(str(row["id"]), Problem.from_json(row["problem"]), chain, labels, *about)


@dataclass(frozen=True)
class Preference:
    """Two chains for one problem, the better first, with the score of each."""

    problem: Problem
    chosen: Chain
    rejected: Chain
    chosen_score: float
    rejected_score: float

    def to_json(self) -> dict[str, Any]:
        """`{problem, chosen, rejected, chosen_score, rejected_score}`."""
        chains = {"chosen": self.chosen.to_json(), "rejected": self.rejected.to_json()}
        scores = {"chosen_score": self.chosen_score, "rejected_score": self.rejected_score}
        return {"problem": self.problem.to_json(), **chains, **scores}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Preference:
        """The inverse of `to_json`."""
        chains = Chain.from_json(row["chosen"]), Chain.from_json(row["rejected"])
        return cls(Problem.from_json(row["problem"]), *chains, float(row["chosen_score"]), float(row["rejected_score"]))


def _text(row: Mapping[str, Any], key: str, *, needed: bool) -> str | None:
    value = row[key] if needed else row.get(key)
    if isinstance(value, str) or (value is None and not needed):
        return value
    raise ValueError(f"`{key}` is {value!r}, where a text is needed")


def _label(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool | int | float) and 0 <= value <= 1:
        return float(value)
    raise ValueError(f"the label {value!r} is neither null nor between 0 and 1")
