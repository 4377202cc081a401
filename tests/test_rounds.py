"""Rounds of iterative DPO with the embedded policy: what a round leaves, the best kept, and no stage done twice after a kill."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from jsonschema import Draft202012Validator

from cos import rounds
from cos.__main__ import main
from cos.chain import Preference, Sample
from cos.errors import UserError
from cos.label import by_reward
from cos.models.scripted import ScriptedPolicy, ScriptedScorer
from cos.models.vlm import load
from cos.prefer import Pairing
from cos.rounds import Config
from cos.sample import Sampling
from cos.store import read
from cos.train import dpo
from cos.train.loop import Schedule


def config(out: Path, **more: Any) -> Config:
    """Two rounds on a few problems, with the truth as the reward."""
    plan = Schedule(steps=2, batch=2, learning_rate=1e-3, bf16=False)
    few: dict[str, Any] = {"worlds": {"scenes:train": 2}, "validation": {"all:validation": 3}, "sampling": Sampling(n=4)}
    return Config(str(out), reward="oracle", rounds=2, schedule=plan, **few | more)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """An unbroken run."""
    out = tmp_path_factory.mktemp("rounds") / "whole"
    return out, rounds.run("embedded", config(out))


def test_a_round_leaves_its_chains_labels_pairs_and_model(whole: tuple[Path, list[dict[str, Any]]]) -> None:
    out, rows = whole
    assert [row["round"] for row in rows] == [0, 1, 2] and all(row["problems"] == 3 for row in rows)
    for number in (1, 2):
        folder = out / f"round-{number}"
        pool = list(read(folder / "pool.jsonl", "pool", Sample.from_json))
        assert len(pool) == 8 and len(list(read(folder / "labels.jsonl", "labels", dict))) == 8
        made = list(read(folder / "pairs.jsonl", "preference", Preference.from_json))
        assert len(made) == rows[number]["pairs"] and all(pair.chosen_score > pair.rejected_score for pair in made)
        assert rows[number]["sampled"]["steps"] == sum(len(one.chain.steps) for one in pool) / 8
        assert rows[number]["training"]["begun_from"] == rows[number]["training"]["near"] == "embedded"
    schema = json.loads((Path(__file__).parent.parent / "docs/schemas/round.json").read_text("utf-8"))
    for line in (out / "rounds.jsonl").read_text("utf-8").splitlines():
        Draft202012Validator(schema).validate(json.loads(line))
    problems = [{row["problem"]["id"] for row in read(out / f"round-{n}" / "pool.jsonl", "pool", dict)} for n in (1, 2)]
    assert not problems[0] & problems[1]


def test_the_best_by_validation_is_kept(whole: tuple[Path, list[dict[str, Any]]]) -> None:
    out, rows = whole
    best = max(rows, key=lambda row: row["accuracy"])
    wanted = load(Path(rounds.__file__).parent / "assets/policy" if best["model"] == "embedded" else best["model"]).model.state_dict()
    kept = load(out / "model").model.state_dict()
    assert all(torch.equal(kept[name], value) for name, value in wanted.items())


def test_the_command_line_tells_every_round(
    whole: tuple[Path, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, rows = whole
    monkeypatch.setattr(rounds, "run", lambda name, config, report, say: rows)
    words = ["train", "rounds", "--model", "embedded", "--out", str(out)]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert all(f"round {row['round']}: {row['accuracy']:.1%} right" in text for row in rows) and text.count("<- kept") == 1
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["rounds"] == rows and found["rounds"][found["best"]]["accuracy"] == max(row["accuracy"] for row in rows)


class Killed(Exception):
    """As a power cut would."""


@pytest.mark.parametrize(("where", "what", "call"), [(rounds, "_validated", 2), (dpo, "train", 2)])
def test_a_killed_run_comes_to_the_same(
    whole: tuple[Path, list[dict[str, Any]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: Any, what: str, call: int
) -> None:
    calls, real = [0], getattr(where, what)

    def until_killed(*arguments: Any, **more: Any) -> Any:
        calls[0] += 1
        if calls[0] == call:
            raise Killed
        return real(*arguments, **more)

    monkeypatch.setattr(where, what, until_killed)
    with pytest.raises(Killed):
        rounds.run("embedded", config(tmp_path / "cut"))
    monkeypatch.setattr(where, what, real)
    rows = rounds.run("embedded", config(tmp_path / "cut"))
    assert [_plain(row) for row in rows] == [_plain(row) for row in whole[1]]
    assert rounds.run("embedded", config(tmp_path / "cut")) == rows


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Without the folder's own name."""
    return {key: value for key, value in row.items() if key not in ("model", "training")}


def test_rounds_may_go_on_from_one_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dpo.Config] = []

    def noted(vlm: Any, plan: dpo.Config, reference: Any, report: Any) -> dict[str, float]:
        asked.append(plan)
        vlm.save(Path(plan.out) / "model")
        assert (reference is None) == (plan.reference == "")
        return {"loss": 1.0}

    monkeypatch.setattr(dpo, "run", noted)
    monkeypatch.setattr(rounds, "load_policy", lambda name: ScriptedPolicy())
    monkeypatch.setattr(rounds, "by_truth", lambda chains, check, grade: by_reward(ScriptedScorer(), chains, lambda problem: None))
    rows = rounds.run("embedded", config(tmp_path / "a", reference="previous"))
    assert [plan.reference for plan in asked] == ["", rows[1]["model"]] and rows[2]["training"]["begun_from"] == "embedded"
    asked.clear()
    rows = rounds.run("embedded", config(tmp_path / "b", begin="previous"))
    assert [plan.reference for plan in asked] == ["", "embedded"] and rows[2]["training"]["begun_from"] == rows[1]["model"]


def test_mistakes_are_said(tmp_path: Path) -> None:
    def said(make: Callable[[], Config]) -> str:
        with pytest.raises(UserError) as caught:
            rounds.run("embedded", make())
        return str(caught.value)

    assert "rounds is 0" in said(lambda: Config(str(tmp_path / "a"), rounds=0))
    assert "validation is {}; at least one set" in said(lambda: config(tmp_path / "a", validation={}))
    assert "worlds is {'charts:train': 0}" in said(lambda: config(tmp_path / "a", worlds={"charts:train": 0}))
    assert "a pair needs two chains" in said(lambda: config(tmp_path / "a", sampling=Sampling(n=1)))
    assert "schedule: batch is 0" in said(lambda: config(tmp_path / "a", schedule=Schedule(steps=2, batch=0)))
    far = Pairing(threshold=2.0)
    assert "no two chains of a problem differ" in said(lambda: config(tmp_path / "b", pairing=far))
