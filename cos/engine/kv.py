"""The prefix tree of keys and values: a node owns those of its own tokens only, and a batch gathers the paths it needs.

The root of a tree (picture and prompt) is its *trunk*. It is never copied: `cos.engine.attention` reads it once for all rows above it.
Of the rest of a path each row of a batch has a copy, the slot of a token being its position after the trunk. So rows of any lengths lie
side by side without holes: a row's new token goes to the slot after its last one, and a query sees the slots up to its own. What lies
beyond a row's end is never seen and is written over.
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
    `hidden`: (width,), the model's last hidden state at the last token. `shift`: how far positions run ahead of the count of tokens."""

    parent: Node | None
    ids: tuple[int, ...]
    kv: torch.Tensor | None = None
    hidden: torch.Tensor | None = None
    shift: int = 0

    def __post_init__(self) -> None:
        self.start: int = self.parent.end if self.parent else 0
        self.shift = self.parent.shift if self.parent else self.shift

    @property
    def end(self) -> int:
        """Tokens from the root up to and with this node."""
        return self.start + len(self.ids)

    def flat(self) -> Node:
        """The whole path as one node, which is a root."""
        nodes = self.path()
        kv = torch.cat([node.kv for node in nodes if node.kv is not None], dim=-2)
        return Node(None, tuple(token for node in nodes for token in node.ids), kv, self.hidden, self.shift)

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
    window: int | None = None
    """How many tokens back some layers see, themselves counted; None: all layers see everything."""

    @classmethod
    def of(cls, model: Any) -> Layout:
        """From a vision-language model's text configuration."""
        text = model.config.get_text_config()
        size = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
        window = text.sliding_window if "sliding_attention" in (getattr(text, "layer_types", None) or ()) else None
        return cls(text.num_hidden_layers, text.num_key_value_heads, size, model.dtype, model.device, window)

    @property
    def bytes_per_token(self) -> int:
        """Keys and values of one token in all layers."""
        return self.layers * 2 * self.heads * self.size * self.dtype.itemsize


class Trunk:
    """The roots below a batch, each once, and which rows stand on which."""

    def __init__(self, roots: Sequence[Node], layout: Layout) -> None:
        """`roots`: one a row. `kv`: (layers, 2, roots, heads, longest, head size); `seen`: (roots, longest), None where all are as long."""
        distinct = list({id(root): root for root in roots}.values())
        number = {id(root): index for index, root in enumerate(distinct)}
        ends = [root.end for root in distinct]
        shape = (layout.layers, 2, len(distinct), layout.heads, max(ends), layout.size)
        self.kv = torch.zeros(shape, dtype=layout.dtype, device=layout.device)
        for index, root in enumerate(distinct):
            assert root.kv is not None
            self.kv[:, :, index, :, : root.end] = root.kv
        slots = torch.arange(max(ends), device=layout.device)
        self.seen = None if len(set(ends)) == 1 else slots < torch.tensor(ends, device=layout.device)[:, None]
        self._group(np.array([number[id(root)] for root in roots]))

    def keep(self, rows: np.ndarray) -> None:
        """Drop all rows but these."""
        self._group(self.group[rows])

    def _group(self, group: np.ndarray) -> None:
        """`lay`: for each root its rows, filled up to the same number; `back`: where in that a row is. `even`: rows come sorted by root, as
        many of each, so that laying them out is a mere view."""
        self.group, self.root = group, torch.from_numpy(group).to(self.kv.device)
        order = np.argsort(group, kind="stable")
        sizes = np.bincount(group, minlength=self.kv.shape[2])
        place = np.arange(len(group)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        width = int(sizes.max())
        self.even = len(group) == width * len(sizes) and bool((np.diff(group) >= 0).all())
        lay, back = np.zeros((len(sizes), width), np.int64), np.zeros(len(group), np.int64)
        lay[group[order], place] = order
        back[order] = group[order] * width + place
        self.lay, self.back = (torch.from_numpy(array).to(self.kv.device) for array in (lay, back))

    def gather(self, rows: torch.Tensor) -> torch.Tensor:
        """(rows, heads, count, x) -> (roots, heads, their rows x count, x)."""
        laid = rows.unflatten(0, self.lay.shape) if self.even else rows[self.lay]
        return laid.transpose(1, 2).flatten(2, 3)

    def scatter(self, laid: torch.Tensor, count: int) -> torch.Tensor:
        """The inverse of `gather`."""
        rows = laid.unflatten(2, (-1, count)).transpose(1, 2).flatten(0, 1)
        return rows if self.even else rows[self.back]


class Rows:
    """A batch cache, one row a path, that a transformers language model takes as `past_key_values`."""

    def __init__(self, leaves: Sequence[Node | None], room: int, layout: Layout) -> None:
        """Gather the paths of `leaves` (all None: empty rows), with `room` slots for what is to come. Every node must hold its `kv`."""
        paths = [leaf.path() if leaf else [] for leaf in leaves]
        self.trunk, self.window = Trunk([path[0] for path in paths], layout) if paths[0] else None, layout.window
        self.offsets = np.array([path[0].end if path else 0 for path in paths])
        self.shifts = np.array([leaf.shift if leaf else 0 for leaf in leaves])
        ends = [leaf.end - offset if leaf else 0 for leaf, offset in zip(leaves, self.offsets.tolist(), strict=True)]
        self.length = max(ends)
        self.buffer = torch.empty(
            (layout.layers, 2, len(leaves), layout.heads, self.length + room, layout.size), dtype=layout.dtype, device=layout.device
        )
        self.buffer[..., min(ends) : self.length, :] = 0.0  # what is masked must be finite
        below: dict[int, tuple[Node, list[int]]] = {}
        for row, path in enumerate(paths):
            for node in path[1:]:
                below.setdefault(id(node), (node, []))[1].append(row)
        for node, rows in below.values():
            assert node.kv is not None
            first = node.start - paths[rows[0]][0].end
            self.buffer[:, :, rows, :, first : first + len(node.ids)] = node.kv[:, :, None]

    def place(self, starts: np.ndarray, count: int) -> torch.Tensor:
        """Say where the next `count` tokens of each row go; `starts`: tokens before them. Gives their positions (rows, count)."""
        self._above: dict[int | None, torch.Tensor | None] = {}
        slots = starts - self.offsets
        before, self.first, self.length = self.length, int(slots.min()), int(slots.max()) + count
        self.even = self.first + count == self.length
        if self.length > self.buffer.shape[-2]:
            self._move(slice(None), before, self.length + SPARE)
        if not self.even:
            self.buffer[..., before : self.length, :] = 0.0
        device = self.buffer.device
        steps = torch.arange(count, device=device)
        self.slots = torch.from_numpy(slots).to(device)[:, None] + steps
        self.index = torch.arange(len(slots), device=device)[:, None]
        return torch.from_numpy(starts + self.shifts).to(device)[:, None] + steps

    def mask(self, shown: torch.Tensor | None = None) -> torch.Tensor | dict[str, torch.Tensor | None] | None:
        """What the placed tokens see after the trunk: (rows, 1, count, slots), or None where a single token of each sees everything; by
        kind of layer where some see a window only. `shown` (rows, count), without a trunk: tokens that see one another both ways."""
        alone = self.even and self.slots.shape[1] == 1
        if alone and self.window is None:
            return None
        slots = torch.arange(self.length, device=self.slots.device)
        seen = (slots <= self.slots[:, :, None])[:, None]
        if shown is not None:
            seen = seen | (shown[:, None, :, None] & shown[:, None, None, :])
        if self.window is None:
            return seen
        return {
            "full_attention": None if alone else seen,
            "sliding_attention": seen & (slots > self.slots[:, :, None] - self.window)[:, None],
        }

    def trunk_mask(self, window: int | None) -> torch.Tensor | None:
        """What the placed tokens see of the trunk: (rows or 1, 1, count or 1, its slots), None: everything."""
        if window not in self._above:  # asked by every layer
            assert self.trunk is not None
            seen = None if self.trunk.seen is None else self.trunk.seen[self.trunk.root][:, None, None]
            if window is not None:
                places = torch.from_numpy(self.offsets).to(self.slots.device)[:, None] + self.slots
                near = (torch.arange(self.trunk.kv.shape[-2], device=self.slots.device) > places[:, :, None] - window)[:, None]
                seen = near if seen is None else near & seen
            self._above[window] = seen
        return self._above[window]

    def full_mask(self, mask: torch.Tensor | None, window: int | None) -> torch.Tensor | None:
        """`mask` with the trunk before it."""
        seen = self.trunk_mask(window)
        if mask is None and seen is None:
            return None
        assert mask is not None and self.trunk is not None
        shape = (len(mask), 1, mask.shape[2], self.trunk.kv.shape[-2])
        return torch.cat([mask.new_ones(shape) if seen is None else seen.expand(shape), mask], dim=-1)

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

    def keep(self, rows: np.ndarray) -> None:
        """Drop all rows but these."""
        self._move(torch.from_numpy(rows).to(self.buffer.device), self.length, self.length + SPARE)
        self.offsets, self.shifts = self.offsets[rows], self.shifts[rows]
        if self.trunk:
            self.trunk.keep(rows)

    def take(self, row: int, start: int, end: int) -> torch.Tensor:
        """A copy of some positions of a row, as a node owns them."""
        first = start - int(self.offsets[row])
        return self.buffer[:, :, row, :, first : first + end - start].clone()

    def _move(self, rows: torch.Tensor | slice, used: int, room: int) -> None:
        held = self.buffer[:, :, rows, :, :used]
        self.buffer = held.new_empty((*held.shape[:-2], room, held.shape[-1]))
        self.buffer[..., :used, :] = held
