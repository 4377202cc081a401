"""Problems with their pictures as a Parquet file, as data sets on the Hub have them: one row a problem, the picture an Image feature.

write_problems("data/test-00000-of-00001.parquet", read_problems("charts/problems.jsonl"), root="charts")
for problem, picture in read_table(file): ...          # the same problems; picture: the bytes of its file
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from cos.chain import Problem
from cos.errors import UserError
from cos.problems.parquet import BATCH, write_table
from cos.store import dump, inside

COLUMNS = {
    "id": "string",
    "question": "string",
    "answer": "string",
    "image": "image",
    "world": "string",
    "split": "string",
    "level": "int64",
    "kind": "string",
    "truth": "string",
}
"""The fields of a problem; `truth` as JSON, since every world has others."""


def write_problems(path: str | Path, problems: Iterable[Problem], root: str | Path) -> int:
    """Write problems, their pictures taken from below `root` as the files are. Returns their number."""
    from datasets import Features, Image, Value

    schema = Features({name: Image() if kind == "image" else Value(kind) for name, kind in COLUMNS.items()}).arrow_schema
    return write_table(path, (_row(problem, root) for problem in problems), schema)


def _row(problem: Problem, root: str | Path) -> dict[str, Any]:
    held = None if problem.image is None else {"bytes": inside(root, problem.image).read_bytes(), "path": problem.image}
    return {**problem.to_json(), "image": held, "truth": dump(problem.truth)}


def read_table(path: str | Path) -> Iterator[tuple[Problem, bytes | None]]:
    """Problems and the bytes of their pictures. Raises UserError for a file that holds none; nothing in it is trusted: a picture's path may
    be any text."""
    import pyarrow
    import pyarrow.parquet

    name, number = Path(path).name, 0
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            missing = [column for column in COLUMNS if column not in file.schema_arrow.names]
            if missing:
                raise UserError(f"{name}: no problems (it has no column {missing[0]}); read it with datasets.load_dataset")
            for batch in file.iter_batches(BATCH, columns=list(COLUMNS)):
                for row in batch.to_pylist():
                    number += 1
                    yield _problem(row)
    except (pyarrow.ArrowException, OSError) as fault:
        raise UserError(f"{name}: not a Parquet file ({str(fault).splitlines()[0]})") from None
    except (KeyError, TypeError, ValueError, AttributeError) as fault:
        raise UserError(f"{name}, row {number}: no problem ({fault})") from None


def _problem(row: dict[str, Any]) -> tuple[Problem, bytes | None]:
    held = row["image"] or {}
    problem = Problem.from_json({**row, "image": held.get("path"), "truth": json.loads(row["truth"])})
    if problem.image is not None and not isinstance(held.get("bytes"), bytes):
        raise ValueError("its picture is missing")
    return problem, held.get("bytes")
