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
    keys, values = rows.trunk.kv[int(module.layer_idx)]  # type: ignore[arg-type]
    if query.shape[2] > FEW:
        key, value = torch.cat([keys[rows.trunk.root], key], dim=2), torch.cat([values[rows.trunk.root], value], dim=2)
        return sdpa_attention_forward(module, query, key, value, rows.full_mask(attention_mask), scaling=scaling, **others)
    return _two_parts(query, key, value, attention_mask, rows.trunk, (keys, values), scaling), None


def _two_parts(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    trunk: Trunk,
    shared: tuple[torch.Tensor, torch.Tensor],
    scaling: float | None,
) -> torch.Tensor:
    """Scores against a row's own slots and against its trunk side by side, one softmax over both."""
    batch, heads, count, size = query.shape
    query = (query * (size**-0.5 if scaling is None else scaling)).reshape(batch, key.shape[1], -1, size)  # query heads of a key head
    own = query @ key.transpose(2, 3)
    if mask is not None:
        own = own.unflatten(2, (-1, count)).masked_fill(~mask[:, :, None], -torch.inf).flatten(2, 3)
    above = trunk.gather(query) @ shared[0].transpose(2, 3)
    if trunk.seen is not None:
        above = above.masked_fill(~trunk.seen[:, None, None], -torch.inf)
    weights = torch.cat([own, trunk.scatter(above, query.shape[2])], dim=-1).softmax(-1, dtype=torch.float32).to(value.dtype)
    mine, theirs = weights.split([own.shape[-1], above.shape[-1]], dim=-1)
    output = mine @ value + trunk.scatter(trunk.gather(theirs) @ shared[1], query.shape[2])
    return output.reshape(batch, heads, count, size).transpose(1, 2).contiguous()


AttentionInterface.register(NAME, trunk_attention)
AttentionMaskInterface.register(NAME, sdpa_mask)
