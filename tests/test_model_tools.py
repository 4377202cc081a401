"""The tool that changes a model's shape: added layers change nothing at first."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import torch
from torch.nn.functional import cosine_similarity

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
