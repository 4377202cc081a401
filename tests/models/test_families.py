"""Each family is held to its own classes: what its processor makes of a picture and a prompt, what is saved and loaded, how it learns."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image
from tiny_families import NAMES, tiny_family
from tiny_models import picture
from transformers import Gemma3Processor, Idefics3Processor, LlavaNextProcessor, LlavaProcessor
from transformers.models.internvl.processing_internvl import InternVLProcessor
from transformers.models.qwen2_5_vl.processing_qwen2_5_vl import Qwen2_5_VLProcessor
from transformers.models.qwen3_vl.processing_qwen3_vl import Qwen3VLProcessor
from transformers.models.smolvlm.processing_smolvlm import SmolVLMProcessor

from cos.errors import UserError
from cos.models.encode import Turn
from cos.models.families import FAMILIES, family_of, rope
from cos.models.vlm import VLM, add_tokens, encoder_of, load

SIZES = [(40, 30), (64, 20), (20, 70), (33, 33)]
"""Widths and heights of pictures that are cut in different ways."""


@pytest.fixture(scope="module", params=NAMES)
def vlm(request: pytest.FixtureRequest) -> VLM:
    return tiny_family(request.param)


def own_stand_in(vlm: VLM, image: Image.Image) -> str:
    """What the family's own processor writes for a picture. A processor that can't be built without torchvision is not: its method is
    called on what it would hold."""
    encoder = vlm.encoder
    held: dict[str, Any] = {"image_processor": encoder.image_processor, "image_token": encoder.family.image_token}
    held |= {"start_image_token": "<img>", "end_image_token": "</img>", "image_seq_length": encoder.image_tokens}
    held |= {
        "fake_image_token": "<fake_token_around_image>",
        "global_image_tag": "<global-img>",
        "global_image_token": "<global-img>",
        "image_seq_len": encoder.image_tokens,
    }
    own: Any = SimpleNamespace(**held) if vlm.name in UNBUILT else processor(vlm)
    more = {"return_row_col_info": True} if vlm.name in ("idefics3", "smolvlm") else {}
    made = encoder.image_processor(images=[image], **more)
    written: str = (UNBUILT[vlm.name] if vlm.name in UNBUILT else type(own)).replace_image_token(own, made, 0)
    return written


UNBUILT: dict[str, Any] = {
    "untrained": InternVLProcessor,
    "qwen2_5_vl": Qwen2_5_VLProcessor,
    "qwen3_vl": Qwen3VLProcessor,
    "smolvlm": SmolVLMProcessor,
}


def processor(vlm: VLM) -> Any:
    """The family's own processor."""
    encoder = vlm.encoder
    common = {"image_processor": encoder.image_processor, "tokenizer": encoder.tokenizer}
    patches = {"patch_size": 8, "vision_feature_select_strategy": "default", "num_additional_image_tokens": 1}
    if vlm.name == "llava":
        return LlavaProcessor(**common, **patches)
    if vlm.name == "llava_next":
        return LlavaNextProcessor(**common, **patches)
    if vlm.name == "idefics3":
        return Idefics3Processor(**common, image_seq_len=encoder.image_tokens)
    marks = {"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>"}
    for name, mark in marks.items():
        setattr(encoder.tokenizer, name, mark)
        setattr(encoder.tokenizer, f"{name}_id", encoder.vocabulary[mark])
    return Gemma3Processor(**common, image_seq_length=encoder.image_tokens)


def _for_videos_too(vlm: VLM) -> Any:
    """The own processor of a family of `UNBUILT`: it holds one for videos, which asks for torchvision."""
    kinds = {"untrained": "internvl", "qwen2_5_vl": "qwen2_vl", "qwen3_vl": "qwen3_vl", "smolvlm": "smolvlm"}
    module = import_module(f"transformers.models.{kinds[vlm.name]}.video_processing_{kinds[vlm.name]}")
    videos = next(kind for name, kind in vars(module).items() if name.endswith("VLVideoProcessor") or name == "SmolVLMVideoProcessor")
    encoder, more = vlm.encoder, {}
    if vlm.name == "untrained":
        more = {"image_seq_length": encoder.image_tokens}
        marks = {
            "start_image_token": "<img>",
            "end_image_token": "</img>",
            "context_image_token": "<IMG_CONTEXT>",
            "video_token": "<video>",
        }
    elif vlm.name == "smolvlm":
        more = {"image_seq_len": encoder.image_tokens}
        marks = {"fake_image_token": "<fake_token_around_image>", "image_token": "<image>", "global_image_token": "<global-img>"}
        marks["end_of_utterance_token"] = "<end_of_utterance>"
    else:
        marks = {}
    for name, mark in marks.items():
        setattr(encoder.tokenizer, name, mark)
        setattr(encoder.tokenizer, f"{name}_id", encoder.vocabulary.get(mark))
    return UNBUILT[vlm.name](image_processor=encoder.image_processor, tokenizer=encoder.tokenizer, video_processor=videos(), **more)


@pytest.mark.parametrize("size", SIZES)
def test_a_prompt_and_its_picture_are_what_the_familys_processor_makes(vlm: VLM, size: tuple[int, int]) -> None:
    encoder, image = vlm.encoder, picture(3).resize(size)
    pixels = encoder.pixels(image)
    assert pixels.stand_in == own_stand_in(vlm, image) == encoder.stand_in(image.height, image.width)
    messages = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "How many red circles are there?"}]}]
    text = encoder.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    text = text.replace(encoder.family.mark or encoder.family.image_token, pixels.stand_in)
    ids = encoder.tokenizer(text, add_special_tokens=vlm.name != "gemma3").input_ids  # its template writes the first token itself
    turns = [Turn("user", "How many red circles are there?", image=True)]
    assert encoder.conversation(turns, pixels.stand_in, reply=True).ids == ids
    assert ids.count(encoder.image_id) == len(vlm.see([pixels])[0].features)


def test_the_familys_own_processor_gives_the_same_ids_and_pixels(vlm: VLM) -> None:
    if vlm.name in UNBUILT and not (find_spec("torchvision") and find_spec("num2words")):
        pytest.skip("this family's processor needs torchvision, or num2words too")
    encoder, image = vlm.encoder, picture(2)
    if vlm.name == "untrained":
        encoder.image_processor.crop_to_patches = True  # as its processor would have it whatever the image processor says
    messages = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "How many?"}]}]
    text = encoder.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    made = (_for_videos_too if vlm.name in UNBUILT else processor)(vlm)(
        images=[image], text=[text], return_tensors="pt", add_special_tokens=vlm.name != "gemma3"
    )
    pixels = encoder.pixels(image)
    assert encoder.conversation([Turn("user", "How many?", image=True)], pixels.stand_in, reply=True).ids == made["input_ids"][0].tolist()
    for name, tensor in pixels.inputs.items():
        assert torch.equal(tensor, made[name]), name


@torch.no_grad()
def logits(vlm: VLM, image: Image.Image) -> torch.Tensor:
    """Of a question about a picture."""
    pixels = vlm.encoder.pixels(image)
    ids = vlm.encoder.conversation([Turn("user", "How many?", image=True)], pixels.stand_in, reply=True).ids
    found: torch.Tensor = vlm.model.eval()(**vlm.arguments(torch.tensor([ids]), pixels.inputs)).logits
    return found


def test_saved_and_loaded_is_the_same_model(vlm: VLM, tmp_path: Path) -> None:
    vlm.save(tmp_path)
    again = load(tmp_path)
    assert torch.equal(logits(vlm, picture(1)), logits(again, picture(1)))
    assert again.encoder.family is vlm.encoder.family and again.encoder.end_id == vlm.encoder.end_id
    assert again.encoder.pixels(picture(5)).stand_in == vlm.encoder.pixels(picture(5)).stand_in
    assert again.parameters() == vlm.parameters() and again.longest == vlm.longest


def test_pictures_seen_together_are_seen_as_each_alone(vlm: VLM) -> None:
    made = [vlm.encoder.pixels(picture(number).resize(size)) for number, size in enumerate(SIZES)]
    with torch.no_grad():
        together, alone = vlm.see(made), [vlm.see([one])[0] for one in made]
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one.features, other.features, atol=1e-4, rtol=1e-4)
        assert one.grid == other.grid and one.shift == other.shift


def test_tokens_added_to_a_model_without_them(vlm: VLM) -> None:
    before = len(vlm.encoder.vocabulary)
    assert add_tokens(vlm, tags=True) == 0 and len(vlm.encoder.vocabulary) == before  # the tiny tokenizer has them all


def test_positions_in_three_dimensions_are_those_of_qwen() -> None:
    vlm = tiny_family("qwen2_5_vl")
    image_id = vlm.encoder.image_id
    for grid in ((2, 3), (4, 1), (1, 1)):
        ids = [5, 6, *[image_id] * (grid[0] * grid[1]), 7, 8, 9]
        types = torch.tensor([[int(token == image_id) for token in ids]])
        thw = torch.tensor([[1, 2 * grid[0], 2 * grid[1]]])
        theirs, delta = vlm.body.get_rope_index(torch.tensor([ids]), types, thw)
        assert torch.equal(rope(ids, image_id, grid), theirs[:, 0])
        assert max(grid) - grid[0] * grid[1] == delta.item()


def test_an_image_processor_of_another_model_is_named(vlm: VLM) -> None:
    pixels = vlm.encoder.pixels(picture(1))
    longer = type(pixels)(pixels.inputs, pixels.stand_in + vlm.encoder.family.image_token)
    with pytest.raises(UserError, match=r"image tokens for \d+ features"), torch.no_grad():
        vlm.see([longer])


def test_an_unknown_family_says_what_to_write() -> None:
    with pytest.raises(UserError, match=r"family 'blip' is not supported; known: internvl, .*cos/models/families.py"):
        family_of(SimpleNamespace(model_type="blip"))
    assert all(name == family.name for name, family in FAMILIES.items())


def test_a_folder_that_is_not_ours_is_cut_in_tiles_as_internvls_processor_does(tmp_path: Path) -> None:
    tiny_family("internvl").save(tmp_path)
    wide = picture(1).resize((96, 32))
    assert len(load(tmp_path).encoder.pixels(wide).inputs["pixel_values"]) == 1  # as it was saved
    (tmp_path / "cos.json").unlink()
    released = load(tmp_path)
    assert len(released.encoder.pixels(wide).inputs["pixel_values"]) == 4  # three and the whole
    assert released.see([released.encoder.pixels(wide)])[0].features.shape[0] == 4 * released.encoder.image_tokens


def test_how_a_model_is_loaded(tmp_path: Path) -> None:
    tiny_family("qwen2_5_vl").save(tmp_path)
    assert load(tmp_path, dtype="bfloat16", device="cpu").model.dtype == torch.bfloat16
    assert load(tmp_path, attention="eager").model.config._attn_implementation == "eager"
    with pytest.raises(UserError, match="need the package bitsandbytes"):
        load(tmp_path, bits=4)
    with pytest.raises(UserError, match="can't be loaded"):
        load(tmp_path, attention="nonsense")


def test_a_template_without_pictures_and_a_tokenizer_without_their_token_are_named(tmp_path: Path) -> None:
    vlm = tiny_family("llava")
    vlm.encoder.tokenizer.chat_template = "{% for m in messages %}{{ m.content[-1].text }}{% endfor %}"
    with pytest.raises(UserError, match="writes no <image> for a picture"):
        vlm.encoder.conversation([Turn("user", "How many?", image=True)], "<image>")
    with pytest.raises(UserError, match=r"lacks <\|image_pad\|>"):
        encoder_of(tiny_family("qwen2_5_vl").model, vlm.encoder.tokenizer, None)
