"""Pools of a benchmark: the pictures come along, so that the pool can be labelled without the benchmark's file."""

from __future__ import annotations

import json
from pathlib import Path

import benchmark_rows as made
import pytest

from cos.__main__ import main
from cos.chain import Labelled, Sample
from cos.problems import grade, problems
from cos.problems.benchmarks import Source
from cos.problems.pictures import open_picture
from cos.store import read


def test_a_pool_of_a_benchmark_is_sampled_and_labelled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(made.parquet(made.mmstar(), tmp_path / "mmstar.parquet"))
    out, scripted = tmp_path / "pool", ["--policy", "scripted", "--n", "2", "--json"]
    assert main(["sample", "--set", "mmstar", "--data", file, "--limit", "3", "--out", str(out), *scripted]) == 0
    found = json.loads(capsys.readouterr().out)
    items = problems("mmstar", 3, source=Source(file))
    rows = list(read(out / "pool.jsonl", "pool", Sample.from_json))
    assert [row.problem.id for row in rows] == [item.id for item in items for _ in range(2)]
    assert found["right"] == sum(grade(row.problem, row.chain.answer).right for row in rows)
    for number, row in enumerate(rows):
        assert row.problem.image is not None and (row.problem.answer, row.problem.truth) == (
            items[number // 2].answer,
            items[number // 2].truth,
        )
        assert open_picture(row.problem.image, out).getpixel((0, 0)) == (6 * (number // 2), 50, 200)
    assert main(["label", str(out / "pool.jsonl"), "--by", "reward", "--reward", "scripted", "--out", str(tmp_path / "labels")]) == 0
    labels = list(read(tmp_path / "labels/labels.jsonl", "labels", Labelled.from_json))
    assert [one.chain for one in labels] == [row.chain for row in rows] and all(one.labels.answer is not None for one in labels)
