"""Pairs of chains as a model reads them, chosen and rejected in one forward pass, and in one row where that is exact.

In one row the picture and the question stand once, and two branches go on from them: the rejected chain stands after the chosen one, but a
mask keeps it from being seen, and its positions count on from the question. So a pair costs (c + 2r) / (2c + 2r) of the tokens of two
rows, c being those of picture and question and r those of a chain, and one pass of the vision tower instead of two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from cos.chain import Chain
from cos.models.encode import Encoder, Turn, merge
from cos.models.vlm import VLM
from cos.train.data import IGNORE, Pictures, chain_ids, written

SHARED, PAD = -1, -2
"""Branches of a row beside chosen (0) and rejected (1)."""


@dataclass(frozen=True)
class Pair:
    """One pair as one row or two: ids, for each position the id to be predicted AT it or IGNORE, its branch and its place in the text."""

    ids: tuple[list[int], ...]
    targets: tuple[list[int], ...]
    branches: tuple[list[int], ...]
    places: tuple[list[int], ...]
    picture: int

    @property
    def tokens(self) -> int:
        """Of all rows."""
        return sum(map(len, self.ids))

    @property
    def words(self) -> int:
        """Tokens of the chosen chain, its end mark with them."""
        return sum(
            target != IGNORE and branch == 0
            for targets, branches in zip(self.targets, self.branches, strict=True)
            for target, branch in zip(targets, branches, strict=True)
        )


@dataclass(frozen=True)
class Pairs:
    """P pairs, or this process's part of the P of a step, in R right-padded rows (R, T) with W words to be predicted.

    `rows`, `columns`, `targets`, `chains` (W,): where each word is predicted, which it is, and the chain it is of (2 x pair + branch).
    `reference` (P, 2): the reference's log-probabilities. `pairs`, `words`: what sums over pairs and over chosen words are divided by
    (see `data.Shares`).
    """

    ids: torch.Tensor
    branches: torch.Tensor
    places: torch.Tensor
    inputs: dict[str, torch.Tensor]
    rows: torch.Tensor
    columns: torch.Tensor
    targets: torch.Tensor
    chains: torch.Tensor
    reference: torch.Tensor
    pairs: float
    words: float
    tokens: int

    def layout(self, vlm: VLM) -> dict[str, torch.Tensor]:
        """Mask and positions, where rows have two branches; nothing else needs any: padding stands after all that is read."""
        if not bool((self.branches == SHARED).any()):
            return {}
        seen, sees = self.branches[:, None, None, :], self.branches[:, None, :, None]
        allowed = torch.ones(self.ids.shape[1], self.ids.shape[1], dtype=torch.bool).tril() & ((seen == SHARED) | (seen == sees))
        if vlm.model.config._attn_implementation != "eager":
            return {"attention_mask": allowed, "position_ids": self.places}
        dtype = vlm.model.dtype
        added = torch.zeros(allowed.shape, dtype=dtype).masked_fill(~allowed, torch.finfo(dtype).min)
        return {"attention_mask": added, "position_ids": self.places}


def share_rows(vlm: VLM) -> bool:
    """Whether one row is exact: positions count in one dimension, ids alone say what is a picture, every layer attends to all before."""
    config = vlm.model.config.get_text_config()
    sliding = bool(getattr(config, "use_sliding_window", False)) or set(getattr(config, "layer_types", None) or ()) - {"full_attention"}
    return not vlm.encoder.family.types and not sliding and vlm.model.config._attn_implementation in ("eager", "sdpa")


def pair(encoder: Encoder, turns: Sequence[Turn], chains: tuple[Chain, Chain], picture: int, stand_in: str, *, shared: bool) -> Pair:
    """Chosen and rejected after the same turns, in one row or two."""
    ids, targets = [], []
    for chain in chains:
        encoded = encoder.conversation([*turns, Turn("assistant", chain_ids(encoder, chain))], stand_in)
        ids.append(encoded.ids)
        targets.append(written(encoder, encoded, [False] * len(turns) + [True]))
    if not shared:
        return Pair((ids[0], ids[1]), (targets[0], targets[1]), *_apart(ids), picture)
    # Up to the position that predicts the first word all is the same; that one stands twice, for it predicts two words.
    fork = next(at for at, target in enumerate(targets[0]) if target != IGNORE)
    places = [*range(len(ids[0])), *range(fork, len(ids[1]))]
    branches = [SHARED] * fork + [0] * (len(ids[0]) - fork) + [1] * (len(ids[1]) - fork)
    return Pair((ids[0] + ids[1][fork:],), (targets[0] + targets[1][fork:],), (branches,), (places,), picture)


def _apart(ids: Sequence[list[int]]) -> tuple[tuple[list[int], ...], tuple[list[int], ...]]:
    return tuple([branch] * len(row) for branch, row in enumerate(ids)), tuple(list(range(len(row))) for row in ids)


def collate_pairs(
    own: Sequence[Pair], pictures: Pictures, pad: int, whole: Sequence[Pair] | None = None, reference: torch.Tensor | None = None
) -> Pairs:
    """Pairs to one batch, or to a part of the step's pairs `whole`."""
    whole = own if whole is None else whole
    parts = len(whole) / len(own)
    lines = [(number, *line) for number, pair in enumerate(own) for line in zip(*_lines(pair), strict=True)]
    width = max(len(ids) for _, ids, *_ in lines)
    words = [
        (row, column, target, 2 * number + branches[column])
        for row, (number, _, targets, branches, _) in enumerate(lines)
        for column, target in enumerate(targets)
        if target != IGNORE
    ]
    rows, columns, targets, chains = torch.tensor(words, dtype=torch.long).T
    shown = [pictures[pair.picture] for pair in own for _ in pair.ids]
    seen = [pixels for pixels in shown if pixels.inputs]
    return Pairs(
        _padded([line[1] for line in lines], width, pad),
        _padded([line[3] for line in lines], width, PAD),
        _padded([line[4] for line in lines], width, 0),
        merge(seen) if seen else {},
        rows,
        columns,
        targets,
        chains,
        torch.zeros(len(own), 2) if reference is None else reference,
        len(whole) / parts,
        sum(pair.words for pair in whole) / parts,
        sum(pair.tokens for pair in own),
    )


def _lines(pair: Pair) -> tuple[tuple[list[int], ...], ...]:
    return pair.ids, pair.targets, pair.branches, pair.places


def _padded(rows: Sequence[list[int]], width: int, fill: int) -> torch.Tensor:
    return torch.tensor([row + [fill] * (width - len(row)) for row in rows])
