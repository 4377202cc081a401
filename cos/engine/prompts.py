"""Open prompts: a picture goes through the vision tower once, a prompt is read once while it is open, and each has its tree of handles."""

from __future__ import annotations

import hashlib
import itertools
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

from cos.engine.decode import Decoder
from cos.engine.kv import Node
from cos.engine.reader import Ask, Reader
from cos.models.encode import Pixels, Turn
from cos.models.vlm import Seen
from cos.protocols import Draw, Handle, Opened, Prompt

PICTURES = 32
"""Pictures kept (features, and a looking model's description) after the last prompt about them is closed."""
VALUES = 2**25
"""Pixel values that go through the vision tower at once (55 tiles of 448 px; more only where a single picture has more)."""
LOOK_TOKENS = 120
"""What a looking reward model may write about a picture."""


@dataclass
class Picture:
    """A picture as a model has seen it. `said`: a looking model's node with its own description of it."""

    stand_in: str
    seen: Seen
    said: Node | None = None
    description: tuple[int, ...] = ()


class Prompts:
    """The open prompts of one model and the tree of nodes below each. Not safe by itself: hold `lock` while calling.

    `opening` writes a prompt another way: (question, stand-in of the picture; empty: none) -> tokens. A model that looks first then does
    not.
    """

    def __init__(self, reader: Reader, opening: Callable[[str, str], Sequence[int]] | None = None) -> None:
        self.reader, self.encoder, self.opening = reader, reader.encoder, opening
        self.look = reader.vlm.look if opening is None else None
        self.lock = threading.RLock()
        self.nodes: dict[Handle, Node] = {}
        self._below: dict[Handle, list[Handle]] = {}  # root -> all handles of its tree
        self._root: dict[Handle, Handle] = {}
        self._handles = itertools.count(1)
        self._pictures: OrderedDict[bytes, Picture] = OrderedDict()
        self._prompts: WeakValueDictionary[tuple[bytes, str], Node] = WeakValueDictionary()

    def open(self, prompts: Sequence[Prompt]) -> list[Opened]:
        """See `protocols.Policy.open`. A picture is encoded once, a prompt read once while it is open."""
        keys = self._see([prompt.image for prompt in prompts])
        wanted = [(key, prompt.question) for key, prompt in zip(keys, prompts, strict=True)]
        roots = {want: self._prompts[want] for want in dict.fromkeys(wanted) if want in self._prompts}
        fresh = [want for want in dict.fromkeys(wanted) if want not in roots]
        for want, nodes in zip(fresh, self.reader.read([self._prompt(*want) for want in fresh], "prefill"), strict=True):
            roots[want] = self._prompts[want] = nodes[-1].flat()
        while len(self._pictures) > PICTURES:
            self._pictures.popitem(last=False)
        return [Opened(self.add(roots[want], None), roots[want].end, int(bool(want[0]))) for want in wanted]

    def add(self, node: Node, parent: Handle | None) -> Handle:
        """A handle for a node below `parent` (None: it is a root)."""
        handle = next(self._handles)
        root = handle if parent is None else self._root[parent]
        self.nodes[handle], self._root[handle] = node, root
        self._below.setdefault(root, []).append(handle)
        return handle

    def close(self, roots: Sequence[Handle]) -> None:
        """Forget these roots and all below them."""
        for handle in (handle for root in roots for handle in self._below.pop(root)):
            del self.nodes[handle], self._root[handle]

    def _prompt(self, key: bytes, question: str) -> Ask:
        look, shown = self.look, bool(key)
        picture = self._pictures[key] if shown else None
        stand_in, seen = (picture.stand_in, picture.seen) if picture else ("", None)
        if self.opening is not None:
            return Ask(None, (tuple(self.opening(question, stand_in)),), seen)
        if picture is None or look is None or picture.said is None:
            ids = self.encoder.conversation([Turn("user", question, image=shown)], stand_in, reply=True).ids
            return Ask(None, (tuple(ids),), seen)
        turns = [Turn("user", look, image=True), Turn("assistant", picture.description), Turn("user", question)]
        ids = self.encoder.conversation(turns, stand_in, reply=True).ids
        known = [token for node in picture.said.path() for token in node.ids]
        if ids[: len(known)] == known:
            return Ask(picture.said, (tuple(ids[len(known) :]),))
        return Ask(None, (tuple(ids),), seen)  # a chat template that does not write a reply as it opened it: nothing to share

    def _see(self, images: Sequence[Any]) -> list[bytes]:
        """The key of each picture (empty: none), by its content; pictures not seen before go through the vision tower."""
        pixels = [None if image is None else self.encoder.pixels(image) for image in images]
        keys = [b"" if made is None else _key(made) for made in pixels]
        fresh = {key: made for key, made in zip(keys, pixels, strict=True) if made is not None and key not in self._pictures}
        for part in _parts(fresh):
            for key, seen in zip(part, self.reader.vlm.see([fresh[key] for key in part]), strict=True):
                self._pictures[key] = Picture(fresh[key].stand_in, seen)
        self.reader.forwards["vision"] += len(fresh)
        if fresh and self.look is not None:
            self._describe([self._pictures[key] for key in fresh])
        for key in filter(None, keys):
            self._pictures.move_to_end(key)
        return keys

    def _describe(self, pictures: Sequence[Picture]) -> None:
        """Let a looking model write what it sees, greedily, up to its end token."""
        assert self.look is not None
        asks = []
        for picture in pictures:
            ids = self.encoder.conversation([Turn("user", self.look, image=True)], picture.stand_in, reply=True).ids
            asks.append(Ask(None, (tuple(ids),), picture.seen))
        looks = [nodes[-1] for nodes in self.reader.read(asks, "prefill")]
        greedy = Draw(0, 0, (), temperature=0.0, max_tokens=LOOK_TOKENS)
        for picture, (drawn,) in zip(pictures, Decoder(self.reader).draw(looks, [greedy] * len(looks)), strict=True):
            node = drawn.node
            assert node.kv is not None
            size = len(node.ids) - (node.ids[-1] == self.encoder.end_id)
            picture.description = node.ids[:size]
            picture.said = Node(node.parent, picture.description, node.kv[..., :size, :].clone())


def _key(pixels: Pixels) -> bytes:
    """Of the content: equal pictures are one, whatever file they came from."""
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in pixels.inputs.items():
        digest.update(f"{name} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.digest()


def _parts(pixels: Mapping[bytes, Pixels]) -> Iterator[list[bytes]]:
    """The keys of pictures to see together, within VALUES."""
    part: list[bytes] = []
    size = 0
    for key, made in pixels.items():
        size += made.inputs["pixel_values"].numel()
        if part and size > VALUES:
            yield part
            part, size = [], made.inputs["pixel_values"].numel()
        part.append(key)
    if part:
        yield part
