"""The recipes that ship: each is read by its verb, and together they make the embedded models."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from cos.__main__ import _parse
from cos.commands.recipe import config_of
from cos.train import prm, see, sft

ROOT = Path(__file__).parent.parent
SCRIPT = (ROOT / "tools/train_embedded.sh").read_text()
RUNS = re.findall(r"^\$cos (train \w+|sample) --config (recipes/\S+)$", SCRIPT, re.MULTILINE)
KINDS: dict[str, Any] = {"train see": see.Config, "train sft": sft.Config, "train prm": prm.Config}


def test_the_script_runs_every_recipe_once() -> None:
    assert sorted(file for _, file in RUNS) == sorted(f"recipes/{path.name}" for path in (ROOT / "recipes").glob("embedded_*.yaml"))


@pytest.mark.parametrize(("verb", "file"), RUNS)
def test_each_recipe_is_read_by_its_verb(verb: str, file: str) -> None:
    args, _ = _parse([*verb.split(), "--config", str(ROOT / file)])
    if verb == "sample":
        assert args.set == "all:train" and args.policy == "runs/policy/model"
        return
    config, model = config_of(args, KINDS[verb])
    assert config.schedule.steps > 0 and config.out.startswith("runs/") and model


def test_each_recipe_starts_where_another_ends() -> None:
    """A model or a pool is what an earlier line of the script has made."""
    made = {"new:policy", "new:reward"}
    for verb, file in RUNS:
        args, _ = _parse([*verb.split(), "--config", str(ROOT / file)])
        if verb == "sample":
            assert args.policy in made
            made.add(f"{args.out}/pool.jsonl")
        else:
            config, model = config_of(args, KINDS[verb])
            assert model in made and getattr(config, "pool", "") in {"", *made}
            made.add(f"{config.out}/model")
    assert {"runs/policy/model", "runs/reward/model"} <= made


def test_the_pool_is_of_the_reward_models_problems() -> None:
    files = {verb: file for verb, file in RUNS if verb in ("sample", "train prm")}
    pool, _ = _parse(["sample", "--config", str(ROOT / files["sample"])])
    args, _ = _parse(["train", "prm", "--config", str(ROOT / files["train prm"])])
    config, _ = config_of(args, prm.Config)
    assert config.seed == pool.seed and config.worlds[pool.set] == pool.limit
