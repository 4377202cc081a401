"""Conversion of original InternVL checkpoints: the reference implementation's numbers (tests/data/internvl, float32 on a CPU), shards,
ids that lie elsewhere, the large tower's parts, and everything that may be wrong with a download."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from cos.__main__ import main
from cos.chain import Chain, Step
from cos.errors import UserError
from cos.models.encode import Turn
from cos.models.internvl import convert
from cos.models.internvl_config import SYSTEM, own_tokenizer
from cos.models.vlm import load
from cos.protocols import Prompt, ToScore
from cos.rewards.step_tag import StepTagScorer
from cos.template import FORMAT_TOKENS, TAG_TOKENS, pieces

DATA = Path(__file__).parent.parent / "data" / "internvl"
PRM, POLICY = DATA / "prm-qwen2", DATA / "policy-internlm2"


def expected(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "expected.json").read_text("utf-8"))
    return found


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A copy of the reward model that a test may spoil."""
    return Path(shutil.copytree(PRM, tmp_path / "in"))


def edit(file: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    found = json.loads(file.read_text("utf-8"))
    change(found)
    file.write_text(json.dumps(found))


def in_shards(folder: Path, count: int) -> None:
    """The weights in `count` files with an index, as large checkpoints have them."""
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    places: dict[str, str] = {}
    for number in range(count):
        name = f"model-{number + 1:05d}-of-{count:05d}.safetensors"
        part = dict(list(weights.items())[number::count])
        save_file(part, folder / name)
        places |= dict.fromkeys(part, name)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))


@pytest.mark.parametrize("source", [PRM, POLICY], ids=["qwen2", "internlm2"])
def test_a_converted_model_gives_the_numbers_of_the_reference(source: Path, tmp_path: Path) -> None:
    report = convert(source, tmp_path / "out")
    bounds = {
        "prompt_tokens": 0,
        "response_tokens_incl_end": 0,
        "prm_scores_steps_then_answer": 1e-3,
        "first_10_logprobs": 2e-3,
        "response_logprob_sum": 0.05,
        "greedy_first_12_token_ids": 0,
    }
    assert report["parity"].keys() == bounds.keys() and all(report["parity"][key] <= bound for key, bound in bounds.items())
    assert report["tokens"].keys() == (FORMAT_TOKENS | TAG_TOKENS).keys() and not report["tokens_missing"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_engine_scores_a_converted_reward_model_as_the_reference_does(tmp_path: Path) -> None:
    convert(PRM, tmp_path / "out")
    given = expected(PRM)
    chain = pieces(Chain(tuple(Step.from_json(step) for step in given["steps"]), given["answer"]))
    vlm = load(tmp_path / "out", device="cpu")
    pixels = vlm.encoder.pixels(PRM / "image.png")
    assert len(pixels.inputs["pixel_values"]) == given["tiles_with_thumbnail"]
    assert pixels.stand_in.count("<IMG_CONTEXT>") == given["image_tokens"]
    scorer = StepTagScorer(vlm)
    (root,) = scorer.open([Prompt(given["question"], PRM / "image.png")])
    (scored,) = scorer.score([ToScore(root.handle, tuple(chain))])
    assert root.prefill_tokens == given["prompt_tokens"]
    assert scored.rewards == pytest.approx(given["prm_scores_steps_then_answer"], abs=1e-4)


def test_shards_stay_shards_and_no_more_than_one_is_held(broken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    convert(PRM, tmp_path / "whole")
    in_shards(broken, 4)
    held: list[int] = []

    def save(tensors: dict[str, torch.Tensor], file: Path, metadata: dict[str, str]) -> None:
        held.append(len(tensors))
        save_file(tensors, file, metadata)

    monkeypatch.setattr("cos.models.internvl.save_file", save)
    report = convert(broken, tmp_path / "out")
    assert report["files"] == 4 == len(list((tmp_path / "out").glob("*.safetensors"))) and report["parity"]
    assert sum(held) == report["weights_written"] and max(held) < report["weights_written"] / 2
    one, several = load(tmp_path / "whole").model.state_dict(), load(tmp_path / "out").model.state_dict()
    assert one.keys() == several.keys() and all(torch.equal(one[name], several[name]) for name in one)


def test_added_tokens_are_found_by_their_text(broken: Path, tmp_path: Path) -> None:
    """The 17 tokens in the opposite order, in the tokenizer and in the weights: the same numbers, by other ids."""
    tokens = list(FORMAT_TOKENS | TAG_TOKENS)
    before = {token: 400 + place for place, token in enumerate(tokens)}
    after = {token: 416 - place for place, token in enumerate(tokens)}

    def renumber(found: dict[str, Any]) -> None:
        for token in found["added_tokens"]:
            token["id"] = after.get(token["content"], token["id"])
        found["added_tokens"].sort(key=lambda token: token["id"])

    def reorder(found: dict[str, Any]) -> None:
        added = found["added_tokens_decoder"]
        found["added_tokens_decoder"] = {str(after.get(token["content"], int(id))): token for id, token in added.items()}

    edit(broken / "tokenizer.json", renumber)
    edit(broken / "tokenizer_config.json", reorder)
    weights = load_file(broken / "model.safetensors")
    for name in ("language_model.lm_head.weight", "language_model.model.embed_tokens.weight"):
        old = weights[name].clone()
        for token in tokens:
            weights[name][after[token]] = old[before[token]]
    save_file(weights, broken / "model.safetensors")
    edit(broken / "expected.json", lambda found: found.pop("greedy_first_12_token_ids"))
    report = convert(broken, tmp_path / "out")
    assert report["tokens"] == after and report["parity"]["prm_scores_steps_then_answer"] < 1e-5


def test_the_large_tower_and_a_tied_head(tmp_path: Path, broken: Path) -> None:
    """InternViT-6B has norms of queries and keys, RMS norms and no bias; names and packing written down here a second time."""
    edit(broken / "config.json", lambda c: c["vision_config"].update(qkv_bias=False, qk_normalization=True, norm_type="rms_norm"))
    edit(broken / "config.json", lambda c: c["llm_config"].update(tie_word_embeddings=True))
    (broken / "expected.json").unlink()
    weights = {name: w for name, w in load_file(broken / "model.safetensors").items() if not name.endswith("lm_head.weight")}
    for layer in (0, 1):
        place = f"vision_model.encoder.layers.{layer}."
        for name in ("attn.qkv.bias", "norm1.bias", "norm2.bias"):
            del weights[place + name]
        weights |= {place + f"attn.{which}_norm.weight": torch.rand(48) for which in "qk"}
    save_file(weights, broken / "model.safetensors")
    assert convert(broken, tmp_path / "out")["parity"] is None
    model = load(tmp_path / "out").model
    attention = model.model.vision_tower.encoder.layer[1].attention
    packed = weights["vision_model.encoder.layers.1.attn.qkv.weight"]
    assert torch.equal(attention.k_proj.weight, packed[48:96]) and attention.k_proj.bias is None
    assert torch.equal(attention.k_norm.weight, weights["vision_model.encoder.layers.1.attn.k_norm.weight"])
    assert model.lm_head.weight.data_ptr() == model.get_input_embeddings().weight.data_ptr()


def cut_short(folder: Path) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])


def without_a_weight(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["mlp1.3.bias"]
    save_file(weights, folder / "model.safetensors")


def without_a_tokenizer(folder: Path) -> None:
    for path in folder.glob("tokenizer*"):
        path.unlink()


def no_number(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["mlp1.3.bias"][5] = torch.nan
    save_file(weights, folder / "model.safetensors")


def without_a_shard(folder: Path) -> None:
    in_shards(folder, 3)
    (folder / "model-00002-of-00003.safetensors").unlink()


def one_weight_elsewhere(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["mlp1.1.weight"][0] += 1
    save_file(weights, folder / "model.safetensors")


FAULTS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "cut short": (cut_short, "damaged or cut short"),
    "a weight is missing": (without_a_weight, "partial, 1 weights are in no file, multi_modal_projector.linear_2.bias"),
    "no number": (no_number, "mlp1.3.bias holds values that are no numbers"),
    "a shard is missing": (without_a_shard, "model-00002-of-00003.safetensors is not there"),
    "no weights": (lambda folder: (folder / "model.safetensors").rename(folder / "a.bin"), "only safetensors"),
    "other weights": (one_weight_elsewhere, "gives other numbers, prm_scores_steps_then_answer"),
    "no configuration": (lambda folder: (folder / "config.json").unlink(), "config.json: not there"),
    "half a configuration": (lambda folder: (folder / "config.json").write_text('{"model_type": "int'), "not JSON"),
    "no tokenizer": (without_a_tokenizer, "tokenizer is not there"),
    "half a tokenizer": (lambda folder: (folder / "tokenizer.json").write_text('{"version": "1.0"'), "tokenizer can't be loaded"),
    "another type": (lambda folder: edit(folder / "config.json", lambda c: c.update(model_type="llava")), "type 'llava'"),
    "another language model": (
        lambda folder: edit(folder / "config.json", lambda c: c["llm_config"].update(model_type="phi3")),
        "internlm2 and qwen2",
    ),
    "another chat form": (lambda folder: edit(folder / "config.json", lambda c: c.update(template="Hermes-2")), "template = 'Hermes-2'"),
    "adapters": (lambda folder: edit(folder / "config.json", lambda c: c.update(use_llm_lora=16)), "merge the adapters"),
    "another size": (
        lambda folder: edit(folder / "config.json", lambda c: c["llm_config"].update(intermediate_size=64)),
        r"has the shape \[.*where config.json asks for",
    ),
    "a smaller vocabulary": (
        lambda folder: edit(folder / "config.json", lambda c: c["llm_config"].update(vocab_size=400)),
        "417 tokens and the model 400",
    ),
    "no sizes": (lambda folder: edit(folder / "config.json", lambda c: c["llm_config"].pop("hidden_size")), "'hidden_size' is missing"),
    "half the numbers": (lambda folder: edit(folder / "expected.json", lambda e: e.pop("steps")), "not the reference's numbers"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_wrong_is_one_line_and_leaves_nothing(fault: str, broken: Path, tmp_path: Path) -> None:
    spoil, message = FAULTS[fault]
    spoil(broken)
    with pytest.raises(UserError, match=message) as refusal:
        convert(broken, tmp_path / "out")
    assert "\n" not in str(refusal.value) and str(broken) in str(refusal.value)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_a_folder_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="is there already"):
        convert(PRM, tmp_path / "out")
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine"


def test_what_a_kill_has_left_is_begun_again(tmp_path: Path) -> None:
    left = tmp_path / ".out.partial"
    left.mkdir()
    (left / "model.safetensors").write_bytes(b"half")
    convert(PRM, tmp_path / "out")
    assert not left.exists() and load(tmp_path / "out").encoder.knows_chains


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", str(POLICY), str(tmp_path / "out"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["language_model"] == "internlm2 -> llama" and found["weights_written"] > found["weights_read"]
    assert main(["convert", str(tmp_path / "nowhere"), str(tmp_path / "other")]) == 2
    shown = capsys.readouterr()
    assert not shown.out and shown.err.count("\n") == 1 and "no such folder" in shown.err
    assert main(["convert", str(POLICY)]) == 2 and "DST is missing" in capsys.readouterr().err


@pytest.mark.parametrize("folder", ["sentencepiece", "sentencepiece-prefix"])
def test_a_sentencepiece_tokenizer_encodes_as_sentencepiece_does(folder: str) -> None:
    """`encoded.json`: ids by the package sentencepiece 0.2.3, of models that it trained, without and with a blank before each text."""
    tokenizer = own_tokenizer(DATA / folder)
    for text, ids in json.loads((DATA / folder / "encoded.json").read_text("utf-8")).items():
        assert tokenizer.encode(text, add_special_tokens=False) == ids
        assert tokenizer.decode(ids) == text
    assert tokenizer("<|im_start|>").input_ids == [1, 479] and tokenizer.convert_tokens_to_ids("<|im_end|>") == 478
    assert tokenizer.encode("<|im_end|>", add_special_tokens=False, split_special_tokens=True) != [478]


def test_a_policy_whose_tokenizer_is_a_sentencepiece_model(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(POLICY, tmp_path / "in"))
    for name in ("tokenizer.json", "special_tokens_map.json", "expected.json"):
        (folder / name).unlink()
    shutil.copytree(DATA / "sentencepiece", folder, dirs_exist_ok=True)
    edit(folder / "config.json", lambda c: c["llm_config"].update(vocab_size=483))
    weights = load_file(folder / "model.safetensors")
    for name in ("language_model.output.weight", "language_model.model.tok_embeddings.weight"):
        weights[name] = torch.cat([weights[name], torch.ones(66, 64)])
    save_file(weights, folder / "model.safetensors")
    assert len(convert(folder, tmp_path / "out")["tokens_missing"]) == 17
    encoder = load(tmp_path / "out").encoder
    ids = encoder.conversation([Turn("user", "How many?", image=True)], "<img><IMG_CONTEXT></img>", reply=True).ids
    text = (
        f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n<img><IMG_CONTEXT></img>\nHow many?<|im_end|>\n<|im_start|>assistant\n"
    )
    assert ids[0] == 1 and encoder.decode(ids[1:]) == text and encoder.end_id == 478
    cut = (folder / "tokenizer.model").read_bytes()[:3000]
    (folder / "tokenizer.model").write_bytes(cut)
    with pytest.raises(UserError, match=r"tokenizer can't be loaded .tokenizer\.model is cut short"):
        convert(folder, tmp_path / "other")
