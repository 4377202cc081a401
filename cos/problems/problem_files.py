"""Files of problems (`cos data make`, or made by hand): every row and every picture looked at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cos.chain import Problem
from cos.errors import UserError
from cos.problems.pictures import open_picture
from cos.problems.released import Report
from cos.store import Line, lines

SCHEMA = "cos.problem/1"
_TEXTS = ("id", "question")
_MAYBE = ("answer", "image")


def holds_problems(path: str | Path) -> bool:
    """Whether the first row is a problem rather than one of the released CoS rows."""
    first = next(iter(lines(path)), None)
    return first is not None and (str(first.row.get("schema", "")).startswith("cos.problem/") or {"id", "question"} <= set(first.row))


def check(path: str | Path, images: str | Path | None) -> Report:
    """Every row, and every picture under `images` (None: the folder of the file, which its paths are relative to)."""
    root = Path(path).parent if images is None else Path(images)
    if not root.is_dir():
        raise UserError(f"{root}: no such folder of pictures")
    count, bad, seen = 0, [], set[str]()
    for line in lines(path):
        count += 1
        reason = next(_faults(line, root, seen), None)
        if reason is not None:
            bad.append((line.number, reason))
    return Report(count, tuple(bad))


def _faults(line: Line, root: Path, seen: set[str]) -> Iterator[str]:
    if line.reason is not None:
        yield line.reason
        return
    if line.row.get("schema", SCHEMA) != SCHEMA:
        yield f"schema {line.row['schema']!r} where {SCHEMA} is needed"
    for key in _TEXTS:
        if not isinstance(line.row.get(key), str) or not line.row[key]:
            yield f"the text `{key}` is missing"
    for key in _MAYBE:
        if not isinstance(line.row.get(key), str | None):
            yield f"`{key}` is not a text"
    problem = Problem.from_json(line.row)
    if problem.id in seen:
        yield f"the id {problem.id} was there before"
    seen.add(problem.id)
    if problem.image is not None:
        try:
            open_picture(problem.image, root)
        except UserError as fault:
            yield str(fault)
