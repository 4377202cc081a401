"""The published schemas fit what the library writes, and refuse what it would not."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from jsonschema import Draft202012Validator, ValidationError

from cos.__main__ import main
from cos.evaluate import RECORD, Plan, evaluate
from cos.models.scripted import ScriptedPolicy, ScriptedScorer
from cos.problems import PROBLEM_SETS, problems
from cos.problems.released import read_rows
from cos.problems.released_rows import scored
from cos.problems.trl import to_trl
from cos.protocols import Costs, Prompt
from cos.runs import Run
from cos.search.methods import METHODS, Settings
from cos.search.scheduler import solve
from cos.search.trace import SearchTrace, append_event
from cos.store import schema, write
from cos.summary import summarise

DOCS = Path(__file__).parent.parent / "docs"
DATA = Path(__file__).parent / "data" / "released"
SCHEMAS = {path.stem: json.loads(path.read_text("utf-8")) for path in (DOCS / "schemas").glob("*.json")}


def valid(name: str, row: Any, part: str | None = None) -> None:
    """Validate against a schema, or against one part of its `$defs`."""
    schema = SCHEMAS[name]
    Draft202012Validator({"$ref": f"#/$defs/{part}", "$defs": schema["$defs"]} if part else schema).validate(row)


def records(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line]


@pytest.fixture(scope="module")
def trace() -> SearchTrace:
    return solve(Prompt("How many?"), ScriptedPolicy(), ScriptedScorer(), "step_beam", Settings(n=4, width=2))


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_schema_is_one_and_is_described(name: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[name])
    assert f"schemas/{name}.json" in (DOCS / "formats.md").read_text("utf-8")


@pytest.mark.parametrize("name", PROBLEM_SETS)
def test_problems(tmp_path: Path, name: str) -> None:
    write(tmp_path / "problems.jsonl", "problem", (problem.to_json() for problem in problems(f"{name}:test", 3)))
    for row in records(tmp_path / "problems.jsonl"):
        valid("problem", row)


@pytest.mark.parametrize(("file", "part"), [("sft", "sft"), ("prm", "prm"), ("dpo", "dpo"), ("score_in", "score_in")])
def test_released_rows(file: str, part: str) -> None:
    for row in records(DATA / f"{file}.jsonl"):
        valid("released", row)
        valid("released", row, part)


def test_scored_rows() -> None:
    for row in read_rows(DATA / "score_in.jsonl"):
        valid("released", scored(row, [0.5] * len(row.chain.steps), 1.0), "score_out")


@pytest.mark.parametrize("file", ["sft", "prm", "dpo"])
def test_trl_rows(file: str) -> None:
    rows = [row for row in read_rows(DATA / f"{file}.jsonl") if row.labels is None or None not in (*row.labels.steps, row.labels.answer)]
    assert rows
    for row in rows:
        valid("trl", to_trl(row), file)


def test_pools(tmp_path: Path) -> None:
    assert main(["sample", "--set", "all:test", "--limit", "3", "--n", "2", "--policy", "scripted", "--out", str(tmp_path)]) == 0
    for row in records(tmp_path / "pool.jsonl"):
        valid("pool", row)
    valid("run", *records(tmp_path / "config.json"))


def test_labels_and_preferences(tmp_path: Path) -> None:
    pool, models = tmp_path / "pool/pool.jsonl", ["--policy", "scripted", "--n", "2"]
    assert main(["sample", "--set", "all:test", "--limit", "3", "--out", str(pool.parent), *models]) == 0
    for by in ("rollouts", "judge", "reward"):
        more = ["--judge", "scripted", "--reward", "scripted", "--out", str(tmp_path / by), *models]
        assert main(["label", str(pool), "--by", by, *more]) == 0
        for row in records(tmp_path / by / "labels.jsonl"):
            valid("labels", row)
    assert main(["prefer", str(tmp_path / "reward/labels.jsonl"), "--out", str(tmp_path / "pairs.jsonl")]) == 0
    for row in records(tmp_path / "pairs.jsonl"):
        valid("preference", row)


def test_models(tmp_path: Path) -> None:
    from cos.models.hub import NOTES
    from cos.models.vlm import VLM

    for look in (None, "Describe the picture."):
        VLM(MagicMock(), MagicMock(), look=look).save(tmp_path)
        valid("model", *records(tmp_path / NOTES))


def test_runs(tmp_path: Path) -> None:
    with Run.start(tmp_path, {"lr": 0.1}, seed=1).log() as log:
        log.add({"step": 1, "loss": 0.5})
    valid("run", *records(tmp_path / "config.json"))
    valid("metrics", *records(tmp_path / "metrics.jsonl"))


@pytest.mark.parametrize("swap", [False, True])
def test_evaluations(tmp_path: Path, swap: bool) -> None:
    plan = Plan(problems("all:test", 3), ("greedy", "vote"), Settings(n=2), swap_images=swap)
    evaluate(plan, ScriptedPolicy(), ScriptedScorer(), tmp_path / "records.jsonl")
    for row in records(tmp_path / "records.jsonl"):
        assert row["schema"] == schema(RECORD) == "cos.eval/2"
        valid("eval", row)


@pytest.mark.parametrize("more", [[], ["--swap-images"], ["--methods", "greedy,best_of_n,vote"], ["--n", "1,3", "--traces"]])
def test_summaries(tmp_path: Path, more: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plotly.graph_objects.Figure.write_image", lambda *_, **__: None)  # starting Chrome takes seconds
    models = ["--policy", "scripted", "--reward", "scripted", "--n", "4", "--out", str(tmp_path)]
    assert main(["eval", "--set", "all:test", "--limit", "6", *models, *more]) == 0
    valid("evaluation", *records(tmp_path / "summary.json"))
    for row in records(tmp_path / "records.jsonl"):
        valid("eval", row)


def test_summaries_and_pools_where_flops_are_known(tmp_path: Path) -> None:
    plan = Plan(problems("all:test", 3), ("vote", "best_of_n", "step_beam"), budgets=(1, 4), pools=tmp_path / "pool")
    policy, scorer = ScriptedPolicy(costs=Costs(2.0)), ScriptedScorer(costs=Costs(3.0))
    summary = summarise(evaluate(plan, policy, scorer, tmp_path / "records.jsonl"))
    assert summary["equal_flops"]
    valid("evaluation", {"schema": "cos.evaluation/1", "set": "all:test", "policy": "p", "reward": "r", **summary, "out": "o"})
    for row in records(tmp_path / "records.jsonl"):
        valid("eval", row)
        for event in records(tmp_path / row["methods"]["vote"]["4"]["trace"]):
            valid("trace", event, event["kind"])


@pytest.mark.parametrize("method", METHODS)
def test_traces_of_every_method(method: str) -> None:
    trace = solve(Prompt("How many?"), ScriptedPolicy(), ScriptedScorer(), method, Settings(n=4, width=2))
    for times in (True, False):
        valid("trace", json.loads(json.dumps(trace.to_json(times=times))))


def test_every_kind_of_event_is_in_the_schema(trace: SearchTrace) -> None:
    for event in trace.events:
        valid("trace", json.loads(json.dumps(event)), event["kind"])


@pytest.mark.parametrize("change", [{"schema": "cos.trace/2"}, {"nodes": [{"id": 0}]}, {"ended": "perhaps"}, {"meter": {}}])
def test_a_changed_trace_is_refused(trace: SearchTrace, change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        valid("trace", {**json.loads(json.dumps(trace.to_json())), **change})


def test_a_journal_is_the_events(trace: SearchTrace, tmp_path: Path) -> None:
    for event in trace.events:
        append_event(tmp_path / "trace.jsonl", event)
    rows = records(tmp_path / "trace.jsonl")
    for row in rows:
        valid("trace", row, row["kind"])
    assert "schema" in rows[0] and not any("schema" in row for row in rows[1:])


def test_a_saved_trace_fits(trace: SearchTrace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        trace.save(Path(folder, "trace.json"))
        valid("trace", json.loads(Path(folder, "trace.json").read_text("utf-8")))
