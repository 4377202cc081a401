"""Preference pairs: what never may be, whatever the labels; the score by hand; and `cos prefer` to files that trainings read."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos.__main__ import main
from cos.answers import match
from cos.chain import Chain, Labelled, Preference, Problem, Step, StepLabels
from cos.errors import UserError
from cos.prefer import Pairing, pairs, same, score
from cos.problems.released import check, read_rows
from cos.store import read, write
from cos.template import render

PROBLEM = Problem("p", "How many?", "3")
Captured = pytest.CaptureFixture[str]


def grade(problem: Problem, answer: str | None) -> bool:
    return match(answer, problem.answer)


def labelled(number: int, thoughts: tuple[str, ...], answer: str | None, steps: tuple[float | None, ...], good: float | None) -> Labelled:
    chain = Chain(tuple(Step("s", thought, "") for thought in thoughts), answer)
    return Labelled(f"p/{number}", PROBLEM, chain, StepLabels(steps, good))


LABEL = st.sampled_from([None, 0.0, 0.25, 0.5, 1.0])
STEPS = st.lists(st.tuples(st.sampled_from(["a", "A ", "a longer thought", ""]), LABEL), max_size=3)
ANSWERS = st.sampled_from([None, "3", "3.0", "4", ""])
POOLS = st.lists(st.tuples(STEPS, ANSWERS, LABEL), max_size=6).map(
    lambda rows: [
        labelled(at, tuple(text for text, _ in steps), answer, tuple(label for _, label in steps), good)
        for at, (steps, answer, good) in enumerate(rows)
    ]
)
PAIRINGS = st.builds(
    Pairing,
    st.sampled_from(["cos", "min", "prod", "answer", "outcome", "log_odds"]),
    threshold=st.sampled_from([0.0, 0.3]),
    pairs=st.sampled_from(["best", "all"]),
    length=st.sampled_from([1.0, 0.1]),
)


@given(POOLS, PAIRINGS)
def test_what_holds_for_every_pair(pool: list[Labelled], how: Pairing) -> None:
    scores = {one.chain: [score(other, how, grade) for other in pool if other.chain == one.chain] for one in pool}
    found = pairs(pool, how, grade)
    for pair in found:
        assert pair.chosen_score - pair.rejected_score > how.threshold
        assert pair.chosen_score in scores[pair.chosen] and pair.rejected_score in scores[pair.rejected]
        assert pair.chosen.answer is not None and pair.rejected.answer is not None and not same(pair.chosen, pair.rejected)
        short, long = sorted((len(render(pair.chosen)), len(render(pair.rejected))))
        assert long - short <= how.length * long + 1e-9
    every = pairs(pool, replace(how, pairs="all"), grade)
    gaps = [pair.chosen_score - pair.rejected_score for pair in every]
    assert gaps == sorted(gaps, reverse=True) and found == (every if how.pairs == "all" else every[:1])


@given(POOLS)
def test_without_bounds_every_two_chains_that_differ_in_score_and_text_are_a_pair(pool: list[Labelled]) -> None:
    how = Pairing(pairs="all")
    scores = [score(one, how, grade) for one in pool]
    two = [(a, b) for a, b in combinations(range(len(pool)), 2) if min(scores[a], scores[b]) >= 0 and scores[a] != scores[b]]
    assert len(pairs(pool, how, grade)) == sum(not same(pool[a].chain, pool[b].chain) for a, b in two)


def test_the_score_by_hand() -> None:
    one = labelled(0, ("a", "b", "c"), "3", (1.0, None, 0.5), 0.25)
    assert score(one, Pairing(), grade) == pytest.approx(0.2 * 0.75 + 0.8 * 0.25)
    assert score(one, Pairing(weight=1.0), grade) == pytest.approx(0.75)
    assert score(one, Pairing("min"), grade) == 0.5 and score(one, Pairing("outcome"), grade) == 1.0
    assert score(replace(one, chain=replace(one.chain, answer="4")), Pairing("outcome"), grade) == 0.0
    assert score(replace(one, chain=replace(one.chain, answer=None)), Pairing(), grade) == float("-inf")
    for wrong in ({"aggregator": "best"}, {"weight": 1.5}, {"threshold": -1.0}, {"length": 2.0}):
        with pytest.raises(UserError):
            Pairing(**wrong)  # type: ignore[arg-type]


def test_the_widest_gap_goes_first_and_copies_are_no_pair() -> None:
    pool = [
        labelled(at, (text,), answer, (good,), good)
        for at, (text, answer, good) in enumerate([("x", "3", 0.9), ("X ", "3.0", 0.1), ("y", "4", 0.3)])
    ]
    found = pairs(pool, Pairing(pairs="all"), grade)
    assert [(pair.chosen.steps[0].thought, pair.rejected.steps[0].thought) for pair in found] == [("x", "y"), ("y", "X ")]


# The verb --------------------------------------------------------------------------------------------------------------------------


def cos(capsys: Captured, *given: str | Path) -> dict[str, Any]:
    assert main([*map(str, given), "--json"]) == 0, capsys.readouterr().err
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_from_problems_to_pairs_that_trainings_read(tmp_path: Path, capsys: Captured) -> None:
    data, scripted = tmp_path / "data", ("--policy", "scripted", "--n", "4")
    cos(capsys, "data", "make", "--set", "all", "--n", "5", "--out", data)
    cos(capsys, "sample", "--problems", data / "problems.jsonl", *scripted, "--out", tmp_path / "pool")
    cos(capsys, "label", tmp_path / "pool/pool.jsonl", "--by", "reward", "--reward", "scripted", "--out", tmp_path / "labels")
    own = cos(capsys, "prefer", tmp_path / "labels/labels.jsonl", "--out", tmp_path / "own.jsonl")
    made = list(read(tmp_path / "own.jsonl", "preference", Preference.from_json))
    assert own["pairs"] == len(made) == 5 and (own["problems"], own["chains"], own["left_out"]) == (5, 20, 0)
    assert own["gap"] == pytest.approx(sum(pair.chosen_score - pair.rejected_score for pair in made) / 5)
    assert own["chosen_length"] == pytest.approx(sum(len(render(pair.chosen)) for pair in made) / 5)
    cos(capsys, "prefer", tmp_path / "labels/labels.jsonl", "--to", "cos", "--out", tmp_path / "dpo.jsonl")
    assert check(tmp_path / "dpo.jsonl", data).bad == ()
    rows = list(read_rows(tmp_path / "dpo.jsonl"))
    assert [row.chains for row in rows] == [(pair.chosen, pair.rejected) for pair in made] and all(len(row.images) == 1 for row in rows)


def test_rows_of_cos_score_are_paired(tmp_path: Path, capsys: Captured) -> None:
    step = {"step_name": "s", "step_thought": "t", "step_reflection": "r"}
    rows = [
        {"question_id": "q", "question": "<image>\nHow many?", "image": "a.png", "reasoning": [step], "extract_answer": answer}
        | {"step_scores": [0.5], "answer_score": value}
        for answer, value in (("3", 0.75), ("4", 0.25), ("5", 0.5))
    ]
    (tmp_path / "scored.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert cos(capsys, "prefer", tmp_path / "scored.jsonl", "--pairs", "all", "--out", tmp_path / "pairs.jsonl")["pairs"] == 3
    first = next(iter(read(tmp_path / "pairs.jsonl", "preference", Preference.from_json)))
    assert (first.problem.question, first.problem.image, first.chosen.answer, first.rejected.answer) == ("How many?", "a.png", "3", "4")
    assert first.chosen_score == pytest.approx(0.2 * 0.5 + 0.8 * 0.75)


def test_mistakes_are_one_line_and_leave_no_file(tmp_path: Path, capsys: Captured) -> None:
    world = Problem("w", "How many?", "3", world="charts", truth={"content": {}})
    good = [labelled(0, ("a",), "3", (1.0,), 1.0), labelled(1, ("b",), "4", (0.0,), 0.0)]
    write(tmp_path / "world.jsonl", "labels", [replace(one, problem=world).to_json() for one in good])
    write(tmp_path / "blind.jsonl", "labels", [replace(one, problem=Problem("b", "?")).to_json() for one in good])
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "short.jsonl").write_text(json.dumps({"question_id": "q", "question": "?", "reasoning": [], "step_scores": [1]}) + "\n")
    for words, said in (
        (["world.jsonl", "--to", "cos"], "needs its picture in a file"),
        (["blind.jsonl", "--aggregator", "outcome"], "without a gold answer"),
        (["empty.jsonl"], "no chains in this file"),
        (["short.jsonl"], "short.jsonl, line 1"),
        (["world.jsonl", "--aggregator", "best"], "no aggregator is called 'best'"),
    ):
        assert main(["prefer", str(tmp_path / words[0]), *words[1:], "--out", str(tmp_path / "x.jsonl")]) == 2
        assert said in capsys.readouterr().err
    assert not list(tmp_path.glob("x.jsonl*"))
