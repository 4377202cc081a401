"""TRL rows as a Parquet file that `datasets` reads, pictures within as an Image feature.

write_parquet("train.parquet", map(to_trl, read_rows("sft.jsonl")), images="images/")
datasets.Dataset.from_parquet("train.parquet")[0]["images"][0]      # a PIL image
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Any

from cos.errors import UserError
from cos.store import inside

BATCH = 64
"""Rows that are held at once, their pictures with them."""


def write_parquet(path: str | Path, rows: Iterable[Mapping[str, Any]], images: str | Path) -> int:
    """Write rows of one of TRL's types (`cos.problems.trl`), pictures taken from below `images` as their files have them. The file
    appears when it is whole. Raises UserError for a file that can't be read, a row of another type than the first, and no rows; whether
    a file is a sound picture is not looked at."""
    waiting = iter(rows)
    first = next(waiting, None)
    if first is None:
        raise UserError(f"{path}: no rows to write")
    features = _features(first)
    return write_table(path, (_held(row, set(features), images) for row in chain([first], waiting)), features.arrow_schema)


def write_table(path: str | Path, rows: Iterable[Mapping[str, Any]], schema: Any) -> int:
    """Write rows of an Arrow schema; the file appears when it is whole. Returns the number of rows."""
    import pyarrow
    import pyarrow.parquet

    path, waiting, count = Path(path), iter(rows), 0
    part = path.with_name(path.name + ".part")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with pyarrow.parquet.ParquetWriter(part, schema) as file:
            while block := list(islice(waiting, BATCH)):
                file.write_table(pyarrow.Table.from_pylist(block, schema=schema))
                count += len(block)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return count


def _features(row: Mapping[str, Any]) -> Any:
    """The columns of the type that a row is of."""
    from datasets import Features, Image, List, Value

    text = Value("string")
    turns = List({"role": text, "content": List({"type": text, "text": text})})
    kinds = {"prompt": turns if isinstance(row["prompt"], list) else text, "completions": List(text), "labels": List(Value("bool"))}
    return Features({key: List(Image()) if key == "images" else kinds.get(key, turns) for key in row})


def _held(row: Mapping[str, Any], columns: set[str], images: str | Path) -> dict[str, Any]:
    if set(row) != columns:
        raise UserError(f"a row with {', '.join(row)} among rows with {', '.join(sorted(columns))}; one file has rows of one type")
    return {**row, "images": [_picture(image, images) for image in row["images"]]}


def _picture(image: str, root: str | Path) -> dict[str, Any]:
    try:
        return {"bytes": inside(root, image).read_bytes(), "path": Path(image).name}
    except OSError as problem:
        raise UserError(f"{image}: {problem.strerror or problem}") from None
