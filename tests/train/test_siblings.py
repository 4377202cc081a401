"""Siblings: which chains are, that they come side by side, and a rank loss by hand that is the same however a batch is cut."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from lessons import descend, fresh, trace, train, weights
from tiny_models import picture

from cos.chain import Chain, Step, StepLabels
from cos.errors import UserError
from cos.problems.released import write_rows
from cos.problems.released_rows import prm_row
from cos.train import loop, prm
from cos.train.files import FileRow, read_rows
from cos.train.loop import Schedule
from cos.train.siblings import couples, fork, rank_loss


def step(number: int) -> Step:
    """A step that says a number."""
    return Step("Read", f"Red is {number}.", "Seen.")


def row(numbers: list[int], answer: str, labels: tuple[float | None, ...], question: str = "Q") -> FileRow:
    """A labelled chain."""
    return FileRow(question, Chain(tuple(map(step, numbers)), answer), labels=StepLabels(labels[:-1], labels[-1]))


RIGHT = row([1, 2], "3", (1.0, 1.0, 1.0))
WRONG_SECOND = row([1, 9], "3", (1.0, 0.0, 1.0))
WRONG_FIRST = row([8, 2], "3", (0.0, 1.0, 1.0))
WRONG_ANSWER = row([1, 2], "4", (1.0, 1.0, 0.0))
ALSO_RIGHT = row([5, 2], "3", (1.0, 1.0, 1.0))
UNLABELLED = row([7, 2], "3", (None, 1.0, 1.0))
ELSEWHERE = row([8, 2], "3", (0.0, 1.0, 1.0), question="Other?")


@pytest.mark.parametrize(
    ("other", "place"),
    [(WRONG_SECOND, 1), (WRONG_FIRST, 0), (WRONG_ANSWER, 2), (ALSO_RIGHT, None), (UNLABELLED, None), (ELSEWHERE, None), (RIGHT, None)],
)
def test_siblings_part_where_one_goes_wrong(other: FileRow, place: int | None) -> None:
    assert fork(RIGHT, other) == fork(other, RIGHT) == place


def test_every_row_is_in_one_couple_and_siblings_come_first() -> None:
    rows = [RIGHT, ELSEWHERE, ALSO_RIGHT, WRONG_SECOND, WRONG_FIRST, UNLABELLED, RIGHT]
    found = couples(rows)
    assert sorted({index for pair in found for index in pair}) == list(range(7)) and len(found) == 4
    assert found[:2] == [(0, 3), (2, 4)] and all(fork(rows[a], rows[b]) is None for a, b in found[2:])


def test_the_rank_loss_by_hand() -> None:
    better, worse = torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([[0.0, 1.0], [0.0, 1.0]])
    wanted = (math.log(1 + math.exp(-3)) + math.log(2)) / 2
    assert rank_loss(better, worse, 2).item() == pytest.approx(wanted, abs=1e-6)
    assert rank_loss(better[:0], worse[:0], 0).item() == 0.0


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Two questions of four chains each."""
    for number in range(2):
        picture(number).save(tmp_path / f"{number}.png")
    chains = [RIGHT, WRONG_SECOND, ALSO_RIGHT, WRONG_FIRST]
    made = [prm_row(f"How many {n}?", one.chain, one.labels, f"{n}.png") for n in range(2) for one in chains if one.labels]
    write_rows(tmp_path / "prm.jsonl", made)
    return tmp_path


def test_the_same_trace_however_a_batch_is_cut(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_optimizers", descend)
    for batch, accumulate in ((8, 1), (2, 4)):
        plan = Schedule(steps=2, batch=batch, accumulate=accumulate, learning_rate=0.1)
        found = train("prm", fresh(), files, tmp_path / f"{batch}", plan, siblings=0.5)
    assert found["siblings"] > 0
    assert trace(tmp_path / "8")[0] == pytest.approx(trace(tmp_path / "2")[0], abs=2e-5)


def test_the_number_is_that_of_the_tags_where_siblings_part(files: Path) -> None:
    vlm = fresh()
    config: dict[str, Any] = {"siblings": 1.0, "language": 0.0, "hints": 0.0}
    found = train("prm", vlm, files, files / "run", Schedule(steps=1, batch=8, learning_rate=0.0), **config)
    rows = read_rows(files / "prm.jsonl", files, "prm", vlm.encoder, vlm.longest)
    example, pictures, _ = prm._from_rows(vlm, prm.Config("x"), rows)
    total = 0.0
    for first, second in couples(rows):
        place = fork(rows[first], rows[second])
        assert place is not None
        margins = []
        for index in (first, second):
            made = example(index)
            ids = torch.tensor([made.ids])
            with torch.no_grad():
                logits = vlm.model(**vlm.arguments(ids, pictures[index].inputs)).logits[0, made.tags[place][0]]
            good, bad = (float(logits[label]) for label in vlm.encoder.label_ids)
            margins.append((good - bad) * (1 if made.tags[place][1] > 0.5 else -1))
        total += math.log(1 + math.exp(-sum(margins)))
    assert found["siblings"] == pytest.approx(total / 4, abs=1e-5)
    assert weights(vlm)


def test_mistakes_are_said(files: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="siblings come in twos"):
        train("prm", fresh(), files, tmp_path / "odd", Schedule(steps=1, batch=3), siblings=1.0)
    with pytest.raises(UserError, match="give data"):
        prm.run(fresh(), prm.Config(str(tmp_path / "worlds"), siblings=1.0))
