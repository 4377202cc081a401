"""The rows of the released CoS files: SFT, PRM, DPO, roll-out and scoring rows, from JSON to chains and back (files: `released.py`).

The form is that of baaivision/CoS (`internvl_chat_{finetune,prm,dpo}.py` read the training rows, `score_with_prm.py` the scoring rows):

    sft    {"image", "conversations": [{"from": "human", "value"}, {"from": "gpt", "value": CHAIN}]}
    prm    the same, the gpt value being CHAIN with a tag after each step + "<|split_token|>" + the same with the labels in their place
    dpo    {"image", "question", "chosen": CHAIN, "rejected": CHAIN}
    rollout  {"question_id", "answer": 1, "text": CHAIN, "image", "question"}, a sampled chain (`generate_dpo_data.py`)
    score  {"question_id", "image", "question", "reasoning": [{"step_name", ...}], "reason_step_num", "extract_answer"}

`image` is a path, a list of paths, or absent. What a row holds beside this is kept, in its place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from cos.chain import Chain, Step, StepLabels
from cos.template import BAD, GOOD, TAG, TemplateError, parse, parse_tagged, pieces, render

Kind = Literal["sft", "prm", "dpo", "rollout", "score"]
SPLIT = "<|split_token|>"
MARK = "<image>"
_LABEL = {GOOD: 1.0, BAD: 0.0, TAG: None}


class BadRow(ValueError):
    """A row that is not in the released form; the message is the reason."""


@dataclass(frozen=True)
class Row:
    """One row. `chains` has one chain, or chosen and rejected; `prompt` is the human's text as written, image marks included.

    `labels` are those of a PRM row; `source` is the row as it was read, which is what is written again.
    """

    kind: Kind
    prompt: str
    images: tuple[str, ...]
    chains: tuple[Chain, ...]
    labels: StepLabels | None = None
    source: Mapping[str, Any] = field(default_factory=dict)
    style: int = 0
    """Which of the usual ways of spacing and escaping JSON the line was written in (an index into `STYLES`)."""

    @property
    def question(self) -> str:
        """The human's text without image marks: what goes into a `Prompt`."""
        return re.sub(f"{MARK}\n?", "", self.prompt)

    @property
    def chain(self) -> Chain:
        """The one chain, or the chosen one."""
        return self.chains[0]


def kind_of(row: Mapping[str, Any]) -> Kind:
    """Which of the five kinds a row is, by its keys. Raises BadRow where it is none."""
    if "chosen" in row or "rejected" in row:
        return "dpo"
    if "conversations" in row:
        turns = row["conversations"]
        return "prm" if isinstance(turns, list) and SPLIT in json.dumps(turns[-1:]) else "sft"
    if "reasoning" in row:
        return "score"
    if "text" in row:
        return "rollout"
    raise BadRow("no field `conversations` (SFT, PRM), `chosen` and `rejected` (DPO), `text` (roll-outs) or `reasoning` (scoring)")


def parse_row(row: Mapping[str, Any], style: int = 0) -> Row:
    """Read one JSON object. Raises BadRow with the reason; looks at no file."""
    kind = kind_of(row)
    images = _images(row.get("image"))
    prompt, chains, labels = _READERS[kind](row)
    marks = prompt.count(MARK)
    if marks != len(images) and (marks > 0 or len(images) > 1):
        raise BadRow(f"{marks} {MARK} marks in the question but {len(images)} images")
    return Row(kind, prompt, images, chains, labels, row, style)


def sft_row(question: str, chain: Chain, image: str | None = None) -> Row:
    """A new SFT row. Raises TemplateError where the chain's text holds a marker."""
    return parse_row(_conversation(question, render(chain), image))


def prm_row(question: str, chain: Chain, labels: StepLabels, image: str | None = None) -> Row:
    """A new PRM row; a label of at least 0.5 is good, under it bad, None keeps the bare tag (neither)."""
    given = (*labels.steps, labels.answer)
    tags = [TAG if label is None else GOOD if label >= 0.5 else BAD for label in given]
    return parse_row(_conversation(question, render(chain, [TAG] * len(tags)) + SPLIT + render(chain, tags), image))


def dpo_row(question: str, chosen: Chain, rejected: Chain, image: str | None = None) -> Row:
    """A new DPO row."""
    head = {} if image is None else {"image": image}
    return parse_row({**head, "question": question, "chosen": render(chosen), "rejected": render(rejected)})


def rollout_row(name: str, question: str, chain: Chain, image: str | None = None) -> Row:
    """A new roll-out row; `answer` is the dummy that the released code writes."""
    return parse_row({"question_id": name, "answer": 1, "text": render(chain), "image": image, "question": question})


def scored(row: Row, step_scores: Sequence[float], answer_score: float) -> dict[str, Any]:
    """The scoring row as `score_with_prm.py` writes it back, keys in its order. Scores are not rounded: three decimals make ties."""
    if len(step_scores) != len(row.chain.steps):
        raise ValueError(f"{len(step_scores)} scores for {len(row.chain.steps)} steps")
    new = {"reason_step_num": len(step_scores), "answer_score": answer_score, "step_scores": list(step_scores)}
    order = ("question_id", "image", "reason_step_num", "answer_score", "extract_answer", "step_scores", "reasoning", "question")
    return {key: value for key in order for value in [{**row.source, **new}.get(key)] if key in new or key in row.source}


def _images(value: object) -> tuple[str, ...]:
    paths = [] if value in (None, "") else [value] if isinstance(value, str) else value
    if not isinstance(paths, list) or not all(isinstance(path, str) and path for path in paths):
        raise BadRow("`image` is neither a path nor a list of paths")
    return tuple(paths)


_Content = tuple[str, tuple[Chain, ...], StepLabels | None]


def _read_sft(row: Mapping[str, Any]) -> _Content:
    prompt, text = _turns(row["conversations"])
    return prompt, (_chain(parse, text, "the gpt turn"),), None


def _read_prm(row: Mapping[str, Any]) -> _Content:
    prompt, text = _turns(row["conversations"])
    halves = text.split(SPLIT)
    if len(halves) != 2:
        raise BadRow(f"{len(halves) - 1} {SPLIT} in the gpt turn where one is needed")
    (bare, tags), (chain, marks) = (
        _chain(parse_tagged, half, f"the {side} half") for half, side in zip(halves, ("left", "right"), strict=True)
    )
    if bare != chain:
        raise BadRow("the two halves of the gpt turn are not the same chain")
    if set(tags) != {TAG}:
        raise BadRow(f"the left half has a label where the tag {TAG} must stand")
    labels = [_LABEL[mark] for mark in marks]
    return prompt, (chain,), StepLabels(tuple(labels[:-1]), labels[-1], "released")


def _read_dpo(row: Mapping[str, Any]) -> _Content:
    chains = tuple(_chain(parse, _text(row, key), f"`{key}`") for key in ("chosen", "rejected"))
    if chains[0] == chains[1]:
        raise BadRow("chosen and rejected are the same chain")
    return _text(row, "question"), chains, None


def _read_rollout(row: Mapping[str, Any]) -> _Content:
    return _text(row, "question"), (_chain(parse, _text(row, "text"), "`text`"),), None


def _read_score(row: Mapping[str, Any]) -> _Content:
    reasoning = row["reasoning"]
    if not isinstance(reasoning, list) or not reasoning:
        raise BadRow("`reasoning` is not a list of at least one step")
    for number, step in enumerate(reasoning, 1):
        names = ("step_name", "step_thought", "step_reflection")
        if not isinstance(step, dict) or not all(isinstance(step.get(name), str) for name in names):
            raise BadRow(f"step {number} of `reasoning` needs the texts {', '.join(names)}")
    if row.get("reason_step_num", len(reasoning)) != len(reasoning):
        raise BadRow(f"`reason_step_num` is {row['reason_step_num']} but there are {len(reasoning)} steps")
    chain = Chain(tuple(Step.from_json(step) for step in reasoning), _text(row, "extract_answer"))
    _chain(pieces, chain, "`reasoning`")
    return _text(row, "question"), (chain,), None


_READERS: dict[Kind, Callable[[Mapping[str, Any]], _Content]] = {
    "sft": _read_sft,
    "prm": _read_prm,
    "dpo": _read_dpo,
    "rollout": _read_rollout,
    "score": _read_score,
}


def _turns(turns: object) -> tuple[str, str]:
    """The human's and the model's text of `[system,] human, gpt`."""
    if not isinstance(turns, list) or not all(isinstance(turn, dict) and isinstance(turn.get("value"), str) for turn in turns):
        raise BadRow("`conversations` is not a list of turns with `from` and `value`")
    speakers = [turn.get("from") for turn in turns]
    if speakers[-2:] != ["human", "gpt"] or speakers[:-2] not in ([], ["system"]):
        raise BadRow(f"the turns are {speakers}; needed: human, then gpt")
    return turns[-2]["value"], turns[-1]["value"]


def _text(row: Mapping[str, Any], key: str) -> str:
    if not isinstance(row.get(key), str):
        raise BadRow(f"the text `{key}` is missing")
    return str(row[key])


def _chain(reader: Callable[[Any], Any], text: object, where: str) -> Any:
    try:
        return reader(text)
    except TemplateError as problem:
        raise BadRow(f"{where} is no chain: {problem}") from None


def _conversation(question: str, text: str, image: str | None) -> dict[str, Any]:
    head = {} if image is None else {"image": image}
    prompt = question if image is None or MARK in question else f"{MARK}\n{question}"
    return {**head, "conversations": [{"from": "human", "value": prompt}, {"from": "gpt", "value": text}]}
