"""`cos train rounds`: iterative DPO. Each round samples chains, scores them, makes pairs, trains on these, is evaluated; the best is kept.

The recipe's fields are those of `cos.rounds.Config`, and `model`, the policy that all begins with.

example: cos train rounds --model embedded --reward embedded --out runs/rounds --steps 100 --batch 32 --learning-rate 2e-4
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from cos.commands.options import Outcome
from cos.commands.recipe import add_training, apply_recipe, config_of, reporting

apply_file = apply_recipe


def add(parser: argparse.ArgumentParser) -> None:
    """The options."""
    add_training(parser, "")
    parser.add_argument("--reward", help="what scores chains: embedded, oracle, a folder or a Hub id (embedded)")
    parser.add_argument("--rounds", type=int, help="how many (3)")
    parser.add_argument("--begin", choices=("sft", "previous"), help="where each round's training begins (sft)")
    parser.add_argument("--reference", choices=("sft", "previous"), help="what each stays near (sft)")


def run(args: argparse.Namespace) -> Outcome:
    """All rounds, or those that are missing."""
    from cos import rounds

    config, name = config_of(args, rounds.Config, ("reward", "rounds", "begin", "reference"))
    rows = rounds.run(name, config, reporting(args), _say)
    best = max(rows, key=lambda row: row["accuracy"])
    lines = [_line(row) + ("  <- kept" if row is best else "") for row in rows]
    return Outcome({"rounds": rows, "best": best["round"], "model": f"{config.out}/model"}, "\n".join([*lines, f"{config.out}/model"]))


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _line(row: dict[str, Any]) -> str:
    low, high = row["ci95"]
    made = f", {row['pairs']} pairs" if "pairs" in row else ""
    return f"round {row['round']}: {row['accuracy']:.1%} right ({low:.1%} to {high:.1%}), {row['tokens']:.0f} tokens a chain{made}"
