"""What trainings read: examples from files or from the worlds, their pictures as the model sees them, and batches of near-equal length."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image

from cos import template
from cos.chain import Chain
from cos.models.encode import Encoder, Turn

LOOK = "Describe the picture."
"""What a model is asked that shall look first: to write down every object it sees."""

IGNORE = -100
Picture = Image.Image | str | Path


class Pictures:
    """Pictures by number as the model's processor makes them, each drawn or opened once and kept in half precision."""

    def __init__(self, encoder: Encoder, source: Callable[[int], Picture | None]) -> None:
        self._encoder, self._source = encoder, source
        self._kept: dict[int, torch.Tensor] = {}

    def __getitem__(self, index: int) -> torch.Tensor:
        """(tiles, 3, height, width), float32; no tiles for an example without a picture."""
        if index not in self._kept:
            picture = self._source(index)
            self._kept[index] = torch.zeros(0) if picture is None else self._encoder.pixels(picture).half()
        return self._kept[index].float()


@dataclass(frozen=True)
class Example:
    """One row to learn from: ids, for each position the id to be predicted AT it or IGNORE (already shifted), and at the reward model's
    tags a target in [0, 1] (`tags`: position -> target; unlabelled tags are absent)."""

    ids: list[int]
    targets: list[int]
    picture: int
    tags: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class Batch:
    """Right-padded rows (B, T). Causal attention keeps padding after the text from mattering, so there is no mask."""

    ids: torch.Tensor
    targets: torch.Tensor
    pixels: torch.Tensor | None
    tag_rows: torch.Tensor
    tag_columns: torch.Tensor
    tag_targets: torch.Tensor


def chain_ids(encoder: Encoder, chain: Chain) -> tuple[int, ...]:
    """A chain as a policy writes it."""
    return tuple(token for piece in template.pieces(chain) for token in encoder.piece(piece))


def supervised(encoder: Encoder, turns: Sequence[Turn], trained: Sequence[bool], picture: int, tiles: int) -> Example:
    """Completion-only: the content of the turns in `trained`, and the end mark after each, are learned; everything else is read."""
    encoded = encoder.conversation(turns, tiles)
    targets = [IGNORE] * len(encoded.ids)
    for at in range(1, len(encoded.ids)):
        owner = encoded.turn[at]
        ends = owner < 0 <= encoded.turn[at - 1] and encoded.ids[at] == encoder.end_id
        if (owner >= 0 and trained[owner]) or (ends and trained[encoded.turn[at - 1]]):
            targets[at - 1] = encoded.ids[at]
    return Example(encoded.ids, targets, picture)


def collate(examples: Sequence[Example], pictures: Pictures, pad: int) -> Batch:
    """Rows to one batch."""
    width = max(len(example.ids) for example in examples)
    ids = torch.full((len(examples), width), pad)
    targets = torch.full((len(examples), width), IGNORE)
    tags: list[tuple[int, int, float]] = []
    tiles = []
    for row, example in enumerate(examples):
        ids[row, : len(example.ids)] = torch.tensor(example.ids)
        targets[row, : len(example.ids)] = torch.tensor(example.targets)
        tags += [(row, column, target) for column, target in example.tags]
        tiles.append(pictures[example.picture])
    seen = [tile for tile in tiles if tile.numel()]
    rows, columns, values = ([tag[i] for tag in tags] for i in range(3))
    return Batch(
        ids, targets, torch.cat(seen) if seen else None,
        torch.tensor(rows, dtype=torch.long), torch.tensor(columns, dtype=torch.long), torch.tensor(values, dtype=torch.float),
    )  # fmt: skip


def batches(example: Callable[[int], Example], count: int, size: int, pictures: Pictures, pad: int, seed: int) -> Callable[[int], Batch]:
    """Step -> batch. Each epoch (of `count` examples) is shuffled anew; 8 batches at a time are sorted by length, so rows waste little."""
    together = 8
    kept: dict[int, list[list[Example]]] = {}

    def batch(step: int) -> Batch:
        group = step // together
        if group not in kept:
            kept.clear()
            kept[group] = _grouped(group)
        return collate(kept[group][step % together], pictures, pad)

    def _grouped(group: int) -> list[list[Example]]:
        wanted = range(group * together * size, (group + 1) * together * size)
        rows = sorted((example(_shuffled(count, n // count, seed)[n % count] + n // count * count) for n in wanted), key=lambda e: len(e.ids))
        cut = [rows[i : i + size] for i in range(0, len(rows), size)]
        random.Random(f"{seed}/{group}").shuffle(cut)
        return cut

    return batch


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
