"""First lessons in seeing: the loss against plain torch, the lessons against the landmarks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from tiny_models import tiny

from cos import problems
from cos.problems.landmarks import landmarks
from cos.train import see
from cos.train.loop import Schedule

CONFIG = see.Config(out="unused", worlds={"all:train": 6}, schedule=Schedule(steps=2, batch=3))


def test_each_word_of_a_lesson_is_one_of_what_lies_in_its_place() -> None:
    vlm = tiny()
    lesson = see._lessons(vlm, CONFIG)(0)
    side = round(vlm.encoder.image_tokens**0.5)
    allowed = [set() for _ in range(side * side)]  # type: list[set[int]]
    for problem in problems.problems("all:train", 6):
        for mark in landmarks(problem):
            place = min(int(mark.y * side), side - 1) * side + min(int(mark.x * side), side - 1)
            allowed[place] |= {vlm.encoder.plain(" " + word)[0] for word in mark.words}
    assert len(lesson.words) >= 3
    for place, word in zip(lesson.places.tolist(), lesson.words.tolist(), strict=True):
        assert word in allowed[place]


def test_lessons_are_functions_of_their_step() -> None:
    vlm = tiny()
    first, again, other = (see._lessons(vlm, CONFIG)(step) for step in (1, 1, 2))
    assert torch.equal(first.words, again.words) and torch.equal(first.pixels, again.pixels)
    assert not torch.equal(first.pixels, other.pixels)


@torch.no_grad()
def test_the_loss_is_cross_entropy_of_the_head_on_the_projected_tower() -> None:
    vlm = tiny(gain=1.0)
    lesson = see._lessons(vlm, CONFIG)(0)
    value, numbers = see.loss(vlm, lesson)
    model = vlm.model.model
    hidden = model.vision_tower(lesson.pixels).last_hidden_state[:, 1:]
    side = round(hidden.shape[1] ** 0.5)
    rows = []
    for row, place in zip(lesson.rows.tolist(), lesson.places.tolist(), strict=True):
        grid = hidden[row].reshape(1, side, side, -1)
        tokens = model.multi_modal_projector(model.pixel_shuffle(grid, scale_factor=0.5).flatten(1, 2))
        rows.append(vlm.head(model.language_model.norm(tokens[0, place])))
    assert value.item() == pytest.approx(F.cross_entropy(torch.stack(rows), lesson.words).item(), rel=1e-4)
    assert 0 <= numbers["right"] <= 1


@torch.no_grad()
def test_the_words_loss_is_zero_where_each_token_is_the_sum_of_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    vlm = tiny(gain=1.0)
    table = vlm.model.get_input_embeddings().weight
    lesson = see.Lesson(torch.zeros(0), torch.tensor([0, 0, 1]), torch.tensor([2, 2, 3]), torch.tensor([5, 9, 7]), 3)
    sums = torch.zeros(2, 4, table.shape[1])
    sums[0, 2], sums[1, 3] = table[5] + table[9], table[7]
    unit = float(table[[5, 9, 7]].square().sum(-1).mean())
    for row, place, wanted in ((0, 0, 0.5 / 6), (1, 3, 1.0 / 2)):  # one of 6 tokens that are to be nothing, one of 2 that have words
        shift = torch.zeros_like(sums)
        shift[row, place, 0] = unit**0.5
        for seen, far in ((sums, 0.0), (sums + shift, wanted)):
            monkeypatch.setattr(see, "_image_tokens", lambda vlm, lesson, seen=seen: seen)
            value, numbers = see.words_loss(vlm, lesson)
            assert value.item() == pytest.approx(far, abs=1e-5)
            assert numbers["right"] == 1 or far > 0.4
    monkeypatch.setattr(see, "_image_tokens", lambda vlm, lesson: sums[:1, 2:3])
    only = see.Lesson(torch.zeros(0), torch.tensor([0]), torch.tensor([0]), torch.tensor([5]), 1)
    assert see.words_loss(vlm, only)[0].isfinite()  # no token is empty


def test_lessons_in_words_leave_the_language_model_alone(tmp_path: Path) -> None:
    vlm = tiny(gain=1.0)
    before = {name: value.clone() for name, value in vlm.model.state_dict().items()}
    see.run(vlm, replace(CONFIG, out=str(tmp_path), as_words=True))
    changed = {name for name, value in vlm.model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed and all("vision_tower" in name or "multi_modal_projector" in name for name in changed)
    assert all(parameter.requires_grad for parameter in vlm.model.parameters())


def test_the_words_of_a_place_hold_what_lies_there_and_where_it_stands() -> None:
    marks = [landmarks(problem) for problem in problems.problems("all:train", 3)]
    assert [mark.place for mark in marks[0] if mark.place][:2] == [("first",), ("second",)]  # bars; the middles of bars have none
    assert all(not mark.place for mark in marks[1]) and all(mark.place for mark in marks[2])
    assert marks[0][0].pieces[1].startswith(" ") and marks[0][0].pieces[-1] == " first"
    assert [piece.strip() for piece in marks[1][0].pieces] == list(marks[1][0].words)
    assert [piece.startswith(" ") for piece in marks[1][0].pieces] == [True, True, True, False]  # the column, and the row without a blank
