"""The embedded models: small InternVL-shaped policy and reward model with a tokenizer of their own, trained on the worlds with truth.

They ship as package data, so that everything runs on a laptop with no download. `build` makes an untrained one; `recipes/embedded_*.yaml`
hold how the shipped ones were trained.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import InternVLConfig, InternVLForConditionalGeneration, PreTrainedTokenizerFast
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil

from cos.models.vlm import VLM, encoder_of
from cos.template import FORMAT_TOKENS, TAG_TOKENS

CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% for c in m.content %}"
    "{% if c.type == 'image' %}<IMG_CONTEXT>\n{% else %}{{ c.text }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""InternVL's chat form without its system turn, which a model of this size has no use for."""

CHAT_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>"]
RUNS = [
    "<|reasoning_start|>\n<|reasoning_step_start|>\n<|reasoning_step_name_start|>",
    "\n<|reasoning_proceed|>\n<|reasoning_step_start|>\n<|reasoning_step_name_start|>",
    "<|reasoning_step_name_end|>\n<|reasoning_step_thought_start|>",
    "<|reasoning_step_thought_end|>\n<|reasoning_step_reflection_start|>",
    "<|reasoning_step_reflection_end|>\n<|reasoning_step_end|>",
    "\n<|reasoning_end|>\nAnswer:\n<|answer_start|>",
    "<|im_start|>user\n<img>",
    "</img>\n",
    "<|im_end|>\n<|im_start|>user\n",
    "<|im_end|>\n<|im_start|>assistant\n",
]
"""Runs of marks that always come together are one token here (the text stays the same, byte for byte): a step of structure costs 4 tokens
instead of 16, which halves the cost of sampling and training on a CPU."""


WORDS = Regex(r" ?\p{L}+| ?\p{N}{1,2}| ?[^\s\p{L}\p{N}]|\s")
"""Words and numbers of up to two figures with the blank before them, other characters one by one."""


@dataclass(frozen=True)
class Shape:
    """Sizes of a model. `pixels`: side of the square it sees; `patch`: side of a patch; `merge`: patches (per side) that make one token."""

    pixels: int
    merge: int
    vision_width: int
    vision_layers: int
    width: int
    layers: int
    heads: int
    patch: int = 8


POLICY = Shape(pixels=64, merge=2, vision_width=96, vision_layers=3, width=160, layers=4, heads=4)
REWARD = Shape(pixels=128, merge=1, vision_width=192, vision_layers=3, width=192, layers=5, heads=3, patch=16)
"""A reward model that is larger and sees four times the pixels, in four times the image tokens (what ships: seven times of both, since
the policy's eyes were made smaller, `tools/smaller_eyes.py`): as in the paper a 38B model judges an
8B one. Patches of 8 taught it no more a batch, at 2.4 times the time (docs/log.md)."""


def make_tokenizer(texts: Iterable[str], size: int = 1200) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer trained on `texts`: any text encodes, and numbers up to 99 are one token each where `texts` has them."""
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(pattern=WORDS, behavior="isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    raw.decoder = decoders.ByteLevel()
    raw.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=size, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    )
    special = [*CHAT_TOKENS, *FORMAT_TOKENS, *TAG_TOKENS, *RUNS]
    raw.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    return wrapped(raw)


def wrapped(raw: Tokenizer) -> PreTrainedTokenizerFast:
    """A tokenizer with this family's chat form and ends."""
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, eos_token="<|im_end|>", pad_token="<|endoftext|>", clean_up_tokenization_spaces=False
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def build(shape: Shape, tokenizer: PreTrainedTokenizerFast, *, seed: int = 0, look: str | None = None) -> VLM:
    """An untrained model of this shape; the same seed gives the same weights."""
    torch.manual_seed(seed)
    side = shape.pixels // shape.patch // shape.merge
    config = InternVLConfig(
        vision_config={
            "hidden_size": shape.vision_width,
            "initializer_range": shape.vision_width**-0.5,
            "num_hidden_layers": shape.vision_layers,
            "num_attention_heads": 4,
            "intermediate_size": shape.vision_width * 3,
            "image_size": [shape.pixels, shape.pixels],
            "patch_size": [shape.patch, shape.patch],
            "attention_bias": True,
            "layer_scale_init_value": 1.0,
            "use_absolute_position_embeddings": True,
        },
        text_config={
            "model_type": "qwen2",
            "hidden_size": shape.width,
            "initializer_range": shape.width**-0.5,
            "num_hidden_layers": shape.layers,
            "num_attention_heads": shape.heads,
            "num_key_value_heads": shape.heads,
            "intermediate_size": shape.width * 8 // 3 // 16 * 16,
            "vocab_size": len(tokenizer),
            "max_position_embeddings": 2048,
            "tie_word_embeddings": False,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        },
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=side * side,
        downsample_ratio=1 / shape.merge,
        tie_word_embeddings=False,
    )
    images = GotOcr2ImageProcessorPil(size={"height": shape.pixels, "width": shape.pixels}, crop_to_patches=False)
    model = InternVLForConditionalGeneration(config)
    with torch.no_grad():
        start_seeing(model.model.vision_tower.embeddings, shape)
    return VLM(model, encoder_of(model, tokenizer, images), "untrained", look)


def start_seeing(embeddings: Any, shape: Shape) -> None:
    """Give a vision tower that starts from nothing a fair start: patches are read as their lowest cosine waves, evened out in strength, in
    brightness and two colour contrasts; places as sine waves. (The defaults, noise and zeros, are fit for pretrained towers: with
    them reading stays at chance for hundreds of batches, docs/log.md.)"""
    size, width = shape.patch, shape.vision_width
    steps = (torch.arange(size) + 0.5) * torch.pi / size
    waves = torch.stack([torch.cos(k * steps) * (1 if k else 0.5**0.5) for k in range(size)]) * (2 / size) ** 0.5
    contrasts = torch.tensor([[1.0, 1.0, 1.0], [1.5, 0.0, -1.5], [0.9, -1.8, 0.9]]) / 3**0.5
    order = sorted(((u, v) for u in range(size) for v in range(size)), key=lambda uv: (sum(uv), uv))
    kernels = [(contrasts[c][:, None, None] * torch.outer(waves[u], waves[v]), u + v) for u, v in order for c in range(3)]
    weight = torch.stack([kernel * (1 + level) / size for kernel, level in kernels[:width]])
    projection, places = embeddings.patch_embeddings.projection, embeddings.position_embeddings
    projection.weight[: len(weight)] = weight  # a small patch has fewer waves than the tower is wide: the rest stay noise
    projection.bias.zero_()
    grid = shape.pixels // size
    middle = (torch.arange(grid) + 0.5) / grid
    turns = torch.pi * torch.linspace(0.5, grid / 2, width // 4)[None, :] * middle[:, None]
    line = torch.cat([turns.sin(), turns.cos()], dim=1)  # (grid, width / 2)
    table = torch.cat([line[:, None, :].expand(grid, grid, -1), line[None, :, :].expand(grid, grid, -1)], dim=-1)
    places.zero_()
    places[0, 1:] = 0.7 * table.reshape(grid * grid, -1)


def new(role: str) -> VLM:
    """The untrained `policy` or `reward` model that the recipes start from: to the bit the same every time. Their tokenizer ships, so
    that a world's new words change no token (`tools/make_tokenizer.py` made it)."""
    raw = Tokenizer.from_file(str(path("tokenizer") / "tokenizer.json"))
    return build({"policy": POLICY, "reward": REWARD}[role], wrapped(raw))


def path(role: str) -> Path:
    """The folder of the shipped `policy` or `reward` model, or of their `tokenizer`."""
    return Path(str(files("cos") / "assets" / role))
