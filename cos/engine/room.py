"""How much memory keys and values may take: nodes that were not used for long give theirs up, and are read again if they are needed."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from weakref import WeakKeyDictionary

import torch

from cos.engine.kv import Node

ON_CPU = 4 * 2**30
"""Bytes; a quarter of the memory of the machines this was made on."""
ON_GPU = 0.25
"""Share of the memory that is free when the model is there."""


def room_on(device: torch.device) -> int:
    """Bytes that the nodes of one model may hold, and its largest batch besides."""
    if device.type != "cuda":
        return ON_CPU
    return int(ON_GPU * torch.cuda.mem_get_info(device)[0])


class Room:
    """The nodes that hold keys and values, and when each was last used. Roots (picture and prompt) are not among them: they stay."""

    def __init__(self, size: int) -> None:
        self.size, self.taken = size, 0  # `taken`: at least what is held; counted anew when it reaches `size`
        self._used: WeakKeyDictionary[Node, int] = WeakKeyDictionary()
        self._clock = count()

    def use(self, leaves: Iterable[Node]) -> None:
        """The paths to these nodes are in use."""
        now = next(self._clock)
        for leaf in leaves:
            node: Node | None = leaf
            while node is not None and node.parent is not None and self._used.get(node) != now:
                self.taken += 0 if node in self._used or node.kv is None else node.kv.nbytes
                self._used[node] = now
                node = node.parent

    def tidy(self) -> None:
        """Where too much is held, let the longest unused go."""
        if self.taken <= self.size:
            return
        held = sorted((node for node in self._used if node.kv is not None), key=self._used.__getitem__)
        self.taken = sum(node.kv.nbytes for node in held if node.kv is not None)
        for node in held:
            if self.taken <= self.size:
                return
            assert node.kv is not None
            self.taken -= node.kv.nbytes
            node.kv = None
            del self._used[node]
