"""Meta files: what they name is checked and read as often as they say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tiny_models import SHAPE, TEXTS, picture

from cos.__main__ import main
from cos.chain import Chain, Step
from cos.errors import UserError
from cos.models.embedded import build, make_tokenizer
from cos.problems.meta import DataSet, check, read_meta
from cos.problems.released import write_rows
from cos.problems.released_rows import sft_row
from cos.train.files import read_rows
from cos.train.loop import start

CHAIN = Chain((Step("Read", "Red is 3.", "Seen."),), "3")


@pytest.fixture
def meta(tmp_path: Path) -> Path:
    """Two sets with folders of their own: `one` (three rows), `two` (two rows, the second one's picture missing)."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        picture(1).save(tmp_path / name / f"{name}.png")
    write_rows(tmp_path / "one.jsonl", [sft_row(f"How many {n}?", CHAIN, "one.png") for n in range(3)])
    write_rows(tmp_path / "two.jsonl", [sft_row("Q", CHAIN, "two.png"), sft_row("Q", CHAIN, "one.png")])
    sets = {
        "one": {"root": "one/", "annotation": "one.jsonl", "data_augment": False, "repeat_time": 2, "length": 3},
        "two": {"root": str(tmp_path / "two"), "annotation": "two.jsonl", "length": 5},
    }
    (tmp_path / "meta.json").write_text(json.dumps(sets))
    return tmp_path / "meta.json"


def test_every_set_is_checked_under_its_own_root(meta: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = check(meta)
    assert (found["rows"], found["good"], found["sets"]) == (5, 4, {"one": {"rows": 3, "bad": 0}, "two": {"rows": 2, "bad": 1}})
    assert [(row["set"], row["line"]) for row in found["bad"]] == [("two", 2), ("two", 0)]
    assert "one.png: no such picture" in found["bad"][0]["reason"] and "`length` is 5, but there are 2" in found["bad"][1]["reason"]
    assert main(["data", "check", str(meta)]) == 1
    shown = capsys.readouterr().out
    assert "meta.json, two, line 2: one.png" in shown and "5 rows, 2 bad; " in shown and " MB of memory" in shown


@pytest.mark.parametrize(("repeat", "count"), [(1, 3), (2, 6), (0.7, 2), (0.1, 0), (3.0, 9)])
def test_rows_are_repeated_as_the_released_code_does(repeat: float, count: int) -> None:
    assert DataSet("a", Path(), Path(), repeat).repeated("abc") == list("abc" * 3)[:count]


def test_trainings_read_meta_files(meta: Path) -> None:
    sets = json.loads(meta.read_text())
    encoder = build(SHAPE, make_tokenizer(TEXTS, size=320)).encoder
    with pytest.raises(UserError, match=r"two\.jsonl, line 2: .*one\.png"):
        read_rows(meta, "nowhere", "sft", encoder, 2048)
    meta.write_text(json.dumps({"one": sets["one"]}))
    rows = read_rows(meta, "nowhere", "sft", encoder, 2048)
    assert [row.question for row in rows] == [f"How many {n}?" for n in range(3)] * 2
    meta.write_text(json.dumps({"one": {**sets["one"], "repeat_time": 0.1}}))
    with pytest.raises(UserError, match="no row is left"):
        read_rows(meta, "nowhere", "sft", encoder, 2048)


def test_a_training_goes_on_only_with_the_rows_of_all_its_sets(meta: Path, tmp_path: Path) -> None:
    vlm = build(SHAPE, make_tokenizer(TEXTS, size=320))
    config = {"data": str(meta)}
    start(str(tmp_path / "run"), vlm, config, 0)
    start(str(tmp_path / "run"), vlm, config, 0)
    write_rows(tmp_path / "two.jsonl", [sft_row("Another question", CHAIN, "two.png")])
    with pytest.raises(UserError, match=r"other settings \(files\)"):
        start(str(tmp_path / "run"), vlm, config, 0)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[1]", "a meta file is an object"),
        ("{", "not JSON"),
        ({"a": 1}, "a: an object with root and annotation"),
        ({"a": {"root": "x"}}, "a: `root`"),
        ({"a": {"root": "x", "annotation": "x.json"}}, "a .jsonl file"),
        ({"a": {"root": "s3://x", "annotation": "x.jsonl"}}, "s3://x is on a server"),
        ({"a": {"root": "x", "annotation": "x.jsonl", "repeat_time": 1.5}}, "`repeat_time` is 1.5"),
        ({"a": {"root": "x", "annotation": "x.jsonl", "repeat_time": True}}, "`repeat_time` is True"),
        ({"a": {"root": "x", "annotation": "x.jsonl", "length": "9"}}, "`length` is '9'"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, content: Any, said: str) -> None:
    (tmp_path / "meta.json").write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(UserError) as caught:
        read_meta(tmp_path / "meta.json")
    assert said in str(caught.value) and "\n" not in str(caught.value) and "meta.json" in str(caught.value)
