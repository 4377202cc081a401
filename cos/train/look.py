"""What a reward model that looks first says of the pictures in a file that has no descriptions: written once, before it learns, and kept.

So it learns to judge by what it will have before it when it judges. Its words are read, not learned: they may be wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cos.engine.prompts import LOOK_TOKENS
from cos.engine.torch_engine import TorchPolicy
from cos.models.encode import Turn
from cos.models.vlm import VLM
from cos.protocols import Draw, Prompt
from cos.store import Log, read
from cos.train.files import FileRow
from cos.train.processes import processes

TOGETHER = 16
"""Pictures described at once: as many prompts as fit with room to spare where 16 chains of one are sampled."""


def room(vlm: VLM) -> int:
    """Tokens that a description and the question for it may take."""
    if vlm.look is None:
        return 0
    return LOOK_TOKENS + len(vlm.encoder.conversation([Turn("user", vlm.look), Turn("assistant", "")]).ids)


def looked(turns: Sequence[Turn], look: str | None, said: tuple[int, ...]) -> list[Turn]:
    """The conversation with the description before the question, as a scorer that looks first reads it (no description: as it was)."""
    if look is None or not said:
        return list(turns)
    *before, question = turns
    return [*before, Turn("user", look, image=True), Turn("assistant", said), replace(question, image=False)]


def descriptions(vlm: VLM, rows: Sequence[FileRow], file: Path) -> list[tuple[int, ...]]:
    """Tokens of the model's own description of each row's picture; none without a picture, and for a model that does not look.

    They are kept in `file`, one record a picture, and those that are there are not made again.
    """
    if vlm.look is None:
        return [()] * len(rows)
    with processes().first_before():
        if processes().rank == 0:
            _write(vlm, rows, file)
    known = dict(read(file, "look", lambda row: (row["picture"], tuple(row["tokens"]))))
    return [known[_name(row)] if row.shown else () for row in rows]


def _write(vlm: VLM, rows: Sequence[FileRow], file: Path) -> None:
    before = vlm.model.config._attn_implementation
    with Log(file, "look", key="picture") as log:
        left = [row for name, row in {_name(row): row for row in rows if row.shown}.items() if name not in log.done]
        if not left:
            return
        policy = TorchPolicy(replace(vlm, look=None))
        for start in range(0, len(left), TOGETHER):
            block = left[start : start + TOGETHER]
            roots = [opened.handle for opened in policy.open([Prompt(vlm.look or "", row.picture) for row in block])]
            drawn = policy.draw([Draw(root, 0, (0,), temperature=0.0, max_tokens=LOOK_TOKENS) for root in roots])
            policy.close(roots)
            for row, (piece,) in zip(block, drawn, strict=True):
                tokens = [token for token in piece.tokens if token != vlm.encoder.end_id]
                log.add({"picture": _name(row), "text": vlm.encoder.decode(tokens), "tokens": tokens})
    vlm.model.set_attn_implementation(before)


def _name(row: FileRow) -> str:
    return str(row.file) if row.problem is None else row.problem.id
