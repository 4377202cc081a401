"""Evaluation: one pool for all selectors, costs as if each method ran alone, resuming, the picture control; the summary by hand."""

from __future__ import annotations

import functools
import json
import math
import random
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cos.answers import match
from cos.chain import Problem
from cos.errors import UserError
from cos.evaluate import Plan, evaluate
from cos.models.scripted import ScriptedPolicy, ScriptedScorer
from cos.problems import chain, corrupt, draw, problems
from cos.protocols import Costs, Prompt
from cos.search.methods import Settings
from cos.search.scheduler import solve
from cos.search.trace import SearchTrace
from cos.summary import summarise, table
from cos.template import pieces

SETTINGS = Settings(n=6, width=2, seed=3)
PROBLEMS = problems("all:test", 9)
METHODS = ("greedy", "sample", "vote", "best_of_n", "weighted_vote", "step_greedy", "step_beam")


def world_policy(known: Sequence[Problem] = PROBLEMS) -> ScriptedPolicy:
    """Writes right and corrupted chains of the worlds."""
    told = {problem.question: problem for problem in known}

    @functools.cache
    def written(question: str) -> list[list[str]]:
        right = chain(told[question], random.Random(1))
        return [pieces(right), *(pieces(corrupt(told[question], right, random.Random(i))) for i in range(5))]

    def script(prompt: Prompt, texts: tuple[str, ...], rng: random.Random) -> str:
        fitting = [chain_of for chain_of in written(prompt.question) if tuple(chain_of[: len(texts)]) == texts]
        return rng.choice(fitting)[len(texts)]

    return ScriptedPolicy(script, costs=Costs(flops_per_token=10.0, flops_per_image=1000.0))


def by_picture(prompt: Prompt, texts: tuple[str, ...]) -> float:
    """A reward that comes from the picture and the text alone."""
    return random.Random(repr((zlib.crc32(prompt.image.tobytes()), texts))).random()


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    out = tmp_path_factory.mktemp("eval")
    plan = Plan(PROBLEMS, METHODS, SETTINGS, block=4, traces=out / "traces")
    return evaluate(plan, world_policy(), None, out / "records.jsonl")


def test_with_the_truth_as_reward_search_finds_what_the_pool_holds(records: list[dict[str, Any]]) -> None:
    assert [row["problem"] for row in records] == [problem.id for problem in PROBLEMS]
    assert 0 < sum(row["methods"]["sample"]["right"] for row in records) < len(records)
    for row in records:
        assert row["pool"]["n"] == 6
        assert row["methods"]["best_of_n"]["right"] == (row["pool"]["right"] > 0)
        for method in row["methods"].values():
            assert method["right"] == match(method["answer"], row["gold"])


def test_the_oracle_knows_every_step(records: list[dict[str, Any]]) -> None:
    summary = summarise(records)
    assert summary["steps"]["all"]["auc"] == summary["steps"]["all"]["answer"] == 1.0
    kinds = {step[2] for row in records for step in row["steps"]}
    assert kinds == {"see", "compute", "answer"}
    assert all(step[0] == step[1] and step[3] is None for row in records for step in row["steps"])


@pytest.mark.parametrize("method", METHODS)
def test_costs_and_answers_are_those_of_the_method_alone(tmp_path: Path, method: str) -> None:
    scorer = ScriptedScorer(costs=Costs(flops_per_token=3.0))
    (row,) = evaluate(Plan(PROBLEMS[:1], METHODS, SETTINGS), world_policy(), scorer, tmp_path / "r.jsonl")
    alone = solve(Prompt(PROBLEMS[0].question, draw(PROBLEMS[0])), world_policy(), scorer, method, SETTINGS)
    found = row["methods"][method]
    assert found["answer"] == alone.answer
    assert found["tokens"] == alone.meter.tokens
    assert found["flops"] == pytest.approx(alone.meter.flops)
    assert found["seconds"] >= 0


def test_a_killed_run_goes_on_without_loss_or_double(tmp_path: Path, records: list[dict[str, Any]]) -> None:
    def untimed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [
            {
                **row,
                "methods": {
                    name: {key: value for key, value in method.items() if key != "seconds"} for name, method in row["methods"].items()
                },
            }
            for row in rows
        ]

    path, calls = tmp_path / "records.jsonl", list[tuple[int, int]]()
    evaluate(Plan(PROBLEMS[:5], METHODS, SETTINGS, block=2), world_policy(), None, path)
    path.write_bytes(path.read_bytes()[:-40])  # killed while it wrote the fifth
    again = evaluate(Plan(PROBLEMS, METHODS, SETTINGS, block=3), world_policy(), None, path, lambda *done: calls.append(done))
    assert untimed(again) == untimed([{key: row[key] for key in again[0]} for row in records])
    assert calls == [(4, 9), (7, 9), (9, 9)]
    assert len(path.read_text("utf-8").splitlines()) == len(PROBLEMS)


def test_traces_are_kept(tmp_path: Path) -> None:
    evaluate(Plan(PROBLEMS[:2], ("vote", "step_beam"), SETTINGS, traces=tmp_path), world_policy(), None, tmp_path / "r.jsonl")
    names = {f"{problem.id}.{method}.json" for problem in PROBLEMS[:2] for method in ("best_of_n", "step_beam")}
    assert {path.name for path in tmp_path.glob("*.json")} == names
    assert SearchTrace.load(tmp_path / f"{PROBLEMS[0].id}.step_beam.json").gold == PROBLEMS[0].answer


def test_another_picture_is_one_of_the_same_world_and_changes_rewards_only(tmp_path: Path) -> None:
    scorer = ScriptedScorer(by_picture)
    plan = Plan(PROBLEMS, ("vote",), SETTINGS, swap_images=True, traces=tmp_path)
    records = evaluate(plan, world_policy(), scorer, tmp_path / "r.jsonl")
    for index, problem in enumerate(PROBLEMS):
        other = PROBLEMS[(index + 3) % len(PROBLEMS)]  # three worlds in turn
        trace = SearchTrace.load(tmp_path / f"{problem.id}.best_of_n.json")
        wanted = [
            by_picture(Prompt("", draw(other)), tuple(above.text for above in trace.line(node)))
            for node in trace.nodes
            if node.answer is not None
        ]
        assert [step[3] for step in records[index]["steps"] if step[2] == "answer"] == wanted
        assert all(step[0] != step[3] for step in records[index]["steps"])
    assert scorer.tree.places == {}


def test_what_cannot_be_evaluated_is_said() -> None:
    with pytest.raises(UserError, match="no search method is called 'magic'"):
        Plan(PROBLEMS, ("magic",))
    with pytest.raises(UserError, match="weighted_vote"):
        Plan(PROBLEMS, ("weighted_vote",), Settings(aggregator="log_odds"))
    with pytest.raises(UserError, match="nothing to evaluate"):
        Plan([])


def test_the_oracle_looks_at_no_picture(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="oracle"):
        evaluate(Plan(PROBLEMS, swap_images=True), world_policy(), None, tmp_path / "r.jsonl")


def test_a_policy_that_always_fails_stops_the_run(tmp_path: Path) -> None:
    def broken(prompt: Prompt, texts: tuple[str, ...], rng: random.Random) -> str:
        raise UserError("no weights")

    with pytest.raises(UserError, match="best_of_n fails on every problem: no weights"):
        evaluate(Plan(PROBLEMS[:2]), ScriptedPolicy(broken), None, tmp_path / "r.jsonl")


# The summary, by hand -------------------------------------------------------------------------------------------------------------


def record(world: str, right: int, best: bool, vote: bool, answer: str | None = "1", steps: Sequence[Sequence[Any]] = ()) -> dict[str, Any]:
    cost = {"tokens": 10, "flops": 2.0, "seconds": 0.5}
    methods = {"vote": {"answer": answer, "right": vote, **cost}, "best_of_n": {"answer": "1", "right": best, **cost}}
    pool = {"n": 4, "answered": 3, "right": right}
    return {"problem": world, "world": world, "level": 1, "gold": "1", "pool": pool, "methods": methods, "steps": [list(s) for s in steps]}


BY_HAND = [
    record("a", 2, True, False, None),
    record("a", 4, True, True, "can't tell", steps=[(0.9, 1, "see", 0.1), (0.2, 0, "see", 0.4), (0.5, 0, "compute", 0.5)]),
    record("b", 0, False, False, steps=[(0.1, 1, "compute", 0.1), (0.7, 1, "answer", 0.7)]),
    record("b", 1, True, False),
]


def test_accuracies_and_passes() -> None:
    summary = summarise(BY_HAND)
    assert summary["pass_at_n"] == 0.75
    # of 4 chains 2, 4, 0, 1 are right: pass@1 is 2/4, 1, 0, 1/4; pass@2 is 1 - 1/6, 1, 0, 1/2
    assert summary["pass_at"] == {"1": pytest.approx(1.75 / 4), "2": pytest.approx((5 / 6 + 1.5) / 4), "4": 0.75}
    assert summary["pool_parse_rate"] == 0.75
    best, vote = summary["methods"]["best_of_n"], summary["methods"]["vote"]
    assert (best["accuracy"], vote["accuracy"]) == (0.75, 0.25)
    z, p, n = 1.959964, 0.75, 4
    centre, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert best["ci95"] == pytest.approx([(centre - half) / (1 + z * z / n), (centre + half) / (1 + z * z / n)], abs=1e-6)
    assert (vote["parse_rate"], vote["refused"], best["parse_rate"], best["refused"]) == (0.75, 0.25, 1.0, 0.0)
    assert (best["selector_gap"], vote["selector_gap"]) == (0.0, 0.5)
    assert vote["recovered"] == pytest.approx((0.25 - 0.4375) / (0.75 - 0.4375))
    assert (best["tokens"], best["flops"], best["seconds"]) == (10, 2.0, 0.5)


def test_pairs() -> None:
    (pair,) = summarise(BY_HAND)["paired"]
    assert (pair["ours"], pair["theirs"], pair["difference"]) == ("best_of_n", "vote", 0.5)
    assert pair["ci95"][0] <= 0.5 <= pair["ci95"][1]
    assert pair["p"] == pair["p_holm"] == 0.5  # two problems, both only ours: 2 x 1/4


def test_step_aucs() -> None:
    steps = summarise(BY_HAND)["steps"]
    assert (steps["all"]["see"], steps["all"]["swapped_see"]) == (1.0, 0.0)
    assert steps["all"]["auc"] == 0.5  # right 0.9 and 0.1, wrong 0.2 and 0.5
    assert steps["all"]["swapped_auc"] == 0.0  # right 0.1 and 0.1, wrong 0.4 and 0.5
    assert steps["all"]["compute"] == 0.0
    assert steps["a"]["answer"] is None and steps["b"]["auc"] is None and steps["b"]["right"] == 1.0
    assert (steps["all"]["count"], steps["all"]["right"]) == (4, 0.5)


def test_groups_and_text() -> None:
    summary = summarise(BY_HAND)
    assert summary["worlds"]["a"]["pass_at_n"] == 1.0 and summary["worlds"]["b"]["methods"]["best_of_n"]["accuracy"] == 0.5
    assert summary["levels"]["1"]["problems"] == 4
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert "best_of_n - vote: +50.0%" in table(summary)
