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
RUNS = re.findall(r"^\$cos (train \w+) --config (recipes/\S+)$", SCRIPT, re.MULTILINE)
RESHAPED = re.findall(r"^\S+ tools/\w+\.py (\S+) (\S+) \d+$", SCRIPT, re.MULTILINE)
KINDS: dict[str, Any] = {"train see": see.Config, "train sft": sft.Config, "train prm": prm.Config}


def test_the_script_runs_every_recipe_once() -> None:
    assert sorted(file for _, file in RUNS) == sorted(f"recipes/{path.name}" for path in (ROOT / "recipes").glob("embedded_*.yaml"))


@pytest.mark.parametrize(("verb", "file"), RUNS)
def test_each_recipe_is_read_by_its_verb(verb: str, file: str) -> None:
    args, _ = _parse([*verb.split(), "--config", str(ROOT / file)])
    config, model = config_of(args, KINDS[verb])
    assert config.schedule.steps > 0 and config.out.startswith("runs/") and model


def test_each_recipe_starts_where_another_ends() -> None:
    """A model is what an earlier line of the script has made."""
    made = {"new:policy", "new:reward"}
    for verb, file in RUNS:
        args, _ = _parse([*verb.split(), "--config", str(ROOT / file)])
        config, model = config_of(args, KINDS[verb])
        assert model in made
        made.add(f"{config.out}/model")
        made |= {reshaped for start, reshaped in RESHAPED if start in made}
    assert {"runs/policy/model", "runs/reward/model"} <= made
