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
        """The inverse of `to_json`."""
        return cls(tuple(Step.from_json(step) for step in row["steps"]), row.get("answer"))


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
        """The inverse of `to_json`; unknown keys are ignored, so that newer files stay readable."""
        return cls(**{key: row[key] for key in cls.__dataclass_fields__ if key in row})


@dataclass(frozen=True)
class StepLabels:
    """One label a step and one for the answer: 1 right, 0 wrong, between for soft labels, None where neutral or not labelled."""

    steps: tuple[float | None, ...]
    answer: float | None = None
    source: str = ""
    """Where they come from: `truth`, `rollout`, `judge`, `human`, `consensus`."""

    def first_error(self, threshold: float = 0.5) -> int | None:
        """Index of the first step labelled under `threshold`, None where there is none."""
        return next((i for i, label in enumerate(self.steps) if label is not None and label < threshold), None)


@dataclass(frozen=True)
class Preference:
    """Two chains for one problem, the better first, with the score of each."""

    problem: str
    chosen: Chain
    rejected: Chain
    chosen_score: float
    rejected_score: float
