"""The tools that change a model: added layers change nothing at first, smaller eyes keep their weights, a mean lies half way."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from PIL import Image
from torch.nn.functional import cosine_similarity

from cos.errors import UserError
from cos.models import embedded
from cos.models.vlm import load

TOOLS = Path(__file__).parent.parent / "tools"


def _tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, TOOLS / f"{name}.py")
    assert spec and spec.loader
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    return tool


def test_added_layers_change_nothing_at_first(tmp_path: Path) -> None:
    tool, vlm = _tool("grow_reward"), embedded.new("reward")
    ids = torch.tensor([vlm.encoder.plain("The red bar reaches the line.")])
    with torch.no_grad():
        before = vlm.model(input_ids=ids).logits
        tool.grow(vlm.model, 2)
        assert torch.equal(vlm.model(input_ids=ids).logits, before)
        weight = vlm.model.get_input_embeddings().weight
        tool.align_numbers(weight, vlm.encoder.plain)
    bare, spaced = vlm.encoder.plain("15")[0], vlm.encoder.plain(" 15")[0]
    assert bare != spaced and cosine_similarity(weight[bare], weight[spaced], dim=0) > 0.9
    vlm.save(tmp_path / "grown")
    assert load(str(tmp_path / "grown")).model.config.text_config.num_hidden_layers == 7


def test_smaller_eyes_see_with_the_weights_of_the_larger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool, vlm = _tool("smaller_eyes"), embedded.new("policy")
    vlm.save(tmp_path / "before")
    monkeypatch.setattr("sys.argv", ["smaller_eyes", str(tmp_path / "before"), str(tmp_path / "after"), "48"])
    tool.main()
    after = load(str(tmp_path / "after"))
    seen = after.encoder.pixels(Image.new("RGB", (300, 200), "red"))
    assert seen.inputs["pixel_values"].shape[-2:] == (48, 48)
    with torch.no_grad():
        features = after.model.model.get_image_features(pixel_values=seen.inputs["pixel_values"].float()).pooler_output
    assert features.flatten(0, -2).shape == (9, vlm.model.config.text_config.hidden_size)
    old, new = (model.model.vision_tower.embeddings.position_embeddings for model in (vlm.model, after.model))
    assert torch.equal(new[:, 0], old[:, 0]) and new.shape[1] == 37
    same = embedded.new("policy")
    tool.shrink(same.model, 64)
    assert torch.allclose(same.model.model.vision_tower.embeddings.position_embeddings, old, atol=1e-6)


def test_smaller_eyes_are_for_one_family() -> None:
    with pytest.raises(UserError, match="only models of InternVL's shape"):
        _tool("smaller_eyes").shrink(SimpleNamespace(config=SimpleNamespace(model_type="llava")), 48)


def test_smaller_eyes_of_no_whole_number_of_tokens_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    embedded.new("policy").save(tmp_path / "before")
    monkeypatch.setattr("sys.argv", ["smaller_eyes", str(tmp_path / "before"), str(tmp_path / "after"), "50"])
    with pytest.raises(SystemExit, match="50 pixels are no whole number of tokens of 16 pixels"):
        _tool("smaller_eyes").main()
    assert not (tmp_path / "after").exists()


def test_the_mean_of_two_models_lies_half_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = embedded.new("policy"), embedded.new("policy")
    with torch.no_grad():
        for number, weight in enumerate(other.model.parameters()):
            weight.add_(0.01 * (number + 1))
    one.save(tmp_path / "one")
    other.save(tmp_path / "other")
    monkeypatch.setattr("sys.argv", ["average_models", *(str(tmp_path / name) for name in ("one", "other", "mean"))])
    _tool("average_models").main()
    mean = load(str(tmp_path / "mean")).model.state_dict()
    for name, weight in one.model.state_dict().items():
        assert torch.allclose(mean[name], (weight + other.model.state_dict()[name]) / 2, atol=1e-6), name
    assert not torch.equal(mean["lm_head.weight"], one.model.state_dict()["lm_head.weight"])


def test_models_of_two_shapes_have_no_mean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for role in ("policy", "reward"):
        embedded.new(role).save(tmp_path / role)
    monkeypatch.setattr("sys.argv", ["average_models", *(str(tmp_path / name) for name in ("policy", "reward", "mean"))])
    with pytest.raises(SystemExit, match="different shapes"):
        _tool("average_models").main()
    assert not (tmp_path / "mean").exists()
