"""Labels from the truth, a reward model, a judge, and of two sources; and `cos label` from a pool to a file that resumes."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import picture, tiny

from cos.__main__ import main
from cos.answers import match
from cos.chain import Chain, Labelled, Problem, Sample, Step, StepLabels
from cos.label import Reply, by_judge, by_reward, by_truth, consensus, question, speaker, verdicts
from cos.meter import Meter
from cos.models.scripted import ScriptedScorer, words
from cos.problems import chain as right_chain
from cos.problems import check, corrupt, problems
from cos.protocols import Costs, Prompt
from cos.store import read, write
from cos.template import pieces

CHAIN = Chain((Step("Read", "Red is 3.", "Seen."), Step("End", "It is 3.", "So.")), "3")
PROBLEM = Problem("p", "How many?", "3")
SAMPLE = Sample(PROBLEM, 0, CHAIN)
Captured = pytest.CaptureFixture[str]


def no_picture(problem: Problem) -> None:
    return None


def test_the_truth_labels_steps_and_answer() -> None:
    rng, pool = random.Random(1), []
    for number, problem in enumerate(problems("all:train", 12)):
        right = right_chain(problem, rng)
        pool.append(Sample(problem, number, right if number % 2 else corrupt(problem, right, rng)))
    made = by_truth(pool, lambda problem, step: check(problem, step).label, lambda problem, answer: match(answer, problem.answer))
    for number, one in enumerate(made):
        assert (one.labels.first_error() is None) == bool(number % 2), one
        assert one.labels.answer == float(match(one.chain.answer, one.problem.answer)) and one.cost == {} and one.labels.source == "truth"


def test_rewards_are_soft_labels_and_their_cost_is_counted() -> None:
    scorer = ScriptedScorer(lambda prompt, texts: len(texts) / 4, costs=Costs(flops_per_token=2.0))
    half = replace(SAMPLE, number=1, chain=replace(CHAIN, answer=None))
    made = by_reward(scorer, [SAMPLE, half, replace(SAMPLE, number=2, chain=Chain())], no_picture)
    assert [one.labels for one in made] == [
        StepLabels((0.25, 0.5), 0.75, "reward"),
        StepLabels((0.25, 0.5), None, "reward"),
        StepLabels((), None, "reward"),
    ]
    read = [len(words(text)) + 1 for text in pieces(CHAIN)]
    cost = {key: value for key, value in made[0].cost.items() if key != "seconds"}
    tokens = sum(read) + len(words("How many?"))
    assert cost == {
        "reward_prefill": len(words("How many?")),
        "reward_step": sum(read),
        "reward_calls": 3,
        "flops": 2.0 * tokens,
        "tokens": tokens,
    }
    assert made[1].cost["reward_calls"] == 2 and made[2].cost == {} and not scorer.tree.places


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Step 1: Good\nStep 2: Bad\nAnswer: Bad", ["good", "bad", "bad"]),
        ("**Step 1** - neutral, it says nothing\n\n- step 2: GOOD.\nAnswer: good<|im_end|>", ["neutral", "good", "good"]),
        ("Step 2: Good\nStep 9: Bad", [None, "good", None]),
        ("Step 1: Good\nStep 1: Bad\nAnswer: Good\nAnswer: Good", [None, None, "good"]),
        ("The first step is good.", [None, None, None]),
        ("Step 1: Good or Bad?\nStep 2: goodness\nAnswer: perhaps", ["good", None, None]),
        ("Step " + "1" * 5000 + ": Good", [None, None, None]),
        ("", [None, None, None]),
    ],
)
def test_verdicts_are_read(text: str, found: list[str | None]) -> None:
    assert verdicts(text, CHAIN) == found
    assert verdicts(text, replace(CHAIN, answer=None)) == found[:2]


@given(st.text(st.sampled_from("Step 1:Answer good bad\n2³"), max_size=60))
def test_no_reply_breaks_the_reader(text: str) -> None:
    assert len(verdicts(text, CHAIN)) == 3


def test_a_judge_is_asked_and_what_it_does_not_say_is_counted() -> None:
    asked: list[Prompt] = []

    def judge(prompts: Any) -> list[Reply]:
        asked.extend(prompts)
        return [Reply("Step 1: Good\nStep 2: Neutral\nAnswer: Bad", Meter(policy_decode=9)), Reply("I can't say.")]

    one, other = by_judge(judge, [SAMPLE, replace(SAMPLE, number=1)], no_picture)
    assert (one.labels, one.details["unparsed"], one.cost) == (StepLabels((1.0, None), 0.0, "judge"), 0, {"policy_decode": 9, "tokens": 9})
    assert (other.labels, other.details["unparsed"]) == (StepLabels((None, None), None, "judge"), 3)
    assert asked[0].question == question(PROBLEM, CHAIN) and "Step 2: End. It is 3. So.\nAnswer: 3\n" in asked[0].question


def test_any_model_that_talks_can_be_asked() -> None:
    """An untrained one says nothing that can be read; it is asked with the picture, and what it read and wrote is counted."""
    from cos.engine.torch_engine import TorchPolicy

    policy = TorchPolicy(tiny(gain=1.0))
    made = by_judge(speaker(policy, max_tokens=9), [SAMPLE, replace(SAMPLE, number=1)], lambda problem: picture(1))
    assert [one.details["unparsed"] for one in made] == [3, 3] and made[0].details["said"] == made[1].details["said"] != ""
    assert policy.forwards["prefill"] == made[0].cost["policy_prefill"] and made[0].cost["vision_calls"] == 1
    assert policy.forwards["decode"] == sum(one.cost["policy_decode"] for one in made) <= 18 and not policy._prompts.nodes


def labelled(*steps: float | None, answer: float | None = None, source: str = "truth", cost: float = 1.0) -> Labelled:
    chain = Chain(tuple(Step(str(at), "", "") for at in range(len(steps))), "3")
    return Labelled("p/0", PROBLEM, chain, StepLabels(steps, answer, source), {"tokens": cost})


def test_consensus_keeps_what_both_say() -> None:
    kept = consensus(labelled(1, 0.2, 1, None, answer=0), labelled(0.9, 0, 0, 1, answer=0.1, source="judge", cost=2))
    assert kept is not None and kept.labels == StepLabels((1.0, 0.0, None, None), 0.0, "consensus")
    assert (kept.cost, kept.details) == ({"tokens": 3.0}, {"sources": ["truth", "judge"]})
    assert consensus(labelled(1, 0), labelled(0, 0)) is None and consensus(labelled(1, 1), labelled(1, 0)) is None
    assert consensus(labelled(1, 1), labelled(1, 1)) is not None
    with pytest.raises(ValueError, match="not the same chain"):
        consensus(labelled(1, 1), labelled(1, 1, 1))


LABELS = st.lists(st.sampled_from([None, 0.0, 0.3, 0.5, 1.0]), min_size=3, max_size=4)


@given(LABELS, LABELS)
def test_consensus_is_symmetric_and_says_nothing_new(one: list[float | None], other: list[float | None]) -> None:
    size = min(len(one), len(other))
    a, b = labelled(*one[:size]), labelled(*other[:size])
    there, back = consensus(a, b), consensus(b, a)
    assert (there is None) == (back is None) == (a.labels.first_error() != b.labels.first_error())
    if there and back:
        assert there.labels == back.labels
        for mine, theirs, both in zip(a.labels.steps, b.labels.steps, there.labels.steps, strict=True):
            assert both is None or ((mine or 0) >= 0.5) == ((theirs or 0) >= 0.5) == bool(both)


# The verb --------------------------------------------------------------------------------------------------------------------------


def cos(capsys: Captured, *given: str | Path) -> dict[str, Any]:
    assert main([*map(str, given), "--json"]) == 0, capsys.readouterr().err
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.fixture
def pool(tmp_path: Path, capsys: Captured) -> Path:
    """Six chains, half of them right, of three problems."""
    rng, rows = random.Random(0), []
    for problem in problems("all:train", 3):
        right = right_chain(problem, rng)
        rows += [Sample(problem, 0, right), Sample(problem, 1, corrupt(problem, right, rng))]
    write(tmp_path / "pool.jsonl", "pool", [row.to_json() for row in rows])
    return tmp_path / "pool.jsonl"


def records(path: Path) -> list[Labelled]:
    return list(read(path / "labels.jsonl", "labels", Labelled.from_json))


def timeless(path: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (path / "labels.jsonl").read_text().splitlines()]
    return [{**row, "cost": {key: value for key, value in row["cost"].items() if key != "seconds"}} for row in rows]


def against_truth(made: list[Labelled]) -> dict[str, float]:
    """By brute force; every step of these chains can be checked."""
    rows = []
    for one in made:
        true = [check(one.problem, step).label for step in one.chain.steps]
        shares = [right / drawn for right, drawn in zip(one.details["right"], one.details["drawn"], strict=True)]
        rows += [
            (share, label, true[at], min(true[: at + 1])) for at, (share, label) in enumerate(zip(shares, one.labels.steps, strict=True))
        ]
    pairs = [(a[0] > b[0]) + 0.5 * (a[0] == b[0]) for a in rows if a[2] for b in rows if not b[2]]
    first = [next((at for at, step in enumerate(one.chain.steps) if not check(one.problem, step).label), None) for one in made]
    return {
        "steps": len(rows),
        "same": sum(label == true for _, label, true, _ in rows) / len(rows),
        "so_far": sum(label == before for _, label, _, before in rows) / len(rows),
        "auc": pytest.approx(sum(pairs) / len(pairs)),
        "first_error": sum(one.labels.first_error() == at for one, at in zip(made, first, strict=True)) / len(made),
    }


@pytest.mark.parametrize("by", ["truth", "rollouts", "binary", "reward", "judge"])
def test_labels_of_every_source_go_on_after_a_kill(tmp_path: Path, capsys: Captured, pool: Path, by: str) -> None:
    out, models = tmp_path / by, ("--policy", "scripted", "--reward", "scripted", "--judge", "scripted", "--n", "2", "--block", "2")
    found = cos(capsys, "label", pool, "--by", by, "--out", out, *models)
    made = records(out)
    assert (found["chains"], found["new"], found["labelled"]) == (6, 6, 6) and {one.labels.source for one in made} == {by}
    assert [one.chain for one in made] == [row.chain for row in read(pool, "pool", Sample.from_json)]
    steps = [label for one in made for label in one.labels.steps]
    kinds = {"none": steps.count(None), "right": sum((label or 0) >= 0.5 for label in steps)}
    assert {key: found["steps"].get(key, 0) for key in kinds} == kinds and sum(found["steps"].values()) == len(steps)
    assert found["cost"].get("tokens", 0) == pytest.approx(sum(one.cost.get("tokens", 0) for one in made))
    if by == "judge":  # a script that writes chains gives no verdict
        assert found["unparsed"] == sum(len(one.chain.steps) + 1 for one in made)
    if by == "truth":
        assert found["truth"]["same"] == found["truth"]["first_error"] == found["truth"]["auc"] == 1.0
    if by == "rollouts":
        assert found["truth"] == against_truth(made)
    whole, file = timeless(out), out / "labels.jsonl"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:3]) + '{"schema": "cos.la')
    again = cos(capsys, "label", pool, "--by", by, "--out", out, *models)
    assert again["new"] == 3 and timeless(out) == whole
    assert main(["label", str(pool), "--by", by, "--out", str(out), "--seed", "9", *models]) == 2
    assert "other settings (seed)" in capsys.readouterr().err


def test_consensus_of_two_files(tmp_path: Path, capsys: Captured, pool: Path) -> None:
    cos(capsys, "label", pool, "--by", "truth", "--out", tmp_path / "a")
    rows = [one.to_json() for one in records(tmp_path / "a")]
    rows[0]["labels"]["steps"][0] = 0  # a person differs on one chain and has not seen another
    write(tmp_path / "human.jsonl", "labels", [{**row, "source": "human", "cost": {}} for row in rows[:-1]])
    words = ("label", tmp_path / "a/labels.jsonl", "--by", "consensus", "--with", tmp_path / "human.jsonl", "--out", tmp_path / "b")
    found = cos(capsys, *words)
    assert [one.id for one in records(tmp_path / "b")] == [row["id"] for row in rows[1:-1]] and found["labelled"] == 4
    assert records(tmp_path / "b")[0].details["sources"] == ["truth", "human"] and cos(capsys, *words)["new"] == 0


def test_mistakes_are_one_line(tmp_path: Path, capsys: Captured, pool: Path) -> None:
    write(tmp_path / "own.jsonl", "pool", [replace(SAMPLE, problem=Problem("p", "How many?")).to_json()])
    old = tmp_path / "old.jsonl"
    old.write_text('{"schema": "cos.pool/1", "id": "a", "chains": []}\n')
    mistakes: tuple[tuple[list[Any], str], ...] = (
        ([], "FILE is missing"),
        ([pool], "--by is missing"),
        ([pool, "--by", "truth", "--n", "0"], "must be 1 or more"),
        ([pool, "--by", "judge"], "--judge is missing"),
        ([pool, "--by", "consensus"], "--with is missing"),
        ([tmp_path / "own.jsonl", "--by", "rollouts", "--policy", "scripted"], "problem p has no gold answer"),
        ([tmp_path / "own.jsonl", "--by", "truth"], "problem p: the world '' is not known"),
        ([old, "--by", "truth"], "line 1: schema cos.pool/1 is unknown here"),
        ([tmp_path / "none.jsonl", "--by", "truth"], "none.jsonl: No such file"),
    )
    for number, (asked, said) in enumerate(mistakes):
        assert main(["label", *map(str, asked), "--out", str(tmp_path / f"run-{number}")]) == 2
        assert said in capsys.readouterr().err.strip().splitlines()[-1]


def test_a_pool_that_was_made_again_is_not_taken_for_the_one_before(tmp_path: Path, capsys: Captured, pool: Path) -> None:
    words = ("label", pool, "--by", "truth", "--out", tmp_path / "a")
    cos(capsys, *words)
    rows = list(read(pool, "pool", Sample.from_json))
    write(pool, "pool", [row.to_json() for row in [*rows, replace(rows[0], number=7)]])
    assert cos(capsys, *words)["new"] == 1  # one that has grown is gone on with
    write(pool, "pool", [row.to_json() for row in [replace(rows[0], chain=rows[1].chain), *rows[1:]]])
    assert main([*map(str, words)]) == 2 and "was made again; name another folder" in capsys.readouterr().err
