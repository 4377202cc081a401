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


def client(asked: Asked, number: int) -> str:
    """The same through the API of a running app."""
    rows = changed(asked.settings[number])
    values = ", ".join(
        f"{key}={value!r}" for key, value in rows.items() if key in ("n", "width", "seed", "temperature", "max_steps", "max_tokens")
    )
    return (
        "import base64\nfrom gradio_client import Client\n\n"
        "image = base64.b64encode(open('picture.png', 'rb').read()).decode()\n"
        "client = Client('http://127.0.0.1:7860')\n"
        f"found = client.predict(image, {json.dumps(asked.question)}, method={asked.methods[number]!r}, {values},\n"
        f"    policy={asked.policy!r}, reward={asked.reward!r}, api_name='/solve')\nprint(found['answer'])\n"
    )


def python(asked: Asked, number: int) -> str:
    """The same in Python; this alone also says which pieces were given to go on from."""
    rows = ", ".join(f"{key}={value!r}" for key, value in changed(asked.settings[number]).items())
    given = f", given={tuple(asked.given)!r}" if asked.given else ""
    return (
        "from cos.loading import load_policy, load_scorer\nfrom cos.problems.pictures import open_picture\n"
        "from cos.protocols import Prompt\n"
        "from cos.search.growth import Search\nfrom cos.search.methods import Settings\nfrom cos.search.scheduler import run\n\n"
        f"prompt = Prompt({json.dumps(asked.question)}, open_picture('picture.png'))\n"
        f"search = Search(prompt, {asked.methods[number]!r}, Settings({rows}){given})\n"
        f"for _ in run([search], load_policy({asked.policy!r}), load_scorer({asked.reward!r})):\n    pass\nprint(search.trace.answer)\n"
    )
