"""What is measured: models, a picture and a question by name, and chains of a fixed size that both ways are made to write."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer

from cos import problems
from cos.engine.decode import Batch, Decoder, uniforms
from cos.engine.reader import Reader
from cos.errors import UserError
from cos.models import embedded
from cos.models.embedded import RUNS, Shape
from cos.models.encode import Encoder
from cos.models.vlm import VLM, load
from cos.template import ANSWER_END

SHAPE = Shape(pixels=448, merge=2, vision_width=384, vision_layers=8, width=768, layers=14, heads=12, patch=14)
"""A model of InternVL's form with 115M parameters and 256 tokens a tile; weights of no training serve to measure time."""
CASES = {"embedded": "the models that ship", "internvl-256": "115M parameters, a tile", "internvl-1536": "115M parameters, six tiles"}
QUESTION = "How much taller is the green bar than the brown bar?"


@dataclass(frozen=True)
class Case:
    """Models and what they are asked. The reward model does not look first: the picture's description is no part of a step search."""

    name: str
    policy: VLM
    reward: VLM
    image: Image.Image
    question: str = QUESTION


def case(name: str) -> Case:
    """The case of this name (`CASES`). Raises UserError for another."""
    if name not in CASES:
        raise UserError(f"no case is called {name!r}; there are {', '.join(CASES)}")
    if name == "embedded":
        image = problems.draw(problems.problems("charts:test", 1)[0])
        return Case(name, load(embedded.path("policy")), replace(load(embedded.path("reward")), look=None), image)
    return made(name, SHAPE, tiles=6 if name == "internvl-1536" else 1)


def made(name: str, shape: Shape, tiles: int) -> Case:
    """An untrained model of this shape in both roles, and a picture that is cut in so many tiles."""
    tokenizer = embedded.wrapped(Tokenizer.from_file(str(embedded.path("tokenizer") / "tokenizer.json")))
    vlm = embedded.build(shape, tokenizer)
    vlm.encoder.image_processor.crop_to_patches = tiles > 1
    image = Image.effect_noise((shape.pixels * max(1, tiles - 1), shape.pixels), 60.0).convert("RGB")
    return Case(name, replace(vlm, model=vlm.model.eval()), vlm, image)


class Forced(Decoder):
    """Does all the work of drawing, and then takes words at random from a node's own stream instead, in the form of a chain: `pieces`
    pieces of `length` tokens each, the last of them the answer. Their texts, encoded, are the very same tokens."""

    def __init__(self, reader: Reader, pieces: int, length: int) -> None:
        """Raises UserError for a length in which a step has no place."""
        super().__init__(reader)
        if length < 7 or pieces < 2:
            raise UserError(f"{pieces} pieces of {length} tokens make no chain: at least 2 of 7 tokens are needed")
        self.pieces, self.length = pieces, length
        self.words = torch.tensor(words(reader.encoder), device=self.bias.device)

    def choose(self, batch: Batch, live: np.ndarray, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Decoder.choose`."""
        _, logp = super().choose(batch, live, logits)
        drawn = uniforms(batch.keys[live], batch.count[live])
        ids = self.words[torch.from_numpy((drawn * len(self.words)).astype(np.int64)).to(self.words.device)]
        for at, row in enumerate(live):
            mark = self.mark(len(batch.paths[row]), int(batch.count[row]))
            if mark:
                ids[at] = self.reader.encoder.vocabulary[mark]
        return ids, logp

    def mark(self, depth: int, count: int) -> str:
        """The mark that stands at token `count` of a piece at this depth (from 1); empty: a word."""
        last = self.length - 1
        if depth >= self.pieces:
            return {0: RUNS[5], last: ANSWER_END}.get(count, "")
        return {0: RUNS[0] if depth == 1 else RUNS[1], 2: RUNS[2], last - 2: RUNS[3], last: RUNS[4]}.get(count, "")


def words(encoder: Encoder) -> list[int]:
    """Tokens that are a blank and a word, so that their texts one after the other are encoded as the same tokens."""
    return sorted(
        index for token, index in encoder.vocabulary.items() if token[0] == "\u0120" and token[1:].isalpha() and token[1:].isascii()
    )
