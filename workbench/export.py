"""A run as the exact command, YAML and Python that do the same elsewhere. No gradio.

The picture is named `picture.png`, as the app's link to it saves it; the oracle reward needs the puzzle, which `cos data make` draws again.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import yaml

from cos.search.methods import Settings
from workbench.runs import Asked

_FIRST = ("n", "width", "seed")


def changed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """N, width and seed, and whatever else is not its default."""
    plain = {field.name: field.default for field in fields(Settings)}
    return {key: value for key, value in settings.items() if key in _FIRST or plain.get(key, value) != value}


def command(asked: Asked, number: int) -> str:
    """`cos solve ...`, quoted for a shell."""
    words = ["cos", "solve", "--policy", asked.policy, "--reward", asked.reward, "--method", asked.methods[number]]
    for key, value in changed(asked.settings[number]).items():
        words += [f"--{key.replace('_', '-')}", str(value)]
    return shlex.join([*words, "--trace", "trace.json", "--", "picture.png", asked.question])  # after "--" no text is an option


def recipe(asked: Asked, number: int) -> str:
    """The same as a file for `cos solve picture.png QUESTION --config FILE`."""
    rows = {"policy": asked.policy, "reward": asked.reward, "method": asked.methods[number], **changed(asked.settings[number])}
    return f"# cos solve picture.png {shlex.quote(asked.question)} --config run.yaml\n" + yaml.safe_dump(rows, sort_keys=False)


def python(asked: Asked, number: int) -> str:
    """The same in Python."""
    rows = ", ".join(f"{key}={value!r}" for key, value in changed(asked.settings[number]).items())
    return (
        "from cos.loading import load_policy, load_scorer\nfrom cos.problems.pictures import open_picture\n"
        "from cos.protocols import Prompt\nfrom cos.search.methods import Settings\n"
        "from cos.search.scheduler import solve\n\n"
        f"prompt = Prompt({json.dumps(asked.question)}, open_picture('picture.png'))\n"
        f"policy, scorer = load_policy({asked.policy!r}), load_scorer({asked.reward!r})\n"
        f"trace = solve(prompt, policy, scorer, {asked.methods[number]!r}, Settings({rows}))\nprint(trace.answer)\n"
    )
