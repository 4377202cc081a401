"""Forty rows of every benchmark through `cos eval`, and its scores against numbers worked out by hand."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import benchmark_rows as made
import pytest
from jsonschema import Draft202012Validator

import cos.loading
from cos.__main__ import main
from cos.chain import Chain, Step
from cos.models.scripted import ScriptedPolicy
from cos.problems.benchmarks import BENCHMARKS, Source, load
from cos.problems.benchmarks.scores import lines, scores
from cos.protocols import Prompt
from cos.template import pieces

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"
RULES = {
    "mathvista": ["official", "vlmevalkit", "cos"],
    "mmstar": ["official", "vlmevalkit", "cos"],
    "mmmu": ["official", "random_fallback", "cos"],
    "m3cot": ["official", "cos"],
    "ai2d": ["lmms_eval", "vlmevalkit", "cos"],
    "ai2d_no_mask": ["lmms_eval", "vlmevalkit", "cos"],
    "chartqa": ["relaxed", "lmms_eval", "exact"],
}
SCRIPTED = ("--policy", "scripted", "--reward", "scripted", "--methods", "greedy,vote,best_of_n", "--limit", "100")


def evaluated(capsys: pytest.CaptureFixture[str], name: str, out: Path, *more: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Summary and records of `cos eval` on forty made-up rows."""
    data = made.parquet(made.ROWS[name](), out.parent / f"{name}.parquet")
    words = ["eval", "--set", name, "--data", str(data), "--out", str(out), "--n", "3", "--json", *SCRIPTED, *more]
    assert main(words) == 0, capsys.readouterr().err
    summary = json.loads(capsys.readouterr().out)
    return summary, [json.loads(line) for line in (out / "records.jsonl").read_text("utf-8").splitlines()]


@pytest.mark.parametrize("name", BENCHMARKS)
def test_forty_rows_from_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    summary, records = evaluated(capsys, name, tmp_path / "run")
    assert len(records) == made.COUNT == summary["problems"] == summary["benchmarks"][name]["items"]
    for row in records:
        Draft202012Validator(json.loads((SCHEMAS / "eval.json").read_text("utf-8"))).validate(row)
    (whole,) = [json.loads(line) for line in (tmp_path / "run" / "summary.json").read_text("utf-8").splitlines()]
    Draft202012Validator(json.loads((SCHEMAS / "evaluation.json").read_text("utf-8"))).validate(whole)
    for method in ("greedy", "vote", "best_of_n"):
        found = summary["benchmarks"][name]["methods"][method]["3"]
        results = [row["methods"][method]["3"] for row in records]
        assert list(found["rules"]) == RULES[name] == list(results[0]["also"])
        assert all(result["rule"] and result["right"] == result["also"][RULES[name][0]] for result in results)
        for rule, share in found["rules"].items():
            assert share["accuracy"] == pytest.approx(sum(result["also"][rule] for result in results) / made.COUNT)
        assert found["rules"][RULES[name][0]]["accuracy"] == pytest.approx(summary["methods"][method]["accuracy"])
        for key, group in found["by"].items():
            for value, share in group["values"].items():
                inside = [value in _values(row["groups"].get(key)) for row in records]
                assert share["items"] == sum(inside)
                right = sum(result["right"] for result, here in zip(results, inside, strict=True) if here)
                assert share["accuracy"] == pytest.approx(right / sum(inside))
    assert f"{name} (40), vote n=3: {RULES[name][0]} " in (tmp_path / "run" / "table.txt").read_text("utf-8")


def _values(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def test_what_does_not_parse_is_wrong_and_stays_in_the_denominator(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    golds = {
        item.question: item.answer or "" for item in load("mmstar", 40, Source(str(made.parquet(made.mmstar(), tmp_path / "a.parquet"))))
    }
    order = list(golds)

    def script(prompt: Prompt, texts: tuple[str, ...], rng: random.Random) -> str:
        """By place: the gold letter, nothing readable, the gold letter in a sentence, and no answer at all."""
        place = order.index(prompt.question) % 4
        if not texts or place == 3:
            return pieces(Chain((Step("Look", "I look.", "Seen."),) * (len(texts) + 1)))[-1]
        answer = (golds[prompt.question], "who knows", f"So I say {golds[prompt.question]}")[place]
        return pieces(Chain((Step("", "", ""),), answer))[-1]

    monkeypatch.setattr(cos.loading, "load_policy", lambda name: ScriptedPolicy(script))
    summary, records = evaluated(capsys, "mmstar", tmp_path / "run", "--max-steps", "3")
    assert summary["methods"]["vote"]["accuracy"] == 0.25 and summary["methods"]["vote"]["parse_rate"] == 0.75
    found = summary["benchmarks"]["mmstar"]["methods"]["vote"]["3"]
    assert found["parse_rate"] == 0.25
    assert found["rules"]["official"] == {"accuracy": 0.25, "of_answered": pytest.approx(1 / 3)}
    assert found["rules"]["vlmevalkit"] == {"accuracy": 0.5, "of_answered": pytest.approx(2 / 3)}
    rules = [row["methods"]["vote"]["3"]["rule"] for row in records[:4]]
    assert rules == ["first character", "no letter at the head", "no letter at the head", "no answer"]
    assert [row["methods"]["vote"]["3"]["read"] for row in records[:4]] == [golds[order[0]], None, None, None]


def test_the_oracle_rewards_by_the_benchmarks_own_rule(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    summary, records = evaluated(capsys, "mmstar", tmp_path / "run", "--reward", "oracle")
    assert 0 < summary["methods"]["best_of_n"]["accuracy"] == summary["pass_at_n"] < 1
    assert {step[2] for row in records for step in row["steps"]} == {"answer"}  # a benchmark says nothing of steps


def test_a_killed_run_goes_on_and_the_official_prompt_is_another_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, whole = evaluated(capsys, "ai2d", tmp_path / "run")
    file = tmp_path / "run" / "records.jsonl"
    file.write_bytes(file.read_bytes()[: len(file.read_bytes()) // 2])
    _, again = evaluated(capsys, "ai2d", tmp_path / "run")
    answers = [[result["3"]["answer"] for result in row["methods"].values()] for row in whole]
    assert [[result["3"]["answer"] for result in row["methods"].values()] for row in again] == answers
    words = ["eval", "--set", "ai2d", "--data", str(tmp_path / "ai2d.parquet"), "--prompt", "official", "--n", "3", *SCRIPTED]
    assert main([*words, "--out", str(tmp_path / "run")]) == 2
    assert "prompt" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--set", "mmstar", "--data", "none.parquet"], "none.parquet: no such file"),
        (["--set", "charts:test", "--data", "none.parquet"], "charts makes its own problems"),
        (["--set", "mmstar", "--prompt", "best"], "invalid choice: 'best'"),
    ],
)
def test_mistakes_are_one_line(capsys: pytest.CaptureFixture[str], words: list[str], reason: str) -> None:
    assert main(["eval", *words, *SCRIPTED]) == 2
    said = capsys.readouterr().err
    assert reason in said and said.count("\n") == 1


# The scores, by hand --------------------------------------------------------------------------------------------------------------


def record(groups: dict[str, Any], right: bool, answer: str | None = "x", read: str | None = "A", cos: bool = False) -> dict[str, Any]:
    result = {"answer": answer, "right": right, "read": read, "also": {"official": right, "cos": cos}}
    return {"world": "mmstar", "groups": groups, "methods": {"vote": {"1": result}}}


BY_HAND = [
    record({"l2": "a", "skills": ["s", "t"]}, True, cos=True),
    record({"l2": "a", "skills": ["s"]}, True),
    record({"l2": "a", "skills": []}, False, answer=None, read=None),
    record({"l2": "b"}, False, read=None),
]


def test_the_mean_over_categories_is_not_the_accuracy() -> None:
    found = scores([*BY_HAND, {"world": "charts", "methods": {}}])
    assert list(found) == ["mmstar"] and found["mmstar"]["items"] == 4
    vote = found["mmstar"]["methods"]["vote"]["1"]
    assert vote["rules"]["official"] == {"accuracy": 0.5, "of_answered": pytest.approx(2 / 3)}
    assert vote["rules"]["cos"] == {"accuracy": 0.25, "of_answered": pytest.approx(1 / 3)}
    assert vote["parse_rate"] == 0.5
    assert vote["by"]["l2"]["values"] == {"a": {"items": 3, "accuracy": pytest.approx(2 / 3)}, "b": {"items": 1, "accuracy": 0.0}}
    assert vote["by"]["l2"]["mean"] == pytest.approx(1 / 3)  # and the accuracy is 1/2
    assert vote["by"]["skills"]["values"] == {"s": {"items": 2, "accuracy": 1.0}, "t": {"items": 1, "accuracy": 1.0}}
    assert (
        lines(found)[0]
        == "mmstar (4), vote n=1: official 50.0% (66.7% of those answered), cos 25.0% (33.3% of those answered); parsed 50.0%"
    )


def test_strict_and_cos_style_agree_when_every_item_is_answered() -> None:
    vote = scores(BY_HAND[:2])["mmstar"]["methods"]["vote"]["1"]
    assert all(share["accuracy"] == share["of_answered"] for share in vote["rules"].values())
    assert scores([]) == {} and scores([record({"l2": "a"}, False, None)])["mmstar"]["methods"]["vote"]["1"]["rules"]["cos"] == {
        "accuracy": 0.0,
        "of_answered": None,
    }
