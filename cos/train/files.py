"""Training rows from files, looked at before a training begins: rows in the released form (`cos.problems.released_rows`), and our own
records of labels (`cos label`: rows of kind prm) and of preferences (`cos prefer`: dpo), one beside the other if need be.

rows = read_rows("sft.jsonl", "images/", "sft", encoder, longest=8192)
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from cos import template
from cos.chain import Chain, Labelled, Problem, StepLabels
from cos.errors import UserError
from cos.models.encode import Encoder, Turn
from cos.problems import SIZE, problem_files
from cos.problems.meta import DataSet, is_meta, read_meta
from cos.problems.pictures import open_picture
from cos.problems.records import labelled, preference
from cos.problems.released_rows import BadRow, Row, parse_row
from cos.store import inside, lines

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FileRow:
    """One row: what is asked, about which picture, and the chain. `system`: the text of a first system turn.

    The picture is a file, or one that the world of `problem` draws; neither: text only.
    """

    question: str
    chain: Chain
    file: Path | None = None
    labels: StepLabels | None = None
    system: str | None = None
    rejected: Chain | None = None
    """Of a preference the worse chain; `chain` is the better one."""
    problem: Problem | None = None

    @property
    def shown(self) -> bool:
        """Whether there is a picture."""
        return self.file is not None or self.problem is not None

    @property
    def picture(self) -> Path | Image.Image | None:
        """The picture; one of a world is drawn at every call."""
        return self.file if self.problem is None else problem_files.picture(self.problem, ".")

    def turns(self) -> list[Turn]:
        """The conversation up to the chain."""
        before = [] if self.system is None else [Turn("system", self.system)]
        return [*before, Turn("user", self.question, image=self.shown)]


def read_rows(
    path: str | Path, images: str | Path, kind: Literal["sft", "prm", "dpo"], encoder: Encoder, longest: int, *, unlabelled: bool = False
) -> list[FileRow]:
    """The rows of `path` with their pictures below `images`, or of all files that a meta file (`cos.problems.meta`) names, with theirs.
    Raises UserError, with file and line, for a row that is not of this kind and for a picture that is not there.

    Left out, counted and logged as a warning: rows of more than `longest` tokens or with several pictures, and PRM rows without a label
    (kept with `unlabelled`).
    """
    parts = read_meta(path) if is_meta(path) else [DataSet("", Path(path), Path(images))]
    rows = [row for part in parts for row in part.repeated(_file_rows(part, kind, encoder, longest, unlabelled))]
    if not rows:
        raise UserError(f"{path}: no row is left to learn from")
    return rows


def _file_rows(part: DataSet, kind: str, encoder: Encoder, longest: int, unlabelled: bool) -> list[FileRow]:
    rows: list[FileRow] = []
    left_out: dict[str, list[int]] = {}
    for line in lines(part.rows):
        where = f"{part.rows}, line {line.number}"
        if line.reason is not None:
            raise UserError(f"{where}: {line.reason}")
        try:
            row, several = _row(line.row, kind, part.root)
            size = length(row, encoder)
        except (BadRow, UserError) as problem:
            raise UserError(f"{where}: {problem}") from None
        if several:
            left_out.setdefault("with several pictures, of which training takes one a row", []).append(line.number)
        elif size > longest:
            left_out.setdefault(f"longer than the {longest} tokens that the model reads", []).append(line.number)
        elif row.labels is not None and not unlabelled and {*row.labels.steps, row.labels.answer} == {None}:
            left_out.setdefault("without any label", []).append(line.number)
        else:
            rows.append(row)
    for reason, numbers in left_out.items():
        shown = ", ".join(map(str, numbers[:10])) + (", ..." if len(numbers) > 10 else "")
        _log.warning("%s: %d rows are left out, %s (lines %s)", part.rows, len(numbers), reason, shown)
    return rows


def length(row: FileRow, encoder: Encoder) -> int:
    """Tokens of the row, tags included; of a preference those of the longer chain. Of a picture's file only the header is read; a damaged
    one raises UserError."""
    stand_in = encoder.stand_in(*_size(row)) if row.shown else ""
    chains = [row.chain] if row.rejected is None else [row.chain, row.rejected]
    longest = max(sum(len(encoder.piece(piece)) + 1 for piece in template.pieces(chain)) for chain in chains)
    return len(encoder.conversation([*row.turns(), Turn("assistant", "")], stand_in).ids) + longest


def _row(source: Mapping[str, Any], kind: str, images: str | Path) -> tuple[FileRow, bool]:
    """The row, and whether it has several pictures."""
    name = str(source.get("schema", "")).partition("/")[0]
    if name in ("cos.labels", "cos.preference"):
        return _record(source, name.removeprefix("cos."), kind, images), False
    row = parse_row(source)
    if row.kind != kind:
        raise BadRow(f"a {row.kind} row where a {kind} row is needed")
    return _released(row, images), len(row.images) > 1


def _released(row: Row, images: str | Path) -> FileRow:
    file = inside(images, row.images[0]) if row.images else None
    if row.kind == "dpo":
        return FileRow(row.question, row.chain, file, rejected=row.chains[1])
    first = row.source["conversations"][0]
    return FileRow(row.question, row.chain, file, row.labels, first["value"] if first["from"] == "system" else None)


def _record(source: Mapping[str, Any], name: str, kind: str, images: str | Path) -> FileRow:
    """A row of our own. Raises BadRow for another version, another kind, and what is not in its form."""
    if source["schema"] != f"cos.{name}/1" or kind != {"labels": "prm", "preference": "dpo"}[name]:
        raise BadRow(f"a record {source['schema']} where a {kind} row is needed")
    try:
        made = labelled(source) if name == "labels" else preference(source)
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise BadRow(f"not a {name} record ({problem})") from None
    own = made.problem if problem_files.drawn(made.problem) else None
    file = inside(images, made.problem.image) if own is None and made.problem.image else None
    if isinstance(made, Labelled):
        return FileRow(made.problem.question, made.chain, file, made.labels, problem=own)
    return FileRow(made.problem.question, made.chosen, file, rejected=made.rejected, problem=own)


def _size(row: FileRow) -> tuple[int, int]:
    """(height, width), by a file's header where that is enough."""
    if row.problem is not None:
        return SIZE
    assert row.file is not None
    try:
        with Image.open(row.file) as picture:
            return picture.height, picture.width
    except (OSError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        opened = open_picture(row.file)  # says in one line what is wrong
        return opened.height, opened.width
