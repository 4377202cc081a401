"""What differs between families of vision-language models, a few lines each: how a picture stands in the prompt, how it is placed and told.

A new family is one `Family` below, and one more case in `tests/models/test_families.py`, which holds it to the family's own classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
    both_ways: bool = False
    """Whether a picture's tokens see one another in both directions."""
    own: Mapping[str, Any] = field(default_factory=dict)
    """What the family's processor asks of its image processor, whatever that one's file says."""

    def content(self, image: bool, text: str) -> list[dict[str, str]]:
        """The content of a message, in the form of a chat template."""
        return [{"type": "image"}] * image + [{"type": "text", "text": text}]

    def expand(self, text: str, stand_in: str) -> str:
        """The template's one picture mark becomes `stand_in` (empty: the mark goes). Raises UserError where it has written none."""
        mark = self.mark or self.image_token
        if mark not in text:
            raise UserError(f"the model's chat template writes no {mark} for a picture; take a template of the family {self.name}")
        return text.replace(mark, stand_in, 1)


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


def _idefics3(images: Any, tokens: int, height: int, width: int) -> str:
    """Tiles row by row, each named by its place, then the whole picture."""
    fake, tile = "<fake_token_around_image>", "<image>" * tokens
    _, rows, columns = images.get_number_of_image_patches(height, width, {})
    lines = ("".join(f"{fake}<row_{row + 1}_col_{column + 1}>{tile}" for column in range(columns)) + "\n" for row in range(rows))
    return "".join(lines) + "\n" * (rows > 0) + f"{fake}<global-img>{tile}{fake}"


def _gemma3(images: Any, tokens: int, height: int, width: int) -> str:
    return "\n\n<start_of_image>" + "<image_soft_token>" * tokens + "<end_of_image>\n\n"


def _llava(images: Any, tokens: int, height: int, width: int) -> str:
    return "<image>" * tokens


def _grid(config: Any) -> int:
    return int(config.vision_config.image_size // config.vision_config.patch_size) ** 2


def _shuffled_grid(config: Any) -> int:
    return _grid(config) // int(config.scale_factor) ** 2


INTERNVL = Family("internvl", "<IMG_CONTEXT>", _internvl, lambda config: config.image_seq_length, own={"crop_to_patches": True})
"""InternVL 2.5 and 3 (native transformers class): 256 tokens a 448 px tile, one-dimensional rotary positions, full attention."""

LLAVA = Family("llava", "<image>", _llava, _grid)
"""LLaVA 1.5: the picture as one square tile (towers of one size, such as CLIP and SigLIP)."""

LLAVA_NEXT = Family("llava_next", "<image>", _llava_next, _grid)
"""LLaVA-NeXT (llama3-llava-next-8b, the paper's second base): 576 tokens, and those of a grid of tiles that follows the picture's shape."""

QWEN2_5_VL = Family("qwen2_5_vl", "<|image_pad|>", _qwen, lambda config: 0, types="mm_token_type_ids")
"""Qwen2.5-VL: as many tokens as the picture is large, placed in three dimensions (`rope`)."""

QWEN3_VL = replace(QWEN2_5_VL, name="qwen3_vl")
"""Qwen3-VL: as Qwen2.5-VL, and the tower's inner layers are added to the first layers of the language model (`Seen.deep`)."""

IDEFICS3 = Family("idefics3", "<image>", _idefics3, _shuffled_grid)
"""Idefics3: tiles and the whole picture, each of 169 tokens with a mark of its place."""

SMOLVLM = replace(IDEFICS3, name="smolvlm")
"""SmolVLM: as Idefics3, with 64 or 81 tokens a tile."""

GEMMA3 = Family(
    "gemma3",
    "<image_soft_token>",
    _gemma3,
    lambda config: config.mm_tokens_per_image,
    mark="<start_of_image>",
    types="token_type_ids",
    both_ways=True,
)
"""Gemma 3: 256 tokens a picture, which see one another in both directions; five of six layers see a sliding window."""

_ALL = (INTERNVL, LLAVA_NEXT, LLAVA, QWEN2_5_VL, QWEN3_VL, IDEFICS3, SMOLVLM, GEMMA3)
FAMILIES = {family.name: family for family in _ALL}


def family_of(config: Any) -> Family:
    """The family of a model by its configuration's `model_type`. Raises UserError for one that is not here."""
    if config.model_type not in FAMILIES:
        known = ", ".join(FAMILIES)
        raise UserError(
            f"model family {config.model_type!r} is not supported; known: {known} (a family is one entry in cos/models/families.py: "
            "its image token, what stands in the prompt for a picture, and the tokens of a tile)"
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
