"""How large a model is: by its configuration, or by numbers given. Weights are never read; torch is loaded for a configuration alone."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from cos.errors import UserError
from cos.loading import EMBEDDED, Role, is_server
from cos.models import hub
from cos.protocols import Costs

BYTES = {"float32": 4.0, "bfloat16": 2.0, "float16": 2.0, "int8": 1.0, "int4": 0.5}
"""Of a number in memory; the last two are weights as bitsandbytes quantises them, without their scales."""


@dataclass(frozen=True)
class Size:
    """Sizes of a vision-language model. What may be left out is as in the paper's bases: a language model of Llama 3's or InternLM2's
    proportions (8B: width 4096, 14336 within, 128 a head) under InternViT-300M (448 px tiles in 1,024 patches, 256 tokens)."""

    parameters: float
    """Of the language model, embedding and head included."""
    layers: int
    width: int
    kv_heads: int
    head_size: int = 128
    inner: int = 14336
    """Width within a layer's MLP."""
    vocabulary: int = 128_256
    """Llama 3's."""
    vision: float = 0.34e9
    """Parameters of vision tower and projector."""
    vision_layers: int = 24
    vision_width: int = 1024
    image_tokens: int = 256
    """Of a tile; 0 where the picture's size alone decides."""
    patches: float = 4.0
    """That stand behind one image token."""

    def costs(self, image_tokens: float, dtype: str = "bfloat16") -> Costs:
        """As engines have them: 2 FLOPs a parameter for each token and each patch, keys and values in `dtype`; for a picture of so many
        tokens, all its tiles counted."""
        held = self.layers * 2 * self.kv_heads * self.head_size * BYTES[dtype]
        return Costs(2.0 * self.parameters, 2.0 * self.vision * self.patches * image_tokens, held)

    def weight_bytes(self, dtype: str) -> float:
        """Of all weights."""
        return (self.parameters + self.vision) * BYTES[dtype]


def size_of(name: str, role: Role = "policy") -> Size:
    """`embedded`, a folder or a Hub id by its configuration, or sizes such as `parameters=7.7e9,layers=32,width=4096,kv_heads=8`.

    Raises UserError for a name that is none of these, and for sizes that are not whole.
    """
    if "=" in name:
        return _given(name, role)
    if name == "scripted" or is_server(name):
        raise UserError(f"{role} {name}: its size is not known; give sizes, as in {_EXAMPLE}")
    folder = EMBEDDED / role if name == "embedded" else Path(name)
    if not folder.is_dir() and not hub.split(name):
        raise UserError(f"{role} {name}: no such folder; take embedded, a folder, a Hub id owner/name, or give sizes, as in {_EXAMPLE}")
    return _configured(str(folder) if folder.is_dir() else name, role)


_EXAMPLE = "parameters=7.7e9,layers=32,width=4096,kv_heads=8"


def _given(text: str, role: Role) -> Size:
    known = {field.name: field.type for field in fields(Size)}
    found: dict[str, float] = {}
    for part in text.split(","):
        key, _, value = (word.strip() for word in part.partition("="))
        if key not in known:
            raise UserError(f"{role}: {key!r} is no size of a model; there are {', '.join(known)}")
        try:
            found[key] = float(value)
        except ValueError:
            raise UserError(f"{role}: {key} is {value!r}, where a number is needed") from None
        if not 0 <= found[key] < float("inf") or (found[key] == 0 and key not in ("vision", "image_tokens")):
            raise UserError(f"{role}: {key} is {value}; it must be more than 0")
    missing = [key for key in ("parameters", "layers", "width", "kv_heads") if key not in found]
    if missing:
        raise UserError(f"{role}: {' and '.join(missing)} missing from its sizes; give at least {_EXAMPLE}")
    sizes: dict[str, Any] = {key: value if known[key] == "float" else round(value) for key, value in found.items()}
    return Size(**sizes)


def _configured(source: str, role: Role) -> Size:
    """The model is built without memory for its weights ("meta"), and its parameters are counted."""
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText

    from cos.engine.kv import Layout
    from cos.models.families import family_of

    repo, revision = hub.split(source) or (source, None)
    try:
        config = AutoConfig.from_pretrained(repo, revision=revision or "main", trust_remote_code=False)
        family = family_of(config)
        with torch.device("meta"):
            model = AutoModelForImageTextToText.from_config(config)
    except (OSError, ValueError, RuntimeError, ImportError) as problem:
        reason = (str(problem).strip() or type(problem).__name__).splitlines()[0]
        raise UserError(f"{role} {source}: no configuration of a model can be read ({reason}); give sizes, as in {_EXAMPLE}") from None
    language, whole = (sum(weight.numel() for weight in part.parameters()) for part in (model.model.get_decoder(), model))
    body = sum(weight.numel() for weight in model.model.parameters())
    text, seen, layout = config.get_text_config(), config.vision_config, Layout.of(model)
    tokens = family.tokens(config)
    return Size(
        parameters=whole - body + language,
        layers=layout.layers,
        width=text.hidden_size,
        kv_heads=layout.heads,
        head_size=layout.size,
        inner=text.intermediate_size,
        vocabulary=text.vocab_size,
        vision=body - language,
        vision_layers=getattr(seen, "num_hidden_layers", None) or seen.depth,
        vision_width=seen.hidden_size,
        image_tokens=tokens,
        patches=_grid(seen) / tokens if tokens else seen.spatial_merge_size**2,
    )


def _grid(seen: Any) -> float:
    """Patches of a tile."""
    height, width = (size if isinstance(size, list | tuple) else (size, size) for size in (seen.image_size, seen.patch_size))
    return float((height[0] // width[0]) * (height[1] // width[1]))
