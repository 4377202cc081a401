"""Cases from files: our own label records (`cos label`), rows of ProcessBench (arXiv 2412.06559) and of VisualProcessBench (2503.10291).

| rows | labels | groups |
|---|---|---|
| `cos.labels` | as they are, with their roll-outs; a soft one counts as right from 1/2 on | worlds |
| ProcessBench | steps before `label` are right, that one is wrong, what follows is not known | splits (from the id) |
| VisualProcessBench | `process_correctness`: 1 right, -1 wrong, 0 neutral | `data_source` |

A plain step becomes a step with a thought alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cos.card.cases import Case, Edit, Item, filled, labelled
from cos.chain import Chain, Labelled, Problem, Step
from cos.errors import UserError
from cos.problems import problem_files
from cos.store import lines

Row = Mapping[str, Any]
_OWN = "cos.labels/1"


@dataclass
class LabelFile:
    """A file of labelled chains; those of one question make one case. `left_out`: rows with several pictures, which can't be shown."""

    name: str
    images: str | Path = "."
    left_out: int = 0
    problems: list[Problem] = field(default_factory=list)
    _items: dict[str, list[Item]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: str | Path, images: str | Path | None = None, limit: int | None = None) -> LabelFile:
        """All rows, or those of the first `limit` questions. `images`: folder of the pictures (the file's own). Raises UserError, with
        the line, for a row that can't be read."""
        found = cls(Path(path).name, Path(path).parent if images is None else images)
        for number, row in _rows(path):
            where = f"{path}, line {number}"
            try:
                problem, item = _kind(row, where)(row)
            except (KeyError, TypeError, ValueError, AttributeError) as fault:
                raise UserError(f"{where}: not a labelled chain of its kind ({type(fault).__name__}: {fault})") from None
            if problem is None:
                found.left_out += 1
                continue
            if problem.id not in found._items:
                if limit is not None and len(found.problems) == limit:
                    continue
                found.problems.append(problem)
            found._items.setdefault(problem.id, []).append(item)
        if not found.problems:
            raise UserError(f"{path}: no labelled chains in this file")
        return found

    def picture(self, problem: Problem) -> Any:
        """See `cases.Source`."""
        return problem_files.picture(problem, self.images)

    def cases(self, problems: Sequence[Problem]) -> list[Case]:
        """See `cases.Source`. The first chain whose steps are all right is tried with filler."""
        found = []
        for problem in problems:
            items = tuple(self._items[problem.id])
            right = next((item.chain for item in items if item.labels and all(label == 1 for label in item.labels)), None)
            tried = {"right": Edit(right)} | filled(right) if right else {}
            found.append(Case(problem, self.picture(problem), items, tried))
        return found


def _rows(path: str | Path) -> Iterator[tuple[int, Row]]:
    """Lines of JSON, or one JSON list as the Hub's ProcessBench files are."""
    try:
        with Path(path).open("rb") as file:
            whole = file.read(1) == b"["
            rows = json.loads(b"[" + file.read()) if whole else []
    except OSError as fault:
        raise UserError(f"{path}: {fault.strerror or fault}") from None
    except ValueError as fault:
        raise UserError(f"{path}: begins as a JSON list but is none ({fault})") from None
    if whole:
        yield from enumerate(rows, start=1)
        return
    for line in lines(path):
        if line.reason is not None:
            raise UserError(f"{path}, line {line.number}: {line.reason}")
        yield line.number, line.row


def _kind(row: Row, where: str) -> Callable[[Row], tuple[Problem | None, Item]]:
    if not isinstance(row, dict):
        raise UserError(f"{where}: a JSON object is needed")
    if "labels" in row and "chain" in row:
        if row.get("schema", _OWN) != _OWN:
            raise UserError(f"{where}: schema {row['schema']!r} is unknown here, this program reads {_OWN}")
        return _own
    if "response" in row:
        return _visual
    if "steps" in row and "label" in row:
        return _process
    raise UserError(f"{where}: neither a record of cos label nor a row of ProcessBench or VisualProcessBench; fields: {', '.join(row)}")


def _own(row: Row) -> tuple[Problem, Item]:
    found = Labelled.from_json(dict(row))
    kinds = labelled(found.problem, found.chain).kinds if problem_files.drawn(found.problem) else ()
    drawn, right = (found.details.get(name, ()) for name in ("drawn", "right"))
    rollouts = tuple((int(count), int(good)) for count, good in zip(drawn, right, strict=True))
    return found.problem, Item(found.chain, found.labels.steps, kinds, found.labels.answer, rollouts=rollouts)


def _process(row: Row) -> tuple[Problem, Item]:
    steps, label = [str(step) for step in row["steps"]], int(row["label"])
    if not -1 <= label < len(steps):
        raise ValueError(f"label {label} for {len(steps)} steps")
    known = [1.0] * len(steps) if label < 0 else [1.0] * label + [0.0]
    labels = (*known, *[None] * (len(steps) - len(known)))
    problem = Problem(str(row["id"]), str(row["problem"]), world=str(row["id"]).rpartition("-")[0])
    right = row.get("final_answer_correct")
    return problem, Item(_plain(steps), labels, right=None if right is None else float(right))


def _visual(row: Row) -> tuple[Problem | None, Item]:
    response, images = row["response"], row.get("image") or []
    images = [images] if isinstance(images, str) else list(images)
    values = {1: 1.0, 0: None, -1: 0.0}
    steps, labels = response["steps"], tuple(values[label] for label in response["process_correctness"])
    if len(steps) != len(labels):
        raise ValueError(f"{len(labels)} labels for {len(steps)} steps")
    item = Item(_plain([str(step) for step in steps]), labels)
    if len(images) > 1:
        return None, item
    picture = str(images[0]) if images else None
    source, question = str(row.get("data_source", "")), str(row["question"])
    name = f"{source}/{picture}/{question}"  # these rows have no id: chains of one question and picture belong together
    return Problem(name, question, str(row.get("answer", "")), picture, world=source), item


def _plain(steps: Sequence[str]) -> Chain:
    return Chain(tuple(Step("", step, "") for step in steps))
