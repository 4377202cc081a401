"""The files of the released CoS code, read and written byte for byte, and checked row by row (the rows: `released_rows.py`).

for row in read_rows("sft.jsonl"): print(row.question, row.chain)
report = check("sft.jsonl", images="images/")
write_rows("out.jsonl", [prm_row("How many?", chain, labels, image="a.png")])
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from cos.errors import UserError
from cos.problems.pictures import open_picture
from cos.problems.released_rows import BadRow, Row, parse_row
from cos.store import lines, relative

STYLES: tuple[dict[str, Any], ...] = tuple(
    {"ensure_ascii": ascii_only, "separators": separators} for ascii_only in (False, True) for separators in ((", ", ": "), (",", ":"))
)
REMEMBERED = 4096
"""Pictures whose soundness is kept in mind while a file is checked."""
_SAFE = 2
"""The style for a line in none of them: all ASCII, which can say any text."""


@dataclass(frozen=True)
class Report:
    """What `check` found: the number of rows, and each bad one."""

    rows: int
    bad: tuple[tuple[int, str], ...]
    """`(line, reason)`, lines from 1."""

    def to_json(self) -> dict[str, Any]:
        """`{rows, good, bad: [{line, reason}]}`."""
        bad = [{"line": line, "reason": reason} for line, reason in self.bad]
        return {"rows": self.rows, "good": self.rows - len(bad), "bad": bad}


def read_rows(path: str | Path, on_bad: Callable[[int, str], None] | None = None) -> Iterator[Row]:
    """The rows of a file, in flat memory. A bad one raises UserError with file, line and reason, or goes to `on_bad(line, reason)`."""
    for number, row in _each(path, styled=True):
        if isinstance(row, Row):
            yield row
        elif on_bad is None:
            raise UserError(f"{path}, line {number}: {row}")
        else:
            on_bad(number, row)


def check(path: str | Path, images: str | Path | None) -> Report:
    """Look at every row and, where `images` (their root) is given, at every picture.

    Flat memory, but for the list of bad rows. Raises UserError only where the file or the root can't be read, and for an empty file.
    """
    if images is not None and not Path(images).is_dir():
        raise UserError(f"{images}: no such folder of pictures")
    count, bad = 0, []
    for number, reason in _bad(path, images):
        count += 1
        if reason is not None:
            bad.append((number, reason))
    if not count:
        raise UserError(f"{path}: no rows; is this the right file?")
    return Report(count, tuple(bad))


def write_rows(path: str | Path, rows: Iterable[Row]) -> int:
    """Write rows, one a line, each in the style it was read in. Returns how many."""
    count = 0
    with Path(path).open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(_dump(row.source, row.style) + "\n")
            count += 1
    return count


def _each(path: str | Path, *, styled: bool) -> Iterator[tuple[int, Row | str]]:
    """Each line's row, or the reason why it is none. `styled`: find out how the line was written, too (twice the time)."""
    for line in lines(path):
        try:
            if line.reason is not None:
                raise BadRow(line.reason)
            row = parse_row(line.row, _style(line.text, line.row) if styled else _SAFE)
            for image in row.images:
                relative(image)
        except (BadRow, UserError) as problem:
            yield line.number, str(problem)
        else:
            yield line.number, row


def _bad(path: str | Path, images: str | Path | None) -> Iterator[tuple[int, str | None]]:
    fault = lru_cache(maxsize=REMEMBERED)(partial(_picture_fault, root=images))
    for number, row in _each(path, styled=False):
        if isinstance(row, str):
            yield number, row
        else:
            yield number, next((found for image in row.images if images is not None and (found := fault(image))), None)


def _picture_fault(image: str, root: str | Path | None) -> str | None:
    try:
        open_picture(image, root)
    except UserError as problem:
        return str(problem)
    return None


def _dump(row: Mapping[str, Any], style: int) -> str:
    return json.dumps(row, **STYLES[style])


def _style(text: str, row: Mapping[str, Any]) -> int:
    return next((style for style in range(len(STYLES)) if _dump(row, style) == text), _SAFE)
