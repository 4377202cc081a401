"""What of an original InternVL checkpoint is no weights: configuration, tokenizer, chat form and how pictures are cut, in native terms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, InternVLConfig, LlamaConfig, Qwen2Config
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from cos.errors import UserError
from cos.models.internlm_tokenizer import read_tokenizer

SYSTEM = "你是书生·万象，英文名是InternVL，是由上海人工智能实验室、清华大学及多家合作单位联合开发的多模态大语言模型。"
"""The system turn of the template `internvl2_5` (`conversation.py`)."""

CHAT_TEMPLATE = (
    "{% if messages[0].role != 'system' %}<|im_start|>system\n" + SYSTEM + "<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.content is string %}{{ m.content }}{% else %}{% for c in m.content %}"
    "{% if c.type == 'image' %}<IMG_CONTEXT>\n{% else %}{{ c.text }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""The same form as a chat template; the encoder writes the picture's tokens in place of <IMG_CONTEXT>."""

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
"""ImageNet's, of the red, green and blue channel: what all released InternVL models see pictures with."""

_TEXT = {"internlm2": LlamaConfig, "qwen2": Qwen2Config}
_SIZES = (
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "hidden_act",
    "max_position_embeddings",
    "rms_norm_eps",
    "vocab_size",
)
_SLIDING = ("use_sliding_window", "sliding_window", "max_window_layers")
_FIXED = {"ps_version": "v2", "template": "internvl2_5", "pad2square": False, "use_thumbnail": True}
"""What the native class and its image processor do, or what is translated here; other values would need code of their own."""
_LORA = ("use_backbone_lora", "use_llm_lora")


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object. Raises UserError."""
    try:
        found = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        raise UserError(f"{file}: not there; the checkpoint is partial, download this file") from None
    except ValueError:
        raise UserError(f"{file}: damaged, not JSON; download it again") from None
    if not isinstance(found, dict):
        raise UserError(f"{file}: damaged, no JSON object; download it again")
    return found


def native_config(original: dict[str, Any], tokenizer: PreTrainedTokenizerBase, *, tied: bool, where: Path) -> InternVLConfig:
    """The native configuration; the picture's token is looked up in the tokenizer. `tied`: embedding and head are one matrix, where the
    configuration allows it. Raises UserError for what can't be translated."""
    if original.get("model_type") != "internvl_chat":
        kind = original.get("model_type")
        raise UserError(f"{where}: a model of type {kind!r}; only the original internvl_chat is converted (native ones load as they are)")
    for key, value in _FIXED.items():
        if original.get(key, value) != value:
            raise UserError(f"{where}: config.json says {key} = {original[key]!r}; only {value!r} can be converted")
    if any(original.get(key) for key in _LORA):
        raise UserError(f"{where}: config.json says {' or '.join(_LORA)}: merge the adapters into the weights first")
    vocabulary = tokenizer.get_vocab()
    try:
        vision, text = original["vision_config"], _text_config(original["llm_config"], len(tokenizer), tied, where)
        side, patch, ratio = vision["image_size"], vision["patch_size"], original["downsample_ratio"]
        if original.get("force_image_size", side) != side:
            raise UserError(f"{where}: config.json forces tiles of {original['force_image_size']} px on a tower made for {side}")
        return InternVLConfig(
            vision_config=_vision_config(vision),
            text_config=text,
            image_token_id=vocabulary["<IMG_CONTEXT>"],
            image_seq_length=int((side // patch) ** 2 * ratio**2),
            downsample_ratio=ratio,
            vision_feature_layer=original.get("select_layer", -1),
            tie_word_embeddings=text["tie_word_embeddings"],
            dtype=original.get("torch_dtype") or "float32",
            architectures=["InternVLForConditionalGeneration"],
        )
    except KeyError as missing:
        raise UserError(f"{where}: {missing} is missing in config.json, or the token in the tokenizer; the checkpoint is partial") from None


def _text_config(llm: dict[str, Any], tokens: int, tied: bool, where: Path) -> dict[str, Any]:
    kind = llm.get("model_type")
    if kind not in _TEXT:
        raise UserError(f"{where}: a language model of type {kind!r}; {' and '.join(_TEXT)} can be converted (cos/models/internvl.py)")
    if tokens > llm["vocab_size"]:
        raise UserError(f"{where}: the tokenizer has {tokens} tokens and the model {llm['vocab_size']}; they are not of one checkpoint")
    rope = {"rope_type": "default", "rope_theta": llm["rope_theta"]}
    if scaling := llm.get("rope_scaling"):
        rope |= {"rope_type" if key == "type" else key: value for key, value in scaling.items()}
    text = {"model_type": _TEXT[kind].model_type, "rope_parameters": rope, **{key: llm[key] for key in _SIZES}}
    if kind == "internlm2":
        text["attention_bias"] = bool(llm.get("bias"))
    else:
        text |= {key: llm[key] for key in _SLIDING if key in llm}
    ids = {key: llm.get(key) for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
    return {**text, **ids, "tie_word_embeddings": bool(tied and llm.get("tie_word_embeddings")), "dtype": llm.get("torch_dtype")}


def _vision_config(vision: dict[str, Any]) -> dict[str, Any]:
    same = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "hidden_act", "layer_norm_eps", "num_channels")
    return {
        **{key: vision[key] for key in same if key in vision},
        "image_size": [vision["image_size"]] * 2,
        "patch_size": [vision["patch_size"]] * 2,
        "attention_bias": vision["qkv_bias"],
        "use_qk_norm": vision["qk_normalization"],
        "norm_type": vision.get("norm_type", "rms_norm"),  # the original's default
        "use_absolute_position_embeddings": True,
    }


def image_processor(original: dict[str, Any]) -> GotOcr2ImageProcessorPil:
    """Cuts a picture in tiles of the tower's size and adds the whole as one more, where the checkpoint does."""
    side = original["vision_config"]["image_size"]
    return GotOcr2ImageProcessorPil(
        size={"height": side, "width": side},
        crop_to_patches=bool(original.get("dynamic_image_size")),
        min_patches=original.get("min_dynamic_patch", 1),
        max_patches=original.get("max_dynamic_patch", 6),
        image_mean=MEAN,
        image_std=STD,
    )


def own_tokenizer(source: Path) -> PreTrainedTokenizerBase:
    """The checkpoint's tokenizer with the chat form. Raises UserError where there is none that loads without remote code."""
    fast = any((source / name).is_file() for name in ("tokenizer.json", "vocab.json"))
    if not fast and not (source / "tokenizer.model").is_file():
        raise UserError(
            f"{source}: its tokenizer is not there (tokenizer.json, vocab.json and merges.txt, or tokenizer.model); download it"
        )
    try:  # the configuration is given, as config.json names no type that is known
        tokenizer = AutoTokenizer.from_pretrained(source, config=Qwen2Config(), trust_remote_code=False) if fast else read_tokenizer(source)
    except Exception as problem:  # the tokenizers library raises bare Exceptions
        reason = (str(problem).strip() or type(problem).__name__).splitlines()[0]
        raise UserError(f"{source}: its tokenizer can't be loaded ({reason})") from None
    if "<IMG_CONTEXT>" not in tokenizer.get_vocab() or "<|im_end|>" not in tokenizer.get_vocab():
        raise UserError(f"{source}: its tokenizer lacks <IMG_CONTEXT> or <|im_end|>; tokenizer files are missing, download them all")
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer
