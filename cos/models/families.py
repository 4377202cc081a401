"""What differs between families of vision-language models, a few lines each: how a picture stands in the prompt, how it is placed and told.

A new family is one `Family` below, and one more case in `tests/models/test_families.py`, which holds it to the family's own classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers.image_processing_utils import select_best_resolution

from cos.errors import UserError


@dataclass(frozen=True)
class Family:
    """One family. `stand_in(images, tokens, height, width)`: the text that stands in the prompt for a picture of this size (pixels), given
    the image processor and the tokens a tile takes; `tokens(config)`: the latter, 0 where the picture's size alone decides."""

    name: str
    image_token: str
    """Stands once for each feature of the picture."""
    stand_in: Callable[[Any, int, int, int], str]
    tokens: Callable[[Any], int]
    mark: str = ""
    """What the chat template writes for a picture; empty: the image token."""
    types: str = ""
    """The argument by which the whole model is told which ids are a picture's; empty: it needs none."""
    own: Mapping[str, Any] = field(default_factory=dict)
    """What the family's processor asks of its image processor, whatever that one's file says."""

    def content(self, image: bool, text: str) -> list[dict[str, str]]:
        """The content of a message, in the form of a chat template."""
        return [{"type": "image"}] * image + [{"type": "text", "text": text}]

    def expand(self, text: str, stand_in: str) -> str:
        """The template's one picture mark becomes `stand_in` (empty: the mark goes)."""
        return text.replace(self.mark or self.image_token, stand_in, 1)


def _internvl(images: Any, tokens: int, height: int, width: int) -> str:
    tiles: int = images.get_number_of_image_patches(height, width, {})
    return "<img>" + "<IMG_CONTEXT>" * (tokens * tiles) + "</img>"


def _llava_next(images: Any, tokens: int, height: int, width: int) -> str:
    """The whole picture as one tile, then the tiles of the best fitting grid without what pads them, a token for each line's end."""
    side, tile = math.isqrt(tokens), images.crop_size["height"]
    rows, columns = (size // tile * side for size in select_best_resolution((height, width), images.image_grid_pinpoints))
    if width / height > columns / rows:
        rows -= (rows - int(round(height * (columns / width), 7))) // 2 * 2
    else:
        columns -= (columns - int(round(width * (rows / height), 7))) // 2 * 2
    return "<image>" * (tokens + rows * (columns + 1))


def _qwen(images: Any, tokens: int, height: int, width: int) -> str:
    return "<|image_pad|>" * (images.get_number_of_image_patches(height, width, {}) // images.merge_size**2)


def _image_seq_length(config: Any) -> int:
    return int(config.image_seq_length)


def _grid(config: Any) -> int:
    return int(config.vision_config.image_size // config.vision_config.patch_size) ** 2


INTERNVL = Family("internvl", "<IMG_CONTEXT>", _internvl, _image_seq_length, own={"crop_to_patches": True})
"""InternVL 2.5 and 3 (native transformers class): 256 tokens a 448 px tile, one-dimensional rotary positions, full attention."""

LLAVA_NEXT = Family("llava_next", "<image>", _llava_next, _grid)
"""LLaVA-NeXT (llama3-llava-next-8b, the paper's second base): 576 tokens, and those of a grid of tiles that follows the picture's shape."""

QWEN2_5_VL = Family("qwen2_5_vl", "<|image_pad|>", _qwen, lambda config: 0, types="mm_token_type_ids")
"""Qwen2.5-VL: as many tokens as the picture is large, placed in three dimensions (`rope`)."""

FAMILIES = {family.name: family for family in (INTERNVL, LLAVA_NEXT, QWEN2_5_VL)}


def family_of(config: Any) -> Family:
    """The family of a model by its configuration's `model_type`. Raises UserError for one that is not here."""
    if config.model_type not in FAMILIES:
        known = ", ".join(FAMILIES)
        raise UserError(
            f"model family {config.model_type!r} is not supported; known: {known} (a family is one entry in cos/models/families.py)"
        )
    return FAMILIES[config.model_type]


def rope(ids: Sequence[int], image_id: int, grid: tuple[int, int]) -> torch.Tensor:
    """Positions in time, height and width, (3, tokens), of a prompt with one picture of `grid` (rows, columns) tokens, as Qwen-VL has them
    (arXiv 2409.12191, section 2.1): text counts on in all three; the picture stands still in time; what follows begins after its longer
    side. Always given to the model: what it would find by itself is state that the next prompt overwrites."""
    start, count = ids.index(image_id), grid[0] * grid[1]
    places = torch.arange(len(ids)).expand(3, -1).clone()
    places[:, start : start + count] = start
    places[1, start : start + count] += torch.arange(grid[0]).repeat_interleave(grid[1])
    places[2, start : start + count] += torch.arange(grid[1]).repeat(grid[0])
    places[:, start + count :] += max(grid) - count
    return places
