"""A policy on transformers' own models: image and prompt read once, steps drawn in batches below a shared prefix."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from cos.engine.decode import Decoder, Drawn
from cos.engine.prompts import Prompts
from cos.engine.reader import Ask, Reader
from cos.models.vlm import VLM
from cos.protocols import Draw, Handle, Opened, Piece, Prompt, Read, ToRead


class TorchPolicy:
    """`protocols.Policy` on a VLM. May be called from any thread; calls take turns. `forwards`: what really went through the model."""

    def __init__(self, vlm: VLM, room: int | None = None, decoder: Callable[[Reader], Decoder] = Decoder) -> None:
        """`room`: bytes for keys and values (`Reader`); `decoder`: another way to choose tokens."""
        reader = Reader(vlm, room)
        self.name, self.costs, self.forwards = vlm.name, reader.costs(), reader.forwards
        self._reader, self._prompts = reader, Prompts(reader)
        self._decoder = decoder(reader)

    @torch.inference_mode()
    def open(self, prompts: Sequence[Prompt]) -> list[Opened]:
        """See `protocols.Policy`. Raises UserError for a picture that can't be read."""
        with self._prompts.lock:
            return self._prompts.open(prompts)

    @torch.inference_mode()
    def draw(self, requests: Sequence[Draw]) -> list[list[Piece]]:
        """See `protocols.Policy`. Log-probabilities are of what may be sampled at all (after masking), at temperature 1."""
        with self._prompts.lock:
            drawn = self._decoder.draw([self._prompts.nodes[request.parent] for request in requests], requests)
            return [self._pieces(request.parent, row) for request, row in zip(requests, drawn, strict=True)]

    @torch.inference_mode()
    def read(self, requests: Sequence[ToRead]) -> list[Read]:
        """See `protocols.Policy`. In `forwards` these tokens are of the kind `given`."""
        prompts, encoder = self._prompts, self._reader.encoder
        with prompts.lock:
            asks = [Ask(prompts.nodes[r.parent], tuple(tuple(encoder.piece(text)) for text in r.pieces)) for r in requests]
            found = []
            for request, nodes in zip(requests, self._reader.read(asks, "given"), strict=True):
                handles: list[Handle] = []
                for node in nodes:
                    handles.append(prompts.add(node, handles[-1] if handles else request.parent))
                found.append(Read(tuple(handles), tuple(len(node.ids) for node in nodes)))
            return found

    def close(self, roots: Sequence[Handle]) -> None:
        """See `protocols.Policy`."""
        with self._prompts.lock:
            self._prompts.close(roots)

    def _pieces(self, parent: Handle, row: Sequence[Drawn]) -> list[Piece]:
        pieces = []
        for drawn in row:
            parent = self._prompts.add(drawn.node, parent)
            pieces.append(Piece(parent, self._reader.encoder.decode(drawn.node.ids), drawn.node.ids, drawn.logprob, drawn.ending))
        return pieces
