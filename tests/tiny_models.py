"""Tiny random models whose outputs depend strongly on every token before, so that a wrong cache shows: of the embedded shape (`tiny`), and
one of each family (`tiny_family`), with the family's own classes, chat form and image processor. Nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image, ImageDraw
from transformers import AutoModelForImageTextToText, LlavaNextConfig, Qwen2_5_VLConfig
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from cos.chain import Chain, Step
from cos.models.embedded import Shape, build, make_tokenizer
from cos.models.encode import Pixels, Turn
from cos.models.vlm import VLM, encoder_of
from cos.template import pieces

SHAPE = Shape(pixels=32, merge=2, vision_width=32, vision_layers=1, width=48, layers=3, heads=4)
TEXTS = ["How many red circles are there? Describe the picture. There are 3 blue squares.", "The answer is 12, as seen in the picture."]
LOOK = "Describe the picture."


def tiny(*, look: str | None = None, seed: int = 0, gain: float = 4.0) -> VLM:
    """A model in float32 with weights `gain` times as large as at the usual start; rounding grows with it too."""
    vlm = build(SHAPE, make_tokenizer(TEXTS, size=320), seed=seed, look=look)
    _roughen(vlm.model, gain)
    return vlm


@torch.no_grad()
def _roughen(model: Any, gain: float) -> None:
    for name, weight in model.named_parameters():
        if weight.dim() > 1:
            weight.mul_(8.0 if "embed" in name or "lm_head" in name else gain)


def tiny_family(name: str, *, seed: int = 0, gain: float = 4.0, look: str | None = None) -> VLM:
    """A model of the family `name` (a `model_type`) in float32."""
    made = TINY[name]
    tokenizer = make_tokenizer(TEXTS, size=320)
    tokenizer.add_special_tokens({"additional_special_tokens": made.tokens}, replace_extra_special_tokens=False)
    tokenizer.eos_token, tokenizer.chat_template = made.end, made.template
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": 48,
        "intermediate_size": 96,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 12,
        "max_position_embeddings": 4096,
        "initializer_range": 48**-0.5,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "tie_word_embeddings": False,
    }
    config = made.config(text, tokenizer.get_vocab())
    torch.manual_seed(seed)
    model = AutoModelForImageTextToText.from_config(config).eval()
    _roughen(model, gain)
    return VLM(model, encoder_of(model, tokenizer, made.images()), name, look)


@dataclass(frozen=True)
class Tiny:
    """How a family's tiny model is made. `config(text, vocabulary)`: its configuration; `end`: the token that ends a turn."""

    config: Callable[[dict[str, Any], dict[str, int]], Any]
    images: Callable[[], Any]
    tokens: list[str]
    end: str
    template: str


def _chat(opening: str, picture: str, closing: str, reply: str) -> str:
    """A chat template: `opening` (with {{ m.role }}), the picture's mark, the text, `closing`; `reply` opens an answer."""
    return (
        f"{{% for m in messages %}}{opening}{{% for c in m.content %}}{{% if c.type == 'image' %}}{picture}"
        f"{{% else %}}{{{{ c.text }}}}{{% endif %}}{{% endfor %}}{closing}{{% endfor %}}{{% if add_generation_prompt %}}{reply}{{% endif %}}"
    )


_CHATML = "<|im_start|>{{ m.role }}\n", "<|im_end|>\n", "<|im_start|>assistant\n"
_LLAMA3 = "<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n", "<|eot_id|>", "<|start_header_id|>assistant<|end_header_id|>\n\n"
_CLIP = {"model_type": "clip_vision_model", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
_CLIP |= {"image_size": 32, "patch_size": 8, "projection_dim": 32}
_PINPOINTS = [[32, 64], [64, 32], [64, 64], [32, 96], [96, 32]]
_QWEN_TOKENS = ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]


def _llava_next(text: dict[str, Any], ids: dict[str, int]) -> Any:
    text = text | {"model_type": "llama"}
    return LlavaNextConfig(
        vision_config=_CLIP, text_config=text, image_token_index=ids["<image>"], image_grid_pinpoints=_PINPOINTS, tie_word_embeddings=False
    )


def _qwen2_5_vl(text: dict[str, Any], ids: dict[str, int]) -> Any:
    vision = {"depth": 2, "hidden_size": 32, "out_hidden_size": 48, "num_heads": 4, "intermediate_size": 64, "patch_size": 8}
    vision |= {"window_size": 32, "fullatt_block_indexes": [1]}
    places = {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 2, 2]}}
    marks = {f"{name}_token_id": ids[f"<|{mark}|>"] for name, mark in (("image", "image_pad"), ("video", "video_pad"))}
    marks |= {f"vision_{name}_token_id": ids[f"<|vision_{name}|>"] for name in ("start", "end")}
    return Qwen2_5_VLConfig(text_config=text | places, vision_config=vision, tie_word_embeddings=False, **marks)


TINY = {
    "llava_next": Tiny(
        _llava_next,
        lambda: LlavaNextImageProcessorPil(
            size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}, image_grid_pinpoints=_PINPOINTS
        ),
        ["<image>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
        "<|eot_id|>",
        _chat(_LLAMA3[0], "<image>\n", *_LLAMA3[1:]),
    ),
    "qwen2_5_vl": Tiny(
        _qwen2_5_vl,
        lambda: Qwen2VLImageProcessorPil(patch_size=8, size={"shortest_edge": 16 * 16, "longest_edge": 64 * 64}),
        _QWEN_TOKENS,
        "<|im_end|>",
        _chat(_CHATML[0], "<|vision_start|><|image_pad|><|vision_end|>", *_CHATML[1:]),
    ),
}
"""By `model_type`."""


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
