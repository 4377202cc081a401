"""Records on disk: one JSON object a line, a schema name and version in every line, appended so that a kill loses nothing.

    write("problems.jsonl", "problem", [problem.to_json() for problem in problems])
    for problem in read("problems.jsonl", "problem", Problem.from_json): ...

    with Log("pool.jsonl", "pool", key="id") as log:        # resumes: what is in the file is in log.done
        for problem in problems:
            if problem.id not in log.done:
                log.add(record_of(problem))

The kinds and their fields are in `docs/formats.md`. Standard library only.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, TypeVar

from cos.errors import UserError

VERSION = 1
VERSIONS = {"pool": 2, "eval": 2}
"""The version of every record kind of today is VERSION, but for these."""

LONGEST_LINE = 64 * 2**20
"""Bytes; a longer line is not read, so that memory stays flat on a file that has no lines."""

T = TypeVar("T")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Line:
    """One line of a JSON-lines file: its number from 1, its text without the line's end, and the object or the reason why there is none."""

    number: int
    text: str
    row: dict[str, Any] = field(default_factory=dict)
    reason: str | None = None


def lines(path: str | Path) -> Iterator[Line]:
    """Every line that is not blank, good or bad, in flat memory. Raises UserError where the file can't be read."""
    try:
        with Path(path).open("rb") as file:
            number = 0
            while raw := file.readline(LONGEST_LINE):
                number += 1
                if raw.strip():
                    yield _line(number, raw)
    except OSError as problem:
        raise UserError(f"{path}: {problem.strerror or problem}") from None


def read(path: str | Path, kind: str, build: Callable[[dict[str, Any]], T]) -> Iterator[T]:
    """`build(row)` for each record; a row without a schema (made by hand) is taken for one of today's version.

    Raises UserError, with file and line, for a line that is no record of this kind and version, and for a row that `build` refuses.
    """
    for line in lines(path):
        where = f"{path}, line {line.number}"
        if line.reason is not None:
            raise UserError(f"{where}: {line.reason}")
        _refuse_other_schema(line.row.get("schema", schema(kind)), kind, where)
        try:
            yield build({key: value for key, value in line.row.items() if key != "schema"})
        except KeyError as problem:
            raise UserError(f"{where}: the field {problem} is missing") from None
        except (TypeError, ValueError, AttributeError) as problem:
            raise UserError(f"{where}: not a {kind} record ({problem})") from None


def write(path: str | Path, kind: str, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write a whole file; it appears under its name only when it is complete. Returns the number of rows."""
    path, count = Path(path), 0
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        for row in rows:
            file.write(_record(kind, row))
            count += 1
        _sync(file)
    part.replace(path)
    return count


class Log:
    """A file of records that grows while work runs. Opening it again goes on where it ended.

    A last line that a kill has cut short is dropped and reported (`dropped`: its bytes, also logged as a warning). `done` holds the
    `key` of every record in the file. Raises UserError as `read` does.
    """

    def __init__(self, path: str | Path, kind: str, *, key: str) -> None:
        self.path, self.kind, self.key = Path(path), kind, key
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.dropped = _mend_end(self.path)
        if self.dropped:
            _log.warning("%s: dropped a last line that was cut short (%d bytes); its work is done again", self.path, self.dropped)
        self.done: set[Hashable] = set(read(self.path, kind, lambda row: row[key])) if self.path.exists() else set()
        self._file: IO[bytes] = self.path.open("ab", buffering=0)

    def add(self, *rows: Mapping[str, Any]) -> None:
        """Append records; they are on the disk when this returns."""
        left = memoryview(b"".join(_record(self.kind, row) for row in rows))
        while left:  # a full disk takes a part, and says so at the next
            left = left[self._file.write(left) :]
        _sync(self._file)
        self.done.update(row[self.key] for row in rows)

    def close(self) -> None:
        """Close the file; the records are safe with or without it."""
        self._file.close()

    def __enter__(self) -> Log:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def digest(path: str | Path) -> str:
    """A short hash of a file's content, for the settings of a run that rests on it."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def inside(root: str | Path, path: str | Path) -> Path:
    """The file that the relative `path` means under `root`. Raises UserError where it would leave `root` (`..`, absolute, by a link)."""
    given = relative(path, root)
    try:
        home = Path(root).resolve()
        full = (home / given).resolve()
    except (OSError, ValueError, RuntimeError):  # a null byte, a name too long, a circle of links
        raise UserError(f"{given[:200]!r}: not a path") from None
    if not full.is_relative_to(home):
        raise UserError(f"{given}: leaves the folder {root}; give a path below it")
    return full


def relative(path: str | Path, root: str | Path = "of the pictures") -> str:
    """The path as text, the disk not looked at. Raises UserError where it is absolute or has `..` in it."""
    given = str(path)
    if os.path.isabs(given) or ".." in given.split(os.sep):
        raise UserError(f"{given!r}: not a path" if "\0" in given else f"{given}: leaves the folder {root}; give a path below it")
    return given


def dump(row: Mapping[str, Any]) -> str:
    """One line of JSON, letters as they are; where a text holds half a surrogate pair, which UTF-8 can't say, all in ASCII."""
    text = json.dumps(row, ensure_ascii=False, allow_nan=False)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(row, allow_nan=False)
    return text


def _line(number: int, raw: bytes) -> Line:
    ended = raw.endswith(b"\n")
    if not ended and len(raw) == LONGEST_LINE:
        return Line(number, "", reason=f"longer than {LONGEST_LINE >> 20} MiB; is this a JSON-lines file?")
    try:
        text = raw.decode("utf-8-sig" if number == 1 else "utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as problem:
        return Line(number, "", reason=f"not UTF-8 text (byte {problem.start + 1})")
    try:
        row = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as problem:
        hint = "" if ended else "; the file ends in this line, a run may have been killed: run it again to resume"
        why = f"{problem.msg} at column {problem.colno}" if isinstance(problem, json.JSONDecodeError) else str(problem)
        return Line(number, text, reason=f"not JSON: {why}{hint}")
    if not isinstance(row, dict):
        return Line(number, text, reason=f"a JSON {type(row).__name__}, where an object {{...}} is needed")
    return Line(number, text, row)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def schema(kind: str) -> str:
    """What a record of this kind says under `schema`."""
    return f"cos.{kind}/{VERSIONS.get(kind, VERSION)}"


def _refuse_other_schema(found: object, kind: str, where: str) -> None:
    if found == schema(kind):
        return
    if isinstance(found, str) and found.startswith(f"cos.{kind}/"):
        raise UserError(f"{where}: schema {found} is unknown here, this program reads {schema(kind)}; use the version that wrote it")
    raise UserError(f"{where}: schema {found!r} where {schema(kind)} is needed; is this the right file?")


def _record(kind: str, row: Mapping[str, Any]) -> bytes:
    return (dump({"schema": schema(kind), **row}) + "\n").encode("utf-8")


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _mend_end(path: Path) -> int:
    """Cut a last line without its end; the number of bytes dropped."""
    if not path.exists():
        return 0
    with path.open("rb+") as file:
        size = end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - 65536)
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                end = start + found + 1
                break
            end = start
        file.truncate(end)
        return size - end
