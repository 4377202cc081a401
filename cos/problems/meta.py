"""The meta file of the released trainings (`shell/data/*.json`), which names several files of rows and where the pictures of each are.

    {"chart_qa": {"root": "images/", "annotation": "chart_qa.jsonl", "repeat_time": 2, "length": 1234}, ...}

`repeat_time`: how many times the rows count in an epoch; below 1 the first share of them. `root` and `annotation` are taken from the folder
of the meta file, where they are not absolute. Other keys (`data_augment`, `max_dynamic_patch`, ...) are passed over.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from cos.errors import UserError
from cos.problems import released

T = TypeVar("T")


@dataclass(frozen=True)
class DataSet:
    """One file of rows."""

    name: str
    rows: Path
    root: Path
    repeat: float = 1.0
    length: int | None = None
    """How many rows the meta file says there are."""

    def repeated(self, rows: Sequence[T]) -> list[T]:
        """The rows as often as `repeat` says, as `LazySupervisedDataset` of the released code counts."""
        if self.repeat < 1:
            return list(rows[: int(len(rows) * self.repeat)])
        return list(rows) * int(self.repeat)


def is_meta(path: str | Path) -> bool:
    """Whether a path is that of a meta file: `.json`, where rows are `.jsonl`."""
    return Path(path).suffix == ".json"


def read_meta(path: str | Path) -> list[DataSet]:
    """The files that a meta file names. Raises UserError, with the name, for what is not as above."""
    try:
        found = json.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as problem:
        raise UserError(f"{path}: {getattr(problem, 'strerror', None) or f'not JSON ({problem})'}") from None
    if not isinstance(found, dict) or not found:
        raise UserError(f"{path}: a meta file is an object {{name: {{root, annotation}}}}; rows have the ending .jsonl")
    return [_data_set(name, entry, Path(path)) for name, entry in found.items()]


def check(path: str | Path) -> dict[str, Any]:
    """`released.check` of every file: `{rows, good, bad: [{set, line, reason}], sets: {name: {rows, bad}}}`."""
    bad: list[dict[str, Any]] = []
    sets: dict[str, dict[str, int]] = {}
    for part in read_meta(path):
        report = released.check(part.rows, part.root)
        bad += [{"set": part.name, "line": line, "reason": reason} for line, reason in report.bad]
        if part.length is not None and part.length != report.rows:
            bad.append({"set": part.name, "line": 0, "reason": f"`length` is {part.length}, but there are {report.rows} rows"})
        sets[part.name] = {"rows": report.rows, "bad": len(report.bad)}
    rows = sum(counts["rows"] for counts in sets.values())
    return {"rows": rows, "good": rows - sum(counts["bad"] for counts in sets.values()), "bad": bad, "sets": sets}


def _data_set(name: str, entry: Any, path: Path) -> DataSet:
    where = f"{path}: {name}"
    if not isinstance(entry, dict):
        raise UserError(f"{where}: an object with root and annotation is needed")
    root, rows, repeat, length = (entry.get(key) for key in ("root", "annotation", "repeat_time", "length"))
    if not isinstance(root, str) or not isinstance(rows, str) or not rows.endswith(".jsonl"):
        raise UserError(f"{where}: `root` (a folder) and `annotation` (a .jsonl file) are needed")
    if "://" in root or "://" in rows:
        raise UserError(f"{where}: {root if '://' in root else rows} is on a server; fetch it, and name the folder")
    repeat = 1 if repeat is None else repeat
    if isinstance(repeat, bool) or not isinstance(repeat, int | float) or repeat <= 0 or (repeat > 1 and repeat != int(repeat)):
        raise UserError(f"{where}: `repeat_time` is {repeat!r}; a whole number, or a share between 0 and 1, is needed")
    if length is not None and (isinstance(length, bool) or not isinstance(length, int)):
        raise UserError(f"{where}: `length` is {length!r}; a whole number is needed")
    return DataSet(name, path.parent / rows, path.parent / root, repeat, length)
