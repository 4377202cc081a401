"""What trainings read: examples from files or from the worlds, their pictures as the model sees them, and batches of near-equal length."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import torch
from PIL import Image

from cos import template
from cos.chain import Chain
from cos.errors import UserError
from cos.models.encode import Encoded, Encoder, Pixels, Turn, merge
from cos.problems.landmarks import Landmark
from cos.train.processes import processes

IGNORE = -100
Picture = Image.Image | str | Path


class Pictures:
    """Pictures by number as the model's processor makes them: drawn or opened when first asked for, and kept in half precision as long
    as there is room (the first that fill it: epochs go round, so dropping the oldest would keep none that is asked for next)."""

    def __init__(self, encoder: Encoder, source: Callable[[int], Picture | None], room: int = 6 * 2**30) -> None:
        """`room`: bytes to keep at most."""
        self._encoder, self._source, self._room = encoder, source, room
        self._kept: dict[int, Pixels] = {}
        self._stand_ins: dict[int, str] = {}

    def __getitem__(self, index: int) -> Pixels:
        """As `Encoder.pixels`; no inputs for an example without a picture. Raises UserError for one that can't be read."""
        if index in self._kept:
            return _as(self._kept[index], torch.float32)
        picture = self._source(index)
        pixels = Pixels({}, "") if picture is None else _as(self._encoder.pixels(picture), torch.float16)
        self._stand_ins[index] = pixels.stand_in
        size = sum(tensor.nbytes for tensor in pixels.inputs.values())
        if size <= self._room:
            self._room -= size
            self._kept[index] = pixels
        return _as(pixels, torch.float32)

    def stand_in(self, index: int) -> str:
        """What stands in the prompt for a picture."""
        if index not in self._stand_ins:
            self[index]
        return self._stand_ins[index]


def _as(pixels: Pixels, dtype: torch.dtype) -> Pixels:
    return Pixels({name: t.to(dtype) if t.is_floating_point() else t for name, t in pixels.inputs.items()}, pixels.stand_in)


@dataclass(frozen=True)
class Example:
    """One row to learn from: ids, for each position the id to be predicted AT it or IGNORE (already shifted), and at the reward model's
    tags a target in [0, 1] (`tags`: position -> target; unlabelled tags are absent; `pieces`: the piece of the chain before each). `hints`:
    such targets at single words. `picture`: its number; None where no picture is shown."""

    ids: list[int]
    targets: list[int]
    picture: int | None
    tags: tuple[tuple[int, float], ...] = ()
    hints: tuple[tuple[int, float], ...] = ()
    pieces: tuple[int, ...] = ()


@dataclass(frozen=True)
class Marks:
    """K marked positions of a batch and their targets in [0, 1]; each tensor (K,)."""

    rows: torch.Tensor
    columns: torch.Tensor
    targets: torch.Tensor

    @classmethod
    def of(cls, marked: Sequence[Sequence[tuple[int, float]]]) -> Marks:
        """From the (position, target) pairs of each row."""
        flat = [(row, column, target) for row, pairs in enumerate(marked) for column, target in pairs]
        rows, columns, targets = ([mark[i] for mark in flat] for i in range(3))
        return cls(torch.tensor(rows, dtype=torch.long), torch.tensor(columns, dtype=torch.long), torch.tensor(targets, dtype=torch.float))


@dataclass(frozen=True)
class Shares:
    """What the sums of a batch's losses are divided by: words and marks with a target, siblings. Of a whole batch its own numbers. Of a
    part of one an equal share of the whole's, so that the mean over the parts is the mean over the whole, whatever each part holds."""

    words: float
    tags: float
    hints: float
    ranks: float = 0.0

    @classmethod
    def of(cls, examples: Sequence[Example], parts: int = 1) -> Shares:
        """Of these examples, cut in this many parts."""
        words = sum(target != IGNORE for example in examples for target in example.targets)
        tags, hints = (sum(map(len, marked)) for marked in ([e.tags for e in examples], [e.hints for e in examples]))
        return cls(words / parts, tags / parts, hints / parts)


@dataclass(frozen=True)
class Batch:
    """Right-padded rows (B, T). Causal attention keeps padding after the text from mattering, so there is no mask. `inputs`: of all
    pictures in order (`encode.merge`), empty where there are none."""

    ids: torch.Tensor
    targets: torch.Tensor
    inputs: dict[str, torch.Tensor]
    tags: Marks
    hints: Marks
    shares: Shares
    tokens: int
    """Of all rows, padding left out."""
    ranked: tuple[Marks, Marks] | None = None
    """The better and the worse of siblings (`cos.train.siblings`)."""


def chain_ids(encoder: Encoder, chain: Chain) -> tuple[int, ...]:
    """A chain as a policy writes it."""
    return tuple(token for piece in template.pieces(chain) for token in encoder.piece(piece))


def supervised(encoder: Encoder, turns: Sequence[Turn], trained: Sequence[bool], picture: int | None, stand_in: str) -> Example:
    """Completion-only: the content of the turns in `trained`, and the end mark after each, are learned; everything else is read."""
    encoded = encoder.conversation(turns, stand_in)
    return Example(encoded.ids, written(encoder, encoded, trained), picture)


def written(encoder: Encoder, encoded: Encoded, trained: Sequence[bool]) -> list[int]:
    """Targets of a conversation: at each position the id that the model is to write next, where that belongs to a turn in `trained`.

    After a turn's content it is to write the end mark alone, also where the text goes on with a token that holds the next opening too.
    """
    targets = [IGNORE] * len(encoded.ids)
    for at in range(1, len(encoded.ids)):
        owner, before = encoded.turn[at], encoded.turn[at - 1]
        if owner >= 0 and trained[owner]:
            targets[at - 1] = encoded.ids[at]
        elif owner < 0 <= before and trained[before] and encoded.ids[at] in encoder.turn_end_ids:
            targets[at - 1] = encoder.end_id
    return targets


def point_out(encoder: Encoder, example: Example, marks: Sequence[Landmark], rng: random.Random) -> Example:
    """The example with a target at the image tokens too: each learns to say a word of something that lies in its part of the picture.

    For one tile, whose tokens lie row by row. This is what makes a vision tower see that starts from nothing (docs/log.md).
    """
    places = [at for at, token in enumerate(example.ids) if token == encoder.image_id]
    side = math.isqrt(len(places))
    targets = list(example.targets)
    for mark in rng.sample(list(marks), len(marks)):
        cell = min(int(mark.y * side), side - 1) * side + min(int(mark.x * side), side - 1)
        targets[places[cell]] = encoder.plain(rng.choice(mark.pieces))[0]
    return replace(example, targets=targets)


def collate(examples: Sequence[Example], pictures: Pictures, pad: int, shares: Shares | None = None) -> Batch:
    """Rows to one batch, or to a part of the batch that `shares` is of."""
    width = max(len(example.ids) for example in examples)
    ids = torch.full((len(examples), width), pad)
    targets = torch.full((len(examples), width), IGNORE)
    shown = []
    for row, example in enumerate(examples):
        ids[row, : len(example.ids)] = torch.tensor(example.ids)
        targets[row, : len(example.ids)] = torch.tensor(example.targets)
        if example.picture is not None:
            shown.append(pictures[example.picture])
    seen = [pixels for pixels in shown if pixels.inputs]
    tokens = sum(len(example.ids) for example in examples)
    tags, hints = Marks.of([example.tags for example in examples]), Marks.of([example.hints for example in examples])
    return Batch(ids, targets, merge(seen) if seen else {}, tags, hints, shares or Shares.of(examples), tokens)


def batches(
    example: Callable[[int], Example], count: int, size: int, pictures: Pictures, pad: int, seed: int, accumulate: int = 1
) -> Callable[[int], Batch]:
    """Number -> batch of `size` rows, or this process's part of it. See `cut`; `accumulate` batches make one step."""
    rows = cut(example, lambda row: len(row.ids), count, size, seed, accumulate)

    def batch(number: int) -> Batch:
        own, whole = rows(number)
        return collate(own, pictures, pad, Shares.of(whole, len(whole) // len(own)) if len(own) < len(whole) else None)

    return batch


Row = TypeVar("Row")
TOGETHER = 8
"""Steps whose rows are sorted by length together."""


def cut(
    row: Callable[[int], Row], length: Callable[[Row], int], count: int, size: int, seed: int, accumulate: int = 1
) -> Callable[[int], tuple[list[Row], list[Row]]]:
    """Number -> the rows of a batch that are this process's, and all rows of the step that it is of. Each epoch is shuffled anew; 8 steps
    at a time are sorted by length, so rows waste little.

    `row(index)`: row `index` modulo `count`, in epoch `index` // `count` (so that it may say the same in other words). A step takes the
    same rows whether it is one batch of 8, two of 4, or one of 8 in two processes. Raises UserError where these can't share it evenly.
    """
    here = processes()
    if size % here.count:
        raise UserError(f"a batch of {size} can't be shared by {here.count} processes; take a multiple")
    kept: dict[int, list[list[Row]]] = {}

    def rows(number: int) -> tuple[list[Row], list[Row]]:
        step, part = divmod(number, accumulate)
        group = step // TOGETHER
        if group not in kept:
            kept.clear()
            kept[group] = _grouped(group)
        whole = kept[group][step % TOGETHER]
        return whole[part * here.count + here.rank :: accumulate * here.count], whole

    def _grouped(group: int) -> list[list[Row]]:
        wide = size * accumulate
        places = (divmod(n, count) for n in range(group * TOGETHER * wide, (group + 1) * TOGETHER * wide))
        found = sorted((row(_shuffled(count, epoch, seed)[at] + epoch * count) for epoch, at in places), key=length)
        steps = [found[i : i + wide] for i in range(0, len(found), wide)]
        random.Random(f"{seed}/{group}").shuffle(steps)
        return steps

    return rows


def taken(count: int, wide: int, steps: int, seed: int) -> list[int]:
    """The rows of `count` that `steps` steps of `wide` rows may come to (`cut`, which looks ahead)."""
    ahead = math.ceil(steps / TOGETHER) * TOGETHER * wide
    return sorted(range(count) if ahead >= count else _shuffled(count, 0, seed)[:ahead])


_orders: dict[tuple[int, int, int], list[int]] = {}


def _shuffled(count: int, epoch: int, seed: int) -> list[int]:
    key = (count, epoch, seed)
    if key not in _orders:
        if len(_orders) > 2:
            _orders.clear()
        order = list(range(count))
        random.Random(f"{seed}/{epoch}").shuffle(order)
        _orders[key] = order
    return _orders[key]
