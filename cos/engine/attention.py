"""Attention of many rows over a trunk that they share: its keys and values are read once a root, not once a row.

On a CPU drawing is bound by the reading of keys and values, so this is where the time goes; on any device the trunk is not copied. The same
sum as plain attention: one softmax over both parts (as in Hydragen, arXiv 2402.05099, whose two parts are merged by their log-sums).
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from cos.engine.kv import Rows, Trunk

NAME = "cos_trunk"
FEW = 40
"""New tokens a row up to which scores are cheaper to hold than a copy of the trunk for each row."""


def trunk_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    rows: Rows | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """A transformers attention function. query: (rows, query heads, count, size); key and value, without the trunk: (rows, heads, slots,
    size); mask: true where a slot is seen. Gives (rows, count, query heads, size). Where there is no trunk it is `sdpa`."""
    if rows is None or rows.trunk is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **others)
    window = others.get("sliding_window") if rows.window is not None else None
    keys, values = rows.trunk.kv[int(module.layer_idx)]  # type: ignore[arg-type]
    if query.shape[2] > FEW:
        key, value = torch.cat([keys[rows.trunk.root], key], dim=2), torch.cat([values[rows.trunk.root], value], dim=2)
        return sdpa_attention_forward(module, query, key, value, rows.full_mask(attention_mask, window), scaling=scaling, **others)
    return _two_parts(query, key, value, (attention_mask, rows.trunk_mask(window)), rows.trunk, (keys, values), scaling), None


def _two_parts(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    masks: tuple[torch.Tensor | None, torch.Tensor | None],
    trunk: Trunk,
    shared: tuple[torch.Tensor, torch.Tensor],
    scaling: float | None,
) -> torch.Tensor:
    """Scores against a row's own slots and against its trunk side by side, each with its mask, one softmax over both."""
    batch, heads, count, size = query.shape
    query = (query * (size**-0.5 if scaling is None else scaling)).reshape(batch, key.shape[1], -1, size)  # query heads of a key head
    own = query @ key.transpose(2, 3)
    above = trunk.scatter(trunk.gather(query) @ shared[0].transpose(2, 3), query.shape[2])
    scores = [_masked(part, mask, count) for part, mask in zip((own, above), masks, strict=True)]
    weights = torch.cat(scores, dim=-1).softmax(-1, dtype=torch.float32).to(value.dtype)
    mine, theirs = weights.split([own.shape[-1], above.shape[-1]], dim=-1)
    output = mine @ value + trunk.scatter(trunk.gather(theirs) @ shared[1], query.shape[2])
    return output.reshape(batch, heads, count, size).transpose(1, 2).contiguous()


def _masked(scores: torch.Tensor, mask: torch.Tensor | None, count: int) -> torch.Tensor:
    """scores (rows, heads, query heads of a key head x count, slots); mask (rows or 1, 1, count or 1, slots)."""
    return scores if mask is None else scores.unflatten(2, (-1, count)).masked_fill(~mask[:, :, None], -torch.inf).flatten(2, 3)


AttentionInterface.register(NAME, trunk_attention)
AttentionMaskInterface.register(NAME, sdpa_mask)
