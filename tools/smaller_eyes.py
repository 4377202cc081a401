"""Give a policy smaller eyes: it is shown fewer pixels, in fewer tokens, and keeps everything else that it has learned.

python tools/smaller_eyes.py runs/policy_look/model runs/policy_eyes 48

A policy that misreads at random what its reward model sees sharply leaves something to search for (docs/log.md); it has to be trained on
after this. The weights that say where a patch lies are resampled, as for a ViT at another resolution (arXiv 2010.11929, section 3.2).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import interpolate
from transformers.image_utils import SizeDict

from cos.errors import UserError
from cos.models.vlm import load


def main() -> None:
    """Read the arguments, change, save. Ends with a line where that can't be done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("out", type=Path)
    parser.add_argument("pixels", type=int)
    wanted = parser.parse_args()
    try:
        vlm = load(wanted.model)
        shrink(vlm.model, wanted.pixels)
        vlm.encoder.image_processor.size = SizeDict(height=wanted.pixels, width=wanted.pixels)
        vlm.save(wanted.out)
    except UserError as error:
        sys.exit(str(error))


def shrink(model: Any, pixels: int) -> None:
    """Position embeddings (1, 1 + patches, width) resampled to the patches of a square of `pixels`; the configuration says so."""
    config = model.config
    if config.model_type != "internvl":
        raise UserError(f"only models of InternVL's shape can be given smaller eyes, not {config.model_type}")
    vision = config.vision_config
    before, after = vision.image_size[0] // vision.patch_size[0], pixels // vision.patch_size[0]
    merge = round(1 / config.downsample_ratio)
    if after * vision.patch_size[0] != pixels or after % merge:
        raise UserError(f"{pixels} pixels are no whole number of tokens of {vision.patch_size[0] * merge} pixels")
    embeddings = model.model.vision_tower.embeddings
    first, grid = embeddings.position_embeddings.detach().split((1, before * before), dim=1)
    square = grid.unflatten(1, (before, before)).movedim(-1, 1)
    resampled = interpolate(square, size=(after, after), mode="bicubic").flatten(2).movedim(1, 2)
    embeddings.position_embeddings = torch.nn.Parameter(torch.cat([first, resampled], dim=1))
    vision.image_size = [pixels, pixels]
    config.image_seq_length = (after // merge) ** 2


if __name__ == "__main__":
    main()
