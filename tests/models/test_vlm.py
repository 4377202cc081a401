"""Models in folders: what is saved is what is loaded, nothing but safetensors, and new tokens start as the mean of their descriptions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_models import SHAPE, TEXTS, picture, tiny
from tokenizers import Tokenizer
from transformers import AutoModelForImageTextToText, PreTrainedTokenizerFast

from cos.errors import UserError
from cos.models.embedded import CHAT_TEMPLATE, CHAT_TOKENS, build, make_tokenizer
from cos.models.encode import Turn
from cos.models.vlm import VLM, add_tokens, load
from cos.template import FORMAT_TOKENS, TAG_TOKENS


def logits(vlm: VLM) -> torch.Tensor:
    """Of a question about a picture."""
    pixels = vlm.encoder.pixels(picture(3))
    ids = vlm.encoder.conversation([Turn("user", "How many?", image=True)], pixels.stand_in, reply=True).ids
    with torch.no_grad():
        found: torch.Tensor = vlm.model.eval()(input_ids=torch.tensor([ids]), **pixels.inputs).logits
    return found


def test_saved_and_loaded_is_the_same_model(tmp_path: Path) -> None:
    vlm = tiny(look="Describe the picture.")
    vlm.save(tmp_path / "deep/model")
    again = load(tmp_path / "deep/model")
    assert torch.equal(logits(vlm), logits(again))
    assert again.look == vlm.look and again.parameters() == vlm.parameters() and again.name == str(tmp_path / "deep/model")
    assert again.encoder.vocabulary == vlm.encoder.vocabulary and again.encoder.never_sampled == vlm.encoder.never_sampled
    assert again.model.dtype == torch.float32 and again.device.type == "cpu" and not again.model.training


def test_a_folder_holds_safetensors_and_any_transformers_program_reads_it(tmp_path: Path) -> None:
    vlm = tiny()
    vlm.save(tmp_path)
    weights = [path.name for path in tmp_path.iterdir() if path.suffix in (".bin", ".pt", ".pth", ".pkl", ".safetensors")]
    assert weights == ["model.safetensors"]
    plain = AutoModelForImageTextToText.from_pretrained(tmp_path)
    assert all(torch.equal(value, plain.state_dict()[name]) for name, value in vlm.model.state_dict().items())
    assert sum(vlm.parameters()) == sum(value.numel() for value in load_file(tmp_path / "model.safetensors").values())


def test_weights_as_a_pickle_are_refused(tmp_path: Path) -> None:
    vlm = tiny()
    vlm.save(tmp_path)
    torch.save(vlm.model.state_dict(), tmp_path / "pytorch_model.bin")
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"safetensors"):
        load(tmp_path)


@pytest.mark.parametrize("source", ["nowhere/at-all/deep", "/nowhere/at/all"])
def test_a_missing_folder_is_one_line(source: str) -> None:
    with pytest.raises(UserError, match="can't be loaded") as caught:
        load(source)
    assert "\n" not in str(caught.value)


def test_an_empty_folder_and_one_without_weights_are_one_line(tmp_path: Path) -> None:
    tiny().save(tmp_path / "model")
    (tmp_path / "model/model.safetensors").unlink()
    (tmp_path / "empty").mkdir()
    for name in ("model", "empty"):
        with pytest.raises(UserError, match="can't be loaded") as caught:
            load(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_damaged_weights_are_one_line(tmp_path: Path) -> None:
    tiny().save(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"\0" * 40)
    with pytest.raises(UserError, match="can't be loaded"):
        load(tmp_path)


def test_an_unknown_family_is_named(tmp_path: Path) -> None:
    tiny().save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config["text_config"] | {"architectures": ["Qwen2ForCausalLM"]}))
    with pytest.raises(UserError, match=r"family 'qwen2' is not supported; known: internvl"):
        load(tmp_path)


def test_notes_of_a_newer_version_are_refused(tmp_path: Path) -> None:
    tiny().save(tmp_path)
    (tmp_path / "cos.json").write_text('{"schema": "cos.model/9"}')
    with pytest.raises(UserError, match="update the workbench"):
        load(tmp_path)


def test_a_model_without_notes_does_not_look(tmp_path: Path) -> None:
    tiny(look="Describe the picture.").save(tmp_path)
    (tmp_path / "cos.json").unlink()
    assert load(tmp_path).look is None


def bare() -> VLM:
    """A model that knows nothing of chains."""
    raw = json.loads(make_tokenizer(TEXTS, size=320).backend_tokenizer.to_str())
    raw["added_tokens"] = [token for token in raw["added_tokens"] if token["content"] in CHAT_TOKENS]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(raw)), eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return build(SHAPE, tokenizer)


def test_new_tokens_start_as_the_mean_of_their_description() -> None:
    vlm = bare()
    assert not vlm.encoder.knows_chains
    words = {token: vlm.encoder.plain(text) for token, text in (FORMAT_TOKENS | TAG_TOKENS).items()}
    before = [layer.weight.detach().clone() for layer in (vlm.model.get_input_embeddings(), vlm.head)]
    old = len(vlm.encoder.vocabulary)
    assert add_tokens(vlm, tags=True) == 17
    for table, layer in zip(before, (vlm.model.get_input_embeddings(), vlm.head), strict=True):
        assert torch.equal(layer.weight[:old], table[:old])
        for token, ids in words.items():
            mean = sum((table[i] for i in ids), torch.zeros(table.shape[1])) / len(ids)
            torch.testing.assert_close(layer.weight[vlm.encoder.vocabulary[token]], mean)
    assert [vlm.encoder.vocabulary[token] for token in FORMAT_TOKENS | TAG_TOKENS] == list(range(old, old + 17))  # in the released order
    assert add_tokens(vlm, tags=True) == 0


def test_tags_alone_are_added_to_a_policy() -> None:
    vlm = bare()
    assert add_tokens(vlm, tags=False) == 14 and vlm.encoder.knows_chains
    assert add_tokens(vlm, tags=True) == 3
    assert vlm.encoder.tag_id in vlm.encoder.never_sampled
    assert vlm.model.config.text_config.vocab_size == vlm.head.weight.shape[0] >= len(vlm.encoder.vocabulary)


def test_added_tokens_survive_saving(tmp_path: Path) -> None:
    vlm = bare()
    add_tokens(vlm, tags=True)
    vlm.save(tmp_path)
    again = load(tmp_path)
    assert again.encoder.vocabulary == vlm.encoder.vocabulary and torch.equal(logits(vlm), logits(again))
    assert again.encoder.tokenizer.encode("\u043a\u0438", add_special_tokens=False) == [again.encoder.tag_id]
