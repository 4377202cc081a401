"""First lessons in seeing: the loss against plain torch, the lessons against the landmarks."""

from __future__ import annotations

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
