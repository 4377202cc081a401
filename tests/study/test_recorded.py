"""The recorded studies: each has its schema, a command, and a table that says what its record says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from cos.commands.study import QUESTIONS
from cos.study.results import Difference, Panel, Point, Result, table

ROOT = Path(__file__).parent.parent.parent
RECORDED = sorted((ROOT / "studies").glob("*/study.json"))
SCHEMA = json.loads((ROOT / "docs/schemas/study.json").read_text("utf-8"))


def result_of(row: dict[str, Any]) -> Result:
    """What `Result.to_json` was made of."""
    panels = [Panel(**{**panel, "points": tuple(Point(**point) for point in panel["points"])}) for panel in row["panels"]]
    return Result(tuple(panels), tuple(Difference(**one) for one in row["differences"]), tuple(row["notes"]))


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.parent.name)
def test_a_recorded_study_is_whole(file: Path) -> None:
    row = json.loads(file.read_text("utf-8"))
    Draft202012Validator(SCHEMA).validate(row)
    assert row["study"] in QUESTIONS and row["command"].startswith(f"cos study {row['study']}") and row["git"]
    said = file.with_name("table.txt").read_text("utf-8")
    assert said.startswith(row["question"]) and table(result_of(row)) in said and ("QUICK" in said) == row["quick"]
    assert file.with_name("figure.png").stat().st_size < 500_000
    assert all(point["low"] <= point["value"] <= point["high"] for panel in row["panels"] for point in panel["points"])
    assert f"]({file.parent.name}/)" in (ROOT / "studies/README.md").read_text("utf-8")
