"""What all verbs share: a parser whose errors are one line, options from a YAML file, results, progress."""

from __future__ import annotations

import argparse
import math
import re
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NoReturn

import yaml

from cos.errors import UserError
from cos.search.methods import Settings

_SEARCH = {
    "temperature": "of sampling; 0 takes the likeliest token",
    "top_p": "sample from the smallest set of tokens with this probability",
    "max_tokens": "limit for each step",
    "max_steps": "a path with more steps is cut",
    "aggregator": "makes one number of a chain's rewards",
    "step_aggregator": "ranks the paths of a step search",
    "selector": "chooses among the finished paths of a step search: best_of_n, weighted_vote or vote",
    "granularity": "steps that a step search draws between two selections",
    "anneal": "annealed_beam: each round's width is this times the one before, but not under --width",
    "lookahead": "lookahead: steps drawn ahead of each candidate",
    "softmax_temperature": "rebase: of the softmax that shares out the draws",
    "particle_output": "particle: the best finished path, or one sampled by weight",
    "exploration": "mcts: the constant of PUCT",
    "mcts_value": "mcts: what a new node is worth, by reward or rollout",
    "threshold": "retrace: a reward under it counts as wrong",
    "retraces": "retrace: times that it may go back",
    "certainty": "adaptive_n: stop when a right chain is this likely among those drawn",
}


@dataclass(frozen=True)
class Outcome:
    """What a verb hands back: the JSON object, the same for people, and the exit code."""

    result: dict[str, Any]
    text: str
    code: int = 0


class Parser(argparse.ArgumentParser):
    """An argument parser that says what is wrong in one line and exits with 2."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **{"formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False, **options})

    def error(self, message: str) -> NoReturn:
        """Raise UserError, so that `main` prints it as every other mistake."""
        raise UserError(f"{message} (see {self.prog} --help)")


def add_common(parser: argparse.ArgumentParser) -> None:
    """The options of every verb."""
    parser.add_argument("--config", metavar="FILE.yaml", help="options from a file, by their long names; flags go before it")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same result (0)")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output, all else on standard error")
    names = {action.dest for action in parser._actions}
    if {"policy", "reward", "model"} & names and "dtype" not in names:  # a verb with a --dtype of its own loads no model
        _add_loading(parser)


def _add_loading(parser: argparse.ArgumentParser) -> None:
    """How models are loaded; the defaults are those of `cos.models.vlm.load`."""
    group = parser.add_argument_group("how models are loaded")
    group.add_argument("--device", help="cpu, cuda, cuda:1, mps (a GPU where there is one)")
    group.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], help="of the weights (float32 on a CPU, bfloat16 on a GPU)")
    group.add_argument("--attention", metavar="NAME", help="transformers' attention for vision towers and trainings, such as sdpa")
    group.add_argument("--bits", type=int, choices=[4, 8], help="quantise the weights (needs bitsandbytes)")
    group.add_argument("--trust-remote-code", action="store_true", help="run code that comes with a model (off)")


def take_loading(args: argparse.Namespace) -> None:
    """Let this process load models as `_add_loading` has asked for. `judge:self` and the like name the policy's model."""
    if isinstance(reward := getattr(args, "reward", None), str) and isinstance(policy := getattr(args, "policy", None), str):
        args.reward = re.sub(r"\b(judge|confidence|certainty):self\b", lambda kind: f"{kind[1]}:{policy.removeprefix('prompted:')}", reward)
    if hasattr(args, "trust_remote_code"):
        from cos import loading

        names = ("device", "dtype", "attention", "bits", "trust_remote_code")
        loading.HOW.clear()
        loading.HOW.update({name: value for name in names if (value := getattr(args, name))})


REWARDS = (
    "embedded, scripted, oracle, a folder or a Hub id (embedded); or in another form: confidence:MODEL, certainty:MODEL, visualprm:MODEL, "
    "judge:MODEL, judge:self (the policy's model), outcome:REWARD, blend:0.5*REWARD+0.5*REWARD"
)
"""What --reward may name (cos/loading.py)."""


def add_models(parser: argparse.ArgumentParser, *, policy: bool = True) -> None:
    """--policy and --reward."""
    if policy:
        parser.add_argument("--policy", default="embedded", help="embedded, scripted, a folder or a Hub id, or prompted:MODEL (embedded)")
    parser.add_argument("--reward", default="embedded", help=REWARDS)


def add_search(parser: argparse.ArgumentParser, *, n: Callable[[str], Any] = int) -> None:
    """The options of `Settings`, with its defaults. `n` reads --n, where a verb takes more than one number."""
    several = "" if n is int else "; several with commas between"
    parser.add_argument("--n", type=n, default=str(Settings.n), help=f"chains, or candidates a round{several} ({Settings.n})")
    parser.add_argument("--width", type=int, default=Settings.width, help=f"live paths of a beam ({Settings.width})")
    for name, meaning in _SEARCH.items():
        default = getattr(Settings, name)
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default, help=f"{meaning} ({default})")


def settings(args: argparse.Namespace) -> Settings:
    """The settings that `add_search` has asked for."""
    return Settings(**{field.name: getattr(args, field.name) for field in fields(Settings)})


def need(args: argparse.Namespace, **names: str) -> None:
    """Raise UserError where an option (name -> how the user writes it) was given neither as a flag nor in the file."""
    for name, written in names.items():
        if getattr(args, name) is None:
            raise UserError(f"{written} is missing; give it on the command line or in --config")


def read_yaml(path: str | Path) -> dict[str, Any]:
    """A YAML file that holds a mapping. Raises UserError with file, line and reason."""
    try:
        found = yaml.safe_load(Path(path).read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as problem:
        raise UserError(f"{path}: {getattr(problem, 'strerror', None) or 'not UTF-8 text'}") from None
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise UserError(f"{path}{where}: not YAML ({getattr(problem, 'problem', None) or 'unreadable'})") from None
    if found is None:
        return {}
    if not isinstance(found, Mapping) or not all(isinstance(key, str) for key in found):
        raise UserError(f"{path}: needs lines such as `n: 16`, option and value")
    return dict(found)


def apply_file(parser: argparse.ArgumentParser, path: str) -> None:
    """Make the options in a YAML file the defaults of `parser`. Raises UserError for one it has not, or a wrong value."""
    actions = {action.dest: action for action in parser._actions if action.dest not in ("help", "config")}
    for key, value in read_yaml(path).items():
        action = actions.get(key.replace("-", "_"))
        if action is None:
            raise UserError(f"{path}: {parser.prog} has no option {key!r}; there are {', '.join(sorted(actions))}")
        parser.set_defaults(**{action.dest: _fitting(action, value, f"{path}: {key}")})


def _fitting(action: argparse.Action, value: Any, where: str) -> Any:
    if action.nargs == 0:
        if not isinstance(value, bool):
            raise UserError(f"{where} is {value!r}; it must be true or false")
        return value
    if isinstance(value, list):
        value = ",".join(map(str, value))
    if isinstance(value, dict | bool) or value is None:
        raise UserError(f"{where} is {value!r}; a text or a number is needed")
    convert: Callable[[str], Any] = action.type if callable(action.type) else str
    try:
        fitting = convert(str(value))
    except (ValueError, argparse.ArgumentTypeError):
        raise UserError(f"{where} is {value!r}; {getattr(convert, '__name__', 'another kind').replace('_', ' ')} is needed") from None
    if action.choices is not None and fitting not in action.choices:
        raise UserError(f"{where} is {value!r}; take one of {', '.join(map(str, action.choices))}")
    return fitting


class Progress:
    """Progress on standard error: a line that renews itself in a terminal, else a line every ten seconds."""

    def __init__(self, what: str) -> None:
        self.what, self.began, self.first, self.shown = what, time.monotonic(), -1, -math.inf
        self.terminal = sys.stderr.isatty()

    def __call__(self, done: int, total: int) -> None:
        """`done` of `total` are done; what was done at the first call does not count for the rate."""
        now = time.monotonic()
        if self.first < 0:
            self.first, self.began = done, now
        ended = done >= total
        if ended or now - self.shown >= (0.2 if self.terminal else 10.0):
            self.shown = now
            end = "\x1b[K\r" if self.terminal and not ended else "\n"
            sys.stderr.write(f"{self.what}: {done}/{total}, {self._pace(done, total, now - self.began)}{end}")
            sys.stderr.flush()

    def _pace(self, done: int, total: int, seconds: float) -> str:
        new = done - self.first
        if not new:
            return "starting" if done < total else "all was there"
        rate = new / max(seconds, 1e-9)
        return f"{rate:.2f}/s, " + (f"{_clock((total - done) / rate)} left" if done < total else f"{_clock(seconds)} in all")


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
