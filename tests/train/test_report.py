"""What a training leaves behind: card, metrics, tracker; and what it reads first: its own descriptions, the reference's opinion."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from jsonschema import Draft202012Validator
from lessons import chain, fresh, train, weights, write_files

from cos.chain import StepLabels
from cos.errors import UserError
from cos.models.vlm import load
from cos.problems.released import write_rows
from cos.problems.released_rows import prm_row
from cos.protocols import Prompt
from cos.rewards.step_tag import StepTagScorer
from cos.runs import Run
from cos.store import read
from cos.train import dpo, loop, prm, reference
from cos.train.files import read_rows
from cos.train.look import descriptions, looked
from cos.train.loop import Schedule
from cos.train.report import Report

LOOK = "Describe the picture."
PLAN = Schedule(steps=2, batch=2, learning_rate=1e-3)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Training files."""
    return write_files(tmp_path)


def fits(name: str, path: Path) -> None:
    """Each line fits the published schema."""
    schema = json.loads((Path(__file__).parent.parent.parent / f"docs/schemas/{name}.json").read_text("utf-8"))
    for line in path.read_text("utf-8").splitlines():
        Draft202012Validator(schema).validate(json.loads(line))


def test_a_model_has_a_card(files: Path, tmp_path: Path) -> None:
    found = train("prm", fresh(), files, tmp_path / "run", PLAN, Report(command="cos train prm --out run"), seed=11)
    card = (tmp_path / "run/model/README.md").read_text("utf-8")
    assert "`cos train prm --out run`" in card and "seed 11" in card and str(files / "prm.jsonl") in card
    assert f"tags {found['tags']:.4f}" in card and '"labels": {' in card
    settings = card.split("```json\n")[1].split("```")[0]
    assert json.loads(settings) == Run.open(tmp_path / "run").config


def test_class_balance_is_counted(files: Path, tmp_path: Path) -> None:
    marks = [StepLabels((1.0, 0.0), 1.0), StepLabels((None, 1.0), None)]
    write_rows(files / "prm.jsonl", [prm_row("Q", chain(n, steps=2), mark) for n, mark in enumerate(marks)])
    train("prm", fresh(), files, tmp_path / "run", PLAN)
    assert Run.open(tmp_path / "run").config["labels"] == {"good": 3, "bad": 1, "between": 0, "none": 2}


def test_speed_and_memory_are_logged_and_a_tracker_is_told(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from accelerate import tracking

    told: list[Any] = []

    class Tracker:
        requires_logging_directory = True

        def __init__(self, name: str, folder: Path) -> None:
            told.append((name, folder))

        def start(self) -> None:
            told.append("started")

        def log(self, values: dict[str, float], step: int) -> None:
            told.append((step, values))

        def finish(self) -> None:
            told.append("finished")

    monkeypatch.setitem(tracking.LOGGER_TYPE_TO_CLASS, "tensorboard", Tracker)
    monkeypatch.setattr("cos.train.report.find_spec", lambda name: True)
    train("sft", fresh(), files, tmp_path / "run", PLAN, Report("tensorboard"))
    (row,) = Run.open(tmp_path / "run").metrics()
    assert row["tokens_per_second"] > 0 and row["peak_bytes"] > 10**7
    assert told[0] == ("run", tmp_path / "run/tensorboard") and told[1] == "started" and told[-1] == "finished"
    assert told[2] == (2, {key: value for key, value in row.items() if key not in ("schema", "step", "seconds")})


def test_a_tracker_that_is_not_there_is_said(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cos.train.report.find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install wandb"):
        train("sft", fresh(), files, tmp_path / "run", PLAN, Report("wandb"))
    with pytest.raises(UserError, match="unknown; take one of none"):
        train("sft", fresh(), files, tmp_path / "other", PLAN, Report("paper"))


# The reference's opinion ----------------------------------------------------------------------------------------------------------


def test_reference_log_probabilities_are_computed_once_and_known_by_model_and_data(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[int] = []
    real = dpo.log_probabilities

    def counted(vlm: Any, batch: Any) -> torch.Tensor:
        if not torch.is_grad_enabled():
            measured.append(len(batch.reference))
        return real(vlm, batch)

    monkeypatch.setattr(dpo, "log_probabilities", counted)
    train("dpo", fresh(), files, tmp_path / "run", Schedule(steps=1, batch=4))
    assert sum(measured) == 4
    rows = list(read(tmp_path / "run/reference.0.jsonl", "reference", dict))
    assert len({row["key"] for row in rows}) == 4
    fits("reference", tmp_path / "run/reference.0.jsonl")
    for folder in ("run/model", "run/checkpoints"):  # as if it had been killed before the end
        for file in sorted((tmp_path / folder).glob("**/*")):
            file.unlink()
    (tmp_path / "run/model").rmdir()
    train("dpo", fresh(), files, tmp_path / "run", Schedule(steps=1, batch=4))
    assert sum(measured) == 4
    (tmp_path / "run/model/cos.json").unlink()
    (files / "2.png").write_bytes((files / "1.png").read_bytes())
    for file in sorted((tmp_path / "run/model").glob("*")):
        file.unlink()
    (tmp_path / "run/model").rmdir()
    train("dpo", fresh(), files, tmp_path / "run", Schedule(steps=1, batch=4))
    assert sum(measured) == 5
    assert reference.fingerprint(fresh()) == reference.fingerprint(fresh()) != reference.fingerprint(fresh(seed=1))


def test_a_policy_starts_at_log_2_from_itself_and_not_from_another(files: Path, tmp_path: Path) -> None:
    plan = Schedule(steps=1, batch=4, learning_rate=0.0)
    found = train("dpo", fresh(), files, tmp_path / "a", plan)
    assert found["loss"] == pytest.approx(0.693147, abs=1e-5) and found["margin"] == pytest.approx(0.0, abs=1e-5)
    config = dpo.Config(str(tmp_path / "b"), str(files / "dpo.jsonl"), str(files), "other", schedule=plan)
    assert abs(dpo.run(fresh(), config, fresh(seed=1))["margin"]) > 1e-4


def test_dpo_learns_to_prefer(files: Path, tmp_path: Path) -> None:
    found = train("dpo", fresh(), files, tmp_path, Schedule(steps=12, batch=4, learning_rate=3e-3), chosen_nll=0.0)
    assert found["margin"] > 0.1 and found["loss"] < 0.65


# Descriptions of its own ----------------------------------------------------------------------------------------------------------


def test_a_looking_model_writes_its_descriptions_once_and_reads_them(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vlm = fresh(look=LOOK)
    rows = read_rows(files / "prm.jsonl", files, "prm", vlm.encoder, vlm.longest)
    said = descriptions(vlm, rows, tmp_path / "run/looks.jsonl")
    assert said[0] == () and all(said[1:])
    fits("look", tmp_path / "run/looks.jsonl")
    scorer = StepTagScorer(vlm)
    for row, tokens in zip(rows[1:], said[1:], strict=True):
        (opened,) = scorer.open([Prompt(row.question, row.picture)])
        turns = looked(row.turns(), vlm.look, tokens)
        stand_in = vlm.encoder.pixels(row.picture).stand_in  # type: ignore[arg-type]
        assert opened.prefill_tokens == len(vlm.encoder.conversation(turns, stand_in, reply=True).ids)
    train("prm", vlm, files, tmp_path / "run", PLAN)
    assert load(tmp_path / "run/model").look == LOOK
    monkeypatch.setattr("cos.train.look.TorchPolicy", None)
    vlm = fresh(look=LOOK)
    assert descriptions(vlm, rows, tmp_path / "run/looks.jsonl") == said
    example, _, _ = prm._from_rows(vlm, prm.Config(str(tmp_path / "run")), rows)
    made = next(example(n) for n in range(4) if rows[n].picture)
    assert vlm.encoder.image_id in made.ids and LOOK in vlm.encoder.decode(made.ids)
    assert all(made.targets[at] == -100 for at in range(made.tags[0][0] // 2))  # what it said is read, not learned


def test_weights_stay_as_they_are_where_a_run_has_ended(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = fresh()
    train("dpo", first, files, tmp_path / "run", PLAN)
    monkeypatch.setattr(loop, "_learn", None)
    again = fresh()
    assert train("dpo", again, files, tmp_path / "run", PLAN) == {}
    assert all(torch.equal(value, weights(again)[name]) for name, value in weights(first).items())
