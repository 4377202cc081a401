"""Training rows from files in the released form (`cos.problems.released_rows`), looked at before a training begins.

rows = read_rows("sft.jsonl", "images/", "sft", encoder, longest=8192)
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL import Image

from cos import template
from cos.chain import Chain, StepLabels
from cos.errors import UserError
from cos.models.encode import Encoder, Turn
from cos.problems.pictures import open_picture
from cos.problems.released_rows import BadRow, Row, parse_row
from cos.store import inside, lines

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FileRow:
    """One row: what is asked, about which picture (None: text only), and the chain. `system`: the text of a first system turn."""

    question: str
    chain: Chain
    picture: Path | None = None
    labels: StepLabels | None = None
    system: str | None = None

    def turns(self) -> list[Turn]:
        """The conversation up to the chain."""
        before = [] if self.system is None else [Turn("system", self.system)]
        return [*before, Turn("user", self.question, image=self.picture is not None)]


def read_rows(
    path: str | Path, images: str | Path, kind: Literal["sft", "prm"], encoder: Encoder, longest: int, *, unlabelled: bool = False
) -> list[FileRow]:
    """The rows of `path` with their pictures below `images`. Raises UserError, with file and line, for a row that is not of this kind and
    for a picture that is not there.

    Left out, counted and logged as a warning: rows of more than `longest` tokens or with several pictures, and PRM rows without a label
    (kept with `unlabelled`).
    """
    rows: list[FileRow] = []
    left_out: dict[str, list[int]] = {}
    for line in lines(path):
        where = f"{path}, line {line.number}"
        if line.reason is not None:
            raise UserError(f"{where}: {line.reason}")
        try:
            read = parse_row(line.row)
            row = _row(read, kind, images)
            size = length(row, encoder)
        except (BadRow, UserError) as problem:
            raise UserError(f"{where}: {problem}") from None
        if len(read.images) > 1:
            left_out.setdefault("with several pictures, of which training takes one a row", []).append(line.number)
        elif size > longest:
            left_out.setdefault(f"longer than the {longest} tokens that the model reads", []).append(line.number)
        elif row.labels is not None and not unlabelled and {*row.labels.steps, row.labels.answer} == {None}:
            left_out.setdefault("without any label", []).append(line.number)
        else:
            rows.append(row)
    for reason, numbers in left_out.items():
        shown = ", ".join(map(str, numbers[:10])) + (", ..." if len(numbers) > 10 else "")
        _log.warning("%s: %d rows are left out, %s (lines %s)", path, len(numbers), reason, shown)
    if not rows:
        raise UserError(f"{path}: no row is left to learn from")
    return rows


def length(row: FileRow, encoder: Encoder) -> int:
    """Tokens of the row, tags included. Of the picture only the header is read; a damaged one raises UserError."""
    stand_in = "" if row.picture is None else encoder.stand_in(*_size(row.picture))
    chain = sum(len(encoder.piece(piece)) + 1 for piece in template.pieces(row.chain))
    return len(encoder.conversation([*row.turns(), Turn("assistant", "")], stand_in).ids) + chain


def _row(row: Row, kind: str, images: str | Path) -> FileRow:
    if row.kind != kind:
        raise BadRow(f"a {row.kind} row where a {kind} row is needed")
    picture = inside(images, row.images[0]) if row.images else None
    first = row.source["conversations"][0]
    return FileRow(row.question, row.chain, picture, row.labels, first["value"] if first["from"] == "system" else None)


def _size(path: Path) -> tuple[int, int]:
    """(height, width), by the header where that is enough."""
    try:
        with Image.open(path) as picture:
            return picture.height, picture.width
    except (OSError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        opened = open_picture(path)  # says in one line what is wrong
        return opened.height, opened.width
