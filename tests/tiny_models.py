"""Tiny random models of the embedded shape whose outputs depend strongly on every token before, so that a wrong cache shows.
Those of the other families are in `tiny_families`."""

from __future__ import annotations

from typing import Any

import torch
from PIL import Image, ImageDraw

from cos.chain import Chain, Step
from cos.models.embedded import Shape, build, make_tokenizer
from cos.models.encode import Pixels, Turn
from cos.models.vlm import VLM
from cos.template import pieces

SHAPE = Shape(pixels=32, merge=2, vision_width=32, vision_layers=1, width=48, layers=3, heads=4)
TEXTS = ["How many red circles are there? Describe the picture. There are 3 blue squares.", "The answer is 12, as seen in the picture."]
LOOK = "Describe the picture."


def tiny(*, look: str | None = None, seed: int = 0, gain: float = 4.0) -> VLM:
    """A model in float32 with weights `gain` times as large as at the usual start; rounding grows with it too."""
    vlm = build(SHAPE, make_tokenizer(TEXTS, size=320), seed=seed, look=look)
    roughen(vlm.model, gain)
    return vlm


@torch.no_grad()
def roughen(model: Any, gain: float) -> None:
    """Weights `gain` times as large as at the usual start."""
    for name, weight in model.named_parameters():
        if weight.dim() > 1:
            weight.mul_(8.0 if "embed" in name or "lm_head" in name else gain)


def picture(number: int) -> Image.Image:
    """A picture that differs from every other number's."""
    image = Image.new("RGB", (40, 30), (20 + 40 * number % 200, 90, 160))
    ImageDraw.Draw(image).ellipse((number, 2, number + 15, 20), fill=(250, 10 * number, 0))
    return image


def texts(*thoughts: str, answer: str = "3") -> list[str]:
    """The pieces of a chain with these thoughts."""
    return pieces(Chain(tuple(Step("look", thought, "it is seen") for thought in thoughts), answer))


@torch.no_grad()
def scores_from_scratch(vlm: VLM, image: Image.Image | None, question: str, chain: list[str], said: tuple[int, ...] = ()) -> list[float]:
    """Rewards of all pieces by one plain forward of the transformers model over the whole text, no cache."""
    encoder = vlm.encoder
    turns = [Turn("user", question, image=image is not None)]
    if vlm.look is not None and image is not None:
        turns = [Turn("user", vlm.look, image=True), Turn("assistant", said), Turn("user", question)]
    pixels = Pixels({}, "") if image is None else encoder.pixels(image)
    ids = encoder.conversation(turns, pixels.stand_in, reply=True).ids
    at = []
    for text in chain:
        ids = [*ids, *encoder.piece(text), encoder.tag_id]
        at.append(len(ids) - 1)
    logits = vlm.model.eval()(**vlm.arguments(torch.tensor([ids]), pixels.inputs)).logits[0, at][:, list(encoder.label_ids)]
    return [float(good) for good in torch.softmax(logits, -1)[:, 0]]
