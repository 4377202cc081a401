"""The Curves page and what it reads: hand-made records, a real small evaluation, and files from whoever."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos.errors import UserError
from cos.evaluate import Plan, evaluate
from cos.models.scripted import ScriptedPolicy, ScriptedScorer
from cos.problems import draw, problems
from cos.search.methods import Settings
from cos.store import write
from cos.summary import COSTS
from workbench import curves, plots, results
from workbench.session import Session

COST = dict.fromkeys(COSTS, 1.0)


def record(id: str, world: str, greedy: bool, best: bool, steps: list[Any] | None = None) -> dict[str, Any]:
    """A question under two methods with a pool of two, right as said; best_of_n costs ten times as much."""
    methods = {
        "greedy": {n: {"answer": "1", "right": greedy, **COST} for n in ("1", "2")},
        "best_of_n": {n: {"answer": "2", "right": best, **COST, "tokens": 10.0 * int(n)} for n in ("1", "2")},
    }
    pool = {"n": 2, "answered": 2, "right": int(best), "votes": [1, 0], "vote_flops": [0.0, 0.0]}
    head = {"problem": id, "world": world, "level": 1, "kind": "sum", "gold": "2"}
    return {**head, "methods": methods, "pool": pool, "steps": steps or []}


ROWS = [
    record("a", "charts", True, True),
    record("b", "charts", False, True, [[0.9, 1, "answer", None], [0.2, 0, "answer", None]]),
    record("c", "charts", False, True, [[0.6, 1, "answer", None], [0.8, 0, "answer", None]]),
    record("d", "scenes", True, False, [[0.4, 0, "answer", None], [0.99, 0, "see", None]]),
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write(tmp_path / "made" / "records.jsonl", "eval", ROWS)
    return tmp_path / "made" / "records.jsonl"


@pytest.fixture
def do(file: Path) -> curves.Handlers:
    return curves.Handlers(Session(results=file.parent.parent))


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results with one evaluation of four charts by the scripted models, traces kept."""
    root = tmp_path_factory.mktemp("results")
    plan = Plan(problems("charts:test", 4), ("greedy", "vote", "best_of_n"), Settings(), budgets=(1, 4), traces=root / "small" / "traces")
    evaluate(plan, ScriptedPolicy(), ScriptedScorer(), root / "small" / "records.jsonl")
    return root


def shown(do: curves.Handlers, **asked: Any) -> list[Any]:
    given = {"name": "made", "upload": None, "axis": "N", "world": "", "level": "", "kind": "", "n": None, "pair": None}
    return do.show(**given | asked)


def click(row: Any, side: Any = 0) -> Any:
    return gr.EventData(SimpleNamespace(elem_id="cases"), {"row": row, "side": side})  # type: ignore[arg-type]


def test_the_figures_are_those_of_the_records(do: curves.Handlers) -> None:
    status, *_, plot, tables, cases = shown(do)
    assert "4 questions" in status and "pass@2 75.0%" in status
    lines = {line.name: (list(line.x), list(line.y)) for line in plot.data}
    assert lines["best of n"] == ([1, 2], [0.75, 0.75]) and lines["greedy"] == ([1], [0.5]) and lines["pass@N"][1] == [0.375, 0.75]
    assert "<b>75.0%</b>" in tables and "best of n less greedy" in tables and "+25.0" in tables
    assert "best of n right, greedy wrong: 2" in cases and "✗ 1" in cases and "✓ 2" in cases and "<button" not in cases


def test_filters_choose_questions_and_fall_back(do: curves.Handlers) -> None:
    status, world, _level, kind, n, pair, *_ = shown(do, world="scenes", kind="nonsense", n="77", pair="x>y")
    assert "1 of 4 questions" in status and (world.value, kind.value, n.value) == ("scenes", "", "2")
    assert pair.choices == [("greedy right, best of n wrong (1)", "greedy>best_of_n")]
    tokens = shown(do, axis="tokens", world="charts")[-3]
    assert {line.name: list(line.x) for line in tokens.data}["best of n"] == [10, 20]


def test_the_reward_is_high_on_a_wrong_answer(do: curves.Handlers) -> None:
    cases = shown(do, pair=curves.FOOLED)[-1]
    assert "Reward high but wrong: 1" in cases and ">c<" in cases and "0.80 wrong, 0.60 right" in cases


def test_unknown_costs_are_said(do: curves.Handlers, file: Path) -> None:
    rows = json.loads(json.dumps(ROWS))
    for row in rows:
        for found in row["methods"].values():
            for result in found.values():
                result["flops"] = 0.0
    write(file, "eval", rows)
    assert "FLOPs of these models are not known" in shown(do, axis="FLOPs")[-2]


def test_a_trace_opens_with_its_truth_and_picture(real: Path) -> None:
    do = curves.Handlers(Session(results=real))
    rows = results.records(real / "small" / "records.jsonl")
    asked = {"name": "small", "upload": None, "world": "", "level": "", "kind": ""}
    pair = next((value for _, value in curves.pairs(rows, 4)), "")
    assert pair, "the scripted methods differ on some question"
    opened, about, panel = do.open(**asked, n="4", pair=pair, event=click(0))
    trace = results.trace(real, *opened)
    assert trace.question in panel or trace.question in about
    problem = results.problem_of(trace)
    assert problem is not None and problem.id == trace.problem and results.picture(problem) in about
    assert "truth:" in panel or "✓ right" in panel
    assert f"Node {len(trace.nodes) - 1}," in do.pick(opened, gr.EventData(None, {"id": len(trace.nodes) - 1}))
    for wrong in (click(10**6), click(-1), click("0"), click(0, 7), click(None)):
        assert do.open(**asked, n="4", pair=pair, event=wrong)[0] == gr.skip()
    assert do.open(**asked, n="–", pair=pair, event=click(0))[0] == gr.skip()
    changed = problems("charts:test", 1)[0]
    trace.image = {"path": None, "sha256": "0" * 64}
    assert results.problem_of(trace) is None and draw(changed).size == (320, 320)


@pytest.mark.parametrize("file", ["../../secret.json", "/etc/passwd", "traces/none.json", "records.jsonl/../../x.json", "a\0b.json"])
def test_no_trace_outside_the_results(real: Path, file: str) -> None:
    (real.parent / "secret.json").write_text("{}", "utf-8")
    with pytest.raises(UserError, match="not kept"):
        results.trace(real, "small", file)


def test_only_names_that_are_there(do: curves.Handlers, tmp_path: Path) -> None:
    assert do.names() == ["made"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "records.jsonl").write_text('{"schema": "cos.judged/1"}\n', "utf-8")
    assert do.names() == ["made"]
    for name in ("../made", "other", "/etc"):
        with pytest.raises(UserError, match="no such folder"):
            shown(do, name=name)
    assert curves.NOTHING in shown(do, name=None)[0] and results.evaluations(None) == []


def test_a_file_of_anything_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    broken = [{**ROWS[0], "level": "x"}, {**ROWS[0], "methods": {}}, {**ROWS[0], "pool": {"n": 1}}, {**ROWS[0], "steps": [[1]]}]
    mixed = {**ROWS[0], "pool": {**ROWS[0]["pool"], "n": 3, "votes": [1] * 3, "vote_flops": [0] * 3}}
    texts = ["", "{}", "[]", "\x00", '{"schema": "cos.eval/9"}', "[" * 10**5, *map(json.dumps, broken)]
    texts += [json.dumps(ROWS[0]) + "\n" + json.dumps(mixed), json.dumps(ROWS[0]).replace('"tokens": 1.0', '"tokens": 1e999')]
    for text in texts:
        path.write_text(text, "utf-8")
        with pytest.raises(UserError) as said:
            results.records(path)
        assert "records.jsonl" in str(said.value) and str(tmp_path) not in str(said.value) and "\n" not in str(said.value), text[:60]


def test_a_file_that_would_take_too_long_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "MOST_CELLS", 15)
    with pytest.raises(UserError, match="more than 15 results"):
        results.records(file)


@given(st.text(max_size=80))
def test_texts_of_a_file_are_never_markup(text: str) -> None:
    rows = [results._record({**row, "problem": text, "kind": text + "<img src=x onerror=1>", "gold": text}) for row in ROWS]
    table = curves.cases(rows, 2, "best_of_n>greedy", openable=True)
    assert "<img" not in table and "<script" not in table.lower()


def test_auc_by_group_shows_every_group() -> None:
    rows: dict[str, dict[str, Any]] = {"1": {"auc": 0.7, "steps": 10}, "2": {"auc": None, "steps": 3}}
    figure = plots.auc_by_group({"depth": rows, "kind": {"<b>see": {"auc": 0.6, "steps": 5}}})
    assert [list(bar.x) for bar in figure.data] == [["1", "2"], ["&lt;b&gt;see"]] and list(figure.data[0].y) == [0.7, None]
