"""Pools of chains: one row a problem, the same for the same seed, resumed after a kill, readable by the reward model's training."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cos.__main__ import main
from cos.chain import Chain
from cos.problems import problems
from cos.train.prm import read_pool


def sample(capsys: pytest.CaptureFixture[str], out: Path, *more: str) -> dict[str, object]:
    """What `cos sample` prints."""
    assert (
        main(["sample", "--set", "all:train", "--limit", "5", "--n", "3", "--policy", "scripted", "--out", str(out), "--json", *more]) == 0
    )
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_a_pool_has_n_chains_for_every_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = sample(capsys, tmp_path / "pool")
    rows = [json.loads(line) for line in (tmp_path / "pool/pool.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == [problem.id for problem in problems("all:train", 5)]
    chains = [Chain.from_json(chain) for row in rows for chain in row["chains"]]
    assert len(chains) == found["chains"] == 15 and all(chain.steps for chain in chains)
    assert found["answered"] == sum(chain.answer is not None for chain in chains) and found["tokens"] != 0
    assert len(set(chains[:3])) > 1, "chains differ"
    assert {key: len(value) for key, value in read_pool(str(found["out"])).items()} == {row["id"]: 3 for row in rows}


def test_blocks_change_nothing_and_seeds_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, more in (("a", ("--block", "2")), ("b", ()), ("c", ("--seed", "1"))):
        sample(capsys, tmp_path / name, *more)
    a, b, c = ((tmp_path / name / "pool.jsonl").read_text() for name in "abc")
    assert a == b != c


def test_a_killed_run_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sample(capsys, tmp_path)
    pool = tmp_path / "pool.jsonl"
    whole = pool.read_text()
    pool.write_text("".join(whole.splitlines(keepends=True)[:2]) + '{"schema": "cos.po')
    assert sample(capsys, tmp_path)["new"] == 3
    assert pool.read_text() == whole
    assert sample(capsys, tmp_path)["new"] == 0


def test_mistakes_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sample(capsys, tmp_path)
    for words, said in (
        (["--n", "4", "--out", str(tmp_path)], "other settings (n)"),
        (["--n", "0", "--out", str(tmp_path / "x")], "must be 1 or more"),
        (["--set", "maps:train", "--out", str(tmp_path / "x")], "no problem set 'maps'"),
        ([], "--out is missing"),
    ):
        assert main(["sample", "--set", "all:train", "--limit", "5", "--policy", "scripted", *words]) == 2
        line = capsys.readouterr().err.strip().splitlines()[-1]
        assert said in line
