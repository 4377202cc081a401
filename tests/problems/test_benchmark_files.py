"""Files of benchmarks: every form, pictures and their roots, several pictures in one, and one line for what is wrong."""

from __future__ import annotations

import csv
import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import benchmark_rows as made
import pytest
from PIL import Image

import cos.problems as problems
from cos.chain import Problem, Step
from cos.errors import UserError
from cos.problems.benchmarks import BENCHMARKS, Source, grades, load
from cos.problems.benchmarks.items import Item, join
from cos.problems.problem_files import picture


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("benchmarks")
    return {name: str(made.parquet(rows(), folder / f"{name}.parquet")) for name, rows in made.ROWS.items()}


@pytest.mark.parametrize("name", BENCHMARKS)
def test_forty_rows_are_forty_problems(files: dict[str, str], name: str) -> None:
    items = load(name, 100, Source(files[name]))
    assert len(items) == made.COUNT and len({item.id for item in items}) == made.COUNT
    for number, item in enumerate(items[:3]):
        assert (item.world, item.split, item.answer is not None) == (name, BENCHMARKS[name].SPLIT, True)
        picture = problems.draw(item)
        assert picture.mode == "RGB"
        if len(item.pictures) == 1:
            assert picture.size == (24, 16) and picture.getpixel((5, 5)) == (6 * number, 50, 200)
        assert grades(item, None).keys() == grades(item, "B").keys()
        assert next(iter(grades(item, item.answer).values())).right
        assert problems.check(item, Step("a", "b", "c")).label is None
    assert [item.id for item in load(f"{name}:{BENCHMARKS[name].SPLIT}", 7, Source(files[name]))] == [item.id for item in items[:7]]


def test_the_door_of_all_problems_leads_here(files: dict[str, str]) -> None:
    assert problems.problems("mmstar:val", 3, 5, Source(files["mmstar"])) == load("mmstar:val", 3, Source(files["mmstar"]))
    (item,) = problems.problems("mmstar", 1, 0, Source(files["mmstar"]))
    verdict = problems.grade(item, "a red one")
    assert (verdict.right, verdict.rule, verdict.read) == (True, "first character", "A")
    with pytest.raises(UserError, match="charts makes its own problems"):
        problems.problems("charts:test", 1, 0, Source(files["mmstar"]))
    with pytest.raises(UserError, match=r"no problem set 'mmsta' .* mmstar"):
        problems.problems("mmsta:val", 1)


def test_an_item_is_a_problem_that_json_can_say(files: dict[str, str]) -> None:
    (item,) = load("mmmu", 1, Source(files["mmmu"]))
    row = json.loads(json.dumps(item.to_json()))
    again = Problem.from_json(row)
    assert again.to_json() == item.to_json() and "pictures" not in row
    assert problems.grade(again, "B").right  # the rule needs no picture
    with pytest.raises(UserError, match="lacks 'choices'"):
        problems.grade(replace(again, truth={}), "B")
    assert problems.grade(replace(item, answer=None), "B").rule == "no gold answer"


def test_items_without_a_picture_are_left_out_and_counted(files: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        items = load("m3cot", 100, Source(files["m3cot"]))
    assert "m3cot: 2 items without a picture" in caplog.text
    assert not {"m3cot-physical-3", "m3cot-physical-17"} & {item.id for item in items}


def test_several_pictures_become_one_with_captions(files: dict[str, str]) -> None:
    first, second = load("mmmu", 2, Source(files["mmmu"]))
    assert (len(first.pictures), len(second.pictures)) == (2, 1)
    joined = first.draw()
    assert joined.width > 24 and joined.height > 2 * 16
    assert {(0, 50, 200), (6, 50, 200)} <= {colour for _, colour in joined.getcolors(10**6) or []}
    sheet = join([Image.new("RGB", (2000, 500), "red"), Image.new("RGB", (2000, 500), "blue")])
    assert sheet.width == 1024 and sheet.height == 2 * (256 + 28)  # wide ones below one another, made smaller
    assert [sheet.getpixel((9, y)) for y in (100, 400)] == [(255, 0, 0), (0, 0, 255)]
    tall = join([Image.new("RGB", (100, 300), "red"), Image.new("RGB", (100, 300), "blue"), Image.new("RGB", (100, 300), "green")])
    assert tall.size == (3 * 112, 328)


def test_a_tsv_gives_what_the_hub_gives(files: dict[str, str], tmp_path: Path) -> None:
    limit = csv.field_size_limit()
    hub = load("ai2d", 100, Source(files["ai2d"], prompt="official"))
    table = load("ai2d_no_mask:test", 100, Source(str(made.tsv(made.ai2d(), tmp_path / "AI2D_TEST_NO_MASK.tsv")), prompt="official"))
    csv.field_size_limit(limit)
    assert [(item.question, item.answer) for item in table] == [(item.question, item.answer) for item in hub]
    assert table[1].pictures == table[0].pictures != table[2].pictures  # a reference to an earlier row's picture
    assert table[0].truth["groups"] == {"category": "food web"} and table[0].id == "ai2d_no_mask-0"


@pytest.mark.parametrize(("name", "key"), [("mathvista", "image"), ("m3cot", "image"), ("chartqa", "image"), ("mmstar", "image")])
def test_json_lines_with_pictures_as_files(tmp_path: Path, name: str, key: str) -> None:
    rows = [{place: value for place, value in row.items() if place != "decoded_image"} for row in made.ROWS[name]()]
    items = load(name, 100, Source(str(made.json_lines(rows, tmp_path / "rows.jsonl", key))))
    assert len(items) == made.COUNT and items[1].draw().getpixel((3, 3)) == (6, 50, 200)
    with pytest.raises(UserError, match=r"rows.jsonl, line 1: no picture pictures/0.png under .*--images"):
        load(name, 1, Source(str(tmp_path / "rows.jsonl"), images=str(tmp_path / "pictures")))


def test_json_by_ids_as_mathvista_has_it(tmp_path: Path) -> None:
    rows = {row.pop("pid"): {**row, "decoded_image": None, "image": "a.png"} for row in made.mathvista()}
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(made.png(1))
    (tmp_path / "testmini.json").write_text(json.dumps(rows), "utf-8")
    items = load("mathvista", 5, Source(str(tmp_path / "testmini.json"), str(tmp_path / "pictures")))
    assert [item.id for item in items] == [f"mathvista-{number}" for number in range(1, 6)]


def test_a_folder_of_parquet_files(tmp_path: Path) -> None:
    for subject, part in (("Physics", made.mmmu()[:20]), ("Art_Theory", made.mmmu()[20:])):
        (tmp_path / subject).mkdir()
        made.parquet(part, tmp_path / subject / "validation-00000-of-00001.parquet")
        made.parquet([{"other": 1}], tmp_path / subject / "dev-00000-of-00001.parquet")
    items = load("mmmu:validation", 100, Source(str(tmp_path)))
    assert len(items) == made.COUNT and items[0].id.endswith("_20")
    with pytest.raises(UserError, match="no Parquet file of the split test"):
        load("mmmu:test", 1, Source(str(tmp_path)))


def changed(rows: made.Rows, **change: Any) -> made.Rows:
    return [rows[0], {**rows[1], **change}, *rows[2:4]]


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (changed(made.ai2d(), image="../secret.png"), "line 2: .*leaves the folder"),
        (changed(made.ai2d(), image="/etc/hosts"), "line 2: .*leaves the folder"),
        (changed(made.ai2d(), image="nowhere.png"), "line 2: no picture nowhere.png"),
        (changed(made.ai2d(), image=7), "line 2: a picture is a path or bytes, here it is a int"),
        (changed(made.ai2d(), options=None), "line 2: not a row of ai2d .the choices are missing"),
        (changed(made.ai2d(), options="['a', "), "line 2: not a row of ai2d"),
        (changed(made.ai2d(), answer=None), "line 2: no gold answer; .* take ai2d:test"),
        ([{"text": "?"}], "line 1: not a row of ai2d .*; is this the right file"),
        ([], "no items of ai2d"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, rows: made.Rows, reason: str) -> None:
    (tmp_path / "a.png").write_bytes(made.png(1))
    rows = [{**row, "image": "a.png"} if isinstance(row.get("image"), dict) else row for row in rows]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    with pytest.raises(UserError, match=reason) as said:
        load("ai2d", 9, Source(str(tmp_path / "rows.jsonl")))
    assert "\n" not in str(said.value)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.parquet", b"PAR1 nothing", "not a Parquet file"), ("a.json", b"{", "not JSON"), ("a.json", b"[1]", "a list of rows"),
        ("a.jsonl", b"{\n", "line 1: not JSON"), ("a.tsv", b"index\timage\n1\t" + b"!" * 80 + b"\n", "not base64"),
        ("a.tsv", b"index\timage\n1\t9\n", "that of row '9', which does not come before"), ("a.tsv", b"\xff\xfe\n", "not a table"),
        ("a.xlsx", b"", "not a file of a benchmark"), (None, b"", "no such file"),
    ],
)  # fmt: skip
def test_files_that_cannot_be_read(tmp_path: Path, name: str | None, content: bytes, reason: str) -> None:
    if name:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=reason) as said:
        load("mmstar", 1, Source(str(tmp_path / (name or "none.tsv"))))
    assert "\n" not in str(said.value)


def test_a_picture_that_is_open_already(monkeypatch: pytest.MonkeyPatch) -> None:
    row = made.mmstar()[0] | {"image": Image.new("L", (9, 5), 77)}  # as `datasets` gives it where it knows of no features
    monkeypatch.setattr("cos.problems.benchmarks.hub_rows", lambda hub, split: iter([(f"{hub}, row 1", row)]))
    (item,) = load("mmstar", 1)
    assert (item.draw().size, item.draw().getpixel((3, 3))) == ((9, 5), (77, 77, 77))


def test_an_id_that_comes_twice(tmp_path: Path) -> None:
    rows = made.mmstar()[:1] * 2
    with pytest.raises(UserError, match="row 2: the id mmstar-0 was there before"):
        load("mmstar", 9, Source(str(made.parquet(rows, tmp_path / "a.parquet"))))


def test_a_damaged_picture_is_said_when_it_is_drawn(tmp_path: Path) -> None:
    rows = changed(made.mmstar(), image=made.png(1)[:40])
    with pytest.raises(UserError, match="mmstar-1, picture 1: "):
        load("mmstar", 9, Source(str(made.parquet(rows, tmp_path / "a.parquet"))))[1].draw()


def test_the_hub_is_streamed_with_pictures_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    def told(hub: str, name: str, *, split: str, streaming: bool) -> Any:
        assert (hub, split, streaming) == ("MMMU/MMMU", "validation", True)
        part = [row for row in made.mmmu() if name in row["id"]]
        features = {key: datasets.Value("string") for key in part[0]} | {f"image_{place}": datasets.Image() for place in range(1, 8)}
        return datasets.Dataset.from_list(part, features=datasets.Features(features)).to_iterable_dataset()

    monkeypatch.setattr(datasets, "get_dataset_config_names", lambda hub: ["Art_Theory", "Physics"])
    monkeypatch.setattr(datasets, "load_dataset", told)
    items = load("mmmu", 30)
    assert len(items) == 30 and isinstance(items[0], Item) and isinstance(items[0].pictures[0], bytes)
    assert {item.truth["groups"]["subject"] for item in items} == {"Art_Theory", "Physics"}

    def broken(hub: str) -> list[str]:
        raise ConnectionError("no network\nat all")

    monkeypatch.setattr(datasets, "get_dataset_config_names", broken)
    with pytest.raises(UserError, match=r"me/mmstar, split val: can't be read from the Hub \(no network\)"):
        load("mmstar", 1, Source("me/mmstar"))


def test_pictures_come_along_or_are_missed(files: dict[str, str], tmp_path: Path) -> None:
    (item,) = load("mmstar", 1, Source(files["mmstar"]))
    shown = picture(item, ".")
    assert shown is not None and shown.size == (24, 16)
    with pytest.raises(UserError, match="mmstar-0: its picture lies in the file of mmstar"):
        picture(Problem.from_json(item.to_json()), ".")
    rows = [{key: value for key, value in row.items() if key != "decoded_image"} for row in made.mathvista()]
    (item,) = load("mathvista", 1, Source(str(made.json_lines(rows, tmp_path / "rows.jsonl", "image"))))
    again = picture(Problem.from_json(item.to_json()), tmp_path)
    assert again is not None and again.size == (24, 16)
