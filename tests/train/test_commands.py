"""`cos train` from the command line: two steps of DPO on a model in a folder, recipes that ship, mistakes said in one line."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from lessons import KINDS as TRAININGS
from lessons import fresh, moved, weights, write_files
from tiny_families import tiny_family

from cos import rounds
from cos.__main__ import _parse, main
from cos.commands.recipe import build, config_of
from cos.errors import UserError
from cos.models.vlm import load
from cos.train import dpo, prm, sft

ROOT = Path(__file__).parent.parent.parent
KINDS: dict[str, Any] = {"sft": sft.Config, "prm": prm.Config, "dpo": dpo.Config, "rounds": rounds.Config}


def test_dpo_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = write_files(tmp_path)
    fresh().save(tmp_path / "sft")
    fresh(seed=1).save(tmp_path / "other")
    words = ["train", "dpo", "--model", str(tmp_path / "sft"), "--data", str(files / "dpo.jsonl"), "--images", str(files), "--batch", "2"]
    more = ["--reference", str(tmp_path / "other"), "--max-steps", "2", "--lora-rank", "2", "--freeze-vision", "--beta", "0.3", "--json"]
    assert main([*words, *more, "--out", str(tmp_path / "run")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found["metrics"]) == {"loss", "nll", "right", "margin", "chosen", "rejected"}
    settings = json.loads((tmp_path / "run/config.json").read_text("utf-8"))["config"]
    assert (settings["beta"], settings["schedule"]["steps"]) == (0.3, 2)
    assert (settings["weights"]["lora_rank"], settings["weights"]["freeze_vision"]) == (2, True)
    assert load(found["model"]).encoder.knows_chains and "cos" in (tmp_path / "run/model/README.md").read_text("utf-8")


@pytest.mark.parametrize("family", ["embedded", "internvl", "llava_next", "qwen2_5_vl"])
@pytest.mark.parametrize("kind", TRAININGS)
def test_two_steps_on_every_shape_full_and_by_adapters(kind: str, family: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = write_files(tmp_path)
    (fresh() if family == "embedded" else tiny_family(family, gain=1.0)).save(tmp_path / "before")
    before = weights(load(tmp_path / "before"))
    words = ["train", kind, "--model", str(tmp_path / "before"), "--data", str(files / f"{kind}.jsonl"), "--images", str(files)]
    for how, options in {"full": [], "adapters": ["--lora-rank", "2", "--freeze-vision"]}.items():
        out = tmp_path / how
        assert main([*words, *options, "--batch", "2", "--learning-rate", "0.01", "--max-steps", "2", "--json", "--out", str(out)]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["metrics"] and all(math.isfinite(value) for value in found["metrics"].values())
        changed = moved(before, weights(load(found["model"])))
        assert any("q_proj" in name for name in changed)
        assert any("norm" in name for name in changed) == (how == "full")


@pytest.mark.parametrize(
    ("file", "kind"), [("paper_sft", "sft"), ("paper_prm", "prm"), ("paper_dpo", "dpo"), ("rounds", "rounds")], ids=lambda value: value
)
def test_recipes_are_read(file: str, kind: str) -> None:
    args, _ = _parse(["train", kind, "--config", str(ROOT / f"recipes/{file}.yaml"), "--max-steps", "2"])
    config, model = config_of(args, KINDS[kind])
    assert config.schedule.steps == 2 and model and config.out == f"runs/{file}"


@pytest.mark.parametrize(
    ("recipe", "words", "said"),
    [
        ("begin: nowhere", [], "begin is 'nowhere'; take one of sft, previous"),
        ("schedule: {optimizer: sgd}", [], "optimizer is 'sgd'; take one of adamw, muon"),
        ("pairing: {aggregator: loudest}", [], "no aggregator is called 'loudest'"),
        ("weights: {lora: 4}", [], "weights has no field 'lora'"),
        ("seed: 1", ["--max-steps", "0"], "--max-steps is 0"),
    ],
)
def test_mistakes(recipe: str, words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "r.yaml").write_text(f"model: embedded\nout: {tmp_path}/x\n{recipe}\n")
    assert main(["train", "rounds", "--config", str(tmp_path / "r.yaml"), *words]) == 2
    caught = capsys.readouterr()
    assert said in caught.err and caught.out == "" and caught.err.count("\n") == 1


@dataclass(frozen=True)
class MayBeEmpty:
    """A text or nothing."""

    look: str | None = "x"


@pytest.mark.parametrize(("text", "value"), [("null", None), ("three", "three"), ("", None)])
def test_a_field_may_be_left_empty(text: str, value: str | None) -> None:
    assert build(MayBeEmpty, yaml.safe_load(f"look: {text}"), "r.yaml").look == value
    with pytest.raises(UserError, match="look is 3; str is needed"):
        build(MayBeEmpty, {"look": 3}, "r.yaml")


def test_dpo_without_pairs_is_a_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "dpo", "--model", "embedded", "--out", str(tmp_path / "x")]) == 2
    assert "--data is missing" in capsys.readouterr().err
