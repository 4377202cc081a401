"""Siblings: two chains for one question that say the same up to a step, where one is right and the other wrong.

A search chooses between siblings, so a reward model may be taught to rank them beside judging each (`cos.train.prm.Config.siblings`): the
Bradley-Terry loss on the difference of their margins, as in reward models that learn from comparisons (arXiv 2203.02155, section 3.5).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F

from cos import template
from cos.errors import UserError
from cos.train.data import Batch, Example, Marks, Pictures, Shares, collate, cut
from cos.train.files import FileRow
from cos.train.loop import Schedule


def fork(one: FileRow, other: FileRow) -> int | None:
    """The piece at which two chains part, where one of the two is right there and the other wrong; None where that is not so."""
    if (one.question, one.file, one.problem) != (other.question, other.file, other.problem) or not (one.labels and other.labels):
        return None
    pieces = [template.pieces(row.chain) for row in (one, other)]
    at = next((at for at, (ours, theirs) in enumerate(zip(*pieces, strict=False)) if ours != theirs), None)
    if at is None:
        return None
    first, second = (dict(enumerate((*row.labels.steps, row.labels.answer))).get(at) for row in (one, other) if row.labels)
    return at if first is not None and second is not None and (first - 0.5) * (second - 0.5) < 0 else None


def couples(rows: Sequence[FileRow]) -> list[tuple[int, int]]:
    """Every row once, two and two: siblings as far as there are, then whatever is left (of an odd number the last with itself)."""
    waiting: dict[str, list[int]] = {}
    found, left = [], []
    for index, row in enumerate(rows):
        same = waiting.setdefault(f"{row.file} {row.problem and row.problem.id} {row.question}", [])
        partner = next((other for other in same if fork(rows[other], row) is not None), None)
        if partner is None:
            same.append(index)
        else:
            same.remove(partner)
            found.append((partner, index))
    left = sorted(index for same in waiting.values() for index in same)
    return found + [(left[at], left[min(at + 1, len(left) - 1)]) for at in range(0, len(left), 2)]


def batches(
    rows: Sequence[FileRow], example: Callable[[int], Example], pictures: Pictures, pad: int, seed: int, plan: Schedule
) -> Callable[[int], Batch]:
    """As `data.batches`, siblings side by side, and their tags noted."""
    if plan.batch % 2:
        raise UserError(f"siblings come in twos, so a batch of {plan.batch} can't be filled; take an even number")
    paired = couples(rows)

    def unit(index: int) -> tuple[Example, Example, int | None]:
        first, second = paired[index % len(paired)]
        epoch = index // len(paired) * len(rows)
        return example(first + epoch), example(second + epoch), fork(rows[first], rows[second])

    taken = cut(unit, lambda unit: len(unit[0].ids) + len(unit[1].ids), len(paired), plan.batch // 2, seed, plan.accumulate)

    def batch(number: int) -> Batch:
        own, whole = taken(number)
        parts = len(whole) // len(own)
        shares = Shares.of([row for unit in whole for row in unit[:2]], parts)
        ranks = sum(place is not None for *_, place in whole) / parts
        made = collate([row for unit in own for row in unit[:2]], pictures, pad, replace(shares, ranks=ranks))
        return replace(made, ranked=_marks(own))

    return batch


def rank_loss(better: torch.Tensor, worse: torch.Tensor, count: float) -> torch.Tensor:
    """`-log sigmoid(better - worse)` summed and divided by `count`; both (N, 2), logits of good and bad. No siblings give zero."""
    if not len(better):
        return better.sum() * 0.0
    return -F.logsigmoid((better[:, 0] - better[:, 1]) - (worse[:, 0] - worse[:, 1])).sum() / count


def _marks(units: Sequence[tuple[Example, Example, int | None]]) -> tuple[Marks, Marks]:
    """The tags of the better and of the worse siblings, in the same order."""
    better: list[list[tuple[int, float]]] = [[] for _ in range(2 * len(units))]
    worse: list[list[tuple[int, float]]] = [[] for _ in range(2 * len(units))]
    for number, (first, second, place) in enumerate(units):
        if place is None:
            continue
        tags = _tag(first, place), _tag(second, place)
        good = 0 if tags[0][1] > tags[1][1] else 1
        better[2 * number + good].append(tags[good])
        worse[2 * number + 1 - good].append(tags[1 - good])
    return Marks.of(better), Marks.of(worse)


def _tag(row: Example, place: int) -> tuple[int, float]:
    """The tag after the piece `place`."""
    return next(tag for tag, piece in zip(row.tags, row.pieces, strict=True) if piece == place)
