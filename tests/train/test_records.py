"""Our own records of labels and preferences, as trainings read them: beside released rows, with pictures from files and from worlds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_models import SHAPE, TEXTS, picture

from cos.chain import Chain, Labelled, Preference, Problem, Step, StepLabels
from cos.errors import UserError
from cos.models.embedded import build, make_tokenizer
from cos.models.encode import Encoder
from cos.problems import problems
from cos.problems.released_rows import dpo_row, prm_row
from cos.store import dump, write
from cos.train import prm
from cos.train.files import read_rows
from cos.train.loop import Schedule

RIGHT = Chain((Step("Read", "Red is 3.", "Seen."), Step("End", "It is 3.", "So.")), "3")
WRONG = replace(RIGHT, answer="2")
MARKS = StepLabels((1.0, None), 0.25, "rollouts")


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return build(SHAPE, make_tokenizer(TEXTS, size=320)).encoder


@pytest.fixture
def asked(tmp_path: Path) -> list[Problem]:
    """A text, a picture in a file, and one that a world draws."""
    picture(1).save(tmp_path / "1.png")
    return [Problem("a", "How many?", "3"), Problem("b", "How many?", "3", image="1.png"), *problems("charts:train", 1)]


def test_labels_are_reward_rows(tmp_path: Path, encoder: Encoder, asked: list[Problem]) -> None:
    path = tmp_path / "labels.jsonl"
    write(path, "labels", [Labelled(f"{problem.id}/0", problem, RIGHT, MARKS).to_json() for problem in asked])
    with path.open("a") as file:
        file.write(dump(prm_row("How many?", RIGHT, StepLabels((1.0, 0.0), 0.0)).source) + "\n")
    rows = read_rows(path, tmp_path, "prm", encoder, 2048)
    assert [(row.question, row.chain) for row in rows] == [(problem.question, RIGHT) for problem in asked] + [("How many?", RIGHT)]
    assert [row.labels for row in rows[:3]] == [MARKS] * 3
    assert [row.shown for row in rows] == [False, True, True, False] == [row.turns()[0].image for row in rows]
    seen = [None if row.picture is None else encoder.pixels(row.picture) for row in rows]
    assert seen[0] is None and seen[1] is not None and seen[2] is not None


def test_preferences_are_pairs(tmp_path: Path, encoder: Encoder, asked: list[Problem]) -> None:
    path, long = tmp_path / "pairs.jsonl", replace(WRONG, steps=(*WRONG.steps, Step("More", "red " * 50, "")))
    write(path, "preference", [Preference(problem, RIGHT, long, 0.9, 0.1).to_json() for problem in asked])
    with path.open("a") as file:
        file.write(dump(dpo_row("How many?", RIGHT, long, "1.png").source) + "\n")
    rows = read_rows(path, tmp_path, "dpo", encoder, 2048)
    assert [(row.chain, row.rejected, row.shown) for row in rows] == [(RIGHT, long, shown) for shown in (False, True, True, True)]
    with pytest.raises(UserError, match="no row is left"):  # the longer of the two chains counts
        read_rows(path, tmp_path, "dpo", encoder, 100)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": "cos.labels/2"}, r"line 1: a record cos\.labels/2 where a prm row is needed"),
        ({"schema": "cos.preference/1"}, "where a prm row is needed"),
        ({"labels": {"steps": [1.0]}}, "1 labels for 2 steps"),
        ({"labels": {"steps": [1.0, 7]}}, "the label 7 is neither"),
        ({"chain": 3}, "not a labels record"),
        ({"problem": {"id": "x", "question": "?", "image": "../x.png"}}, "leaves the folder"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, encoder: Encoder, change: dict[str, object], said: str) -> None:
    row = {"schema": "cos.labels/1", **Labelled("a/0", Problem("a", "How many?"), RIGHT, MARKS).to_json(), **change}
    (tmp_path / "labels.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(UserError, match=said):
        read_rows(tmp_path / "labels.jsonl", tmp_path, "prm", encoder, 2048)


def test_a_reward_model_learns_from_labels(tmp_path: Path, asked: list[Problem]) -> None:
    write(tmp_path / "labels.jsonl", "labels", [Labelled(f"{problem.id}/0", problem, RIGHT, MARKS).to_json() for problem in asked])
    vlm = build(SHAPE, make_tokenizer(TEXTS, size=320))
    plan = Schedule(steps=2, batch=2, bf16=False)
    found = prm.run(vlm, prm.Config(str(tmp_path / "run"), str(tmp_path / "labels.jsonl"), str(tmp_path), schedule=plan))
    assert found["tags"] > 0
