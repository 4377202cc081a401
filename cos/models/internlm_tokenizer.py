"""The tokenizer of InternLM2 from its `tokenizer.model` (sentencepiece, BPE), which otherwise comes with remote code of its own.

The file's protocol buffer is read here directly: only pieces, scores and a few settings are needed. As `tokenization_internlm2_fast.py`
of the released code does, pieces become a BPE whose merges follow the scores, and added tokens take the place of unused pieces.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, normalizers
from tokenizers.models import BPE
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import generate_merges

BLANK = "▁"  # what sentencepiece writes for a blank
_ENDS = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}  # the first three pieces, and the defaults of the released class
_BPE = 2  # TrainerSpec.ModelType


def read_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """The tokenizer of a checkpoint that has `tokenizer.model`, with the tokens that its JSON files add. ValueError for another kind."""
    pieces, bpe, prefix = _sentencepiece((folder / "tokenizer.model").read_bytes())
    if not bpe:
        raise ValueError("tokenizer.model is no BPE model")
    settings = _json(folder / "tokenizer_config.json")
    added = _added(folder, settings)
    scores = [(added.get(index, text), score) for index, (text, score) in enumerate(pieces)]
    scores[:3] = [(text, 0.0) for text in _ENDS.values()]
    vocabulary = {text: index for index, (text, _) in enumerate(scores)}
    merges = generate_merges(vocabulary, dict(scores))
    raw = Tokenizer(BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    blanks = normalizers.Replace(" ", BLANK)
    raw.normalizer = normalizers.Sequence([normalizers.Prepend(BLANK), blanks]) if prefix else blanks
    strip = [decoders.Strip(" ", 1, 0)] if prefix else []
    raw.decoder = decoders.Sequence([decoders.Replace(BLANK, " "), decoders.ByteFallback(), decoders.Fuse(), *strip])
    special = [text for _, text in sorted(added.items())]
    raw.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in [*_ENDS.values(), *special]])
    wrong = [text for index, text in added.items() if raw.token_to_id(text) != index]
    if wrong:
        raise ValueError(
            f"the added token {wrong[0]} has no id of its own: added_tokens.json and tokenizer.model are not of one checkpoint"
        )
    if settings.get("add_bos_token", True):
        raw.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", vocabulary["<s>"])])
    ends = {key: _text(settings.get(key)) or default for key, default in (_ENDS | {"pad_token": "</s>"}).items()}
    return PreTrainedTokenizerFast(tokenizer_object=raw, clean_up_tokenization_spaces=False, **ends)


def _added(folder: Path, settings: dict[str, Any]) -> dict[int, str]:
    """Id -> text of what is added beyond, or put in the place of, the pieces."""
    named = {int(index): _text(token) or "" for index, token in settings.get("added_tokens_decoder", {}).items()}
    named |= {int(index): text for text, index in _json(folder / "added_tokens.json").items()}
    return {index: text for index, text in named.items() if index > 2}


def _json(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    return found


def _text(token: Any) -> str | None:
    content: str | None = token["content"] if isinstance(token, dict) else token
    return content


def _sentencepiece(data: bytes) -> tuple[list[tuple[str, float]], bool, bool]:
    """(pieces and scores, whether it is a BPE, whether a text gets a blank before it), by the fields of sentencepiece_model.proto."""
    pieces, bpe, prefix = [], False, True
    for field, value in _fields(data):
        inner = dict(_fields(value)) if isinstance(value, bytes) else {}
        if field == 1:
            pieces.append((inner[1].decode("utf-8"), struct.unpack("<f", inner.get(2, bytes(4)))[0]))
        elif field == 2:
            bpe = inner.get(3) == _BPE
        elif field == 3:
            prefix = bool(inner.get(3, 1))
    return pieces, bpe, prefix


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """(number, value) of each field of a protocol buffer's message: an int, or bytes. ValueError where it is cut short."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        size, at = _varint(data, at) if kind == 2 else ({5: 4, 1: 8}.get(kind, len(data)), at)
        if at + size > len(data):
            raise ValueError("tokenizer.model is cut short")
        yield key >> 3, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data):
            raise ValueError("tokenizer.model is cut short")
        value |= (data[at] & 127) << shift
        shift, at = shift + 7, at + 1
        if data[at - 1] < 128:
            return value, at
