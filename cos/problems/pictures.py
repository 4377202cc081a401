"""Pictures from files: whatever the mode, an upright RGB image, or one clear line.

image = open_picture("images/chart.png", root="data/charts")
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from cos.errors import UserError
from cos.store import inside

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
MOST_PIXELS = 20_000_000
"""Checked against the file's header, before a pixel is decoded."""


def open_picture(path: str | Path, root: str | Path | None = None) -> Image.Image:
    """The picture as RGB, turned as its EXIF orientation says, transparency laid on white, the first frame of an animation.

    With `root`, `path` is relative to it and may not leave it. Raises UserError, in one line that begins with `path`, for what is
    missing, cut short, too large or no picture.
    """
    return _open(Path(path) if root is None else inside(root, path), str(path), "" if root is None else f" under {root}")


def picture_of(data: bytes, name: str) -> Image.Image:
    """The same for a picture that lies inside another file (a table of Parquet or TSV); `name` begins the line of a UserError."""
    return _open(io.BytesIO(data), name, "")


def _open(source: Path | io.BytesIO, path: str, place: str) -> Image.Image:
    try:
        with Image.open(source, formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise UserError(f"{path}: {image.width} x {image.height} pixels, more than {MOST_PIXELS // 10**6} million; make it smaller")
            image.load()
            return to_rgb(image)
    except UserError:
        raise
    except UnidentifiedImageError:
        raise UserError(f"{path}: not a picture that can be read ({', '.join(FORMATS)})") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise UserError(f"{path}: more than {MOST_PIXELS // 10**6} million pixels; make it smaller") from None
    except FileNotFoundError:
        raise UserError(f"{path}: no such picture{place}") from None
    except (IsADirectoryError, PermissionError) as problem:
        raise UserError(f"{path}: {problem.strerror}") from None
    except Exception:  # decoders of foreign bytes fail in many ways (OSError, SyntaxError, ValueError, struct.error, ...)
        raise UserError(f"{path}: the picture is damaged or cut short") from None


def to_rgb(image: Image.Image) -> Image.Image:
    """Any PIL image as a new upright RGB image of its own; transparency is laid on white, 16-bit grey is scaled to 8."""
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):
        grey = np.clip(np.asarray(image).astype(np.float64) / 257, 0, 255)
        return Image.fromarray(np.rint(grey).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB") if image.mode != "RGB" else image.copy()
