"""The studies of DPO's rewards and of lengths, on rounds that are written down instead of trained: every number is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cos import rounds
from cos.chain import Chain, Preference, Sample, Step
from cos.errors import UserError
from cos.prefer import OUTCOME
from cos.problems import problems
from cos.store import write
from cos.study import preferences
from cos.study.preferences import ARMS, BASE, Config
from cos.study.work import Work

CONFIG = Config(problems=3, n=2, rounds=2, limit=4, drawn=2, policy="scripted", reward="scripted", seeds=(0, 10))
STEP = Step("Look", "I see it.", "It is so.")
ASKED: list[tuple[str, rounds.Config]] = []


def told(policy: str, config: rounds.Config, *_: Any) -> list[dict[str, Any]]:
    """Two rounds whose pairs prefer a chain that is as much longer as the round's number says."""
    ASKED.append((policy, config))
    problem = problems("charts:train", 1)[0]
    rows = [{"round": 0, "model": policy}]
    for number in (1, 2):
        pair = Preference(problem, Chain((STEP,) * (2 + number), "1"), Chain((STEP,) * 2, "2"), 1.0, 0.0)
        write(Path(config.out) / f"round-{number}" / "pairs.jsonl", "preference", [pair.to_json()])
        how = "outcome" if config.pairing.aggregator == OUTCOME else config.pairing.aggregator + config.reward
        rows.append({"round": number, "model": f"{how}/{number}"})
    return rows


def drawn(model: str, config: Config, n: int, work: Work) -> list[list[Sample]]:
    """Chains of `round` steps more than the policy's two; right on problem k where k < the round, twice that by the truth."""
    number = int(model.rpartition("/")[2]) if "/" in model else 0
    right = number * (2 if "oracle" in model else 1)
    found = []
    for place, problem in enumerate(problems(config.set, config.limit, work.seed)):
        chain = Chain((STEP,) * (2 + number), problem.answer if place < right else "wrong")
        found.append([Sample(problem, k, chain, ((1,) * 10,) * (2 + number)) for k in range(n or 1)])
    return found


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Work:
    ASKED.clear()
    monkeypatch.setattr(rounds, "run", told)
    monkeypatch.setattr(preferences, "_chains", lambda config, model, n, work: drawn(model, config, n, work))
    return Work(tmp_path, 0)


def test_every_arm_learns_from_its_own_reward_with_every_seed(work: Work) -> None:
    preferences.compare(CONFIG, work)
    seen = [(config.pairing.aggregator, config.reward, config.seed) for _, config in ASKED]
    arms = [("outcome", "oracle"), ("answer", "scripted"), ("cos", "scripted"), ("cos", "oracle")]
    assert seen == [(*arm, seed) for arm in arms for seed in (0, 10)]
    assert len({config.out for _, config in ASKED}) == 8 and all(policy == "scripted" for policy, _ in ASKED)


def test_some_arms_alone_take_the_rounds_of_all(work: Work) -> None:
    preferences.compare(CONFIG, work)
    before = {config.out for _, config in ASKED}
    some = replace(CONFIG, arms=("steps and answer", "outcome"))
    result = preferences.compare(some, work)
    assert {config.out for _, config in ASKED} == before
    assert {point.series for point in result.panels[0].points} == {*some.arms}
    tested = [(row.ours, row.theirs) for row in result.differences]
    assert tested == [("steps and answer", BASE), ("outcome", BASE), ("steps and answer", "outcome")]
    with pytest.raises(UserError, match="no arm is called 'answer'; there are outcome, answer alone"):
        replace(CONFIG, arms=("answer",))
    for arms, says in (((), "none is given"), (("outcome", "outcome"), "one is given twice")):
        with pytest.raises(UserError, match=says):
            replace(CONFIG, arms=arms)


def test_what_a_round_is_trained_by_is_the_studys(work: Work) -> None:
    preferences.compare(CONFIG, work)
    assert {(one.begin, one.reference, one.beta, one.chosen_nll) for _, one in ASKED} == {("sft", "sft", 0.1, 1.0)}
    places = {config.out for _, config in ASKED}
    ASKED.clear()
    preferences.compare(replace(CONFIG, begin="previous", reference="previous", beta=0.5, chosen_nll=5.0), work)
    assert {(one.begin, one.reference, one.beta, one.chosen_nll) for _, one in ASKED} == {("previous", "previous", 0.5, 5.0)}
    assert not places & {config.out for _, config in ASKED}  # other rounds, another folder


def test_arms_are_compared_on_the_same_problems(work: Work) -> None:
    result = preferences.compare(CONFIG, work)
    greedy = {(point.series, point.x): point.value for point in result.panels[0].points}
    assert [greedy["outcome", number] for number in (0, 1, 2)] == [0.0, 0.25, 0.5]
    assert greedy["steps and answer, by the truth", 2] == 1.0
    sampled = {(point.series, point.x): point.value for point in result.panels[1].points}
    assert sampled["pass@1", BASE] == 0.0 and sampled["pass@2", "outcome"] == sampled["pass@1", "outcome"] == 0.5
    gains = {(row.ours, row.theirs): row.value for row in result.differences}
    assert gains["outcome", BASE] == 0.5 and gains["steps and answer", "outcome"] == 0.0
    assert gains["steps and answer, by the truth", "outcome"] == 0.5


def test_lengths_are_those_of_the_same_rounds(work: Work) -> None:
    preferences.compare(CONFIG, work)
    before = [config.out for _, config in ASKED]
    result = preferences.lengths(CONFIG, work)
    assert [config.out for _, config in ASKED[len(before) :]] == before
    tokens, steps, pairs = ({(point.series, point.x): point.value for point in panel.points} for panel in result.panels)
    for arm in ARMS:
        assert [tokens[arm, number] for number in (0, 1, 2)] == [20.0, 30.0, 40.0]
        assert [steps[arm, number] for number in (0, 1, 2)] == [2.0, 3.0, 4.0]
        assert [pairs[arm, number] for number in (1, 2)] == [1.0, 2.0]
    assert {(row.where, row.value, row.unit) for row in result.differences} == {("round 1", 10.0, "tokens"), ("round 2", 20.0, "tokens")}


def test_other_settings_are_other_runs(work: Work) -> None:
    place = preferences._place(CONFIG, "outcome", 0, work)[0]
    assert place == preferences._place(replace(CONFIG, limit=9, drawn=4), "outcome", 0, work)[0]  # what is looked at changes no training
    others = [preferences._place(replace(CONFIG, steps=7), "outcome", 0, work)[0], preferences._place(CONFIG, "outcome", 10, work)[0]]
    assert len({place, *others, preferences._place(CONFIG, "answer alone", 0, work)[0]}) == 4
