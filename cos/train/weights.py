"""Which weights learn: all of them, all but the vision tower, or low-rank adapters beside frozen ones (LoRA, arXiv 2106.09685)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

import torch

from cos.errors import UserError
from cos.models.vlm import VLM
from cos.template import FORMAT_TOKENS, TAG_TOKENS

_TOWER = re.compile(r"(^|\.)(vision_tower|vision_model|visual)\.(?!merger)")
"""A vision tower as the native classes call it; what stands between it and the language model (Qwen's merger too) is no part of it."""

SAMPLED = 4096
"""Numbers of each weight that a fingerprint reads: training moves nearly all of them, and 16 GB take minutes."""


@dataclass(frozen=True)
class Weights:
    """What learns. The tower is frozen in the released SFT and PRM trainings, not in DPO, and has to learn where it starts from nothing;
    rank and alpha of adapters are TRL's (`ModelConfig`: 16 and 32), their targets all matrices of a layer (QLoRA, arXiv 2305.14314)."""

    freeze_vision: bool = False
    lora_rank: int = 0
    """Rank of the adapters; 0: none, the weights themselves learn."""
    lora_alpha: float = 32.0
    lora_targets: str = "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj"
    """Names of the matrices that get adapters, with commas between."""

    def __post_init__(self) -> None:
        """Raises UserError for a rank below 0."""
        if self.lora_rank < 0:
            raise UserError(f"weights: lora_rank is {self.lora_rank}; it must be 1 or more, or 0 for no adapters")


def fingerprint(vlm: VLM, dtype: torch.dtype = torch.float32) -> bytes:
    """Changes with the weights. With bfloat16 it is the same where they are loaded in that or in more."""
    digest = hashlib.blake2b(digest_size=16)
    for name, weight in vlm.model.state_dict().items():
        some = weight.flatten()[:: max(1, weight.numel() // SAMPLED)].to(dtype).float().cpu().contiguous()
        digest.update(f"{name} {tuple(weight.shape)}".encode() + some.numpy().tobytes())
    return digest.digest()


def choose(vlm: VLM, weights: Weights, seed: int) -> Callable[[], None]:
    """Let these weights of `vlm` learn, and no others. What is returned puts adapters into the weights when all is learned.

    With adapters the rows of the format tokens and tags learn too, in embedding and head: new tokens mean nothing yet.
    Raises UserError where no matrix has one of the target names.
    """
    if weights.freeze_vision:
        for name, parameter in vlm.model.named_parameters():
            if _TOWER.search(name):
                parameter.requires_grad_(False)
    if not weights.lora_rank:
        return lambda: None
    from peft import LoraConfig
    from peft.tuners.lora import LoraModel

    names = set(weights.lora_targets.split(","))
    linear = [name for name, module in vlm.model.named_modules() if isinstance(module, torch.nn.Linear)]
    wanted = [name for name in linear if name.rpartition(".")[2] in names and not (weights.freeze_vision and _TOWER.search(name))]
    if not wanted:
        raise UserError(f"lora_targets: the model has no matrix called {weights.lora_targets}")
    torch.manual_seed(seed)
    plan = LoraConfig(r=weights.lora_rank, lora_alpha=weights.lora_alpha, target_modules=wanted)  # type: ignore[arg-type]
    adapters = LoraModel(vlm.model, plan, "default")
    hooks = _learn_rows(vlm)

    def merge() -> None:
        for hook in hooks:
            hook.remove()
        vlm.model = adapters.merge_and_unload()

    return merge


def _learn_rows(vlm: VLM) -> list[torch.utils.hooks.RemovableHandle]:
    ids = [vlm.encoder.vocabulary[token] for token in (*FORMAT_TOKENS, *TAG_TOKENS) if token in vlm.encoder.vocabulary]
    hooks = []
    for table in {id(w): w for w in (vlm.model.get_input_embeddings().weight, vlm.head.weight)}.values():
        rows = torch.zeros(len(table), 1, device=table.device, dtype=table.dtype)
        rows[ids] = 1
        table.requires_grad_(True)
        hooks.append(table.register_hook(lambda gradient, rows=rows: gradient * rows.to(gradient.device)))
    return hooks
