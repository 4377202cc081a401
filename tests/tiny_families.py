"""A tiny random model of each family (`tiny_family`): the family's own classes, chat form and image processor. Nothing is downloaded."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from tiny_models import SHAPE, TEXTS, roughen, tiny
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing
from transformers import (
    AutoModelForImageTextToText,
    Gemma3Config,
    Idefics3Config,
    LlavaConfig,
    LlavaNextConfig,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen3VLConfig,
    SmolVLMConfig,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil

from cos.models.embedded import CHAT_TEMPLATE, CHAT_TOKENS, build, make_tokenizer
from cos.models.vlm import VLM, encoder_of


@dataclass(frozen=True)
class Tiny:
    """How a family's tiny model is made. `config(text, vocabulary)`: its configuration, given that of its language model; `end` ends a
    turn, `first` begins a text (empty: none)."""

    config: Callable[[dict[str, Any], dict[str, int]], Any]
    images: Callable[[], Any]
    tokens: list[str]
    end: str
    template: str
    first: str = ""


def tiny_family(name: str, *, seed: int = 0, gain: float = 4.0, look: str | None = None, bare: bool = False) -> VLM:
    """A model of the family `name` (a `model_type`) in float32; `bare`: one that knows nothing of chains."""
    tokenizer = _bare() if bare else make_tokenizer(TEXTS, size=320)
    if name == "internvl":
        return build(SHAPE, tokenizer, seed=seed) if bare else tiny(look=look, seed=seed, gain=gain)
    made = FAMILIES[name]
    added = [made.first] * bool(made.first) + made.tokens
    tokenizer.add_special_tokens({"additional_special_tokens": added}, replace_extra_special_tokens=False)
    tokenizer.eos_token, tokenizer.chat_template = made.end, made.template
    if made.first:
        tokenizer.bos_token = made.first
        first = TemplateProcessing(single=f"{made.first} $A", special_tokens=[(made.first, tokenizer.bos_token_id)])
        tokenizer.backend_tokenizer.post_processor = first
    torch.manual_seed(seed)
    model = AutoModelForImageTextToText.from_config(made.config(_text(tokenizer), tokenizer.get_vocab())).eval()
    roughen(model, gain)
    if (
        name == "gemma3"
    ):  # it evens out what each layer adds, so that loud embeddings would drown all layers; its projector starts as nought
        model.get_input_embeddings().weight.data.mul_(0.02)
        torch.nn.init.normal_(model.model.multi_modal_projector.mm_input_projection_weight)
    return VLM(model, encoder_of(model, tokenizer, made.images()), name, look)


def _bare() -> PreTrainedTokenizerFast:
    tokenizer = make_tokenizer(TEXTS, size=320)
    raw = json.loads(tokenizer.backend_tokenizer.to_str())
    raw["added_tokens"] = [token for token in raw["added_tokens"] if token["content"] in CHAT_TOKENS]
    marks = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    bare = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(raw)), **marks)
    bare.chat_template = CHAT_TEMPLATE
    return bare


def _text(tokenizer: Any) -> dict[str, Any]:
    sizes = {"hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2}
    special = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    more = {"head_dim": 12, "max_position_embeddings": 4096, "initializer_range": 48**-0.5, "tie_word_embeddings": False}
    return {"vocab_size": len(tokenizer), **sizes, **special, **more}


def _chat(opening: str, picture: str, closing: str, reply: str) -> str:
    """A chat template: `opening` (with {{ m.role }}), the picture's mark, the text, `closing`; `reply` opens an answer."""
    each = f"{{% if c.type == 'image' %}}{picture}{{% else %}}{{{{ c.text }}}}{{% endif %}}"
    turn = f"{opening}{{% for c in m.content %}}{each}{{% endfor %}}{closing}"
    return f"{{% for m in messages %}}{turn}{{% endfor %}}{{% if add_generation_prompt %}}{reply}{{% endif %}}"


_LLAMA = {"model_type": "llama"}
_LLAMA3 = ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
_CHATML = "<|im_start|>{{ m.role }}\n", "<|im_end|>\n", "<|im_start|>assistant\n"
_SIGLIP = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 32, "patch_size": 8}
_CLIP = _SIGLIP | {"model_type": "clip_vision_model", "projection_dim": 32}
_QWEN = {"depth": 2, "hidden_size": 32, "out_hidden_size": 48, "num_heads": 4, "intermediate_size": 64, "patch_size": 8}
_PLACES = {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 2, 2]}}
_PINPOINTS = [[32, 64], [64, 32], [64, 64], [32, 96], [96, 32]]
_UNTIED = {"tie_word_embeddings": False}


def _llava(text: dict[str, Any], ids: dict[str, int]) -> Any:
    return LlavaConfig(vision_config=_CLIP, text_config=text | _LLAMA, image_token_index=ids["<image>"], **_UNTIED)


def _llava_next(text: dict[str, Any], ids: dict[str, int]) -> Any:
    own = {"image_token_index": ids["<image>"], "image_grid_pinpoints": _PINPOINTS}
    return LlavaNextConfig(vision_config=_CLIP, text_config=text | _LLAMA, **own, **_UNTIED)


def _qwen2_5_vl(text: dict[str, Any], ids: dict[str, int]) -> Any:
    vision = _QWEN | {"window_size": 32, "fullatt_block_indexes": [1]}
    return Qwen2_5_VLConfig(text_config=text | _PLACES, vision_config=vision, **_qwen_ids(ids), **_UNTIED)


def _qwen3_vl(text: dict[str, Any], ids: dict[str, int]) -> Any:
    vision = _QWEN | {"num_position_embeddings": 64, "deepstack_visual_indexes": [0, 1]}
    return Qwen3VLConfig(text_config=text | _PLACES, vision_config=vision, **_qwen_ids(ids), **_UNTIED)


def _qwen_ids(ids: dict[str, int]) -> dict[str, int]:
    marks = {"image": "image_pad", "video": "video_pad", "vision_start": "vision_start", "vision_end": "vision_end"}
    return {f"{name}_token_id": ids[f"<|{mark}|>"] for name, mark in marks.items()}


def _idefics3(text: dict[str, Any], ids: dict[str, int]) -> Any:
    own = {"image_token_id": ids["<image>"], "scale_factor": 2}
    return Idefics3Config(vision_config=_SIGLIP, text_config=text | _LLAMA, **own, **_UNTIED)


def _smolvlm(text: dict[str, Any], ids: dict[str, int]) -> Any:
    own = {"image_token_id": ids["<image>"], "scale_factor": 2}
    return SmolVLMConfig(vision_config=_SIGLIP, text_config=text | _LLAMA, **own, **_UNTIED)


def _gemma3(text: dict[str, Any], ids: dict[str, int]) -> Any:
    """Its window is shorter than any prompt here."""
    text = text | {"layer_types": ["sliding_attention", "full_attention", "sliding_attention"], "sliding_window": 9}
    marks = {"image": "<image_soft_token>", "boi": "<start_of_image>", "eoi": "<end_of_image>"}
    own = {f"{name}_token_index": ids[mark] for name, mark in marks.items()}
    return Gemma3Config(text_config=text | {"query_pre_attn_scalar": 12}, vision_config=_SIGLIP, mm_tokens_per_image=4, **own, **_UNTIED)


_QWEN_TOKENS = ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
_ROWS = [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]
_IDEFICS_TOKENS = ["<fake_token_around_image>", "<image>", "<end_of_utterance>", "<global-img>", *_ROWS]
_IDEFICS_CHAT = _chat(
    "{{ m.role | capitalize }}{% if m.content[0].type == 'image' %}:{% else %}: {% endif %}",
    "<image>",
    "<end_of_utterance>\n",
    "Assistant:",
)
_QWEN_CHAT = _chat(_CHATML[0], "<|vision_start|><|image_pad|><|vision_end|>", *_CHATML[1:])
_SQUARE = {"height": 32, "width": 32}
_TILED = {"size": {"longest_edge": 64}, "max_image_size": {"longest_edge": 32}}


def _qwen_images() -> Any:
    return Qwen2VLImageProcessorPil(patch_size=8, size={"shortest_edge": 16 * 16, "longest_edge": 64 * 64})


FAMILIES = {
    "llava_next": Tiny(
        _llava_next,
        lambda: LlavaNextImageProcessorPil(size={"shortest_edge": 32}, crop_size=_SQUARE, image_grid_pinpoints=_PINPOINTS),
        ["<image>", *_LLAMA3],
        "<|eot_id|>",
        _chat(
            "<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n",
            "<image>\n",
            "<|eot_id|>",
            "<|start_header_id|>assistant<|end_header_id|>\n\n",
        ),
        "<|begin_of_text|>",
    ),
    "llava": Tiny(
        _llava,
        lambda: CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=_SQUARE),
        ["<image>", "</s>"],
        "</s>",
        _chat("{{ m.role | upper }}: ", "<image>\n", " ", "ASSISTANT:"),
        "<s>",
    ),
    "qwen2_5_vl": Tiny(_qwen2_5_vl, _qwen_images, _QWEN_TOKENS, "<|im_end|>", _QWEN_CHAT),
    "qwen3_vl": Tiny(_qwen3_vl, _qwen_images, _QWEN_TOKENS, "<|im_end|>", _QWEN_CHAT),
    "idefics3": Tiny(_idefics3, lambda: Idefics3ImageProcessorPil(**_TILED), _IDEFICS_TOKENS, "<end_of_utterance>", _IDEFICS_CHAT),
    "smolvlm": Tiny(_smolvlm, lambda: SmolVLMImageProcessorPil(**_TILED), _IDEFICS_TOKENS, "<|im_end|>", _IDEFICS_CHAT),
    "gemma3": Tiny(
        _gemma3,
        lambda: Gemma3ImageProcessorPil(size=_SQUARE),
        ["<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<image_soft_token>", "<end_of_image>", "<eos>"],
        "<eos>",
        "{{ bos_token }}"
        + _chat(
            "<start_of_turn>{% if m.role == 'assistant' %}model{% else %}user{% endif %}\n",
            "<start_of_image>",
            "<end_of_turn>\n",
            "<start_of_turn>model\n",
        ),
        "<bos>",
    ),
}
"""By `model_type`; "internvl", the embedded shape, is there too."""

NAMES = ["internvl", *FAMILIES]
