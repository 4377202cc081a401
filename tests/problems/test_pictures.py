"""Any picture becomes an upright RGB image, or one clear line."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cos.errors import UserError
from cos.problems.pictures import open_picture, to_rgb

FIXTURES = Path(__file__).parents[1] / "data" / "released" / "images"


@pytest.mark.parametrize("path", sorted(FIXTURES.iterdir()), ids=lambda path: path.name)
def test_the_fixtures_load_or_give_one_line(path: Path) -> None:
    if path.name in ("cut.png", "not_an_image.png"):
        with pytest.raises(UserError) as caught:
            open_picture(path.name, FIXTURES)
        assert str(caught.value).startswith(f"{path.name}: ")
        assert "\n" not in str(caught.value)
    else:
        image = open_picture(path.name, FIXTURES)
        assert image.mode == "RGB"
        with Image.open(path) as raw:
            assert image.size == raw.size


def saved(folder: Path, image: Image.Image, name: str, **how: object) -> Path:
    image.save(folder / name, **how)
    return folder / name


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    half = Image.new("RGBA", (2, 1), (255, 0, 0, 255))
    half.putpixel((1, 0), (0, 0, 0, 0))
    image = open_picture(saved(tmp_path, half, "alpha.png"))
    assert [image.getpixel((x, 0)) for x in (0, 1)] == [(255, 0, 0), (255, 255, 255)]
    palette = Image.new("P", (2, 1))
    palette.putpalette([0, 0, 0, 0, 0, 255])
    palette.putpixel((1, 0), 1)
    image = open_picture(saved(tmp_path, palette, "palette.png", transparency=0))
    assert [image.getpixel((x, 0)) for x in (0, 1)] == [(255, 255, 255), (0, 0, 255)]


def test_sixteen_bits_are_scaled_not_clipped(tmp_path: Path) -> None:
    grey = Image.fromarray(np.array([[0, 257 * 100, 65535]], dtype=np.uint16))
    image = open_picture(saved(tmp_path, grey, "deep.png"))
    assert [image.getpixel((x, 0)) for x in range(3)] == [(0, 0, 0), (100, 100, 100), (255, 255, 255)]


def test_other_modes_keep_their_colours(tmp_path: Path) -> None:
    assert open_picture(saved(tmp_path, Image.new("1", (1, 1), 1), "bit.png")).getpixel((0, 0)) == (255, 255, 255)
    assert open_picture(saved(tmp_path, Image.new("L", (1, 1), 9), "grey.bmp")).getpixel((0, 0)) == (9, 9, 9)
    red, green, blue = open_picture(saved(tmp_path, Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "cmyk.jpg")).getpixel((4, 4))
    assert red > 200 and green < 60 and blue < 60


def test_orientation_is_applied(tmp_path: Path) -> None:
    image = Image.new("RGB", (3, 2), "blue")
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    assert open_picture(saved(tmp_path, image, "turned.jpg", exif=exif)).size == (2, 3)


def test_only_the_first_frame_counts(tmp_path: Path) -> None:
    red, blue = Image.new("RGB", (4, 4), "red"), Image.new("RGB", (4, 4), "blue")
    path = saved(tmp_path, red, "two.gif", save_all=True, append_images=[blue])
    assert open_picture(path).getpixel((0, 0)) == (255, 0, 0)


def test_size_is_checked_before_decoding(tmp_path: Path) -> None:
    for side in (5000, 12000, 20000):
        path = saved(tmp_path, Image.new("1", (side, side)), f"{side}.png")
        path.write_bytes(path.read_bytes()[:100])  # so that decoding could only fail
        with pytest.raises(UserError, match="20 million"):
            open_picture(path)


def test_missing_folder_other_format_and_escape(tmp_path: Path) -> None:
    tiff = saved(tmp_path, Image.new("L", (2, 2)), "a.tiff")
    for path, reason in ((tmp_path / "none.png", "no such picture"), (tmp_path, "directory"), (tiff, "not a picture")):
        with pytest.raises(UserError, match=reason):
            open_picture(path)
    with pytest.raises(UserError, match="leaves the folder"):
        open_picture("../a.tiff", tmp_path)


@given(st.integers(0, 400), st.binary(min_size=1, max_size=4), st.sampled_from(["a.png", "b.jpg", "palette.png", "alpha.png"]))
def test_damaged_files_load_or_give_one_line(at: int, junk: bytes, name: str) -> None:
    content = bytearray((FIXTURES / name).read_bytes())
    content[at : at + len(junk)] = junk
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(content)
        try:
            assert open_picture(path).mode == "RGB"
        except UserError as error:
            assert "\n" not in str(error)


def test_an_open_image_is_copied_not_shared() -> None:
    image = Image.open(io.BytesIO((FIXTURES / "a.png").read_bytes())).convert("RGB")
    to_rgb(image).putpixel((0, 0), (1, 2, 3))
    assert image.getpixel((0, 0)) != (1, 2, 3)
