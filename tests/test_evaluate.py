"""Evaluation: one pool for all selectors, costs as if each method ran alone, resuming, the picture control; the summary by hand."""

from __future__ import annotations

import functools
import json
import math
import random
import shutil
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny_models import LOOK, tiny

from cos.__main__ import main
from cos.answers import match
from cos.chain import Problem
from cos.errors import UserError
from cos.evaluate import Plan, _Block, evaluate
from cos.meter import Meter
from cos.models.scripted import ScriptedPolicy, ScriptedScorer
from cos.problems import chain, corrupt, draw, problems
from cos.protocols import Costs, Draw, Piece, Prompt, Scored, ToScore
from cos.rewards.step_tag import StepTagScorer
from cos.search.methods import Settings
from cos.search.scheduler import solve
from cos.search.select import select
from cos.search.trace import SearchTrace, without_times
from cos.summary import COSTS, by_budget, points, summarise
from cos.tables import table
from cos.template import pieces
from cos.truths import Truth

SETTINGS = Settings(n=6, width=2, seed=3)
PROBLEMS = problems("all:test", 9, 3)
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

    return ScriptedPolicy(script, costs=Costs(flops_per_token=10.0, flops_per_image=1000.0, kv_bytes_per_token=5.0))


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
    assert 0 < sum(row["methods"]["sample"]["6"]["right"] for row in records) < len(records)
    for row in records:
        assert row["pool"]["n"] == 6
        assert row["methods"]["best_of_n"]["6"]["right"] == (row["pool"]["right"] > 0)
        for method in row["methods"].values():
            assert method["6"]["right"] == match(method["6"]["answer"], row["gold"])


def test_the_oracle_knows_every_step(records: list[dict[str, Any]]) -> None:
    summary = summarise(records)
    assert summary["steps"]["all"]["auc"] == summary["steps"]["all"]["answer"] == 1.0
    kinds = {step[2] for row in records for step in row["steps"]}
    assert kinds == {"see", "compute", "answer"}
    assert all(step[0] == step[1] and step[3] is None for row in records for step in row["steps"])


def sloppy_policy(share: float) -> ScriptedPolicy:
    """Loses the thread in some pieces, so that chains end without an answer."""
    good = world_policy()

    def script(prompt: Prompt, texts: tuple[str, ...], rng: random.Random) -> str:
        return "and so on" if rng.random() < share else good.script(prompt, texts, rng)

    return ScriptedPolicy(script, costs=good.costs)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.6])
@pytest.mark.parametrize("method", METHODS)
def test_costs_and_answers_are_those_of_the_method_alone(tmp_path: Path, method: str, share: float) -> None:
    scorer = ScriptedScorer(costs=Costs(flops_per_token=3.0, flops_per_image=7.0, kv_bytes_per_token=2.0))
    problem, ns, policy = PROBLEMS[1], (1, 2, 5, 9), sloppy_policy(share)
    (row,) = evaluate(Plan([problem], METHODS, SETTINGS, budgets=ns), policy, scorer, tmp_path / "r.jsonl")
    for n in ns:
        settings = replace(SETTINGS, n=n)
        alone = solve(Prompt(problem.question, draw(problem)), policy, scorer, method, settings)
        found = row["methods"][method][str(n)]
        assert found["answer"] == alone.answer
        assert {key: found[key] for key in COSTS if key != "seconds"} == pytest.approx(
            {key: value for key, value in alone.meter.to_json().items() if key != "seconds"}
        )
        assert found["seconds"] >= 0


def untimed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = without_times(rows)
    return found


def test_two_runs_are_the_same(tmp_path: Path, records: list[dict[str, Any]]) -> None:
    plan = Plan(PROBLEMS, METHODS, SETTINGS, block=9, traces=tmp_path / "traces")
    assert untimed(evaluate(plan, world_policy(), None, tmp_path / "records.jsonl")) == untimed(records)


def test_a_killed_run_goes_on_without_loss_or_double(tmp_path: Path, records: list[dict[str, Any]]) -> None:
    path, calls, traces = tmp_path / "records.jsonl", list[tuple[int, int]](), tmp_path / "traces"
    evaluate(Plan(PROBLEMS[:5], METHODS, SETTINGS, block=2, traces=traces), world_policy(), None, path)
    path.write_bytes(path.read_bytes()[:-40])  # killed while it wrote the fifth
    plan = Plan(PROBLEMS, METHODS, SETTINGS, block=3, traces=traces)
    again = evaluate(plan, world_policy(), None, path, lambda *done: calls.append(done))
    assert untimed(again) == untimed([{key: row[key] for key in again[0]} for row in records])
    assert calls == [(4, 9), (6, 9), (9, 9)]
    assert len(path.read_text("utf-8").splitlines()) == len(PROBLEMS)


@pytest.mark.parametrize("pools", [False, True])
def test_a_cut_block_is_made_again_whole(tmp_path: Path, pools: bool) -> None:
    """What rounds differently with the company in a batch still gives the same records after a kill."""

    class Rounding(ScriptedScorer):
        def score(self, requests: Sequence[ToScore]) -> list[Scored]:
            size = len(requests)
            return [replace(one, rewards=tuple(r * (1 - size * 1e-9) for r in one.rewards)) for one in super().score(requests)]

    def run(name: str) -> list[dict[str, Any]]:
        home = tmp_path / name
        plan = Plan(PROBLEMS[:8], ("best_of_n", "step_beam"), SETTINGS, block=4, pools=home / "pool" if pools else None)
        return untimed(evaluate(plan, world_policy(), Rounding(), home / "run" / "records.jsonl"))

    whole = run("whole")
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    file = tmp_path / "cut" / "run" / "records.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:5], lines[5][:50]]))  # killed while it wrote the sixth
    for problem in PROBLEMS[6:8] if pools else ():
        (tmp_path / "cut" / "pool" / f"{problem.id}.jsonl").unlink()  # and even while it kept the pools
    assert run("cut") == whole


# Pools ----------------------------------------------------------------------------------------------------------------------------


class Counted(ScriptedPolicy):
    """Counts what is asked of it."""

    draws = opened = 0

    def draw(self, requests: Sequence[Draw]) -> list[list[Piece]]:
        self.draws += len(requests)
        return super().draw(requests)


def pooled(path: Path, methods: Sequence[str], limit: int, policy: ScriptedPolicy, problems: Sequence[Problem] = PROBLEMS) -> list[Any]:
    plan = Plan(problems[:limit], methods, SETTINGS, budgets=(1, 4), pool_n=8, pools=path / "pool", block=4)
    return evaluate(plan, policy, ScriptedScorer(), path / f"{len(methods)}-{limit}" / "records.jsonl")


def test_a_pool_is_drawn_once_and_serves_every_selector_and_later_runs(tmp_path: Path) -> None:
    first, second, third = (Counted(world_policy().script) for _ in range(3))
    pooled(tmp_path, ("vote", "best_of_n", "weighted_vote"), 5, first)
    assert first.draws == 5 * 8
    again = pooled(tmp_path, ("vote", "best_of_n"), 9, second)
    assert second.draws == 5 * 8  # the block with the fifth, and the ninth: the first four were all there
    for row in again:
        trace = SearchTrace.load(tmp_path / "2-9" / row["methods"]["vote"]["4"]["trace"])
        assert (trace.problem, trace.method, trace.settings["n"]) == (row["problem"], "best_of_n", 8)
        assert row["pool"]["n"] == 8 and row["pool"]["answered"] == sum(leaf.count for leaf in trace.pool())
        assert row["pool"]["votes"] == [int(match(select(trace, "vote", n=k), row["gold"])) for k in range(1, 9)]
    alone = evaluate(Plan(PROBLEMS, ("vote", "best_of_n"), SETTINGS, budgets=(1, 4), pool_n=8), third, ScriptedScorer(), tmp_path / "r")
    told = [{**row, "methods": {m: {n: without(r, "trace") for n, r in ns.items()} for m, ns in row["methods"].items()}} for row in again]
    assert untimed(told) == untimed(alone)


def without(row: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != key}


def test_a_pool_of_another_problem_is_not_taken(tmp_path: Path) -> None:
    pooled(tmp_path, ("vote",), 2, world_policy())
    changed = [replace(problem, answer="no such thing") for problem in PROBLEMS]
    policy = Counted(world_policy().script)
    (row,) = pooled(tmp_path, ("best_of_n",), 1, policy, changed)
    assert policy.draws == 8 and row["pool"]["right"] == 0


def test_live_searches_run_at_every_budget_and_one_chain_once(tmp_path: Path) -> None:
    policy = Counted(world_policy().script)
    plan = Plan(PROBLEMS[:1], ("greedy", "step_greedy"), SETTINGS, budgets=(4, 2), traces=tmp_path)
    (row,) = evaluate(plan, policy, ScriptedScorer(), tmp_path / "r.jsonl")
    assert row["methods"]["greedy"]["2"] == row["methods"]["greedy"]["4"]
    assert row["methods"]["step_greedy"]["2"]["tokens"] < row["methods"]["step_greedy"]["4"]["tokens"]
    for n in (2, 4):
        assert SearchTrace.load(tmp_path / row["methods"]["step_greedy"][str(n)]["trace"]).settings["n"] == n


def test_a_search_sees_what_the_scorer_carries(tmp_path: Path) -> None:
    scorer, policy = ScriptedScorer(), world_policy()
    setattr(scorer, "calibration", float)  # noqa: B010 (for adaptive_n; the protocol does not ask for one)
    block = _Block(Plan(PROBLEMS[:1]), PROBLEMS[:1], policy, scorer, tmp_path)
    assert block.scorer.calibration is float and block.scorer.name == "scripted" and not hasattr(block.policy, "calibration")


def test_prompts_are_read_once_a_block_and_closed(tmp_path: Path) -> None:
    def forwards(methods: Sequence[str]) -> tuple[int, int, int]:
        scorer, policy = StepTagScorer(tiny(look=LOOK)), world_policy()
        plan = Plan(PROBLEMS[:3], methods, Settings(n=2, width=1), budgets=(1, 2))
        evaluate(plan, policy, scorer, tmp_path / f"{len(methods)}.jsonl")
        assert policy.tree.places == {} and not scorer._prompts.nodes
        return scorer.forwards["vision"], scorer.forwards["prefill"], scorer.forwards["decode"]

    alone = forwards(["vote"])
    assert alone[0] == 3 and alone[2] > 0  # each picture is looked at and described once
    assert forwards(["vote", "step_beam", "step_greedy"]) == alone


def test_traces_are_kept(tmp_path: Path) -> None:
    evaluate(Plan(PROBLEMS[:2], ("vote", "step_beam"), SETTINGS, traces=tmp_path), world_policy(), None, tmp_path / "r.jsonl")
    names = {f"{problem.id}.{method}.6.json" for problem in PROBLEMS[:2] for method in ("best_of_n", "step_beam")}
    assert {path.name for path in tmp_path.glob("*.json")} == names
    assert SearchTrace.load(tmp_path / f"{PROBLEMS[0].id}.step_beam.6.json").gold == PROBLEMS[0].answer


def test_another_picture_is_one_of_the_same_world_and_changes_rewards_only(tmp_path: Path) -> None:
    scorer = ScriptedScorer(by_picture)
    plan = Plan(PROBLEMS, ("vote",), SETTINGS, swap_images=True, traces=tmp_path)
    records = evaluate(plan, world_policy(), scorer, tmp_path / "r.jsonl")
    for index, problem in enumerate(PROBLEMS):
        other = PROBLEMS[(index + 3) % len(PROBLEMS)]  # three worlds in turn
        trace = SearchTrace.load(tmp_path / f"{problem.id}.best_of_n.6.json")
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
    with pytest.raises(UserError, match="n is 1, 8; it must be 1 or more, and a pool of 4"):
        Plan(PROBLEMS, budgets=(8, 1), pool_n=4)
    with pytest.raises(UserError, match="at least two problems"):
        Plan(PROBLEMS[:1], swap_images=True)
    with pytest.raises(UserError, match="n is 0, 8"):
        Plan(PROBLEMS, budgets=(8, 0))


def test_the_oracle_looks_at_no_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match="oracle"):
        evaluate(Plan(PROBLEMS, swap_images=True), world_policy(), None, tmp_path / "r.jsonl")
    words = ["eval", "--set", "all:test", "--limit", "2", "--policy", "scripted", "--reward", "oracle", "--swap-images"]
    assert main([*words, "--pool", "4", "--n", "2", "--out", str(tmp_path / "run")]) == 2
    assert "leave out --swap-images" in capsys.readouterr().err and not [*tmp_path.iterdir()]


def test_a_policy_that_always_fails_stops_the_run(tmp_path: Path) -> None:
    def broken(prompt: Prompt, texts: tuple[str, ...], rng: random.Random) -> str:
        raise UserError("no weights")

    with pytest.raises(UserError, match="best_of_n fails on every problem: no weights"):
        evaluate(Plan(PROBLEMS[:2]), ScriptedPolicy(broken), None, tmp_path / "r.jsonl")


def test_the_verb_with_several_budgets_and_a_pool(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plotly.graph_objects.Figure.write_image", lambda *_, **__: None)  # starting Chrome takes seconds
    words = ["eval", "--set", "all:test", "--limit", "6", "--policy", "scripted", "--reward", "scripted", "--n", "4,1", "--pool", "8"]
    assert main([*words, "--methods", "vote,step_beam", "--out", str(tmp_path / "a")]) == 0
    text = capsys.readouterr().out
    assert (tmp_path / "a" / "table.txt").read_text("utf-8") in text and "pass@8" in text
    assert (tmp_path / "a" / "curves.html").stat().st_size > 1e6  # with Plotly inside, so that it opens anywhere
    (pool,) = tmp_path.glob("pool-all-test-*")
    files = {file: file.stat().st_mtime_ns for file in pool.glob("*.jsonl")}
    assert len(files) == 6
    assert main([*words, "--methods", "best_of_n", "--out", str(tmp_path / "b"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["n"], found["pool_n"], [*found["budgets"]]) == ([1, 4], 8, ["1", "4"])
    assert {file: file.stat().st_mtime_ns for file in tmp_path.glob("pool-*/*.jsonl")} == files
    assert main([*words, "--seed", "1", "--methods", "vote", "--out", str(tmp_path / "c")]) == 0
    assert len([*tmp_path.glob("pool-*")]) == 2
    capsys.readouterr()
    assert main([*words[:-1], "2", "--methods", "vote", "--out", str(tmp_path / "d")]) == 2
    assert "a pool of 2 must hold as many" in capsys.readouterr().err and not (tmp_path / "d").exists()
    assert main([*words, "--n", "4,x"]) == 2
    assert "'4,x' is no number, nor numbers with commas between" in capsys.readouterr().err


# The summary, by hand -------------------------------------------------------------------------------------------------------------


def record(world: str, right: int, best: bool, vote: bool, answer: str | None = "1", steps: Sequence[Sequence[Any]] = ()) -> dict[str, Any]:
    cost = Meter(policy_decode=6, reward_step=4, flops=2.0, seconds=0.5).to_json()
    methods = {"vote": {"4": {"answer": answer, "right": vote, **cost}}, "best_of_n": {"4": {"answer": "1", "right": best, **cost}}}
    pool = {"n": 4, "answered": 3, "right": right, "votes": [0, 1, 0, int(vote)], "vote_flops": [1.0, 1.5, 2.5, 3.0]}
    head = {"problem": world, "world": world, "level": 1, "kind": "sum", "gold": "1"}
    return {**head, "pool": pool, "methods": methods, "steps": [list(s) for s in steps]}


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
    text = table(summary)
    assert "n=4: best_of_n - vote +50.0%" in text and "b (2): pass@4 50.0%, vote 0.0%, best_of_n 50.0%" in text


def several() -> list[dict[str, Any]]:
    """Ten problems, n of 1 and 4: at 4 the rewarded method has 8 right, the vote 2 of 4 chains or of 2 none."""
    rows = []
    for index in range(10):
        row = record("a", 2, index < 8, index < 2)
        steps = [[1, 1], [1, int(index < 5)]] if index else [[1, 0]]
        row["methods"] = {name: {"1": {**ns["4"], "flops": 0.5}, "4": ns["4"]} for name, ns in row["methods"].items()}
        row["methods"]["step_beam"] = {n: {**result, "survival": steps} for n, result in row["methods"]["best_of_n"].items()}
        row["methods"]["greedy"] = {"1": row["methods"]["vote"]["1"], "4": row["methods"]["vote"]["1"]}
        rows.append(row)
    return rows


def test_several_budgets_nest() -> None:
    summary = summarise(several())
    assert (summary["n"], summary["pool_n"], [*by_budget(summary)]) == ([1, 4], 4, [1, 4])
    assert not {"methods", "paired", "worlds", "levels", "pass_at_n"} & set(summary)
    assert {n: row["pass_at_n"] for n, row in by_budget(summary).items()} == {1: 0.5, 4: 1.0}  # 2 of 4 are right everywhere
    assert [(row["method"], row["n"]) for row in points(summary)] == [
        *(("vote", 1), ("best_of_n", 1), ("step_beam", 1), ("greedy", 1)),
        *(("vote", 4), ("best_of_n", 4), ("step_beam", 4)),
    ]
    assert summary["budgets"]["1"]["paired"] == []  # nothing is chosen among one
    compared = [(row["ours"], row["theirs"]) for row in summary["budgets"]["4"]["paired"]]
    assert compared == [
        *(("vote", "greedy"), ("best_of_n", "greedy"), ("step_beam", "greedy")),
        *(("best_of_n", "vote"), ("step_beam", "vote")),
        ("step_beam", "best_of_n"),
    ]
    # Holm over these six: four have p = 2 / 2^6 (6 problems, all one way), the smallest is multiplied by 6; the others are equal
    assert [round(row["p_holm"], 6) for row in summary["budgets"]["4"]["paired"]] == [1.0, 0.1875, 0.1875, 0.1875, 0.1875, 1.0]


def test_a_vote_of_equal_cost() -> None:
    summary = summarise(several())
    rows = {(row["method"], row["n"]): row for row in summary["equal_flops"]}
    assert [*rows] == [("best_of_n", 4), ("step_beam", 4)]
    dear = rows["best_of_n", 4]
    assert (dear["vote_n"], dear["vote_flops"], dear["vote_accuracy"]) == (3, 2.5, 0.0)  # of 1, 1.5, 2.5 and 3 the first with at least 2
    assert dear["difference"] == pytest.approx(0.8) and not dear["capped"]
    assert dear["p"] == pytest.approx(2 / 2**8) and dear["p_holm"] == pytest.approx(2 * 2 / 2**8)
    text = table(summary)
    assert "equal FLOPs: best_of_n at n=4 - vote of 3 +80.0%" in text and text.count("better than voting") == 1


def test_where_the_pool_is_cheaper_the_vote_is_capped_and_without_flops_there_is_none() -> None:
    rows = several()
    for row in rows:
        row["methods"]["best_of_n"]["4"]["flops"] = 9.0
    summary = summarise(rows)
    assert [row["vote_n"] for row in summary["equal_flops"] if row["capped"]] == [4]
    line = next(line for line in table(summary).splitlines() if ": best_of_n at n=4 - vote of 4" in line)
    assert line.startswith("no equal FLOPs, 0.33 of them: ") and "better than voting" not in line
    for row in rows:
        row["pool"]["vote_flops"] = [0.0] * 4
    assert summarise(rows)["equal_flops"] == []


def test_survival_of_right_paths() -> None:
    found = summarise(several())["budgets"]["4"]["methods"]
    assert found["step_beam"]["survival"] == [{"depth": 1, "drawn": 1.0, "kept": 0.9}, {"depth": 2, "drawn": 1.0, "kept": 0.4}]
    assert "survival" not in found["best_of_n"]


def test_survival_in_a_search_that_prunes_a_right_path() -> None:
    problem = PROBLEMS[0]
    right = chain(problem, random.Random(1))
    first = len(pieces(right)) - 1

    def rule(prompt: Prompt, texts: tuple[str, ...]) -> float:
        """Likes the last step of the right chain least of all."""
        return 0.1 if texts[-1] == pieces(right)[first - 1] else 0.9

    scripts = [pieces(right), *(pieces(corrupt(problem, right, random.Random(i))) for i in range(30))]
    wrong = next(s for s in scripts if s[: first - 1] == scripts[0][: first - 1] and s[first - 1] != scripts[0][first - 1])

    def script(prompt: Prompt, texts: tuple[str, ...], rng: random.Random) -> str:
        options = [s for s in (scripts[0], wrong) if tuple(s[: len(texts)]) == texts]
        return options[rng.randrange(len(options))][len(texts)]

    search = solve(Prompt(problem.question), ScriptedPolicy(script), ScriptedScorer(rule), "step_greedy", Settings(n=8))
    found = Truth(problem).survival(search)
    assert found[: first - 1] == [[1, 1]] * (first - 1)
    assert found[first - 1] == [1, 0]  # drawn, and pruned for its reward
    assert all(row == [0, 0] for row in found[first:])


def test_a_problem_that_cannot_be_judged_fails_alone(tmp_path: Path) -> None:
    def rule(prompt: Prompt, texts: tuple[str, ...]) -> float:
        if prompt.question == PROBLEMS[1].question:
            raise UserError("refused")
        return 0.5

    rows = evaluate(Plan(PROBLEMS[:3], ("vote", "best_of_n")), world_policy(), ScriptedScorer(rule), tmp_path / "r.jsonl")
    judged = [row["methods"]["best_of_n"]["16"]["reward_calls"] for row in rows]
    assert len(rows) == 3 and not judged[1] and judged[0] and judged[2]
