"""Trainings run, learn, resume to the bit, and read files; all on a model of 0.1 million parameters."""

from __future__ import annotations

import json
import logging
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import LOOK, SHAPE, TEXTS, picture

from cos.chain import Chain, Problem, Sample, Step, StepLabels
from cos.errors import UserError
from cos.models.embedded import build, make_tokenizer
from cos.models.encode import Turn
from cos.models.vlm import VLM, load
from cos.problems.released import write_rows
from cos.problems.released_rows import Row, parse_row, prm_row, sft_row
from cos.runs import Run
from cos.store import write
from cos.train import judged, loop, prm, sft
from cos.train.data import IGNORE
from cos.train.files import read_rows
from cos.train.loop import Schedule
from cos.train.sft import drawn_problems

WORLDS = {"all:train": 3, "refusals:train": 1}
RELEASED = Path(__file__).parent.parent / "data/released"


def fresh(look: str | None = None) -> VLM:
    """An untrained model at its usual scale, which learns (those of `tiny` are made to be rough)."""
    return build(SHAPE, make_tokenizer(TEXTS, size=320), look=look)


def schedule(steps: int, **more: Any) -> Schedule:
    """Exact numbers on any machine."""
    return Schedule(steps=steps, batch=more.pop("batch", 4), bf16=False, **more)


def chain(number: int) -> Chain:
    """Two steps, of the same number of tokens for every single-figure number."""
    return Chain((Step("Read", f"Red is {number}.", "Seen."), Step("End", f"It is {number}.", "So.")), str(number))


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """A folder with sft.jsonl, prm.jsonl and pictures, a text-only row and a system turn among them."""
    for number in range(4):
        picture(number).save(tmp_path / f"{number}.png")
    named = [(f"How many {number}?", chain(number), f"{number}.png" if number else None) for number in range(4)]
    marked = [sft_row(*row) for row in named]
    turns = marked[1].source["conversations"]
    marked[1] = parse_row({**marked[1].source, "conversations": [{"from": "system", "value": "Be brief."}, *turns]})
    write_rows(tmp_path / "sft.jsonl", marked)
    marks = StepLabels((1.0, None), 0.0)
    write_rows(tmp_path / "prm.jsonl", [prm_row(question, made, marks, image) for question, made, image in named])
    return tmp_path


def weights(vlm: VLM) -> dict[str, torch.Tensor]:
    """A copy of all of them."""
    return {name: value.detach().clone() for name, value in vlm.model.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor], atol: float = 0.0) -> bool:
    """Equal, or near."""
    return all(torch.allclose(value, other[name], atol=atol, rtol=0.0) for name, value in one.items())


# Each training, two steps ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bf16", [True, False])
def test_sft_two_steps_from_worlds(tmp_path: Path, bf16: bool) -> None:
    vlm = fresh()
    before = weights(vlm)
    config = sft.Config(str(tmp_path), worlds=WORLDS, look=0.5, point_out=True, schedule=Schedule(steps=2, batch=4, bf16=bf16))
    found = sft.run(vlm, config)
    assert math.isfinite(found["loss"]) and 0 <= found["right"] <= 1
    assert not same(before, weights(vlm)) and same(weights(load(tmp_path / "model")), weights(vlm))
    (last,) = Run.open(tmp_path).metrics()
    assert last["step"] == 2 and last["loss"] == pytest.approx(found["loss"], abs=1e-4)


@pytest.mark.parametrize("look", [LOOK, None])
def test_prm_two_steps_from_worlds(tmp_path: Path, look: str | None) -> None:
    write(tmp_path / "pool.jsonl", "pool", [Sample(Problem("charts-train-0-00000", "Q"), 0, chain(3)).to_json()])
    mix = prm.Mix(wrong=0.3, sampled=0.4, swapped=0.2)
    config = prm.Config(str(tmp_path / "run"), worlds=WORLDS, pool=str(tmp_path / "pool.jsonl"), mix=mix, schedule=schedule(2))
    found = prm.run(fresh(look), config)
    assert {"tags", "language", "right", "good", "hints"} == set(found) and all(math.isfinite(value) for value in found.values())
    assert load(tmp_path / "run/model").look == look


def test_a_blind_lesson_shows_no_picture_and_points_at_nothing(tmp_path: Path) -> None:
    vlm, seen = fresh(LOOK), []
    config = prm.Config(str(tmp_path / "run"), worlds=WORLDS, schedule=schedule(1))
    drawn = drawn_problems(WORLDS, 0)
    for chosen in (config, replace(config, point_out=True), replace(config, blind=True)):
        example = prm.world_example(vlm, drawn, 0, {}, chosen)
        images = [at for at, token in enumerate(example.ids) if token == vlm.encoder.image_id]
        learned = sum(target != IGNORE for target in example.targets)
        seen.append((len(images), sum(example.targets[at] != IGNORE for at in images), learned))
    assert seen[0][0] > 0 and seen[0][1] == 0 and 0 < seen[1][1] <= seen[1][0] and seen[2][:2] == (0, 0)
    assert seen[2][2] < seen[0][2]  # what can't be seen is not asked for
    prm.run(vlm, replace(config, blind=True))


def test_kinds_of_questions_count_as_often_as_asked() -> None:
    once = drawn_problems({"charts:train": 40, "refusals:train": 2}, 0)
    often = drawn_problems({"charts:train": 40, "refusals:train": 2}, 0, {"charts count": 3})
    counts = Counter(problem.id for problem in often)
    assert [problem.id for problem in once] == list(counts)  # none lost, in the same order
    assert {counts[problem.id] for problem in once if problem.kind == "count"} == {3}
    assert {counts[problem.id] for problem in once if problem.kind != "count"} == {1}


@pytest.mark.parametrize(("repeat", "says"), [({"charts counts": 2}, "charts count, "), ({"charts count": 0}, "1 or more")])
@pytest.mark.parametrize("training", [sft, prm])
def test_a_kind_that_there_is_not_or_a_count_of_none_is_named(tmp_path: Path, training: Any, repeat: dict[str, int], says: str) -> None:
    config = training.Config(str(tmp_path / "run"), worlds={"charts:train": 40}, repeat=repeat, schedule=schedule(1))
    with pytest.raises(UserError, match=says):
        training.run(fresh(), config)
    assert not (tmp_path / "run").exists()


def test_sft_and_prm_two_steps_from_files(rows: Path) -> None:
    found = sft.run(fresh(), sft.Config(str(rows / "a"), data=str(rows / "sft.jsonl"), images=str(rows), schedule=schedule(2)))
    assert math.isfinite(found["loss"])
    for name, half in (("b", False), ("c", True)):
        config = prm.Config(str(rows / name), str(rows / "prm.jsonl"), str(rows), unlabelled_to_half=half, schedule=schedule(2))
        found = prm.run(fresh(), config)
        assert math.isfinite(found["tags"]) and found["good"] == pytest.approx(0.5)


# Learning -------------------------------------------------------------------------------------------------------------------------


def test_sft_learns_four_rows_by_heart(rows: Path) -> None:
    data = {"data": str(rows / "sft.jsonl"), "images": str(rows)}
    first = sft.run(fresh(), sft.Config(str(rows / "a"), **data, schedule=schedule(1, learning_rate=0.0)))["loss"]
    vlm = fresh()
    sft.run(vlm, sft.Config(str(rows / "b"), **data, schedule=schedule(30, learning_rate=1e-2)))
    last = sft.run(vlm, sft.Config(str(rows / "c"), **data, schedule=schedule(1, learning_rate=0.0)))
    assert last["loss"] < 0.3 * first and last["right"] > 0.7


def test_prm_learns_four_rows_by_heart(rows: Path) -> None:
    marks = [StepLabels((1.0, 0.0), 0.0), StepLabels((1.0, 1.0), 1.0)] * 2
    write_rows(rows / "mixed.jsonl", [prm_row(f"How many {n}?", chain(n), marks[n], f"{n}.png") for n in range(4)])
    vlm = fresh()
    config = prm.Config(str(rows / "b"), str(rows / "mixed.jsonl"), str(rows), language=0.0, schedule=schedule(30, learning_rate=1e-2))
    prm.run(vlm, config)
    config = prm.Config(str(rows / "c"), str(rows / "mixed.jsonl"), str(rows), language=0.0, schedule=schedule(1, learning_rate=0.0))
    last = prm.run(vlm, config)
    assert last["tags"] < 0.4 and last["right"] > 0.9  # 2 log 2 = 1.39 at the start


# Resume ---------------------------------------------------------------------------------------------------------------------------


class Killed(Exception):
    """As a power cut would."""


@pytest.mark.parametrize("kind", ["sft", "prm"])
def test_a_killed_run_goes_on_to_the_same_weights(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = schedule(5, save_every=2, batch=2, optimizer="muon" if kind == "prm" else "adamw")

    def train(name: str) -> VLM:
        vlm = fresh(LOOK if kind == "prm" else None)
        out = str(tmp_path / name)
        if kind == "sft":
            sft.run(vlm, sft.Config(out, worlds=WORLDS, look=0.3, point_out=True, schedule=plan))
        else:
            prm.run(vlm, prm.Config(out, worlds=WORLDS, schedule=plan))
        return vlm

    whole = train("whole")
    learn, count = loop._learn, [0]

    def until_killed(*arguments: Any) -> dict[str, float]:
        count[0] += 1
        if count[0] == 4:  # one step after the checkpoint
            raise Killed
        return learn(*arguments)

    monkeypatch.setattr(loop, "_learn", until_killed)
    with pytest.raises(Killed):
        train("cut")
    monkeypatch.setattr(loop, "_learn", learn)
    assert Run.open(tmp_path / "cut").last_checkpoint() is not None
    assert same(weights(whole), weights(train("cut")))
    assert [row["step"] for row in Run.open(tmp_path / "cut").metrics()] == [5]


def test_a_run_that_has_ended_gives_its_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = sft.Config(str(tmp_path), worlds=WORLDS, schedule=schedule(2))
    trained, again = fresh(), fresh()
    sft.run(trained, config)
    monkeypatch.setattr(loop, "_learn", None)
    assert sft.run(again, config) == {} and same(weights(trained), weights(again))


def test_a_run_with_other_settings_is_refused(tmp_path: Path) -> None:
    sft.run(fresh(), sft.Config(str(tmp_path), worlds=WORLDS, schedule=schedule(1)))
    with pytest.raises(UserError, match="other settings"):
        sft.run(fresh(), sft.Config(str(tmp_path), worlds=WORLDS, schedule=schedule(2)))
    other = fresh()
    with torch.no_grad():
        other.head.weight.mul_(2)
    with pytest.raises(UserError, match=r"other settings \(model\)"):  # its checkpoints would be taken for this one's
        sft.run(other, sft.Config(str(tmp_path), worlds=WORLDS, schedule=schedule(1)))


def test_the_schedule_warms_up_and_falls_to_its_last_share() -> None:
    plan = Schedule(steps=101, learning_rate=1.0, warmup_ratio=0.1, final_share=0.1)
    assert [round(plan.rate(step), 6) for step in (0, 4, 9, 10)] == [0.1, 0.5, 1.0, 1.0]
    assert plan.rate(55) == pytest.approx(0.1 + 0.9 * (1 + math.cos(math.pi * 45 / 91)) / 2)
    assert plan.rate(100) < 0.102 and all(plan.rate(step) >= plan.rate(step + 1) for step in range(10, 100))


def test_a_loss_that_is_no_number_ends_the_run(tmp_path: Path) -> None:
    vlm = fresh()
    with torch.no_grad():
        vlm.head.weight[:] = math.nan
    with pytest.raises(UserError, match="the loss is nan; try a smaller learning_rate"):
        sft.run(vlm, sft.Config(str(tmp_path), worlds=WORLDS, schedule=schedule(1)))


# Files ----------------------------------------------------------------------------------------------------------------------------


def test_rows_of_a_file_become_conversations(rows: Path) -> None:
    encoder = fresh().encoder
    found = read_rows(rows / "sft.jsonl", rows, "sft", encoder, 2048)
    assert [row.chain for row in found] == [chain(number) for number in range(4)]
    assert [turn.role for turn in found[1].turns()] == ["system", "user"] and found[1].system == "Be brief."
    assert found[0].turns() == [Turn("user", "How many 0?")] and found[2].turns() == [Turn("user", "How many 2?", image=True)]
    assert found[2].picture == (rows / "2.png").resolve()


def test_what_is_left_out_is_said(rows: Path, caplog: pytest.LogCaptureFixture) -> None:
    encoder = fresh().encoder
    long = Chain((Step("Read", "red " * 200, "Seen."),), "1")
    write_rows(rows / "long.jsonl", [sft_row("Q", chain(1)), sft_row("Q", long), sft_row("Q", long)])
    with caplog.at_level(logging.WARNING):
        assert len(read_rows(rows / "long.jsonl", rows, "sft", encoder, 150)) == 1
    assert "2 rows are left out, longer than the 150 tokens that the model reads (lines 2, 3)" in caplog.text
    bare = StepLabels((None, None))
    write_rows(rows / "bare.jsonl", [prm_row("Q", chain(1), bare), prm_row("Q", chain(2), StepLabels((1.0, None)))])
    with caplog.at_level(logging.WARNING):
        assert len(read_rows(rows / "bare.jsonl", rows, "prm", encoder, 2048)) == 1
    assert "1 rows are left out, without any label (lines 1)" in caplog.text
    assert len(read_rows(rows / "bare.jsonl", rows, "prm", encoder, 2048, unlabelled=True)) == 2


def test_the_counted_length_is_the_length(rows: Path) -> None:
    """A row of exactly as many tokens as the model reads is kept, one of one more is not."""
    encoder = fresh().encoder
    (row,) = [row for row in read_rows(rows / "prm.jsonl", rows, "prm", encoder, 2048) if row.question == "How many 2?"]
    assert row.labels is not None
    size = len(judged.labelled_example(encoder, row.turns(), row.chain, row.labels, 0, encoder.stand_in(30, 40)).ids)
    assert len(read_rows(rows / "prm.jsonl", rows, "prm", encoder, size)) == 4
    assert len(read_rows(rows / "prm.jsonl", rows, "prm", encoder, size - 1)) < 4


def _bad(rows: Path, row: Row | dict[str, Any] | str, kind: Any = "sft") -> str:
    lines = (rows / "sft.jsonl").read_text().splitlines()[:2] if kind == "sft" else []
    text = row if isinstance(row, str) else json.dumps(dict(row.source) if isinstance(row, Row) else row)
    (rows / "bad.jsonl").write_text("\n".join([*lines, text]) + "\n")
    with pytest.raises(UserError) as caught:
        read_rows(rows / "bad.jsonl", rows, kind, fresh().encoder, 2048)
    assert "\n" not in str(caught.value) and str(caught.value).startswith(f"{rows / 'bad.jsonl'}")
    return str(caught.value)


def test_mistakes_in_files_are_named_with_their_line(rows: Path) -> None:
    assert "line 3: a prm row where a sft row is needed" in _bad(rows, prm_row("Q", chain(1), StepLabels((1.0, 1.0), 1.0)))
    assert "line 3" in _bad(rows, "{oops")
    assert "no such picture" in _bad(rows, sft_row("Q", chain(1), "nowhere.png"))
    assert "line 3" in _bad(rows, sft_row("Q", chain(1), "../sft.jsonl"))
    (rows / "torn.png").write_bytes(b"no picture")
    assert "line 3" in _bad(rows, sft_row("Q", chain(1), "torn.png"))
    assert "no row is left" in _bad(rows, "", "prm")


def test_the_released_samples_can_be_trained_on(caplog: pytest.LogCaptureFixture) -> None:
    encoder = fresh().encoder
    for kind in ("sft", "prm"):
        assert len(read_rows(RELEASED / f"{kind}.jsonl", RELEASED, kind, encoder, 2048)) > 0  # type: ignore[arg-type]
    assert "with several pictures, of which training takes one a row (lines 4)" in caplog.text


def test_a_pool_is_read_and_its_bad_lines_are_named(tmp_path: Path) -> None:
    drawn = [Sample(Problem("a", "Q"), 0, chain(1)), Sample(Problem("a", "Q"), 1, Chain((), "3")), Sample(Problem("b", "Q"), 0, Chain())]
    write(tmp_path / "pool.jsonl", "pool", [sample.to_json() for sample in drawn])
    assert prm.read_pool(str(tmp_path / "pool.jsonl")) == {"a": [chain(1)]}
    write(tmp_path / "pool.jsonl", "pool", [drawn[0].to_json(), {"id": "b"}])
    with pytest.raises(UserError, match="line 2"):
        prm.read_pool(str(tmp_path / "pool.jsonl"))
