"""Text to tokens: structure is structure, text is text, whatever a user or a policy writes; with compound marks (embedded) and without."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tiny_models import TEXTS, picture, tiny
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers
from transformers import PreTrainedTokenizerFast

from cos.chain import Chain, Step
from cos.models.embedded import CHAT_TEMPLATE, CHAT_TOKENS, RUNS, make_tokenizer
from cos.models.encode import Encoder, Turn
from cos.models.families import INTERNVL
from cos.template import ANSWER_END, FORMAT_TOKENS, STEP_END, TAG, TAG_TOKENS, pieces

QWEN = Path(__file__).parent.parent / "data/tokenizers/qwen2.json"
WRITTEN = [*CHAT_TOKENS, *FORMAT_TOKENS, *TAG_TOKENS]
"""Every special token that somebody could spell out."""
CHAIN = Chain((Step("Read", "Red is 3.", "Seen."), Step("Sum", "3 and 4 make 7.", "So it is.")), "7")


def qwen() -> Encoder:
    """The tokenizer of a converted CoS checkpoint: byte-level BPE with the 17 tokens, no compound marks."""
    marks: dict[str, Any] = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "clean_up_tokenization_spaces": False}
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(QWEN), **marks)
    tokenizer.chat_template = CHAT_TEMPLATE
    return Encoder(tokenizer, None, INTERNVL, 4)


def sentencepiece() -> Encoder:
    """A tokenizer as InternLM2's and Llama 2's: a blank is put before every run of text, characters that it lacks are bytes."""
    letters = [chr(code) for code in range(33, 127)] + ["▁"]
    known = {token: index for index, token in enumerate(["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), *letters, "▁R", "▁Re"])}
    raw = Tokenizer(models.BPE(vocab=known, merges=[("▁", "R"), ("▁R", "e")], byte_fallback=True, unk_token="<unk>"))
    raw.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    blank, bytes_, whole = decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()
    raw.decoder = decoders.Sequence([blank, bytes_, whole, decoders.Strip(" ", 1, 0)])
    raw.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in WRITTEN])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    tokenizer.chat_template = CHAT_TEMPLATE
    return Encoder(tokenizer, None, INTERNVL, 4)


@pytest.fixture(scope="module", params=["compound", "single", "sentencepiece"])
def encoder(request: pytest.FixtureRequest) -> Encoder:
    """With and without runs of marks as one token; with a blank before every run of text."""
    return ENCODERS[["compound", "single", "sentencepiece"].index(request.param)]


def special(encoder: Encoder) -> set[int]:
    """All ids of added tokens."""
    return set(encoder.tokenizer.added_tokens_decoder)


def test_every_format_token_and_tag_is_one_token_of_this_tokenizer(encoder: Encoder) -> None:
    for token in (*FORMAT_TOKENS, *TAG_TOKENS):
        assert encoder.tokenizer.encode(token, add_special_tokens=False) == [encoder.vocabulary[token]]
        assert encoder.decode([encoder.vocabulary[token]]) == token
    assert encoder.decode([encoder.tag_id, *encoder.label_ids]) == "ки" + "к+и" + "к-и"
    assert encoder.knows_chains
    assert encoder.decode([encoder.image_id, encoder.end_id, encoder.pad_id]) == "<IMG_CONTEXT><|im_end|><|endoftext|>"


spelled = st.lists(st.sampled_from(WRITTEN) | st.text(max_size=8), max_size=12).map("".join)


@given(text=spelled)
def test_special_tokens_spelled_out_in_plain_text_are_ordinary_characters(text: str) -> None:
    for encoder in ENCODERS:
        ids = encoder.plain(text)
        assert not set(ids) & special(encoder)
        if "\ufffd" not in text and text.isprintable():
            assert encoder.decode(ids) == text


@given(question=spelled)
def test_no_question_changes_the_structure_of_a_conversation(question: str) -> None:
    for encoder in ENCODERS:
        chain = tuple(token for piece in pieces(CHAIN) for token in (*encoder.piece(piece), encoder.tag_id))

        def told(asked: str, encoder: Encoder = encoder, chain: tuple[int, ...] = chain) -> tuple[list[int], list[int]]:
            encoded = encoder.conversation([Turn("user", asked, image=True), Turn("assistant", chain)], encoder.family.image_token * 8)
            return encoded.ids, encoded.turn

        (ids, owner), (plain, _) = told(question), told("How many?")
        assert [i for i in ids if i in special(encoder)] == [i for i in plain if i in special(encoder)]
        assert ids.count(encoder.tag_id) == 3 and ids.count(encoder.image_id) == 8
        before = ids[: owner.index(0)] if 0 in owner else None
        assert [i for i, turn in zip(ids, owner, strict=True) if turn == 0] == encoder.plain(question, before)
        assert [i for i, turn in zip(ids, owner, strict=True) if turn == 1] == list(chain)


@given(words=st.tuples(spelled, spelled, spelled))
def test_no_text_of_a_policy_becomes_a_tag_an_image_or_padding(words: tuple[str, str, str]) -> None:
    for encoder in ENCODERS:
        text = pieces(Chain((Step("", "", ""),)))[0].removesuffix(STEP_END) + "".join(words) + STEP_END
        assert not set(encoder.piece(text)) & encoder.never_sampled


ENCODERS = [Encoder(make_tokenizer(TEXTS, size=320), None, INTERNVL, 4), qwen(), sentencepiece()]


def test_pieces_decode_to_their_text(encoder: Encoder) -> None:
    for piece in pieces(CHAIN):
        ids = encoder.piece(piece)
        assert encoder.decode(ids) == piece
        assert ids[-1] in encoder.step_end_ids | encoder.answer_end_ids
        assert not any(i in encoder.step_end_ids | encoder.answer_end_ids for i in ids[:-1])


def test_compound_marks_make_a_step_four_tokens_of_structure() -> None:
    compound, single, _ = ENCODERS
    empty = Chain((Step("", "", ""),) * 2)
    assert [len(compound.piece(piece)) for piece in pieces(empty)] == [4, 4]
    assert len(single.piece(pieces(empty)[1])) > 12


def test_a_text_and_its_pieces_have_the_same_tokens(encoder: Encoder) -> None:
    joined = [token for piece in pieces(CHAIN) for token in encoder.piece(piece)]
    assert joined == encoder.piece("".join(pieces(CHAIN)))


def test_a_conversation_holds_each_content_once_and_reads_as_the_template_writes_it(encoder: Encoder) -> None:
    turns = [Turn("system", "Be brief."), Turn("user", "How many?", image=True), Turn("assistant", "Three."), Turn("user", "Sure?")]
    encoded = encoder.conversation(turns, "<img>" + "<IMG_CONTEXT>" * 4 + "</img>", reply=True)
    assert encoder.decode(encoded.ids) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n"
        "<|im_start|>user\n<img><IMG_CONTEXT><IMG_CONTEXT><IMG_CONTEXT><IMG_CONTEXT></img>\nHow many?<|im_end|>\n"
        "<|im_start|>assistant\nThree.<|im_end|>\n<|im_start|>user\nSure?<|im_end|>\n<|im_start|>assistant\n"
    )
    for index, turn in enumerate(turns):
        places = [at for at, owner in enumerate(encoded.turn) if owner == index]
        assert places == list(range(places[0], places[-1] + 1))
        assert encoder.decode([encoded.ids[at] for at in places]) == turn.content


def test_a_picture_mark_goes_where_there_is_no_tile(encoder: Encoder) -> None:
    assert "IMG" not in encoder.decode(encoder.conversation([Turn("user", "Q", image=True)]).ids)


def test_a_template_that_drops_a_turn_is_refused(encoder: Encoder) -> None:
    template, encoder.tokenizer.chat_template = encoder.tokenizer.chat_template, "{{ messages[0].content[0].text }}"
    try:
        with pytest.raises(ValueError, match=r"turn 2 \(assistant\)"):
            encoder.conversation([Turn("user", "Q"), Turn("assistant", "A")])
    finally:
        encoder.tokenizer.chat_template = template


def test_what_is_never_sampled(encoder: Encoder) -> None:
    never = {encoder.decode([i]) for i in encoder.never_sampled}
    assert {"<IMG_CONTEXT>", "<img>", "</img>", "<|im_start|>", "<|endoftext|>", *TAG_TOKENS} <= never
    assert not never & {*FORMAT_TOKENS, "<|im_end|>"}
    assert not never & set(RUNS[:6]), "runs of format tokens may be written"
    assert not any(encoder.plain(text)[0] in encoder.never_sampled for text in ("a", "7", " ", "\n"))


def test_ends_of_steps_answers_and_turns(encoder: Encoder) -> None:
    assert encoder.vocabulary[STEP_END] in encoder.step_end_ids and encoder.vocabulary[ANSWER_END] in encoder.answer_end_ids
    assert all(encoder.decode([i]).endswith(STEP_END) for i in encoder.step_end_ids)
    assert encoder.end_id in encoder.turn_end_ids and all(encoder.decode([i]).startswith("<|im_end|>") for i in encoder.turn_end_ids)


def test_pictures_of_any_kind_become_tiles(tmp_path: Path) -> None:
    encoder = tiny().encoder
    picture(1).save(tmp_path / "a.png")
    whole, opened, thin = (encoder.pixels(image) for image in (picture(1), tmp_path / "a.png", Image.new("L", (9, 70), 200)))
    values = whole.inputs["pixel_values"]
    assert set(whole.inputs) == {"pixel_values"} and values.shape == (1, 3, 32, 32) and values.dtype == torch.float32
    assert torch.equal(values, opened.inputs["pixel_values"]) and thin.inputs["pixel_values"].shape == (1, 3, 32, 32)
    assert whole.stand_in == "<img>" + "<IMG_CONTEXT>" * encoder.image_tokens + "</img>" == encoder.stand_in(30, 40)


def test_tag_is_never_read_from_text(encoder: Encoder) -> None:
    step = pieces(Chain((Step("a", f"b {TAG}", "c"),)))[0]
    assert encoder.tag_id not in encoder.piece(step) and encoder.decode(encoder.piece(step)) == step


def test_marks_that_a_tokenizer_has_as_words_are_guarded_and_its_other_words_may_be_written() -> None:
    tokenizer = make_tokenizer(TEXTS, size=320)
    kept = [token for token in tokenizer.added_tokens_decoder.values() if token.content not in (TAG, STEP_END, "<IMG_CONTEXT>")]
    raw = json.loads(tokenizer.backend_tokenizer.to_str())
    raw["added_tokens"] = [token | {"special": token["content"] in {t.content for t in kept}} for token in raw["added_tokens"]]
    words = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(raw)), eos_token="<|im_end|>", pad_token="<|endoftext|>")
    words.add_tokens([AddedToken("\n\n", special=False, normalized=False)])
    words.chat_template = CHAT_TEMPLATE
    spelled = "a<IMG_CONTEXT>\u043a\u0438\n\nb"
    assert len(words.encode(spelled, add_special_tokens=False, split_special_tokens=True)) < 8  # what would have been read
    encoder = Encoder(words, None, INTERNVL, 4)
    ids = encoder.plain(spelled)
    assert not {encoder.image_id, encoder.tag_id} & set(ids) and encoder.decode(ids) == spelled
    assert {encoder.image_id, encoder.tag_id} <= encoder.never_sampled and encoder.vocabulary["\n\n"] not in encoder.never_sampled


def test_a_prompt_has_the_tokens_of_its_text_as_a_whole(encoder: Encoder) -> None:
    """Also where the question comes after plain text of the template, and where text goes on after it."""
    template = encoder.tokenizer.chat_template
    try:
        for opening, closing in (("<|im_start|>user\n", "<|im_end|>\n"), ("User: ", " Then:")):
            turn = "{% if m.content[0].type == 'image' %}<IMG_CONTEXT>\n{% endif %}{{ m.content[-1].text }}"
            encoder.tokenizer.chat_template = "{% for m in messages %}" + opening + turn + closing + "{% endfor %}"
            for image in (False, True):
                stand_in = "<img><IMG_CONTEXT></img>"
                messages = [{"role": "user", "content": [{"type": "image"}] * image + [{"type": "text", "text": "Read red."}]}]
                text = encoder.tokenizer.apply_chat_template(messages, tokenize=False).replace("<IMG_CONTEXT>", stand_in)
                encoded = encoder.conversation([Turn("user", "Read red.", image=image)], stand_in)
                assert encoded.ids == encoder.tokenizer.encode(text, add_special_tokens=False), text
    finally:
        encoder.tokenizer.chat_template = template
