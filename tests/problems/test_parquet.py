"""TRL rows as Parquet: what `datasets` reads are the rows, with pictures; and our own records on the way there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, Image

from cos.__main__ import main
from cos.chain import Chain, Labelled, Preference, Problem, Sample, Step, StepLabels
from cos.errors import UserError
from cos.problems.parquet import BATCH, write_parquet
from cos.problems.pictures import open_picture
from cos.problems.released import check, read_rows, write_rows
from cos.problems.released_rows import BadRow, parse_row, rollout_row
from cos.problems.trl import to_trl
from cos.store import read, write
from cos.template import render

DATA = Path(__file__).parents[1] / "data" / "released"
CHAIN = Chain((Step("s", "t", "r"),), "3")


def loaded(path: Path, folder: Path) -> Dataset:
    return Dataset.from_parquet(str(path), cache_dir=str(folder / "cache"))


def plain(value: Any) -> Any:
    """Without the columns that a table must have in every row."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items() if inner is not None}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("kind", ["sft", "prm", "dpo"])
def test_datasets_reads_the_rows_and_their_pictures(tmp_path: Path, kind: str) -> None:
    rows = [to_trl(row) for row in read_rows(DATA / f"{kind}.jsonl") if row.labels is None or None not in row.labels.steps]
    assert write_parquet(tmp_path / "out.parquet", iter(rows * BATCH), DATA) == len(rows) * BATCH  # more than one block
    table = loaded(tmp_path / "out.parquet", tmp_path)
    assert len(table) == len(rows) * BATCH and isinstance(table.features["images"].feature, Image)
    for row, found in zip(rows, table, strict=False):
        assert {key: plain(found[key]) for key in row if key != "images"} == {key: row[key] for key in row if key != "images"}
        assert [image.size for image in found["images"]] == [open_picture(image, DATA).size for image in row["images"]]


def test_the_verb_and_its_mistakes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.parquet"
    assert main(["data", "convert", str(DATA / "sft.jsonl"), "--to", "parquet", "--images", str(DATA), "--out", str(out)]) == 0
    assert len(loaded(out, tmp_path)) == 5
    for words, said in (
        ([str(DATA / "sft.jsonl")], "--images is missing"),
        ([str(DATA / "bad_sft.jsonl"), "--images", str(DATA)], "line 2: not JSON"),
    ):
        assert main(["data", "convert", *words, "--to", "parquet", "--out", str(tmp_path / "no.parquet")]) == 2
        assert said in capsys.readouterr().err
    with pytest.raises(UserError, match="rows of one type"):
        write_parquet(tmp_path / "no.parquet", [to_trl(next(read_rows(DATA / f"{kind}.jsonl"))) for kind in ("sft", "dpo")], DATA)
    with pytest.raises(UserError, match="no rows"):
        write_parquet(tmp_path / "no.parquet", [], DATA)
    assert not list(tmp_path.glob("no*"))


def test_records_of_ours_are_converted_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    problem, worse = Problem("p", "How many?", "3", image="images/a.png"), Chain(CHAIN.steps, "4")
    write(tmp_path / "labels.jsonl", "labels", [Labelled("p/0", problem, CHAIN, StepLabels((0.7,), 0.2)).to_json()])
    write(tmp_path / "pairs.jsonl", "preference", [Preference(problem, CHAIN, worse, 1.0, 0.0).to_json()])
    for name in ("labels", "pairs"):
        assert main(["data", "convert", str(tmp_path / f"{name}.jsonl"), "--to", "cos", "--out", str(tmp_path / f"{name}.cos")]) == 0
        assert main(["data", "convert", str(tmp_path / f"{name}.jsonl"), "--to", "trl", "--out", str(tmp_path / f"{name}.trl")]) == 0
    (row,) = read_rows(tmp_path / "labels.cos")
    assert row.labels is not None and (row.labels.steps, row.labels.answer, row.chain, row.images) == (
        (1.0,),
        0.0,
        CHAIN,
        ("images/a.png",),
    )
    (pair,) = read_rows(tmp_path / "pairs.cos")
    assert (pair.kind, pair.chains, pair.question) == ("dpo", (CHAIN, worse), "How many?")
    assert json.loads((tmp_path / "labels.trl").read_text())["labels"] == [True, False]
    write(tmp_path / "bad.jsonl", "labels", [{"id": "p/0", "problem": {"id": "p"}, "labels": {}}])
    assert main(["data", "convert", str(tmp_path / "bad.jsonl"), "--to", "cos", "--out", str(tmp_path / "x")]) == 2
    assert "line 1: not a labels record" in capsys.readouterr().err


def test_rollout_rows_and_pools(tmp_path: Path) -> None:
    rows = [rollout_row(name, "<image>\nHow many?", CHAIN, "images/a.png") for name in ("q", "r", "q")]
    write_rows(tmp_path / "rollouts.jsonl", rows)
    assert list(rows[0].source) == ["question_id", "answer", "text", "image", "question"] and rows[0].source["text"] == render(CHAIN)
    assert check(tmp_path / "rollouts.jsonl", DATA).to_json() == {"rows": 3, "good": 3, "bad": []}
    assert main(["data", "convert", str(tmp_path / "rollouts.jsonl"), "--to", "pool", "--out", str(tmp_path / "pool.jsonl")]) == 0
    pool = list(read(tmp_path / "pool.jsonl", "pool", Sample.from_json))
    assert [sample.id for sample in pool] == ["q/0", "r/0", "q/1"]
    assert {(sample.chain, sample.problem.question, sample.problem.image) for sample in pool} == {(CHAIN, "How many?", "images/a.png")}
    assert main(["data", "convert", str(tmp_path / "pool.jsonl"), "--to", "cos", "--out", str(tmp_path / "again.jsonl")]) == 0
    assert [row.chain for row in read_rows(tmp_path / "again.jsonl")] == [CHAIN] * 3
    write(tmp_path / "open.jsonl", "pool", [Sample(Problem("p", "?"), 0, Chain(CHAIN.steps)).to_json()])
    assert main(["data", "convert", str(tmp_path / "open.jsonl"), "--to", "cos", "--out", str(tmp_path / "x")]) == 2
    with pytest.raises(BadRow, match="`text` is no chain"):
        parse_row({**rows[0].source, "text": "It is 3."})
