"""The study of sizes: a shortened model is the first layers of the long one, and the study measures every pair."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import tiny
from world_script import world_policy

from cos.errors import UserError
from cos.models.vlm import load
from cos.study import sizes, work
from cos.study.sizes import Config, shortened
from cos.study.work import Work

CONFIG = Config(policy_layers=(2, 4), reward_layers=(1, 5), limit=6, n=2, width=2, policy="scripted", reward="scripted")


@torch.no_grad()
def test_a_shortened_model_is_the_first_layers_of_the_long_one(tmp_path: Path) -> None:
    vlm, ids = tiny(), torch.tensor([[5, 9, 17, 3, 30]])
    language = vlm.model.model.language_model
    states = language(input_ids=ids, output_hidden_states=True).hidden_states
    wanted = language.norm(states[2])
    short = shortened(vlm, 2)
    assert torch.allclose(short.model.model.language_model(input_ids=ids).last_hidden_state, wanted, atol=1e-5)
    short.save(tmp_path / "short")
    again = load(tmp_path / "short").model.model.language_model
    assert len(again.layers) == 2 and torch.allclose(again(input_ids=ids).last_hidden_state, wanted, atol=1e-5)
    for layers in (0, 3):
        with pytest.raises(UserError, match=f"{layers} layers are asked for; it has 2"):
            shortened(short, layers)


def test_every_policy_meets_every_reward_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[str, int]] = []

    def scripted(config: Config, role: str, layers: int, seed: int, place: Work) -> str:
        made.append((role, layers))
        return "scripted"

    monkeypatch.setattr(sizes, "_trained", scripted)
    monkeypatch.setattr(work, "load_policy", lambda name: world_policy())
    result = sizes.run(CONFIG, Work(tmp_path, 0))
    assert made == [("policy", 2), ("reward", 1), ("reward", 5), ("policy", 4), ("reward", 1), ("reward", 5)]
    accuracy, known = ({(point.series, point.x): point.value for point in panel.points} for panel in result.panels)
    assert set(known) == {(f"policy of {p} layers", r) for p in (2, 4) for r in (1.0, 5.0)}
    assert len(accuracy) == 4 * len(sizes.METHODS) and len(result.differences) == 4 * (len(sizes.METHODS) - 1)


def test_a_model_of_each_role_is_cut_and_trained(tmp_path: Path) -> None:
    """One batch of two; given again it is not trained again."""
    config, place = Config(problems=3, steps=1, batch=2), Work(tmp_path, 0)
    for role, layers in (("policy", 2), ("reward", 1)):
        folder = sizes._trained(config, role, layers, 0, place)
        assert len(load(folder).model.model.language_model.layers) == layers
        times = _times(folder)
        assert sizes._trained(config, role, layers, 0, place) == folder and _times(folder) == times


def _times(folder: str) -> dict[Any, int]:
    return {file: file.stat().st_mtime_ns for file in Path(folder).parent.rglob("*") if file.is_file()}
