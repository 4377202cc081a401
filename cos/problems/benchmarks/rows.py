"""The rows of a benchmark's file, by their own field names: Parquet, TSV, JSON or JSON lines, or a data set of the Hub.

for where, row in file_rows("mmstar.parquet", "val"): ...      # where: "mmstar.parquet, row 1", for messages
"""

from __future__ import annotations

import ast
import base64
import binascii
import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cos.errors import UserError
from cos.problems.benchmarks.items import Row
from cos.store import LONGEST_LINE, lines

SUFFIXES = (".parquet", ".tsv", ".jsonl", ".json")
_REFERENCE = 64  # VLMEvalKit: a picture's text no longer than this is the index of the row that has it
Found = Iterator[tuple[str, Row]]


def file_rows(path: Path, split: str) -> Found:
    """`(where, row)` in the file's order; of a folder every Parquet file below it whose name begins with the split, by path.

    Raises UserError for what is not there or not readable.
    """
    if path.is_dir():
        files = sorted(path.rglob(f"{split}*.parquet"))
        if not files:
            raise UserError(f"{path}: no Parquet file of the split {split} ({split}*.parquet) in this folder; name a file")
        for file in files:
            yield from _parquet(file)
        return
    if not path.is_file():
        raise UserError(f"{path}: no such file of a benchmark; give a file ({', '.join(SUFFIXES)}), a folder of Parquet files or a Hub id")
    readers = {".parquet": _parquet, ".tsv": _tsv, ".jsonl": _json_lines, ".json": _json}
    if path.suffix.lower() not in readers:
        raise UserError(f"{path}: not a file of a benchmark that can be read here; take one of {', '.join(SUFFIXES)}")
    yield from readers[path.suffix.lower()](path)


def hub_rows(hub: str, split: str) -> Found:
    """Rows of a data set of the Hub, streamed, with its configurations one after another; pictures stay encoded. Needs the network."""
    import datasets

    try:
        names = datasets.get_dataset_config_names(hub)
        for name in names:
            table = datasets.load_dataset(hub, name, split=split, streaming=True)
            pictures = [key for key, kind in (table.features or {}).items() if isinstance(kind, datasets.Image)]
            for key in pictures:
                table = table.cast_column(key, datasets.Image(decode=False))
            yield from ((f"{hub}/{name}, row {number}", row) for number, row in enumerate(table, start=1))
    except (UserError, GeneratorExit):
        raise
    except Exception as problem:  # the network, the Hub, a set behind a form, another split: each has its own exception
        first = str(problem).strip().splitlines()[:1] or [type(problem).__name__]
        raise UserError(
            f"{hub}, split {split}: can't be read from the Hub ({first[0][:200]}); fetch its files and give --data FILE"
        ) from None


def _parquet(path: Path) -> Found:
    import pyarrow
    import pyarrow.parquet

    try:
        number = 0
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=32):
                for row in batch.to_pylist():
                    number += 1
                    yield f"{path}, row {number}", row
    except (pyarrow.ArrowException, OSError) as problem:
        raise UserError(f"{path}: not a Parquet file that can be read ({str(problem).splitlines()[0][:200]})") from None


def _json_lines(path: Path) -> Found:
    for line in lines(path):
        if line.reason is not None:
            raise UserError(f"{path}, line {line.number}: {line.reason}")
        yield f"{path}, line {line.number}", line.row


def _json(path: Path) -> Found:
    """A list of rows, or an object of rows by id (MathVista's own files)."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as problem:
        raise UserError(f"{path}: not JSON ({str(problem)[:200]}); JSON lines have the ending .jsonl") from None
    rows = list(found.values()) if isinstance(found, dict) else found
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UserError(f"{path}: a list of rows, or an object of rows by their ids, is needed")
    keys = list(found) if isinstance(found, dict) else [""] * len(rows)
    yield from ((f"{path}, row {number}", {"pid": key, **row}) for number, (key, row) in enumerate(zip(keys, rows, strict=True), start=1))


def _tsv(path: Path) -> Found:
    """VLMEvalKit's tables: pictures are base64 text, several as a Python list, or the index of an earlier row that has the picture."""
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_LINE))  # pictures are longer than csv's default; the limit is the process's
    known: dict[str, Any] = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for number, row in enumerate(csv.DictReader(file, delimiter="\t"), start=1):
                where, image = f"{path}, row {number}", row.get("image") or ""
                held: Any = known.get(image) if len(image) <= _REFERENCE else _decoded(image, where)
                if image and held is None:
                    raise UserError(f"{where}: its picture is that of row {image[:20]!r}, which does not come before it")
                known[str(row.get("index"))] = held
                yield where, {**row, "image": held}
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise UserError(f"{path}: not a table that can be read ({problem})") from None


def _decoded(image: str, where: str) -> Any:
    try:
        if image.startswith("["):
            return [base64.b64decode(one, validate=True) for one in ast.literal_eval(image)]
        return base64.b64decode(image, validate=True)
    except (binascii.Error, ValueError, SyntaxError, TypeError):
        raise UserError(f"{where}: the picture is not base64 text") from None
