"""A benchmark's item, and what the six have in common: lists of choices, instructions, the end of a question."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from PIL import Image, ImageDraw, ImageFont

from cos.chain import Problem
from cos.problems.pictures import open_picture, picture_of, to_rgb

Prompting = Literal["cos", "official"]
"""The instruction after a question: that of the CoS evaluators (think first), or the benchmark's own (answer at once)."""

Row = Mapping[str, Any]
"""One row of a benchmark's file, by its own field names."""

LETTER = "\nAnswer with the option's letter from the given choices directly."
"""What lmms-eval and the CoS evaluators without `--o1_pred` ask for."""
THINK = "\nThink step-by-step first and then answer with the option's letter from the given choices directly."
"""What the CoS evaluators with `--o1_pred` ask for, where there are choices."""

_SIDE, _CAPTION = 1024, 28
_NO_VALUE = ("", "?", "nan")


@dataclass(frozen=True)
class Item(Problem):
    """A problem that holds its pictures as they lie in the benchmark's file: bytes, a path below `root`, or what `datasets` has opened.

    `truth` has the choices and what else the rules of the benchmark need, and in `groups` what sub-scores are made by:
    `{key: value or [values]}`.
    """

    pictures: tuple[Any, ...] = field(default=(), repr=False, compare=False)
    root: Path | None = field(default=None, repr=False, compare=False)

    def to_json(self) -> dict[str, Any]:
        """The problem's fields; pictures stay where they are."""
        return Problem(**{key: getattr(self, key) for key in Problem.__dataclass_fields__}).to_json()

    def draw(self) -> Image.Image:
        """The picture, RGB; several are joined into one (`join`), since a prompt shows one."""
        opened = [self._opened(number, held) for number, held in enumerate(self.pictures, start=1)]
        return opened[0] if len(opened) == 1 else join(opened)

    def _opened(self, number: int, held: Any) -> Image.Image:
        if isinstance(held, bytes):
            return picture_of(held, f"{self.id}, picture {number}")
        return to_rgb(held) if isinstance(held, Image.Image) else open_picture(held, self.root)


def join(pictures: Sequence[Image.Image]) -> Image.Image:
    """Pictures in their order as one, each under its caption "image 1", "image 2" ..., beside or below one another, whichever is
    nearer to a square. Sides over 1024 pixels are made smaller."""
    framed = []
    for number, picture in enumerate(pictures, start=1):
        share = min(1.0, _SIDE / max(picture.size))
        size = max(1, round(picture.width * share)), max(1, round(picture.height * share))
        frame = Image.new("RGB", (max(size[0], 4 * _CAPTION), size[1] + _CAPTION), "white")
        ImageDraw.Draw(frame).text((4, 2), f"image {number}", fill="black", font=ImageFont.load_default(size=_CAPTION - 8))
        frame.paste(picture.resize(size), (0, _CAPTION))
        framed.append(frame)
    widths, heights = [frame.width for frame in framed], [frame.height for frame in framed]
    row, column = (sum(widths), max(heights)), (max(widths), sum(heights))
    beside = abs(math.log(row[0] / row[1])) <= abs(math.log(column[0] / column[1]))
    sheet, at = Image.new("RGB", row if beside else column, "white"), 0
    for frame in framed:
        sheet.paste(frame, (at, 0) if beside else (0, at))
        at += frame.width if beside else frame.height
    return sheet


def text(row: Row, key: str) -> str | None:
    """A field as stripped text; None where it is missing, empty, or hidden (`?`)."""
    value = row.get(key)
    plain = "" if value is None else str(value).strip()
    return None if plain.lower() in _NO_VALUE else plain


def choices(row: Row, *keys: str) -> list[str]:
    """The texts of the choices: a list, the text of a Python list, or columns A, B, C ...

    ValueError where `keys` are named and there are none.
    """
    found = next((row[key] for key in keys if row.get(key) not in (None, "")), None)
    if isinstance(found, str):
        found = ast.literal_eval(found)  # as in MMMU, where lists are written as text; reads literals only
    if found is None:
        columns = [chr(65 + place) for place in range(26)]
        found = [row[letter] for letter in columns if text(row, letter) is not None]
    if keys and not found:
        raise ValueError("the choices are missing")
    return [str(choice) for choice in found]


def lettered(options: Sequence[str], form: str = "{}. {}") -> str:
    """One choice a line, each with its letter."""
    return "\n".join(form.format(chr(65 + place), option) for place, option in enumerate(options))


def groups(row: Row, *keys: str) -> dict[str, Any]:
    """Those of the fields that have a value, to make sub-scores by."""
    found = {key: row.get(key) for key in keys}
    return {key: list(value) if isinstance(value, list | tuple) else str(value) for key, value in found.items() if value not in (None, "")}
