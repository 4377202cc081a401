"""What trainings read: masks by hand, batches that are a function of their number, pictures."""

from __future__ import annotations

import random
from collections import Counter

import pytest
import torch
from PIL import Image
from tiny_models import picture, tiny

from cos.chain import Chain, Step
from cos.models.encode import Encoder, Turn
from cos.problems.landmarks import Landmark
from cos.template import pieces, render
from cos.train.data import IGNORE, Example, Pictures, batches, chain_ids, collate, point_out, supervised

CHAIN = Chain((Step("Read", "Red is 3.", "Seen."), Step("Sum", "3 and 4.", "So.")), "7")


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return tiny().encoder


def learned(encoder: Encoder, example: Example) -> str:
    """The text that the model learns to write."""
    return encoder.decode([target for target in example.targets if target != IGNORE])


def test_targets_are_the_completion_one_place_early(encoder: Encoder) -> None:
    example = supervised(encoder, [Turn("user", "How many?"), Turn("assistant", "3")], (False, True), picture=5, stand_in="")
    opening = (
        encoder.structure("<|im_start|>user\n") + encoder.plain("How many?") + encoder.structure("<|im_end|>\n<|im_start|>assistant\n")
    )
    (three,) = encoder.plain("3")
    end, line = encoder.end_id, encoder.structure("\n")
    assert example.ids == [*opening, three, end, *line]
    assert example.targets == [IGNORE] * (len(opening) - 1) + [three, end, IGNORE] + [IGNORE] * len(line)
    assert example.picture == 5 and example.tags == ()


def test_a_chain_is_learned_whole_with_the_end_mark_and_nothing_else(encoder: Encoder) -> None:
    ids = chain_ids(encoder, CHAIN)
    assert encoder.decode(ids) == render(CHAIN)
    turns = [Turn("system", "Be kind."), Turn("user", "How many?", image=True), Turn("assistant", ids)]
    example = supervised(encoder, turns, (False, False, True), 0, encoder.stand_in(30, 40) * 2)
    assert learned(encoder, example) == render(CHAIN) + "<|im_end|>"
    assert example.ids.count(encoder.image_id) == 2 * encoder.image_tokens
    for at, target in enumerate(example.targets[:-1]):
        assert target in (IGNORE, example.ids[at + 1])


def test_the_end_of_an_inner_turn_is_learned_as_the_plain_end_mark(encoder: Encoder) -> None:
    turns = [Turn("user", "Look."), Turn("assistant", "A dog."), Turn("user", "How many?"), Turn("assistant", "1")]
    example = supervised(encoder, turns, (False, True, False, True), 0, "")
    assert learned(encoder, example) == "A dog.<|im_end|>1<|im_end|>"
    first = example.targets.index(encoder.end_id)
    assert (
        encoder.decode([example.ids[first + 1]]) == "<|im_end|>\n<|im_start|>user\n"
    )  # one token here; the model must write the end alone
    assert learned(encoder, supervised(encoder, turns, (False, False, False, True), 0, "")) == "1<|im_end|>"


def test_collate_pads_on_the_right_and_stacks_pictures_in_order() -> None:
    vlm = tiny()
    pictures = Pictures(vlm.encoder, lambda index: None if index == 1 else picture(index))
    rows = [
        Example([1, 2, 3], [2, IGNORE, 4], 0, ((1, 1.0),)),
        Example([5], [6], 1),
        Example([7, 8], [IGNORE, 9], 2, ((0, 0.25), (1, 0.0))),
    ]
    batch = collate(rows, pictures, pad=77)
    assert batch.ids.tolist() == [[1, 2, 3], [5, 77, 77], [7, 8, 77]]
    assert batch.targets.tolist() == [[2, -100, 4], [6, -100, -100], [-100, 9, -100]]
    assert set(batch.inputs) == {"pixel_values"} and batch.inputs["pixel_values"].shape == (2, 3, 32, 32)
    torch.testing.assert_close(batch.inputs["pixel_values"][1:], vlm.encoder.pixels(picture(2)).inputs["pixel_values"], atol=2e-3, rtol=0)
    assert [part.tolist() for part in vars(batch.tags).values()] == [[0, 2, 2], [1, 0, 1], [1.0, 0.25, 0.0]]
    text_only = collate([rows[1]], pictures, pad=77)
    assert text_only.inputs == {} and text_only.tags.rows.shape == (0,) and text_only.tags.targets.dtype == torch.float


def test_pictures_are_drawn_once_and_come_out_the_same_with_and_without_room(encoder: Encoder) -> None:
    drawn: list[int] = []

    def source(index: int) -> Image.Image | None:
        drawn.append(index)
        return picture(index)

    one = 3 * 32 * 32 * 2
    roomy, narrow = Pictures(encoder, source), Pictures(encoder, source, room=one)
    for _ in range(2):
        for index in (4, 9):
            assert torch.equal(roomy[index].inputs["pixel_values"], narrow[index].inputs["pixel_values"])
    assert Counter(drawn) == {4: 2, 9: 3}  # both keep 4; only one has room for 9
    assert roomy.stand_in(9) == narrow.stand_in(4) == encoder.stand_in(30, 40)
    assert Pictures(encoder, lambda index: None).stand_in(0) == ""


@pytest.mark.parametrize(("count", "size"), [(64, 4), (21, 4), (5, 3)])
def test_every_epoch_shows_every_row_once(count: int, size: int) -> None:
    shown: list[int] = []

    def example(index: int) -> Example:
        shown.append(index)
        return Example([0] * (1 + index * 7 % 11), [0] * (1 + index * 7 % 11), index % count)

    batch = batches(example, count, size, Pictures(tiny().encoder, lambda index: None), 0, seed=3)
    steps = 8 * -(-3 * count // (8 * size))
    rows = [len(batch(step).ids) for step in range(steps)]
    assert rows == [size] * steps
    whole = 3 * count
    by_epoch = Counter(index // count for index in shown)
    assert all(by_epoch[epoch] == count for epoch in range(whole // count))
    assert len(set(shown)) == len(shown)


def test_a_batch_depends_on_its_number_and_the_seed_alone() -> None:
    pictures = Pictures(tiny().encoder, lambda index: None)

    def made(seed: int) -> list[list[list[int]]]:
        batch = batches(lambda index: Example([index] * (1 + index % 5), [index] * (1 + index % 5), 0), 50, 4, pictures, 0, seed)
        forward = {step: batch(step).ids.tolist() for step in range(20)}
        for step in (19, 3, 11, 0):  # as after a resume, in any order
            assert batch(step).ids.tolist() == forward[step]
        return [forward[step] for step in range(20)]

    assert made(1) == made(1) != made(2)


def test_rows_of_a_batch_have_near_lengths() -> None:
    lengths = random.Random(0).choices(range(10, 100), k=320)
    batch = batches(
        lambda i: Example([1] * lengths[i % 320], [1] * lengths[i % 320], 0), 320, 8, Pictures(tiny().encoder, lambda i: None), 0, 0
    )
    padding = sum((batch(step).ids == 0).float().mean().item() for step in range(40)) / 40
    assert padding < 0.15


def test_pointing_out_puts_a_word_at_the_image_token_of_its_place(encoder: Encoder) -> None:
    example = supervised(
        encoder, [Turn("user", "How many?", image=True), Turn("assistant", "3")], (False, True), 0, encoder.stand_in(30, 40)
    )
    marks = [Landmark(0.1, 0.1, ("red",)), Landmark(1.0, 0.99, ("blue",))]
    pointed = point_out(encoder, example, marks, random.Random(0))
    places = [at for at, token in enumerate(example.ids) if token == encoder.image_id]
    assert len(places) == 4
    assert [pointed.targets[at] for at in places] == [encoder.plain(" red")[0], IGNORE, IGNORE, encoder.plain(" blue")[0]]
    assert pointed.ids == example.ids and pointed.targets[places[-1] + 1 :] == example.targets[places[-1] + 1 :]


def test_pieces_and_chain_ids_agree(encoder: Encoder) -> None:
    assert chain_ids(encoder, CHAIN) == tuple(i for piece in pieces(CHAIN) for i in encoder.piece(piece))
