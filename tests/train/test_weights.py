"""What learns and what stands still: adapters, the vision tower, the rows of new tokens; two steps of each training on each family."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lessons import KINDS, fresh, moved, train, weights, write_files
from safetensors.torch import load_file
from tiny_families import tiny_family

from cos.errors import UserError
from cos.models.vlm import load
from cos.template import FORMAT_TOKENS, TAG_TOKENS
from cos.train.loop import Schedule
from cos.train.weights import Weights

PLAN = Schedule(steps=2, batch=2, learning_rate=1e-3, weight_decay=0.1)
ADAPTERS = Weights(lora_rank=2, freeze_vision=True)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Training files."""
    return write_files(tmp_path_factory.mktemp("files"))


@pytest.mark.parametrize("family", ["internvl", "llava_next", "qwen2_5_vl", "gemma3"])
@pytest.mark.parametrize("chosen", [Weights(), ADAPTERS], ids=["full", "adapters"])
def test_two_steps_on_each_family(family: str, chosen: Weights, files: Path, tmp_path: Path) -> None:
    for kind in KINDS:
        vlm = tiny_family(family, gain=1.0)
        before = weights(vlm)
        found = train(kind, vlm, files, tmp_path / kind, PLAN, weights=chosen)
        assert all(torch.isfinite(torch.tensor(value)) for value in found.values())
        after = weights(vlm)
        assert list(after) == list(before) and moved(before, after)
        assert not moved(after, weights(load(tmp_path / kind / "model")))


def test_adapters_move_their_targets_and_the_rows_of_new_tokens(files: Path, tmp_path: Path) -> None:
    vlm = fresh()
    before = weights(vlm)
    train("sft", vlm, files, tmp_path, PLAN, weights=Weights(lora_rank=2, lora_targets="q_proj,v_proj", freeze_vision=True))
    after = weights(vlm)
    changed = moved(before, after)
    tables = {name for name in changed if "embed_tokens" in name or "lm_head" in name}
    assert tables and all(name.endswith(("q_proj.weight", "v_proj.weight")) and "language" in name for name in changed - tables)
    new = {vlm.encoder.vocabulary[token] for token in (*FORMAT_TOKENS, *TAG_TOKENS)}
    for name in tables:
        rows = (before[name] != after[name]).any(-1).nonzero()[:, 0].tolist()
        assert rows and set(rows) <= new
    low = after["model.language_model.layers.0.self_attn.q_proj.weight"] - before["model.language_model.layers.0.self_attn.q_proj.weight"]
    assert torch.linalg.matrix_rank(low, atol=1e-7) == 2


@pytest.mark.parametrize(("family", "tower"), [("internvl", "vision_tower"), ("qwen2_5_vl", "visual")])
def test_a_frozen_tower_stands_still_and_what_follows_it_learns(family: str, tower: str, files: Path, tmp_path: Path) -> None:
    vlm = tiny_family(family, gain=1.0)
    before = weights(vlm)
    train("sft", vlm, files, tmp_path, PLAN, weights=Weights(freeze_vision=True))
    changed = moved(before, weights(vlm))
    assert not [name for name in changed if f"{tower}." in name and "merger" not in name]
    assert [name for name in changed if "projector" in name or "merger" in name] and [name for name in changed if "language" in name]


def test_targets_that_no_matrix_has_are_said(files: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no matrix called nothing"):
        train("sft", fresh(), files, tmp_path, PLAN, weights=Weights(lora_rank=2, lora_targets="nothing"))


@pytest.mark.parametrize("chosen", [Weights(lora_rank=2), Weights()], ids=["adapters", "full"])
def test_a_killed_run_goes_on_with_adapters_and_pairs(
    chosen: Weights, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the same weights and the same numbers."""
    from lessons import trace

    from cos.train import loop

    plan = Schedule(steps=4, batch=2, learning_rate=1e-3, save_every=2)
    whole, cut = fresh(), fresh()
    train("dpo", whole, files, tmp_path / "whole", plan, weights=chosen)
    learn, calls = loop._learn, [0]

    def until_killed(*arguments: Any) -> dict[str, float]:
        calls[0] += 1
        if calls[0] == 4:
            raise KeyboardInterrupt
        return learn(*arguments)

    monkeypatch.setattr(loop, "_learn", until_killed)
    with pytest.raises(KeyboardInterrupt):
        train("dpo", fresh(), files, tmp_path / "cut", plan, weights=chosen)
    monkeypatch.setattr(loop, "_learn", learn)
    train("dpo", cut, files, tmp_path / "cut", plan, weights=chosen)
    assert not moved(weights(whole), weights(cut))
    assert trace(tmp_path / "whole") == trace(tmp_path / "cut")


def test_a_bfloat16_model_learns_in_float32_and_stays_what_it_was(files: Path, tmp_path: Path) -> None:
    fresh().save(tmp_path / "begin")
    vlm = load(tmp_path / "begin", dtype=torch.bfloat16)
    before = weights(vlm)
    train("sft", vlm, files, tmp_path / "run", Schedule(steps=3, batch=2, learning_rate=1e-6, save_every=2))
    held = weights(load(tmp_path / "run/checkpoints/00000002"))
    assert len(moved({name: value.float() for name, value in before.items()}, held)) > len(held) / 2  # in bfloat16 hardly one would
    assert {value.dtype for value in load_file(tmp_path / "run/checkpoints/00000002/model.safetensors").values()} == {torch.float32}
    assert vlm.model.dtype == torch.bfloat16
    assert {value.dtype for value in load_file(tmp_path / "run/model/model.safetensors").values()} == {torch.bfloat16}
