"""Attention over a shared trunk against plain attention over whole copied rows."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import tiny

from cos.engine.attention import trunk_attention
from cos.engine.kv import Layout, Node, Rows
from cos.engine.torch_engine import TorchPolicy

LAYOUT = Layout(layers=2, heads=2, size=8, dtype=torch.float32, device=torch.device("cpu"))


def node(parent: Node | None, tokens: int, generator: torch.Generator) -> Node:
    return Node(parent, (1,) * tokens, torch.randn(2, 2, 2, tokens, 8, generator=generator))


@pytest.mark.parametrize("window", [None, 4, 12])
@pytest.mark.parametrize("count", [1, 3, 45])
@pytest.mark.parametrize("kept", [[0, 1, 2, 3, 4, 5], [5, 0, 3], [2]])
def test_rows_of_several_roots_and_lengths_with_grouped_query_heads(count: int, kept: list[int], window: int | None) -> None:
    """With and without a sliding window that ends within a row, within its trunk, or before both."""
    generator = torch.Generator().manual_seed(count)
    roots = [node(None, tokens, generator) for tokens in (5, 9, 5)]
    inner = [node(roots[0], 4, generator), node(roots[1], 2, generator)]
    leaves = [roots[0], inner[0], inner[1], roots[2], node(inner[1], 6, generator), inner[0]]
    rows = Rows(leaves, count, replace(LAYOUT, window=window))
    rows.keep(np.array(kept))
    leaves = [leaves[row] for row in kept]
    ends = np.array([leaf.end for leaf in leaves])
    positions = rows.place(ends, count)
    assert positions[:, 0].tolist() == ends.tolist()
    query = torch.randn(len(kept), 6, count, 8, generator=generator)
    key, value = torch.randn(2, len(kept), 2, count, 8, generator=generator)
    module: Any = SimpleNamespace(layer_idx=1, num_key_value_groups=3, is_causal=True)
    mask = rows.mask()
    mask = mask["sliding_attention"] if isinstance(mask, dict) else mask
    output, _ = trunk_attention(module, query, *rows.update(key, value, 1), mask, scaling=0.3, rows=rows, sliding_window=window)
    for row, leaf in enumerate(leaves):
        kv = leaf.flat().kv
        assert kv is not None
        keys = torch.cat([kv[1, 0], key[row]], dim=1).repeat_interleave(3, dim=0)
        values = torch.cat([kv[1, 1], value[row]], dim=1).repeat_interleave(3, dim=0)
        for at in range(count):
            end = leaf.end + at + 1
            start = max(0, end - window) if window else 0
            weights = torch.softmax(torch.einsum("hd,hkd->hk", query[row, :, at], keys[:, start:end]) * 0.3, -1)
            expected = torch.einsum("hk,hkd->hd", weights, values[:, start:end])
            assert torch.allclose(output[row, at], expected, atol=1e-5)
    taken = rows.take(0, leaves[0].end, leaves[0].end + count)
    assert torch.equal(taken[1, 0], key[0]) and torch.equal(taken[1, 1], value[0])


def test_a_flat_node_is_the_whole_path() -> None:
    generator = torch.Generator().manual_seed(0)
    leaf = node(node(None, 3, generator), 2, generator)
    flat = leaf.flat()
    assert (flat.start, flat.end, flat.parent, len(flat.ids)) == (0, 5, None, 5)
    assert flat.kv is not None and leaf.kv is not None and torch.equal(flat.kv[..., 3:, :], leaf.kv)


def test_the_attention_used_here_is_not_written_into_a_saved_model() -> None:
    vlm = tiny()
    TorchPolicy(vlm)
    assert "cos_trunk" not in vlm.model.config.to_json_string()
