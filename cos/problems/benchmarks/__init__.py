"""The six benchmarks of the CoS paper: their files to problems, and their own rules for what is right. Deterministic and offline.

    items = load("mmstar:val", 40, Source(data="mmstar.parquet"))     # the first 40; without data, from the Hub
    items[0].draw(); grades(items[0], "(B)")["official"].right

A benchmark is a module with `HUB`, `SPLIT`, `item(row, prompting)` and `grades(problem, given)`. Of its published rules the first counts;
which these are, and where they differ from one another, is said by each module.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from PIL import Image

import cos.problems.benchmarks.ai2d as ai2d
import cos.problems.benchmarks.chartqa as chartqa
import cos.problems.benchmarks.m3cot as m3cot
import cos.problems.benchmarks.mathvista as mathvista
import cos.problems.benchmarks.mmmu as mmmu
import cos.problems.benchmarks.mmstar as mmstar
from cos.answers import Verdict
from cos.chain import Problem
from cos.errors import UserError
from cos.problems.benchmarks.items import Item, Prompting, Row
from cos.problems.benchmarks.rows import Found, file_rows, hub_rows
from cos.store import inside


class Benchmark(Protocol):
    """What each module has."""

    HUB: str
    SPLIT: str

    def item(self, row: Row, prompt: Prompting) -> Item:
        """An item of a row. KeyError, ValueError, TypeError or IndexError where the row is not one of this benchmark."""
        ...

    def grades(self, problem: Problem, given: str | None) -> dict[str, Verdict]:
        """The verdicts of the published rules by name, that which counts first."""
        ...


BENCHMARKS: dict[str, Benchmark] = {
    "mathvista": mathvista,
    "mmstar": mmstar,
    "mmmu": mmmu,
    "m3cot": m3cot,
    "ai2d": ai2d,
    "ai2d_no_mask": ai2d,
    "chartqa": chartqa,
}
"""Name of the set -> module. AI2D is two sets: with its labels masked, and not."""

_HUBS = {"ai2d_no_mask": ai2d.HUB_NO_MASK}
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """Where the items come from and how they are asked."""

    data: str | None = None
    """A file (Parquet, TSV, JSON, JSON lines), a folder of Parquet files, or a Hub id; None: the benchmark's own place on the Hub."""
    images: str | None = None
    """The folder that pictures named in the rows lie under; None: that of the file."""
    prompt: Prompting = "cos"


def load(spec: str, n: int, source: Source | None = None) -> list[Item]:
    """The first `n` items of a benchmark, such as "mmstar:val" or "mmmu" (its usual split), in the order of the file.

    Items without a picture (some of M3CoT's) are left out, and a warning says how many. Raises UserError for a row that is none of this
    benchmark's, a picture that is missing or would lie outside its folder, an id that comes twice, and a split without gold answers.
    """
    source = source or Source()
    name, _, split = spec.partition(":")
    split = split or BENCHMARKS[name].SPLIT
    items: dict[str, Item] = {}
    blind = 0
    for number, (where, row) in enumerate(_rows(name, split, source)):
        if len(items) == n:
            break
        item = _item(name, split, number, where, row, source)
        if item.id in items:
            raise UserError(f"{where}: the id {item.id} was there before")
        if item.pictures:
            items[item.id] = item
        else:
            blind += 1
    if blind:
        _log.warning("%s: %d items without a picture are left out", spec, blind)
    if not items:
        raise UserError(f"{source.data or _HUBS.get(name, BENCHMARKS[name].HUB)}: no items of {name} in it")
    return list(items.values())


def grades(problem: Problem, given: str | None) -> dict[str, Verdict]:
    """The verdicts on an answer by the published rules of the problem's benchmark, that which counts first. Never raises for any text."""
    try:
        found = BENCHMARKS[problem.world].grades(problem, given)
    except KeyError as missing:
        raise UserError(f"problem {problem.id}: its truth lacks {missing}, which the rules of {problem.world} need") from None
    if problem.answer is None:
        return {name: Verdict(False, "no gold answer", verdict.read) for name, verdict in found.items()}
    return found


def _rows(name: str, split: str, source: Source) -> Found:
    data = source.data
    if data is not None and (Path(data).exists() or Path(data).suffix or data.count("/") != 1):
        return file_rows(Path(data), split)
    return hub_rows(data or _HUBS.get(name, BENCHMARKS[name].HUB), split)


def _item(name: str, split: str, number: int, where: str, row: Row, source: Source) -> Item:
    root = Path(source.images) if source.images else Path(source.data or ".").parent
    try:
        item = BENCHMARKS[name].item(row, source.prompt)
    except KeyError as problem:
        raise UserError(f"{where}: the field {problem} is missing; is this a file of {name}?") from None
    except (ValueError, TypeError, IndexError, AttributeError, SyntaxError) as problem:
        raise UserError(f"{where}: not a row of {name} ({str(problem)[:200]}); is this the right file?") from None
    if item.answer is None:
        raise UserError(f"{where}: no gold answer; some splits hide them, take {name}:{BENCHMARKS[name].SPLIT}")
    pictures = tuple(held for value in _flat(item.pictures) if (held := _picture(value, root, where)) is not None)
    own = re.sub(r"[^\w.-]", "_", item.id or f"{number:05d}")  # an id becomes part of the name of a trace's file
    image = pictures[0] if len(pictures) == 1 and isinstance(pictures[0], str) else None
    return replace(item, id=f"{name}-{own}", world=name, split=split, image=image, pictures=pictures, root=root)


def _flat(values: tuple[Any, ...]) -> list[Any]:
    return [one for value in values for one in (value if isinstance(value, list) else [value])]


def _picture(value: Any, root: Path, where: str) -> Any:
    """Bytes, a path that is there, or an open picture; None where there is none."""
    if isinstance(value, Mapping):
        value = value.get("bytes") or value.get("path")
    if value is None or value == "":
        return None
    if isinstance(value, bytes | Image.Image):
        return value
    if not isinstance(value, str):
        raise UserError(f"{where}: a picture is a path or bytes, here it is a {type(value).__name__}")
    try:
        there = inside(root, value).is_file()
    except UserError as problem:
        raise UserError(f"{where}: {problem}") from None
    if not there:
        raise UserError(f"{where}: no picture {value} under {root}; name their folder with --images")
    return value
