"""Problems to the Hub and back, against a Hub on the loopback; and as others read them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from datasets import Dataset, load_dataset
from fake_hub import FakeHub, pushed
from PIL import Image

from cos.__main__ import main
from cos.chain import Problem
from cos.errors import UserError
from cos.problems.problem_files import read_problems
from cos.problems.tables import read_table, write_problems
from cos.publish.data import data_parcel, fetch_problems
from cos.publish.parcel import CARD
from cos.store import write


def made(folder: Path, count: int = 3, splits: tuple[str, ...] = ("test",)) -> Path:
    for split in splits:
        assert main(["data", "make", "--set", "charts", "--split", split, "--n", str(count), "--out", str(folder)]) == 0
    return folder


def test_problems_go_up_and_come_back_byte_for_byte(tmp_path: Path, server: FakeHub, capsys: pytest.CaptureFixture[str]) -> None:
    home = made(tmp_path / "charts", splits=("test", "shift"))
    said = pushed(capsys, "data", str(home), "--to", "me/charts")
    repo = server.repo("me/charts", "dataset")
    assert (
        set(repo.files) - {".gitattributes"}
        == set(said["files"])
        == {f"data/{s}-00000-of-00001.parquet" for s in ("test", "shift")} | {CARD}
    )
    for name in ("me/charts", f"me/charts@{said['commit']}"):
        out = tmp_path / name.partition("@")[0].replace("/", "-")
        assert main(["data", "fetch", name, "--out", str(out), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["new"] == (6 if name == "me/charts" else 0)  # again: all is there
        assert {p.id: p for p in read_problems(out / "problems.jsonl")} == {p.id: p for p in read_problems(home / "problems.jsonl")}
    for file in (home / "images").iterdir():
        assert (out / "images" / file.name).read_bytes() == file.read_bytes()
    assert main(["data", "check", str(out / "problems.jsonl")]) == 0
    pushed(capsys, "data", str(made(tmp_path / "more", splits=("train",))), "--to", "me/charts")
    assert len([path for path in repo.files if path.endswith(".parquet")]) == 3  # a later push adds a split


def test_others_read_the_data_set_with_datasets(tmp_path: Path) -> None:
    home = made(tmp_path / "charts", splits=("test", "shift"))
    parcel = data_parcel(str(home), "me/charts", tmp_path)
    for path, file in parcel.files.items():
        target = tmp_path / "page" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file if isinstance(file, bytes) else file.read_bytes())
    found = load_dataset(str(tmp_path / "page"), cache_dir=str(tmp_path / "cache"))
    assert {split: len(rows) for split, rows in found.items()} == {"test": 3, "shift": 3}
    row, problem = found["test"][0], read_problems(home / "problems.jsonl")[0]
    assert row["id"] == problem.id and row["answer"] == problem.answer and json.loads(row["truth"]) == problem.truth
    with Image.open(home / str(problem.image)) as picture:
        assert row["image"].tobytes() == picture.tobytes()


def test_a_parquet_file_goes_as_it_is(tmp_path: Path) -> None:
    Dataset.from_dict({"prompt": ["a", "b"]}).to_parquet(tmp_path / "rows.parquet")
    parcel = data_parcel(str(tmp_path / "rows.parquet"), "me/rows", tmp_path)
    assert parcel.files["data/train-00000-of-00001.parquet"] == tmp_path / "rows.parquet"
    (tmp_path / "bad.parquet").write_bytes(b"PAR1")
    for source, reason in (("bad.parquet", "not a Parquet file"), (".", "give a folder with problems.jsonl")):
        with pytest.raises(UserError, match=reason):
            data_parcel(str(tmp_path / source), "me/rows", tmp_path)
    with pytest.raises(UserError, match="it has no column id"):
        list(read_table(tmp_path / "rows.parquet"))


def test_problems_with_a_bad_row_do_not_go(tmp_path: Path) -> None:
    write(tmp_path / "problems.jsonl", "problem", [Problem("a", "How many?", image="none.png").to_json()])
    with pytest.raises(UserError, match=r"problems\.jsonl, line 1: .*none\.png.*cos data check"):
        data_parcel(str(tmp_path), "me/x", tmp_path)


@pytest.mark.parametrize("path", ["../out.png", "/etc/out.png", "images/run.sh", "problems.jsonl", ""])
def test_a_data_set_cannot_write_where_it_likes(tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    write_problems(tmp_path / "data/train.parquet", [Problem("a", "How many?", image="a.png")], tmp_path)
    rows = [(Problem("a", "How many?", image=path), picture) for _, picture in read_table(tmp_path / "data/train.parquet")]
    monkeypatch.setattr("cos.publish.data.fetch_data", lambda name: tmp_path)
    monkeypatch.setattr("cos.publish.data.read_table", lambda file: iter(rows))
    with pytest.raises(UserError):
        fetch_problems("me/x", tmp_path / "home/out")
    assert not [file for file in tmp_path.rglob("*") if file.name in ("out.png", "run.sh") or file.parent.name == "images"]
