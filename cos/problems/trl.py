"""TRL's dataset types: CoS rows out and in again, chains as marked text, pictures as paths.

    SFT    prompt-completion  {"prompt": [user turn], "completion": [assistant turn], "images": [...]}
    DPO    preference         {"prompt": [user turn], "chosen": [turn], "rejected": [turn], "images": [...]}
    PRM    stepwise (TRL <= 1.13)  {"prompt": text, "completions": [a piece a step, and the answer], "labels": [bool], "images": [...]}

A PRM row with a piece that has no label can't be a stepwise row, whose labels are true or false.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cos.chain import Chain, StepLabels
from cos.problems.released_rows import MARK, BadRow, Row, dpo_row, prm_row, sft_row
from cos.template import TemplateError, parse, pieces, render


def to_trl(row: Row) -> dict[str, Any]:
    """A CoS row as TRL takes it. Raises BadRow for a scoring or roll-out row, and for missing labels."""
    images = {"images": list(row.images)}
    if row.kind == "sft":
        return {"prompt": [_user(row)], "completion": [_assistant(row.chain)], **images}
    if row.kind == "dpo":
        chosen, rejected = row.chains
        return {"prompt": [_user(row)], "chosen": [_assistant(chosen)], "rejected": [_assistant(rejected)], **images}
    if row.labels is None:
        raise BadRow(f"a {row.kind} row is no training row: TRL has no type for it")
    labels = (*row.labels.steps, row.labels.answer)
    if None in labels:
        raise BadRow("a piece without a label; a stepwise row needs true or false for each")
    return {"prompt": row.question, "completions": pieces(row.chain), "labels": [label == 1.0 for label in labels], **images}


def from_trl(row: Mapping[str, Any]) -> Row:
    """The inverse of `to_trl`. Raises BadRow with the reason."""
    images = row.get("images") or []
    if not isinstance(images, list) or not all(isinstance(image, str) for image in images) or len(images) > 1:
        raise BadRow("`images` must be a list of at most one path")
    image = images[0] if images else None
    try:
        if "completions" in row:
            return _stepwise(row, image)
        if "chosen" in row:
            return dpo_row(_question(row), _chain(row, "chosen"), _chain(row, "rejected"), image)
        return sft_row(_question(row), _chain(row, "completion"), image)
    except TemplateError as problem:
        raise BadRow(f"no chain: {problem}") from None


def _stepwise(row: Mapping[str, Any], image: str | None) -> Row:
    texts, labels = row["completions"], row.get("labels")
    if not isinstance(texts, list) or not isinstance(labels, list) or len(texts) != len(labels) or not all(map(_is_text, texts)):
        raise BadRow("`completions` (texts) and `labels` (true or false) must be lists of one length")
    chain = parse("".join(texts))
    given = [1.0 if label else 0.0 for label in labels]
    return prm_row(_question(row), chain, StepLabels(tuple(given[:-1]), given[-1]), image)


def _user(row: Row) -> dict[str, Any]:
    marks = [{"type": "image"} for _ in row.images]
    return {"role": "user", "content": [*marks, {"type": "text", "text": row.question}]}


def _assistant(chain: Chain) -> dict[str, Any]:
    return {"role": "assistant", "content": [{"type": "text", "text": render(chain)}]}


def _chain(row: Mapping[str, Any], key: str) -> Chain:
    return parse(_said(row.get(key), key))


def _question(row: Mapping[str, Any]) -> str:
    return _said(row.get("prompt"), "prompt").replace(f"{MARK}\n", "").replace(MARK, "")


def _said(turns: object, key: str) -> str:
    """The text of one turn, or a plain text."""
    if isinstance(turns, str):
        return turns
    if isinstance(turns, Sequence) and len(turns) == 1 and isinstance(turns[0], Mapping):
        content = turns[0].get("content")
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if isinstance(parts, list) and all(isinstance(part, Mapping) for part in parts):
            texts = [part.get("text") for part in parts if part.get("type") == "text"]
            if len(texts) == 1 and isinstance(texts[0], str):
                return texts[0]
    raise BadRow(f"`{key}` is neither a text nor one turn with one text")


def _is_text(value: object) -> bool:
    return isinstance(value, str)
