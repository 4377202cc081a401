"""Pools of chains: one row a chain, the same for the same seed, resumed after a kill, readable by the reward model's training."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cos.__main__ import main
from cos.answers import match
from cos.chain import Sample
from cos.models.scripted import ScriptedPolicy, ScriptedScorer
from cos.problems import draw, problems
from cos.protocols import Prompt
from cos.sample import stream
from cos.search.methods import Settings
from cos.search.scheduler import solve
from cos.search.select import chain_score
from cos.store import read
from cos.train.prm import read_pool


def sample(capsys: pytest.CaptureFixture[str], out: Path, *more: str) -> dict[str, object]:
    """What `cos sample` prints."""
    assert (
        main(["sample", "--set", "all:train", "--limit", "5", "--n", "3", "--policy", "scripted", "--out", str(out), "--json", *more]) == 0
    )
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def pool(folder: Path) -> list[Sample]:
    return list(read(folder / "pool.jsonl", "pool", Sample.from_json))


def test_a_pool_has_n_chains_for_every_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = sample(capsys, tmp_path)
    rows, wanted = pool(tmp_path), problems("all:train", 5)
    assert [(row.problem, row.number) for row in rows] == [(problem, number) for problem in wanted for number in range(3)]
    assert all(row.chain.steps for row in rows) and len({row.chain for row in rows[:3]}) > 1
    assert found["chains"] == 15 and found["answered"] == sum(row.chain.answer is not None for row in rows)
    assert found["tokens"] == sum(len(piece) for row in rows for piece in row.tokens) > 0
    assert found["right"] == sum(match(row.chain.answer, row.problem.answer) for row in rows)
    for row in rows:  # an entry for each step and one for the answer
        assert len(row.tokens) == len(row.logprobs) == len(row.chain.steps) + 1 and row.ending == "answer" and max(row.logprobs) < 0
    assert read_pool(str(found["out"])) == {p.id: [row.chain for row in rows if row.problem == p] for p in wanted}


def test_problems_from_a_file_are_the_same_problems(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "make", "--set", "all", "--split", "train", "--n", "5", "--out", str(tmp_path / "data")]) == 0
    capsys.readouterr()
    sample(capsys, tmp_path / "a")
    words = ["--problems", str(tmp_path / "data/problems.jsonl"), "--n", "3", "--policy", "scripted", "--out", str(tmp_path / "b")]
    assert main(["sample", *words]) == 0
    assert [(row.id, row.chain) for row in pool(tmp_path / "a")] == [(row.id, row.chain) for row in pool(tmp_path / "b")]
    (tmp_path / "own.jsonl").write_text('{"id": "x", "question": "How many?", "image": "data/nowhere.png"}\n')
    assert main(["sample", "--problems", str(tmp_path / "own.jsonl"), "--policy", "scripted", "--out", str(tmp_path / "c")]) == 2
    assert "data/nowhere.png: no such picture" in capsys.readouterr().err


def test_blocks_change_nothing_and_seeds_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, more in (("a", ("--block", "2")), ("b", ()), ("c", ("--seed", "1"))):
        sample(capsys, tmp_path / name, *more)
    a, b, c = ((tmp_path / name / "pool.jsonl").read_text() for name in "abc")
    assert a == b != c


def test_a_killed_run_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sample(capsys, tmp_path)
    file = tmp_path / "pool.jsonl"
    whole = file.read_text()
    file.write_text("".join(whole.splitlines(keepends=True)[:4]) + '{"schema": "cos.po')  # in the middle of the second problem
    again = sample(capsys, tmp_path)
    assert (again["new"], again["chains"]) == (4, 15) and file.read_text() == whole
    assert sample(capsys, tmp_path) == {**again, "new": 0}


def test_mistakes_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sample(capsys, tmp_path)
    for words, said in (
        (["--n", "4", "--out", str(tmp_path)], "other settings (n)"),
        (["--n", "0", "--out", str(tmp_path / "x")], "must be 1 or more"),
        (["--set", "maps:train", "--out", str(tmp_path / "x")], "no problem set 'maps'"),
        ([], "--out is missing"),
        (["--problems", "p.jsonl", "--out", str(tmp_path / "x")], "not both"),
    ):
        assert main(["sample", "--set", "all:train", "--limit", "5", "--policy", "scripted", *words]) == 2
        line = capsys.readouterr().err.strip().splitlines()[-1]
        assert said in line


def test_a_search_s_favourites_are_its_best_chains(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    guided = ("--n", "8", "--method", "best_of_n", "--reward", "scripted", "--keep", "3")
    sample(capsys, tmp_path, *guided)
    file = tmp_path / "pool.jsonl"
    whole = file.read_bytes()
    for problem in problems("all:train", 5):
        own = sorted((row for row in pool(tmp_path) if row.problem.id == problem.id), key=lambda row: row.number)
        settings = Settings(n=8, max_tokens=256, max_steps=12, seed=stream(0, problem.id))
        trace = solve(Prompt(problem.question, draw(problem)), ScriptedPolicy(), ScriptedScorer(), "best_of_n", settings)
        scores = {trace.chain(leaf): chain_score(trace, leaf, "cos") for leaf in trace.pool()}
        assert [row.number for row in own] == list(range(min(3, len(scores))))
        assert [scores[row.chain] for row in own] == sorted(scores.values(), reverse=True)[:3]
        assert own[0].chain == trace.chain(trace.nodes[trace.chosen or 0])
    file.write_bytes(whole[: len(whole) // 2])  # killed in mid-row: what is missing is made again, nothing twice
    sample(capsys, tmp_path, *guided)
    assert file.read_bytes() == whole
    assert sample(capsys, tmp_path, *guided)["new"] == 0


def test_a_search_needs_a_reward(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sample", "--set", "all:train", "--policy", "scripted", "--method", "step_beam", "--out", str(tmp_path)]) == 2
    assert "--method and --reward belong together" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
