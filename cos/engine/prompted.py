"""A policy for models that nobody has trained on chains: the plain form is asked for in the prompt, and read tolerantly.

What the search sees is the marked form, as from any other policy: each piece is translated at the border (`cos.plain_form`). Where no
single token ends a step, the text does: a piece ends with the token that makes one more step complete, or the answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch

from cos.chain import Chain, Step
from cos.engine.decode import ANSWER, CUT, STEP, Batch, Decoder, Drawn
from cos.engine.kv import Node
from cos.engine.prompts import Prompts
from cos.engine.reader import Reader
from cos.engine.torch_engine import TorchPolicy
from cos.errors import UserError
from cos.models.encode import Encoder, Turn
from cos.models.vlm import VLM
from cos.plain_form import exact, plain_pieces, read_plain
from cos.protocols import Handle, Piece, Read, ToRead
from cos.template import Parsed, TemplateError, pieces, read_piece

EXAMPLE = Chain(
    (
        Step("Find the bars", "The question is about the red and the blue bar.", "The picture is a bar chart and shows both."),
        Step("Read the values", "The red bar ends at 9, the blue bar at 6.", "Both ends lie on lines of the grid."),
        Step("Compare", "9 - 6 = 3, so the red bar is 3 higher.", "The values were read in the step before."),
    ),
    "3",
)
"""The one example; our own."""

PROMPT = (
    "You answer a question about a picture in short steps. Every step has a name, a thought, and a reflection that ties the thought to "
    "what the picture shows or to an earlier step. Write nothing but steps and the answer, in this form (an example about another "
    f"picture):\n\n{''.join(plain_pieces(EXAMPLE))}\n\nThe answer is a number, a word, a short phrase or an option's letter.\n\nQuestion: "
)
"""What a model is asked, with the question after it; our own words."""


class PlainDecoder(Decoder):
    """Draws plain text: no special token but those that end a text, and pieces that end where their text does."""

    def __init__(self, reader: Reader) -> None:
        super().__init__(reader)
        encoder = reader.encoder
        special = {index for index, token in encoder.tokenizer.added_tokens_decoder.items() if token.special}
        self.bias[: max(encoder.vocabulary.values()) + 1] = 0.0
        self.bias[sorted((special | {encoder.image_id}) - encoder.end_ids)] = -torch.inf
        self.marks = np.ones(len(self.kind), bool)  # tokens that may end a piece: those that are no mere word
        self.marks[[index for token, index in encoder.vocabulary.items() if _is_word(token)]] = False

    def endings(self, batch: Batch) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
        """See `Decoder.endings`. A reply is read from its beginning, so a step that was drawn alone ends where it ends in a whole chain."""
        encoder = self.reader.encoder
        replies = [_reply(node) for node in batch.parents]
        steps = [len(_read(encoder, ids).steps) for ids in replies]

        def ending(row: int, token: int) -> int:
            replies[row].append(token)
            if token in encoder.end_ids:
                return CUT if _read(encoder, replies[row]).answer is None else ANSWER
            parsed = _read(encoder, replies[row]) if self.marks[token] else Parsed()
            before, steps[row] = steps[row], max(steps[row], len(parsed.steps))
            return ANSWER if parsed.answer is not None else STEP if steps[row] > before else 0

        def endings(live: np.ndarray, ids: np.ndarray) -> np.ndarray:
            rows = zip(live.tolist(), ids.tolist(), strict=True)
            return np.array([0 if batch.finished[row] else ending(row, token) for row, token in rows], np.int8)

        return endings


class PromptedPolicy(TorchPolicy):
    """`protocols.Policy` on a VLM that was not trained on chains.

    `formats` counts the pieces drawn: `exact` (to the letter as asked), `recovered` (otherwise, but read), `lost` (no step or answer).
    """

    def __init__(self, vlm: VLM, room: int | None = None) -> None:
        super().__init__(vlm, room, PlainDecoder)
        self.name, self.formats = f"prompted:{vlm.name}", Counter[str](exact=0, recovered=0, lost=0)
        self._prompts = Prompts(self._reader, self._opening)

    def read(self, requests: Sequence[ToRead]) -> list[Read]:
        """See `protocols.Policy`. Raises UserError for a piece that is no step or answer, or can't be written as plain text."""
        with self._prompts.lock:
            return super().read([replace(request, pieces=tuple(self._plain(request))) for request in requests])

    def _opening(self, question: str, stand_in: str) -> list[int]:
        turn = Turn("user", PROMPT + question, image=bool(stand_in))
        return self._reader.encoder.conversation([turn], stand_in, reply=True).ids

    def _plain(self, request: ToRead) -> list[str]:
        first = self._prompts.nodes[request.parent].parent is None
        texts = []
        for number, text in enumerate(request.pieces):
            parsed = read_piece(text, first=first and number == 0)
            try:
                if parsed.error or not (parsed.steps or parsed.done):
                    raise TemplateError(parsed.error or "it has no end")
                texts += plain_pieces(parsed.chain)
            except TemplateError as problem:
                raise UserError(f"piece {number + 1} can't be given to a prompted model: {problem}") from None
        return texts

    def _pieces(self, parent: Handle, row: Sequence[Drawn]) -> list[Piece]:
        return [self._marked(piece) for piece in super()._pieces(parent, row)]

    def _marked(self, piece: Piece) -> Piece:
        """The piece in the marked form; as it was written, and cut, where no single step or answer can be read from it."""
        encoder, node = self._reader.encoder, self._prompts.nodes[piece.handle]
        assert node.parent is not None
        before, now = (_read(encoder, _reply(place)).chain for place in (node.parent, node))
        new = Chain((), now.answer) if piece.ending == "answer" else Chain(now.steps[len(before.steps) :][:1])
        readable = piece.ending == "step" or (piece.ending == "answer" and bool(before.steps))
        try:
            text = pieces(Chain((*before.steps, *new.steps), new.answer))[-1] if readable else ""
        except TemplateError:  # a format token spelled out in letters
            text = ""
        said = encoder.decode([token for token in node.ids if token not in encoder.end_ids])
        self.formats["lost" if not text else "exact" if exact([said], new) else "recovered"] += 1
        return replace(piece, text=text) if text else replace(piece, text=said, ending="cut")


def _reply(node: Node) -> list[int]:
    """All tokens of the reply up to and with this node; the root holds the prompt."""
    return [token for place in node.path()[1:] for token in place.ids]


def _read(encoder: Encoder, ids: Sequence[int]) -> Parsed:
    """What a reply holds so far; a token that ends a text ends it."""
    ended = bool(ids) and ids[-1] in encoder.end_ids
    return read_plain(encoder.decode(ids[: len(ids) - ended]), ended=ended)


def _is_word(token: str) -> bool:
    """Letters alone, with the mark of a blank before them that byte-level and sentencepiece vocabularies have."""
    letters = token.lstrip("\u0120\u2581")
    return letters.isascii() and letters.isalpha()
