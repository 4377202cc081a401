"""Recipes of trainings: a YAML file and flags to a Config, and the model to train."""

from __future__ import annotations

import argparse
import shlex
import sys
import types
import typing
from dataclasses import fields, is_dataclass, replace
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from cos.commands.options import Outcome, need, read_yaml
from cos.errors import UserError

if TYPE_CHECKING:
    from cos.models.vlm import VLM
    from cos.train.report import Report

Config = TypeVar("Config")
_SCHEDULE = {"steps": int, "batch": int, "learning_rate": float}
_WEIGHTS = ("lora_rank", "freeze_vision")
_TRACKERS = ("none", "tensorboard", "trackio", "wandb")


def add_training(parser: argparse.ArgumentParser, new: str) -> None:
    """The options of every training; a recipe may hold every field of its Config besides."""
    fresh = f", or {new}, an untrained embedded one" if new else ""
    parser.add_argument("--model", help=f"what to train: embedded, a folder, a Hub id{fresh}")
    parser.add_argument(
        "--out", metavar="DIR", help="the run's folder; the same command goes on with a killed run; DIR/model is the result"
    )
    for name, kind in _SCHEDULE.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, help=f"of the schedule: {name.replace('_', ' ')}")
    parser.add_argument("--max-steps", type=int, metavar="N", help="train no more steps than this, whatever the schedule says")
    parser.add_argument("--report-to", default="none", choices=_TRACKERS, help="send the numbers there too (none)")
    parser.add_argument(
        "--lora-rank", type=int, metavar="R", help="of the weights: train adapters of this rank (0: the weights themselves)"
    )
    parser.add_argument("--freeze-vision", action="store_true", default=None, help="of the weights: leave the vision tower as it is")
    parser.set_defaults(recipe={}, file="")


def apply_recipe(parser: argparse.ArgumentParser, path: str) -> None:
    """Read the recipe; `--config` of a training comes here. Flags go before it."""
    recipe = read_yaml(path)
    seed = recipe.get("seed", 0)
    if not isinstance(seed, int):
        raise UserError(f"{path}: seed is {seed!r}; a whole number is needed")
    parser.set_defaults(recipe=recipe, file=path, seed=seed)


def config_of(args: argparse.Namespace, kind: type[Config], flags: tuple[str, ...] = ()) -> tuple[Config, str]:
    """The Config and the model's name. Raises UserError for a field that the Config has not, or a value that does not fit."""
    recipe = {key: value for key, value in args.recipe.items() if key != "model"} | {"seed": args.seed}
    args.model, args.out = args.model or args.recipe.get("model"), args.out or args.recipe.get("out")
    need(args, model="--model", out="--out")
    recipe |= {name: getattr(args, name) for name in ("out", *flags) if getattr(args, name) is not None}
    for part, names in (("schedule", _SCHEDULE), ("weights", _WEIGHTS)):
        given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
        if given:
            recipe[part] = (recipe.get(part) or {}) | given
    config: Any = build(kind, recipe, args.file or "the recipe")
    if args.max_steps is not None:
        if args.max_steps < 1:
            raise UserError(f"--max-steps is {args.max_steps}; it must be 1 or more")
        config = replace(config, schedule=replace(config.schedule, steps=min(config.schedule.steps, args.max_steps)))
    return config, str(args.model)


def build(kind: type[Config], row: Any, where: str, default: Any = None) -> Config:
    """A dataclass from a mapping, its dataclass fields from mappings within; a field that is left out keeps that of `default`."""
    if not isinstance(row, dict):
        raise UserError(f"{where}: needs fields and values, found {row!r}")
    hints = typing.get_type_hints(kind)
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    kept = {name: getattr(default, name) for name in names} if default is not None else {}
    for key, value in row.items():
        if key not in names:
            raise UserError(f"{where} has no field {key!r}; there are {', '.join(names)}")
        kept[key] = _value(hints[key], value, f"{where}: {key}", _default(kind, key))
    try:
        return kind(**kept)
    except TypeError as problem:
        raise UserError(f"{where}: {problem}") from None


def _default(kind: type[Any], name: str) -> Any:
    (field,) = [field for field in fields(kind) if field.name == name]
    return field.default_factory() if callable(field.default_factory) else None


def _value(kind: Any, value: Any, where: str, default: Any) -> Any:
    if is_dataclass(kind) and isinstance(kind, type):
        return build(kind, value, where, default)
    if typing.get_origin(kind) is UnionType:  # of one kind and None
        (kind,) = (one for one in typing.get_args(kind) if one is not NoneType)
        return None if value is None else _value(kind, value, where, default)
    if typing.get_origin(kind) is types.UnionType:  # one kind, or None where it is left out
        kind = next(one for one in typing.get_args(kind) if one is not types.NoneType)
    if typing.get_origin(kind) is dict:
        of = typing.get_args(kind)[1]
        if not isinstance(value, dict):
            raise UserError(f"{where} is {value!r}; names and values are needed")
        return {str(key): _value(of, item, f"{where}: {key}", None) for key, item in value.items()}
    if typing.get_origin(kind) is tuple:
        of = typing.get_args(kind)[0]
        if not isinstance(value, list):
            raise UserError(f"{where} is {value!r}; a list is needed")
        return tuple(_value(of, item, where, None) for item in value)
    if typing.get_origin(kind) is Literal:
        if value in typing.get_args(kind):
            return value
        raise UserError(f"{where} is {value!r}; take one of {', '.join(map(str, typing.get_args(kind)))}")
    if kind is float and isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            return float(value)  # YAML reads 1e-3, which has no point, as a text
        except ValueError:
            pass
    elif isinstance(kind, type) and isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
        return value
    raise UserError(f"{where} is {value!r}; {getattr(kind, '__name__', kind)} is needed")


def model_of(name: str, role: Literal["policy", "reward"]) -> VLM:
    """The model to train, with the tokens that its role needs."""
    from transformers.utils import logging

    from cos.train.processes import processes

    processes()  # where there are several, this gives each its device, before a model is loaded
    logging.disable_progress_bar()
    if name == f"new:{role}":
        from cos.models import embedded

        return embedded.new(role)
    if name.startswith("new:"):
        raise UserError(f"model {name}: this training makes a {role}; take new:{role}, a folder or a Hub id")
    from cos.loading import load_vlm
    from cos.models.vlm import add_tokens

    vlm = load_vlm(name, role)
    add_tokens(vlm, tags=role == "reward")
    return vlm


def reporting(args: argparse.Namespace) -> Report:
    """Where the numbers go, and the command for the model's card."""
    from cos.train.report import Report

    return Report(args.report_to, shlex.join(["cos", *sys.argv[1:]]))


def report(metrics: dict[str, float], out: str) -> Outcome:
    """What a training prints. Of several processes only the first gets to it."""
    from cos.train.processes import processes

    if processes().rank:
        raise SystemExit(0)
    shown = ", ".join(f"{key} {value:.4f}" for key, value in metrics.items()) or "nothing was left to train"
    return Outcome({"metrics": metrics, "run": out, "model": f"{out}/model"}, f"{shown}; the model is in {out}/model")
