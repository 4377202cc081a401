"""Files of problems (`cos data make`, or made by hand): every row and every picture looked at; and the picture of any problem.

for problem in read_problems("data/charts/problems.jsonl"): show(picture(problem, root="data/charts"))
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from cos.chain import Problem
from cos.errors import UserError
from cos.problems import draw
from cos.problems.benchmarks import BENCHMARKS
from cos.problems.benchmarks.items import Item
from cos.problems.pictures import open_picture
from cos.problems.released import Report
from cos.store import Line, lines, read

SCHEMA = "cos.problem/1"
_TEXTS = ("id", "question")
_MAYBE = ("answer", "image")


def holds_problems(path: str | Path) -> bool:
    """Whether the first row is a problem rather than one of the released CoS rows."""
    first = next(iter(lines(path)), None)
    return first is not None and (str(first.row.get("schema", "")).startswith("cos.problem/") or {"id", "question"} <= set(first.row))


def read_problems(path: str | Path) -> list[Problem]:
    """All problems of a file. Raises UserError for a line that is none, for an id that comes twice, and where there are none."""
    found: dict[str, Problem] = {}
    for problem in read(path, "problem", Problem.from_json):
        if problem.id in found:
            raise UserError(f"{path}: the id {problem.id} comes twice")
        found[problem.id] = problem
    if not found:
        raise UserError(f"{path}: no problems in this file")
    return list(found.values())


def drawn(problem: Problem) -> bool:
    """Whether the picture follows from the problem itself, whose world draws it; else it is a file, if there is one."""
    return "content" in problem.truth


def picture(problem: Problem, root: str | Path) -> Image.Image | None:
    """The problem's picture, RGB; None for a question without one. A file's path is below `root`. Raises UserError as `open_picture`."""
    if drawn(problem) or isinstance(problem, Item):
        return draw(problem)
    if problem.image is None and problem.world in BENCHMARKS:
        raise UserError(f"problem {problem.id}: its picture lies in the file of {problem.world} and did not come along")
    return open_picture(problem.image, root) if problem.image else None


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
    if not count:
        raise UserError(f"{path}: no rows; is this the right file?")
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
    if not isinstance(line.row.get("truth", {}), dict):
        yield "`truth` is no object"
    problem = Problem.from_json(line.row)
    if problem.id in seen:
        yield f"the id {problem.id} was there before"
    seen.add(problem.id)
    if problem.image is not None:
        try:
            open_picture(problem.image, root)
        except UserError as fault:
            yield str(fault)
