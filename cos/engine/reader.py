"""A vision-language model that reads new tokens below what it has read before, many rows at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from cos.engine.attention import NAME
from cos.engine.kv import Layout, Node, Rows
from cos.engine.room import Room, room_on
from cos.models.families import rope
from cos.models.vlm import VLM, Seen
from cos.protocols import Costs

SLOTS = 32768
"""Keys and values after the trunk that one forward holds at most, in tokens over all rows (more only where a single row needs more)."""


@dataclass(frozen=True)
class Ask:
    """Read `cuts`, one after the other, below `parent` (None: from the start); each becomes a node. `seen`: the picture
    that stands in them."""

    parent: Node | None
    cuts: tuple[tuple[int, ...], ...]
    seen: Seen | None = None

    @property
    def size(self) -> int:
        return sum(map(len, self.cuts))

    @property
    def start(self) -> int:
        return self.parent.end if self.parent else 0

    @property
    def above(self) -> int:
        """Tokens between the trunk and the cuts."""
        return self.parent.end - self.parent.path()[0].end if self.parent else 0


class Reader:
    """A model and what really went through it: `forwards` counts token-forwards as `prefill`, `decode`, `step`, `given` (pieces that a
    policy was given) and `again` (a node whose keys were not kept), and pictures as `vision`."""

    def __init__(self, vlm: VLM, room: int | None = None) -> None:
        """`room`: bytes of keys and values that nodes may hold, and a batch besides (None: by the machine, see `cos.engine.room`)."""
        vlm.model.eval()
        vlm.language.set_attn_implementation(NAME)
        self.vlm, self.encoder, self.layout = vlm, vlm.encoder, Layout.of(vlm.model)
        self.forwards: Counter[str] = Counter()
        self.room = Room(room_on(self.layout.device) if room is None else room)
        self._embed = vlm.model.get_input_embeddings()

    def costs(self) -> Costs:
        """2 FLOPs a parameter: for each token, and for each patch of a picture (counted as one tile; of 448 px where any size is one)."""
        language, vision = self.vlm.parameters()
        seen = self.vlm.model.config.vision_config
        patches = np.prod(np.broadcast_to(getattr(seen, "image_size", 448), 2) // np.broadcast_to(seen.patch_size, 2))
        return Costs(2.0 * language, 2.0 * vision * float(patches), float(self.layout.bytes_per_token), float(self.room.size))

    def forward(self, rows: Rows, ids: torch.Tensor, starts: np.ndarray, asks: Sequence[Ask] = ()) -> torch.Tensor:
        """One pass: ids (rows, count) at positions from `starts` on; hidden states (rows, count, width)."""
        positions = rows.place(starts, ids.shape[1])
        embeds, shown = self._embed(ids), ids == self.encoder.image_id
        for row, ask in enumerate(asks):
            if ask.seen is None:
                continue
            embeds[row, shown[row]] = ask.seen.features
            if ask.seen.grid:
                positions = positions if positions.dim() == 3 else positions.expand(3, -1, -1).clone()
                positions[:, row, : ask.size] = rope(ids[row, : ask.size].tolist(), self.encoder.image_id, ask.seen.grid)
        both = shown if self.encoder.family.both_ways and rows.trunk is None else None
        output = self.vlm.language(
            inputs_embeds=embeds,
            attention_mask=rows.mask(both),
            position_ids=positions,
            past_key_values=rows,
            use_cache=True,
            rows=rows,
            **_deep(asks, shown),
        )
        hidden: torch.Tensor = output.last_hidden_state
        return hidden

    def read(self, asks: Sequence[Ask], kind: str, watch: Callable[[int, torch.Tensor], None] | None = None) -> list[list[Node]]:
        """New nodes for each ask, with keys, values and last hidden state. The answers do not depend on what is read together. `watch` is
        given each ask's index and its hidden states at all its tokens (tokens, width)."""
        nodes: list[list[Node]] = [[] for _ in asks]
        for chunk in _chunks(asks, min(SLOTS, self.room.size // self.layout.bytes_per_token)):
            self.warm([parent for i in chunk if (parent := asks[i].parent)])
            count = max(asks[i].size for i in chunk)
            ids = torch.full((len(chunk), count), self.encoder.pad_id)
            for row, i in enumerate(chunk):
                ids[row, : asks[i].size] = torch.tensor([token for cut in asks[i].cuts for token in cut])
            rows = Rows([asks[i].parent for i in chunk], count, self.layout)
            starts = np.array([asks[i].start for i in chunk])
            hidden = self.forward(rows, ids.to(self.layout.device), starts, [asks[i] for i in chunk])
            for row, i in enumerate(chunk):
                nodes[i] = _split(asks[i], rows, row, hidden)
                self.forwards[kind] += asks[i].size
                if watch:
                    watch(i, hidden[row, : asks[i].size])
            if kind != "again":  # those are needed for what comes next
                self.room.use(nodes[i][-1] for i in chunk)
                self.room.tidy()
        return nodes

    def warm(self, leaves: Sequence[Node]) -> None:
        """Read again what on these paths has no keys and values (whole chains are kept as tokens only)."""
        cold = list({id(node): node for leaf in leaves for node in leaf.path() if node.kv is None}.values())
        while cold:
            ready = [node for node in cold if node.parent is not None and node.parent.kv is not None]
            for node, (fresh,) in zip(ready, self.read([Ask(node.parent, (node.ids,)) for node in ready], "again"), strict=True):
                node.kv, node.hidden = fresh.kv, fresh.hidden
            cold = [node for node in cold if node.kv is None]


def _deep(asks: Sequence[Ask], shown: torch.Tensor) -> dict[str, Any]:
    """The arguments by which a language model is given pictures' inner layers; `shown` (rows, count): where their tokens are."""
    layers = [torch.cat(parts) for parts in zip(*(ask.seen.deep for ask in asks if ask.seen), strict=True)]
    return {"visual_pos_masks": shown, "deepstack_visual_embeds": layers} if layers else {}


def _chunks(asks: Sequence[Ask], slots: int) -> Iterator[list[int]]:
    """Indices of asks to read together: of like lengths, within `slots`, and either all from the start or all below a node."""
    chunk: list[int] = []
    longest = 0
    for index in sorted(range(len(asks)), key=lambda i: (asks[i].parent is None, asks[i].size)):
        longest = max(longest, asks[index].above + asks[index].size)
        if chunk and ((len(chunk) + 1) * longest > slots or (asks[chunk[0]].parent is None) != (asks[index].parent is None)):
            yield chunk
            chunk, longest = [], asks[index].above + asks[index].size
        chunk.append(index)
    if chunk:
        yield chunk


def _split(ask: Ask, rows: Rows, row: int, hidden: torch.Tensor) -> list[Node]:
    nodes: list[Node] = []
    parent, at = ask.parent, 0
    for cut in ask.cuts:
        first, at = at, at + len(cut)
        parent = Node(
            parent, cut, rows.take(row, ask.start + first, ask.start + at), hidden[row, at - 1].clone(), ask.seen.shift if ask.seen else 0
        )
        nodes.append(parent)
    return nodes
