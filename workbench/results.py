"""Evaluations, report cards and traces for the pages that look back: found below one folder, or uploaded. No gradio.

A file may come from anyone, so what is read is checked as a whole, and faults name the file alone, not where it lies. A folder is known by
its name among those that are there; no path is built from what a visitor sends but that of a trace, which may not leave the root.
"""

from __future__ import annotations

import base64
import io
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from PIL import Image

from cos.chain import Problem
from cos.errors import UserError
from cos.problems import PROBLEM_SETS, draw, problems
from cos.problems.world import SPLITS
from cos.search.reading import image_reference
from cos.search.trace import SearchTrace
from cos.store import read, schema
from cos.summary import COSTS, summarise

EVALUATION, CARD = "records.jsonl", "card.json"
MOST_QUESTIONS, MOST_METHODS, MOST_BYTES = 5000, 20, 30_000_000
MOST_CELLS = 200_000
"""Questions x methods x budgets of a file: the comparisons' bootstraps take a while. Ours, as the line above."""
_OWN = re.compile(rf"({'|'.join(PROBLEM_SETS)})-({'|'.join(SPLITS)})-(\d{{1,9}})-(\d{{5}})")
_LATEST = 3000  # worlds make their problems in order, so a late one takes as long as all before it
T = TypeVar("T")
Record = dict[str, Any]


def evaluations(root: Path | None) -> list[str]:
    """Names of the folders right below `root` that hold the records of an evaluation, the newest first."""
    return _folders(root, EVALUATION, "eval")


def cards(root: Path | None) -> list[str]:
    """Names of the folders right below `root` that hold a report card, the newest first."""
    return _folders(root, CARD, "card")


def located(root: Path | None, names: Sequence[str], name: str | None, upload: str | None, file: str) -> Path | None:
    """The uploaded file, else `file` in the folder of this name; None where neither is given. Raises UserError for a name that is none."""
    if upload:
        return Path(upload)
    if not name:
        return None
    if root is None or name not in names:
        raise UserError("There is no such folder here, or no longer.")
    return root / name / file


def records(path: Path) -> tuple[Record, ...]:
    """The records of an evaluation. Raises UserError for a file that holds none, or whose lines do not fit one another."""
    return _fresh(path, _records)


def card(path: Path) -> Record:
    """A report card, its texts fit for figures. Raises UserError for a file that holds none."""
    return _fresh(path, _card)


def trace(root: Path, name: str, file: str) -> SearchTrace:
    """A trace that a record of the evaluation `name` names. Raises UserError for one that is not there or lies elsewhere."""
    full = (root / name / file.replace("\0", "")).resolve()
    if not full.is_relative_to(root.resolve()) or full.suffix not in (".json", ".jsonl") or not full.is_file():
        raise UserError("The trace of this search was not kept, or is there no longer: cos eval --traces keeps them.")
    return _fresh(full, SearchTrace.load)


def trace_file(path: Path) -> SearchTrace:
    """A trace from a file of whoever. Raises UserError for what is none."""
    return _fresh(path, SearchTrace.load)


def problem_of(trace: SearchTrace) -> Problem | None:
    """The world's own problem behind a trace, made again from its id; None where question or picture are not the trace's."""
    found = _OWN.fullmatch(str(trace.problem))
    if found is None or int(found[4]) >= _LATEST or not isinstance(trace.image, Mapping):
        return None
    made = problems(f"{found[1]}:{found[2]}", int(found[4]) + 1, int(found[3]))[-1]
    same = (made.id, made.question, made.answer) == (trace.problem, trace.question, trace.gold)
    return made if same and (image_reference(draw(made)) or {})["sha256"] == trace.image.get("sha256") else None


def picture(problem: Problem) -> str:
    """The picture of a world's problem as an address that holds it."""
    return address(draw(problem))


def address(image: Image.Image) -> str:
    """A picture as an address that holds it."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def kept(rows: Sequence[Record], world: str | None, level: str | None, kind: str | None) -> tuple[Record, ...]:
    """The records of a world, a level, a kind; None or empty: of all."""
    wanted = {key: value for key, value in (("world", world), ("level", level), ("kind", kind)) if value}
    return tuple(row for row in rows if all(str(row[key]) == value for key, value in wanted.items()))


@lru_cache(maxsize=16)
def summary(path: Path, stamp: tuple[int, int], world: str | None, level: str | None, kind: str | None) -> Record:
    """`cos.summary.summarise` of some of a file's records; `stamp` is the file's (`stamp_of`). Raises UserError where none is left."""
    rows = kept(records(path), world, level, kind)
    if not rows:
        raise UserError("No question is left with these filters: choose all worlds, levels or kinds again.")
    return summarise(rows)


def stamp_of(path: Path) -> tuple[int, int]:
    """What changes when a file does. Raises UserError where there is none."""
    try:
        found = path.stat()
    except OSError:
        raise UserError(f"{path.name}: no such file here, or no longer.") from None
    return found.st_mtime_ns, found.st_size


def differing(rows: Sequence[Record], n: int, right: str, wrong: str) -> list[Record]:
    """The questions on which one method is right at this n, and the other is not."""
    return [row for row in rows if row["methods"][right][str(n)]["right"] and not row["methods"][wrong][str(n)]["right"]]


def fooled(rows: Sequence[Record]) -> list[Record]:
    """The questions with a wrong answer in their pool that the reward model takes for right (1/2 or more) and likes best."""
    return [row for row in rows if (tops := best_answers(row))[0] is not None and tops[0] >= 0.5 and tops[0] > (tops[1] or 0.0)]


def best_answers(row: Record) -> tuple[float | None, float | None]:
    """The highest reward of a wrong and of a right answer of the pool; None where there is none."""
    scored = [(step[0], step[1]) for step in row["steps"] if step[2] == "answer"]
    wrong, right = (max((reward for reward, label in scored if label == side), default=None) for side in (0, 1))
    return wrong, right


def _folders(root: Path | None, file: str, kind: str) -> list[str]:
    found, wanted = [], f'"{schema(kind)}"'
    for path in root.glob(f"*/{file}") if root is not None and root.is_dir() else ():
        try:
            with path.open(encoding="utf-8", errors="replace") as lines:
                if wanted in lines.read(200):
                    found.append((path.stat().st_mtime, path.parent.name))
        except OSError:
            continue
    return [name for _, name in sorted(found, reverse=True)]


def _fresh(path: Path, load: Callable[[Path], T]) -> T:
    """What `load` makes of the file, kept until it changes; its errors name the file alone."""
    stamp = stamp_of(path)
    if stamp[1] > MOST_BYTES:
        raise UserError(f"{path.name}: more than {MOST_BYTES // 10**6} MB; the app shows smaller ones.")
    try:
        made: T = _loaded(path, stamp, load)
    except UserError as problem:
        raise UserError(str(problem).replace(str(path), path.name)) from None
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError, OverflowError):
        raise UserError(f"{path.name}: damaged, or not a file of this kind.") from None
    return made


@lru_cache(maxsize=4)
def _loaded(path: Path, stamp: tuple[int, int], load: Callable[[Path], Any]) -> Any:
    return load(path)


def _records(path: Path) -> tuple[Record, ...]:
    rows = []
    for row in read(path, "eval", _record):
        rows.append(row)
        if len(rows) > MOST_QUESTIONS:
            raise UserError(f"{path}: more than {MOST_QUESTIONS:,} questions; the app shows smaller ones.")
    shapes = {(row["pool"]["n"], tuple((name, *results) for name, results in row["methods"].items())) for row in rows}
    if len(shapes) != 1:
        raise UserError(f"{path}: " + ("its lines do not have the same methods, N and pool." if rows else "no records in it."))
    if len(rows) * sum(map(len, rows[0]["methods"].values())) > MOST_CELLS:
        raise UserError(f"{path}: more than {MOST_CELLS:,} results; the app shows smaller ones.")
    return tuple(rows)


def _record(row: Mapping[str, Any]) -> Record:
    """A record with what the page needs, each value of its kind. Raises what `store.read` reports."""
    pool = {key: int(row["pool"][key]) for key in ("n", "answered", "right")}
    votes = {key: [_number(value) for value in row["pool"][key]] for key in ("votes", "vote_flops")}
    methods = {str(name): {str(int(n)): _result(found) for n, found in results.items()} for name, results in row["methods"].items()}
    budgets = {tuple(results) for results in methods.values()}
    sound = 0 <= pool["right"] <= pool["answered"] <= pool["n"] and all(len(values) == pool["n"] for values in votes.values())
    if not sound or len(budgets) != 1 or len(methods) > MOST_METHODS or not all(1 <= int(n) <= pool["n"] for n in next(iter(budgets))):
        raise ValueError("methods, budgets and pool do not fit together")
    texts = {key: str(row[key]) for key in ("problem", "world", "kind")} | {"gold": None if row["gold"] is None else str(row["gold"])}
    steps = [[_number(a), int(b), str(c), None if d is None else _number(d)] for a, b, c, d in row["steps"]]
    return {**texts, "level": int(row["level"]), "methods": methods, "pool": pool | votes, "steps": steps}


def _result(found: Mapping[str, Any]) -> Record:
    answer, file = found["answer"], found.get("trace")
    texts = {"answer": None if answer is None else str(answer), "trace": None if file is None else str(file)}
    costs = {key: _number(found[key]) for key in COSTS}
    return {**texts, "right": bool(found["right"]), **costs, **({"failed": str(found["failed"])} if "failed" in found else {})}


def _number(value: Any) -> float:
    if isinstance(value, bool | int | float) and math.isfinite(value):
        return float(value)
    raise ValueError(f"{value!r:.40} is no number")


def _card(path: Path) -> Record:
    made = [_inert(row) for row in read(path, "card", dict)]
    if len(made) != 1:
        raise UserError(f"{path}: a report card is one record, and here are {len(made)}.")
    shown: Record = json.loads(json.dumps(made[0]))
    return shown


def _inert(value: Any) -> Any:
    """Plotly reads a little HTML in labels: no text of a card may open a tag. (The page escapes once more what it writes itself.)"""
    if isinstance(value, Mapping):
        return {_inert(key): _inert(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_inert(item) for item in value]
    return value.replace("<", "‹").replace(">", "›").replace("&", "+") if isinstance(value, str) else value
