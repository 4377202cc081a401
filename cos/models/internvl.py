"""Released InternVL checkpoints (the original `internvl_chat` format) to folders of transformers' native class, which `vlm.load` reads.

    report = convert(Path("CoS-PRM"), Path("models/cos-prm"))

What is translated: names of weights, the packed query-key-value matrices, the configuration, the picture's tiling, the chat form. Added
tokens are looked up by their text. Weights pass shard by shard, so that memory stays near the size of one file, and keep their type. All
is looked over before anything is written, and the folder appears under its name when it is whole.

Source of the original layout: `modeling_internvl_chat.py`, `modeling_internlm2.py` and `conversation.py` of OpenGVLab/InternVL.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from transformers import GenerationConfig, InternVLConfig, InternVLForConditionalGeneration

from cos.errors import UserError
from cos.models.hub import NOTES
from cos.models.internvl_config import image_processor, native_config, own_tokenizer, read_json
from cos.models.parity import compare
from cos.models.vlm import load
from cos.template import FORMAT_TOKENS, TAG_TOKENS

EXPECTED = "expected.json"
"""Beside a checkpoint: the numbers of the reference implementation, to be compared with (`parity.compare`)."""

_RENAMED = (
    (r"^vision_model\.", "vision_tower."),
    (r"^(vision_tower\..*)\.layers\.", r"\1.layer."),
    (r"\.class_embedding$", ".cls_token"),
    (r"\.patch_embedding\.", ".patch_embeddings.projection."),
    (r"\.position_embedding$", ".position_embeddings"),
    (r"\.ls([12])$", r".lambda_\1"),
    (r"\.attn\.proj\.", ".attention.projection_layer."),
    (r"\.attn\.", ".attention."),
    (r"^(vision_tower\..*)\.norm1\.", r"\1.layernorm_before."),
    (r"^(vision_tower\..*)\.norm2\.", r"\1.layernorm_after."),
    (r"^mlp1\.0\.", "multi_modal_projector.layer_norm."),
    (r"^mlp1\.1\.", "multi_modal_projector.linear_1."),
    (r"^mlp1\.3\.", "multi_modal_projector.linear_2."),
    (r"^language_model\.output\.", "language_model.lm_head."),  # from here on InternLM2; Qwen2 has the native names
    (r"\.tok_embeddings\.", ".embed_tokens."),
    (r"\.attention_norm\.", ".input_layernorm."),
    (r"\.ffn_norm\.", ".post_attention_layernorm."),
    (r"\.feed_forward\.w1\.", ".mlp.gate_proj."),
    (r"\.feed_forward\.w2\.", ".mlp.down_proj."),
    (r"\.feed_forward\.w3\.", ".mlp.up_proj."),
    (r"^(language_model\..*)\.attention\.wo\.", r"\1.self_attn.o_proj."),
    (r"^(language_model\..*)\.attention\.wqkv\.", r"\1.self_attn.wqkv."),
)


def convert(source: Path, target: Path, expected: Path | None = None) -> dict[str, Any]:
    """Write the checkpoint in `source` to the new folder `target`; what was mapped, as JSON values.

    `expected`: the reference's numbers; without it those beside the checkpoint, where it has some. Raises UserError, and leaves nothing
    behind, for a checkpoint that is partial, damaged or of another kind, and where the numbers come out otherwise.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f"{target}: is there already; name a new folder")
    if not source.is_dir():
        raise UserError(f"{source}: no such folder; download the checkpoint first (hf download OWNER/NAME --local-dir {source})")
    files = shards(source)
    original = read_json(source / "config.json")
    tokenizer = own_tokenizer(source)
    config = native_config(original, tokenizer, tied=not _has_head(files), where=source)
    found = _look_over(files, config)
    expected = expected or (source / EXPECTED if (source / EXPECTED).is_file() else None)
    with _whole(target) as folder:
        _write(files, folder, config)
        config.save_pretrained(folder)
        ends = {"eos_token_id": tokenizer.convert_tokens_to_ids("<|im_end|>"), "pad_token_id": tokenizer.pad_token_id}
        GenerationConfig(**ends).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        image_processor(original).save_pretrained(folder)
        (folder / NOTES).write_text(json.dumps({"schema": "cos.model/1", "look": None}) + "\n")
        parity = compare(load(folder, device="cpu", dtype=torch.float32), expected) if expected else None
    vocabulary = tokenizer.get_vocab()
    return {
        "source": str(source),
        "target": str(target),
        "language_model": f"{original['llm_config']['model_type']} -> {config.text_config.model_type}",
        **found,
        "image": {
            "pixels": config.vision_config.image_size[0],
            "tokens": config.image_seq_length,
            "tiles": original.get("max_dynamic_patch", 6),
        },
        "tokens": {token: vocabulary[token] for token in FORMAT_TOKENS | TAG_TOKENS if token in vocabulary},
        "tokens_missing": [token for token in FORMAT_TOKENS | TAG_TOKENS if token not in vocabulary],
        "parity": parity,
    }


def shards(source: Path) -> list[Path]:
    """The weight files of a checkpoint in order. Raises UserError where there are none, or where the index names one that is not there."""
    index = source / "model.safetensors.index.json"
    if index.is_file():
        named = read_json(index).get("weight_map")
        if not isinstance(named, dict) or not named:
            raise UserError(f"{index}: names no weights; download the file again")
        files = [source / name for name in sorted(set(named.values()))]
    else:
        files = [source / "model.safetensors"]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        remedy = "only safetensors are read" if any(source.glob("*.bin")) else "download the missing files"
        raise UserError(f"{source}: the checkpoint is partial, {', '.join(missing)} is not there; {remedy}")
    return files


def translated(name: str, tensor: torch.Tensor, config: InternVLConfig) -> dict[str, torch.Tensor]:
    """One original weight as its native ones: renamed, and cut where it packs three matrices. RuntimeError where the shape forbids it.

    The vision tower stacks query, key and value. InternLM2 packs, for each of its key-value heads, the query heads that share it, then
    the key and the value head, rows of `head_dim` each.
    """
    for pattern, new in _RENAMED:
        name = re.sub(pattern, new, name)
    if ".attention.qkv." in name:
        parts = tensor.chunk(3)
        return {name.replace(".qkv.", f".{which}_proj."): part for which, part in zip("qkv", parts, strict=True)}
    if ".self_attn.wqkv." in name:
        text = config.text_config
        groups = text.num_attention_heads // text.num_key_value_heads
        heads = tensor.reshape(text.num_key_value_heads, groups + 2, text.hidden_size // text.num_attention_heads, *tensor.shape[1:])
        packed = {"q": heads[:, :groups], "k": heads[:, groups], "v": heads[:, groups + 1]}
        return {name.replace(".wqkv.", f".{which}_proj."): part.reshape(-1, *tensor.shape[1:]) for which, part in packed.items()}
    return {name: tensor}


def _has_head(files: Sequence[Path]) -> bool:
    return any(name in ("language_model.output.weight", "language_model.lm_head.weight") for file in files for name in _shapes(file))


def _shapes(file: Path) -> dict[str, list[int]]:
    """Name -> shape of what a weight file says it holds."""
    try:
        with safe_open(file, "pt") as weights:
            return {name: weights.get_slice(name).get_shape() for name in weights.keys()}  # noqa: SIM118 (no mapping)
    except (SafetensorError, OSError) as problem:
        raise UserError(f"{file}: damaged or cut short ({str(problem).splitlines()[0]}); download it again") from None


def _look_over(files: Sequence[Path], config: InternVLConfig) -> dict[str, int]:
    """Whether the weights of all files together are exactly those of the native model, by names and shapes; how many there are."""
    with torch.device("meta"):
        model = InternVLForConditionalGeneration(config)
    wanted = {_on_disk(name): list(weight.shape) for name, weight in model.state_dict().items()}
    if config.tie_word_embeddings:
        del wanted["language_model.lm_head.weight"]
    read, made = 0, dict[str, list[int]]()
    for file in files:
        for name, shape in _shapes(file).items():
            if "lora_" in name:
                raise UserError(f"{file}: holds LoRA adapters ({name}); merge them into the weights first")
            try:
                parts = translated(name, torch.empty(shape, device="meta"), config)
            except (RuntimeError, ValueError):
                raise UserError(f"{file}: {name} has the shape {shape}, which the configuration does not fit") from None
            read += 1
            for new, part in parts.items():
                if new not in wanted:
                    raise UserError(f"{file}: {name} has no place in this architecture; is config.json that of these weights?")
                if list(part.shape) != wanted[new]:
                    raise UserError(f"{file}: {name} has the shape {shape} where config.json asks for {new} of {wanted[new]}")
                made[new] = wanted[new]
    missing = sorted(wanted.keys() - made.keys())
    if missing:
        raise UserError(f"{files[0].parent}: the checkpoint is partial, {len(missing)} weights are in no file, {missing[0]} first")
    return {"weights_read": read, "weights_written": len(made), "files": len(files)}


def _on_disk(name: str) -> str:
    """A weight's name in the model -> in a folder, as `save_pretrained` writes it."""
    if name.startswith("lm_head."):
        return "language_model." + name
    return name.removeprefix("model.").replace("language_model.", "language_model.model.", 1)


def _write(files: Sequence[Path], folder: Path, config: InternVLConfig) -> None:
    """Each source file to one of the same weights under their new names, one at a time."""
    places: dict[str, str] = {}
    for number, file in enumerate(files, start=1):
        name = "model.safetensors" if len(files) == 1 else f"model-{number:05d}-of-{len(files):05d}.safetensors"
        tensors: dict[str, torch.Tensor] = {}
        with safe_open(file, "pt") as weights:
            for key in weights.keys():  # noqa: SIM118
                tensor = weights.get_tensor(key)
                if not torch.isfinite(tensor).all():
                    raise UserError(f"{file}: damaged, {key} holds values that are no numbers; download it again")
                tensors |= {new: part.contiguous() for new, part in translated(key, tensor, config).items()}
        places |= dict.fromkeys(tensors, name)
        save_file(tensors, folder / name, {"format": "pt"})
    if len(files) > 1:
        size = sum((folder / name).stat().st_size for name in set(places.values()))
        index: Mapping[str, Any] = {"metadata": {"total_size": size}, "weight_map": dict(sorted(places.items()))}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")


@contextmanager
def _whole(target: Path) -> Iterator[Path]:
    """A folder beside `target` that takes its name when all went well and goes away when not; one left by a kill is begun again."""
    folder = target.with_name(f".{target.name}.partial")
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(parents=True)
        yield folder
        if target.exists():
            target.rmdir()  # an empty one
        folder.rename(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
