"""Every study on models without weights: its points are what the records say, it goes on where it was, and its record has its schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from world_script import world_policy

from cos.__main__ import _parse, main
from cos.commands.recipe import build
from cos.commands.study import QUESTIONS
from cos.evaluate import _Block
from cos.metrics import auc
from cos.models.scripted import ScriptedPolicy, ScriptedScorer
from cos.pool import cost as cost_alone
from cos.protocols import Costs
from cos.scores import AGGREGATORS
from cos.search.methods import Settings
from cos.study import selectors, shift, stepwise, weights, work
from cos.study.results import Result
from cos.study.stepwise import Best, best_of_each, crossing
from cos.study.studies import STUDIES
from cos.study.work import Asked, Work, evaluated
from workbench.measured import measured

ROOT = Path(__file__).parent.parent.parent
SCRIPTED: Any = {"policy": "scripted", "reward": "scripted"}


def points(result: Result, panel: int = 0) -> dict[tuple[str, Any], Any]:
    return {(point.series, point.x): point for point in result.panels[panel].points}


@pytest.fixture(scope="module", autouse=True)
def models() -> Iterator[None]:
    """Chains of the worlds, and tokens that cost something, so that equal FLOPs can be asked for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(work, "load_policy", lambda name: world_policy(Costs(flops_per_token=2.0)))
        patch.setattr(work, "load_scorer", lambda name: ScriptedScorer(costs=Costs(flops_per_token=3.0)))
        yield


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Work:
    return Work(tmp_path_factory.mktemp("study"), 0)


def test_selectors_say_what_the_records_say(home: Work) -> None:
    config = selectors.Config(limit=9, ns=(1, 4), **SCRIPTED)
    result = selectors.run(config, home)
    found = evaluated(Asked("all:test", 9, ("greedy", *selectors.SELECTORS), (1, 4), **SCRIPTED), home)
    assert points(result)["vote", 4].value == np.mean([row["methods"]["vote"]["4"]["right"] for row in found.records])
    assert points(result)["pass@N", 4].value == np.mean([row["pool"]["right"] > 0 for row in found.records])
    assert all(points(result)[name, 4].value <= points(result)["pass@N", 4].value for name in selectors.SELECTORS)
    assert [(row.ours, row.theirs, row.where) for row in result.differences] == [
        ("best_of_n", "vote", "N = 4"),
        ("weighted_vote", "vote", "N = 4"),
    ]


def test_weights_end_in_the_aggregators_that_they_are(home: Work) -> None:
    result = weights.run(weights.Config(limit=9, n=4, pool_n=6, **SCRIPTED), home)
    by_weight, by_name = points(result), points(result, 1)
    for rule in ("best_of_n", "weighted_vote"):
        for w, name in ((0.0, "answer"), (0.2, "cos"), (1.0, "mean")):
            assert by_weight[rule, w].value == by_name[rule, name].value
    assert {name for rule, name in by_name if rule == "best_of_n"} == set(AGGREGATORS)


def test_a_pool_serves_every_study_that_needs_it(home: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluated(Asked("all:test", 6, ("best_of_n",), (8,), **SCRIPTED), home)
    monkeypatch.setattr(ScriptedPolicy, "draw", lambda self, requests: pytest.fail("drawn again"))
    again = evaluated(Asked("all:test", 6, ("vote", "best_of_n"), (4,), pool_n=8, **SCRIPTED), home)
    assert len(again.records) == 6 and all(trace is not None for trace in again.pools())


def test_shift_measures_each_set_alone(home: Work) -> None:
    result = shift.run(shift.Config(limit=24, n=2, **SCRIPTED), home)
    found = evaluated(Asked("all:shift", 24, shift.METHODS, (2,), **SCRIPTED), home)
    assert points(result)["step_beam", "all:shift"].value == np.mean(found.right("step_beam", 2))
    steps = [step for row in found.records for step in row["steps"] if step[2] == "answer"]
    assert points(result, 1)["answers", "all:shift"].value == auc([step[0] for step in steps], [step[1] for step in steps])
    assert sum(row.ours == "all:shift" for row in result.differences) == len(shift.METHODS)


CONFIG = stepwise.Config(limit=8, ns=(1, 4), pool_n=5, width=2, rewards=("scripted",), policy="scripted")


def test_step_search_is_compared_at_equal_flops(home: Work) -> None:
    result = stepwise.run(CONFIG, home)
    asked = Asked("all:test", 8, ("best_of_n", *CONFIG.methods), (1, 4), pool_n=5, settings=Settings(width=2), **SCRIPTED)
    found = evaluated(asked, home)
    pool = best_of_each(found)
    assert [bool(one) for one in pool.right[:, 3]] == found.right("best_of_n", 4)
    assert pool.flops[3] == pytest.approx(found.mean("best_of_n", 4, "flops")) and (np.diff(pool.flops) > 0).all()
    trace = next(iter(found.pools()))
    assert trace is not None and cost_alone(trace, "best_of_n", 5, *found.costs).flops == trace.meter.flops
    for row in result.differences:
        assert row.where == "scripted, N = 4" and row.theirs.startswith("best of ")
        flops = found.mean(row.ours, 4, "flops")
        k, capped = pool.enough(flops)
        assert row.theirs == f"best of {k}" + (", which costs less" if capped else "")
        assert capped or (pool.flops[k - 1] >= flops * (1 - 1e-9) and (k == 1 or pool.flops[k - 2] < flops))
    depths = points(result, 2)
    assert all(depths[f"{method}, kept", 1].value <= depths[f"{method}, drawn", 1].value for method in CONFIG.methods)


def test_enough_is_the_fewest_that_cost_as_much() -> None:
    pool = Best(np.zeros((2, 4), dtype=bool), np.array([1.0, 2.0, 3.0, 4.0]))
    assert [pool.enough(flops) for flops in (0.5, 1.0, 1.5, 4.0, 4.5)] == [(1, False), (1, False), (2, False), (4, False), (4, True)]


@pytest.mark.parametrize(
    ("gains", "says"),
    [
        ([0.1, 0.2, 0.1], "ahead of best of N at equal FLOPs at every N"),
        ([0.1, -0.1, -0.2], "behind best of N at equal FLOPs from N = 16 on"),
        ([-0.1, 0.0, 0.2], "ahead of best of N at equal FLOPs from N = 64 on"),
        ([0.1, 0.1, 0.0], "level with best of N at equal FLOPs from N = 64 on"),
        ([0.0, 0.0, 0.0], "equal to best of N at every N"),
    ],
)
def test_the_crossing_is_where_the_sign_stays(gains: list[float], says: str) -> None:
    assert crossing((4, 16, 64), gains).startswith(says)


class Killed(Exception):
    """As a power cut would."""


def test_a_killed_study_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, real, calls = selectors.Config(limit=40, ns=(1, 2), **SCRIPTED), _Block.records, [0]
    monkeypatch.setattr(work, "load_policy", lambda name: ScriptedPolicy())
    whole = selectors.run(config, Work(tmp_path / "whole", 0))

    def until_killed(self: _Block) -> list[dict[str, Any]]:
        calls[0] += 1
        if calls[0] == 2:  # the second block of 32
            raise Killed
        return real(self)

    monkeypatch.setattr(_Block, "records", until_killed)
    with pytest.raises(Killed):
        selectors.run(config, Work(tmp_path / "cut", 0))
    monkeypatch.setattr(_Block, "records", real)
    assert selectors.run(config, Work(tmp_path / "cut", 0)) == whole


def test_the_verb_leaves_a_record_a_table_and_a_figure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plotly.graph_objects.Figure.write_image", lambda *_, **__: None)  # starting Chrome takes seconds
    words = ["study", "shift", "--quick", "--limit", "9", "--policy", "scripted", "--reward", "scripted", "--out", str(tmp_path), "--json"]
    assert main(words) == 0
    said = capsys.readouterr()
    row = json.loads(said.out)
    folder = Path(row.pop("out"))
    assert "cos study shift: 18 problems, 306 chains; some 1 minutes on one core" in said.err
    schema = json.loads((ROOT / "docs/schemas/study.json").read_text("utf-8"))
    Draft202012Validator(schema).validate(json.loads((folder / "study.json").read_text("utf-8")))
    assert row["quick"] and row["config"]["limit"] == 9 and "QUICK" in (folder / "table.txt").read_text("utf-8")
    assert "Plotly" in (folder / "figure.html").read_text("utf-8")
    shown = {trace.name for trace in measured(row["panels"]).data}
    assert {"step beam", "vote", "reading", "answers"} <= shown


def test_series_keep_their_colour_and_stand_once_in_the_legend() -> None:
    point = {"x": 1, "value": 0.5, "low": 0.25, "high": 1.0, "count": 3}
    rows = [{"title": f"p{k}", "x": "N", "percent": True, "log": True, "points": [{"series": "<b>a", **point}]} for k in (0, 1)]
    first, second = measured([*rows, {**rows[0], "points": []}]).data
    assert first.marker.color == second.marker.color and (first.showlegend, second.showlegend) == (True, False)
    assert first.name == "&lt;b&gt;a" and first.error_y.array[0] == 0.5 and first.error_y.arrayminus[0] == 0.25


def test_every_study_is_named_has_a_recipe_and_says_its_cost(capsys: pytest.CaptureFixture[str]) -> None:
    assert set(STUDIES) == set(QUESTIONS)
    for name, study in STUDIES.items():
        args, _ = _parse(["study", name, "--config", str(ROOT / f"recipes/study_{name}.yaml")])
        assert build(type(study.full), args.recipe, name, study.full) == study.full, "a recipe holds the study's own sizes"
        assert study.cost(study.quick).minutes <= 5.0 < study.cost(study.full).minutes
        assert main(["study", name, "--quick", "--cost"]) == 0
        assert "chains" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "NAME is missing"),
        (["none"], "no study is called 'none'; there are selectors"),
        (["selectors", "--limit", "0"], "--limit is 0"),
        (["search", "--reward", "oracle"], "the study search takes no --reward"),
        (["shift", "--quick", "--config", str(ROOT / "recipes/study_shift.yaml")], "leave out --quick or --config"),
    ],
)
def test_mistakes_of_the_user_are_said(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", *words]) == 2
    assert says in capsys.readouterr().err
