"""Loading, extending and saving vision-language models of transformers' native classes, as a model together with its encoder."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoImageProcessor, AutoModelForImageTextToText, AutoTokenizer, BitsAndBytesConfig

from cos.errors import UserError
from cos.models import hub
from cos.models.encode import Encoder, Pixels, merge
from cos.models.families import family_of
from cos.template import FORMAT_TOKENS, TAG_TOKENS

LOOK = "Describe the picture."
"""What a model is asked that shall look first: to write down every object it sees."""


@dataclass(frozen=True)
class Seen:
    """A picture as a vision tower gives it: `features` (image tokens, width), and `grid`, its rows and columns in tokens, where the family
    places it in three dimensions (`families.rope`)."""

    features: torch.Tensor
    grid: tuple[int, int] | None = None
    deep: tuple[torch.Tensor, ...] = ()
    """What is added to the hidden states of its tokens after the first layers, one tensor a layer, shaped as `features`."""

    @property
    def shift(self) -> int:
        """How far the positions of what follows run ahead of the count of tokens."""
        return max(self.grid) - len(self.features) if self.grid else 0


@dataclass
class VLM:
    """A model and its encoder. `look`: the question a reward model answers about the picture before it judges (None: it does not)."""

    model: Any
    encoder: Encoder
    name: str = ""
    look: str | None = None

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        device: torch.device = self.model.device
        return device

    @property
    def body(self) -> Any:
        """The model without its vocabulary head: called with ids (and pixel_values), gives hidden states."""
        return self.model.model

    @property
    def language(self) -> Any:
        """The language model within the body."""
        return self.body.get_decoder()

    @property
    def head(self) -> torch.nn.Linear:
        """The vocabulary head."""
        head: torch.nn.Linear = self.model.get_output_embeddings()
        return head

    @property
    def longest(self) -> int:
        """How many tokens the language model was made to read."""
        longest: int = self.model.config.get_text_config().max_position_embeddings
        return longest

    def arguments(self, ids: torch.Tensor, inputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """What the model or its body is called with: `ids` (rows, tokens) and the `inputs` of their pictures in order (`merge`; empty:
        there are none)."""
        types = self.encoder.family.types
        told = {types: (ids == self.encoder.image_id).long()} if types else {}
        return self._placed({"input_ids": ids, **inputs, **told})

    def _placed(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {name: t.to(self.device, self.model.dtype if t.is_floating_point() else None) for name, t in tensors.items()}

    def see(self, pictures: Sequence[Pixels]) -> list[Seen]:
        """Pictures through the vision tower, together. Raises UserError where it gives another number of features than stand-ins."""
        found = self.body.get_image_features(**self._placed(merge(pictures)), return_dict=True)
        features = torch.cat([part.flatten(0, -2) for part in found.pooler_output])
        deep = [torch.cat(list(layer)) for layer in getattr(found, "deepstack_features", ())]
        counts = [picture.stand_in.count(self.encoder.family.image_token) for picture in pictures]
        if len(features) != sum(counts):
            raise UserError(
                f"model {self.name}: {sum(counts)} image tokens for {len(features)} features; its image processor is not its own"
            )
        parts = zip(*(tensor.split(counts) for tensor in (features, *deep)), strict=True)
        return [Seen(part, self.encoder.grid(picture), tuple(inner)) for (part, *inner), picture in zip(parts, pictures, strict=True)]

    def parameters(self) -> tuple[int, int]:
        """(language model and head, vision tower and projector): numbers of parameters, for FLOPs."""
        total, body, language = (sum(p.numel() for p in part.parameters()) for part in (self.model, self.body, self.language))
        return total - body + language, body - language

    def save(self, folder: Path) -> None:
        """Weights (safetensors), configuration, tokenizer, image processor, notes: a folder that `load` reads."""
        folder.mkdir(parents=True, exist_ok=True)
        self.model.save_pretrained(folder)
        self.encoder.tokenizer.save_pretrained(folder)
        self.encoder.image_processor.save_pretrained(folder)
        (folder / hub.NOTES).write_text(json.dumps({"schema": "cos.model/1", "look": self.look}) + "\n")


def load(
    source: str | Path,
    *,
    device: str | None = None,
    dtype: torch.dtype | str | None = None,
    attention: str | None = None,
    bits: int | None = None,
    trust_remote_code: bool = False,
) -> VLM:
    """A model from a folder or a Hub id (`cos.models.hub`). Safetensors only; remote code stays off unless asked for; float32 on CPU and
    bfloat16 on GPU unless `dtype` says otherwise.

    `attention`: transformers' name of an implementation, for the vision tower and for trainings (the engine has its own); `bits`: 4 or 8,
    weights quantised by bitsandbytes. Raises UserError where there is no such model or its family is unknown.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    dtype = dtype or (torch.bfloat16 if device.startswith("cuda") else torch.float32)
    safe: dict[str, Any] = {"trust_remote_code": trust_remote_code}
    how = {"dtype": dtype, "attn_implementation": attention} | (_quantised(bits, device) if bits else {})
    folder = hub.fetch_model(str(source), code=trust_remote_code) if hub.split(str(source)) and not Path(source).is_dir() else Path(source)
    try:
        config = AutoConfig.from_pretrained(folder, **safe)
        family = family_of(config)
        tokenizer = AutoTokenizer.from_pretrained(folder, **safe)
        own = {} if (folder / hub.NOTES).is_file() else dict(family.own)  # what we have saved is complete
        images = AutoImageProcessor.from_pretrained(folder, backend="pil", **own, **safe)
        model = AutoModelForImageTextToText.from_pretrained(folder, use_safetensors=True, **how, **safe)
    except (OSError, ValueError, RuntimeError, ImportError, SafetensorError) as problem:
        reason = (str(problem).strip() or type(problem).__name__).splitlines()[0]
        raise UserError(f"model {source}: can't be loaded ({reason}); give a folder saved by save_pretrained or a Hub id") from None
    notes = _notes(folder)
    model = model if bits else model.to(device)
    return VLM(model.eval(), encoder_of(model, tokenizer, images), str(source), notes.get("look"))


def _quantised(bits: int, device: str) -> dict[str, Any]:
    if bits not in (4, 8):
        raise UserError(f"weights of {bits} bits: 4 or 8 can be had")
    if importlib.util.find_spec("bitsandbytes") is None:
        raise UserError(f"weights of {bits} bits need the package bitsandbytes; install it, or load without")
    return {"quantization_config": BitsAndBytesConfig(load_in_4bit=bits == 4, load_in_8bit=bits == 8), "device_map": {"": device}}


def encoder_of(model: Any, tokenizer: Any, image_processor: Any) -> Encoder:
    """The encoder that fits a model."""
    family = family_of(model.config)
    if family.image_token not in tokenizer.get_vocab():
        raise UserError(f"the tokenizer lacks {family.image_token}, which stands for pictures in models of the family {family.name}")
    return Encoder(tokenizer, image_processor, family, family.tokens(model.config))


def add_tokens(vlm: VLM, *, tags: bool) -> int:
    """Add the format tokens (and with `tags` the reward model's three) that the tokenizer lacks; their number.

    Each new row of embedding and head starts as the mean of the rows of its plain description, as `add_special_token.py` of the
    released code does.
    """
    described = FORMAT_TOKENS | (TAG_TOKENS if tags else {})
    missing = [token for token in described if token not in vlm.encoder.vocabulary]
    if not missing:
        return 0
    tokenizer = vlm.encoder.tokenizer
    sources = [tokenizer.encode(described[token], add_special_tokens=False) for token in missing]
    tokenizer.add_special_tokens({"additional_special_tokens": missing}, replace_extra_special_tokens=False)
    size = max(len(tokenizer), vlm.model.get_input_embeddings().weight.shape[0])
    vlm.model.resize_token_embeddings(size, mean_resizing=False)
    tables = {id(layer.weight): layer.weight for layer in (vlm.model.get_input_embeddings(), vlm.model.get_output_embeddings())}
    with torch.no_grad():
        for weight in tables.values():
            for token, ids in zip(missing, sources, strict=True):
                weight[tokenizer.convert_tokens_to_ids(token)] = weight[ids].mean(0)
    vlm.encoder = encoder_of(vlm.model, tokenizer, vlm.encoder.image_processor)
    return len(missing)


def _notes(folder: Path) -> dict[str, Any]:
    path = folder / hub.NOTES
    if not path.is_file():
        return {}
    try:
        notes: dict[str, Any] = json.loads(path.read_text())
    except ValueError:
        raise UserError(f"{path}: not JSON; save the model again") from None
    if notes.get("schema") != "cos.model/1":
        raise UserError(f"{path}: schema {notes.get('schema')!r} is unknown here (known: cos.model/1); update the workbench")
    return notes
