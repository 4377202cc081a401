"""The prefix tree of keys and values: a node owns those of its own tokens only, and a batch gathers the paths it needs.

In a batch the slot of a token is its position, so rows of any lengths lie side by side without holes: a row's new token goes to the
slot after its last one, and a query sees the slots up to its own. What lies beyond a row's end is never seen and is written over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

SPARE = 64
"""Slots that a batch grows by, so that it is copied once in 64 tokens and not at each."""


@dataclass(eq=False)
class Node:
    """A run of tokens below `parent`. `kv`: (layers, 2, heads, tokens, head size), None where it was not kept (it can be read again);
    `hidden`: (width,), the model's last hidden state at the last token."""

    parent: Node | None
    ids: tuple[int, ...]
    kv: torch.Tensor | None = None
    hidden: torch.Tensor | None = None

    def __post_init__(self) -> None:
        self.start: int = self.parent.end if self.parent else 0

    @property
    def end(self) -> int:
        """Tokens from the root up to and with this node."""
        return self.start + len(self.ids)

    def path(self) -> list[Node]:
        """The nodes from the root to this one."""
        nodes: list[Node] = []
        node: Node | None = self
        while node is not None:
            nodes.append(node)
            node = node.parent
        return nodes[::-1]


@dataclass(frozen=True)
class Layout:
    """Shape and place of a model's keys and values."""

    layers: int
    heads: int
    size: int
    dtype: torch.dtype
    device: torch.device

    @classmethod
    def of(cls, model: Any) -> Layout:
        """From a vision-language model's text configuration."""
        text = model.config.get_text_config()
        size = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
        return cls(text.num_hidden_layers, text.num_key_value_heads, size, model.dtype, model.device)

    @property
    def bytes_per_token(self) -> int:
        """Keys and values of one token in all layers."""
        return self.layers * 2 * self.heads * self.size * self.dtype.itemsize


class Rows:
    """A batch cache, one row a path, that a transformers language model takes as `past_key_values`."""

    def __init__(self, leaves: Sequence[Node | None], room: int, layout: Layout) -> None:
        """Gather the paths of `leaves` (None: an empty row), with `room` slots for what is to come. Every node must hold its `kv`."""
        longest = max((leaf.end for leaf in leaves if leaf), default=0)
        shape = (layout.layers, 2, len(leaves), layout.heads, longest + room, layout.size)
        self.buffer = torch.zeros(shape, dtype=layout.dtype, device=layout.device)
        below: dict[int, tuple[Node, list[int]]] = {}
        for row, leaf in enumerate(leaves):
            for node in leaf.path() if leaf else ():
                below.setdefault(id(node), (node, []))[1].append(row)
        for node, rows in below.values():
            assert node.kv is not None
            slots = self.buffer[..., node.start : node.end, :]
            if len(rows) == len(leaves):
                slots[:] = node.kv[:, :, None]
            else:
                slots[:, :, rows] = node.kv[:, :, None]
        self.length = longest

    def place(self, starts: np.ndarray, count: int) -> torch.Tensor:
        """Say where the next `count` tokens of each row go: slots (rows, count). `starts`: the first slot of each row."""
        self.first, self.length = int(starts.min()), int(starts.max()) + count
        self.even = self.first + count == self.length
        if self.length > self.buffer.shape[-2]:
            grown = self.buffer.new_zeros((*self.buffer.shape[:-2], self.length + SPARE, self.buffer.shape[-1]))
            grown[..., : self.buffer.shape[-2], :] = self.buffer
            self.buffer = grown
        device = self.buffer.device
        self.slots = torch.from_numpy(starts).to(device)[:, None] + torch.arange(count, device=device)
        self.index = torch.arange(len(starts), device=device)[:, None]
        return self.slots

    def mask(self) -> torch.Tensor | None:
        """What the placed tokens see: (rows, 1, count, slots), or None where a single token of each sees everything."""
        if self.even and self.slots.shape[1] == 1:
            return None
        return (torch.arange(self.length, device=self.slots.device) <= self.slots[:, :, None])[:, None]

    def update(self, keys: torch.Tensor, values: torch.Tensor, layer: int, *_: Any, **__: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """Called by the attention of each layer: write the placed tokens (rows, heads, count, head size), give all up to them."""
        held = self.buffer[layer]
        for kept, new in zip(held, (keys, values), strict=True):
            if self.even:
                kept[:, :, self.first : self.length] = new
            else:
                kept[self.index, :, self.slots] = new.transpose(1, 2)
        return held[0, :, :, : self.length], held[1, :, :, : self.length]

    def get_seq_length(self, layer: int = 0) -> int:
        """Slots before the placed tokens (asked by transformers)."""
        return self.length - self.slots.shape[1]

    def get_query_offset(self, layer: int = 0) -> int:
        """As `get_seq_length`."""
        return self.get_seq_length(layer)

    def get_mask_sizes(self, query_length: int, layer: int = 0) -> tuple[int, int]:
        """(slots in all, first slot)."""
        return self.length, 0

    def keep(self, rows: torch.Tensor) -> None:
        """Drop all rows but these."""
        self.buffer = self.buffer[:, :, rows]

    def take(self, row: int, start: int, end: int) -> torch.Tensor:
        """A copy of some slots of a row, as a node owns them."""
        return self.buffer[:, :, row, :, start:end].clone()
