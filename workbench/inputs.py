"""What a visitor puts in: pictures, questions, settings, puzzles with known truth. Checked here, refused in plain words. No gradio."""

from __future__ import annotations

import base64
import binascii
import json
import random
import re
import tempfile
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from cos.chain import Problem
from cos.errors import UserError
from cos.problems import PROBLEM_SETS, draw, problems
from cos.problems.pictures import open_picture
from cos.problems.world import generate
from cos.protocols import Prompt
from cos.search.methods import Settings
from workbench.limits import LIMITS

WORLDS = tuple(PROBLEM_SETS)
ANY = "any kind"
_PAD, _INK, _POINTS = 2, (40, 42, 60), 20_000  # drawn at twice the size, for smooth lines
_SAMPLES = 60
"""Puzzles that are drawn to see the kinds of a level, and tried for one of a kind: the rarest kind is one in seven."""


def read_prompt(picture: str | None, question: str) -> Prompt:
    """The visitor's picture (path of an uploaded file) and question, checked. Raises UserError in one line without the server's paths."""
    if picture is None:
        raise UserError("Put in a picture first: upload or paste one, take an example, or press New puzzle.")
    question = read_question(question)
    return Prompt(question, read_picture(picture))


def read_question(question: str) -> str:
    """The question without blanks around it. Raises UserError for none and for one that is too long."""
    question = question.strip()
    if not question:
        raise UserError("Write a question about the picture first.")
    if len(question) > LIMITS.question:
        raise UserError(f"The question has {len(question):,} characters; {LIMITS.question} is the most.")
    return question


def read_settings(n: float | None, width: float | None, temperature: float | None, seed: float | None, **more: Any) -> Settings:
    """The settings of a search within the app's limits; a field that was emptied is a visitor's mistake."""
    if n is None or width is None or temperature is None or seed is None:
        raise UserError("N, width, temperature and seed each need a number.")
    settings = Settings(n=int(n), width=int(width), temperature=float(temperature), seed=int(seed), **more)
    check_limits(settings)
    return settings


def check_limits(settings: Settings) -> None:
    """Raises UserError for settings beyond what the app gives to one visitor."""
    if settings.n > LIMITS.n or settings.width > LIMITS.width:
        raise UserError(f"N may be at most {LIMITS.n} and the width at most {LIMITS.width} here.")
    if settings.max_steps > LIMITS.steps or settings.max_tokens > LIMITS.step_tokens:
        raise UserError(f"A chain may have at most {LIMITS.steps} steps and a step at most {LIMITS.step_tokens} tokens here.")


def read_picture(path: str) -> Image.Image:
    """An uploaded file as an upright RGB picture of at most `LIMITS.side` pixels a side. Raises UserError naming the file alone."""
    file = Path(path)
    image = open_picture(file.name, root=file.parent)
    image.thumbnail((LIMITS.side, LIMITS.side))
    return image


def read_encoded(image: str) -> Image.Image:
    """A picture that came as text: its file's bytes in base64, as an address (`data:image/png;base64,...`) or bare. Raises UserError."""
    if len(image) > LIMITS.upload * 4 // 3 + 100:
        raise UserError(f"The picture is larger than {LIMITS.upload // 10**6} MB.")
    try:
        data = base64.b64decode(image.rpartition(",")[2], validate=True)
    except (binascii.Error, ValueError):
        raise UserError("The picture must come as the bytes of its file in base64.") from None
    with tempfile.TemporaryDirectory(prefix="cos-") as folder:
        (Path(folder) / "picture").write_bytes(data)
        return read_picture(str(Path(folder) / "picture"))


def drawing(strokes: object) -> Image.Image:
    """What was drawn on the sketch pad (lists of points, 0 to 500 across and 0 to 200 down), cut to the ink, on a picture 256 px wide.

    Raises UserError for an empty pad and for what is no drawing.
    """
    if not isinstance(strokes, list) or not strokes:
        raise UserError("The sketch pad is empty: draw two to four digits in a row first.")
    points = [point for stroke in strokes if isinstance(stroke, list) for point in stroke]
    sound = all(isinstance(p, list) and len(p) == 2 and all(isinstance(x, int) and -50 <= x <= 550 for x in p) for p in points)
    if not points or len(points) > _POINTS or not sound:
        raise UserError("That drawing can't be read: clear the pad and draw the digits once more.")
    page = Image.new("RGB", (_PAD * 500, _PAD * 200), (252, 252, 250))
    pen = ImageDraw.Draw(page)
    for stroke in strokes:
        line = [(_PAD * x, _PAD * y) for x, y in stroke]
        pen.line(line, fill=_INK, width=_PAD * 12, joint="curve")
        for x, y in line:
            pen.ellipse((x - 6 * _PAD, y - 6 * _PAD, x + 6 * _PAD, y + 6 * _PAD), fill=_INK)
    left, right = min(x for x, _ in points), max(x for x, _ in points)
    top, bottom = min(y for _, y in points), max(y for _, y in points)
    margin = 14 + (bottom - top) // 6
    cut = page.crop(tuple(_PAD * edge for edge in (left - margin, top - margin, right + margin, bottom + margin)))
    return cut.resize((256, max(32, min(512, round(256 * cut.height / cut.width)))), Image.Resampling.LANCZOS)


@lru_cache(maxsize=32)
def kinds(world: str, level: int) -> tuple[str, ...]:
    """The kinds of question that a world asks at a level."""
    _known(world, level)
    return tuple(sorted({problem.kind for problem in generate(PROBLEM_SETS[world], "test", _SAMPLES, 0, level)}))


def new_puzzle(world: str, level: int, kind: str = ANY, seed: int | None = None) -> Problem:
    """A puzzle of a world's test split at a level (1 to 3), of a kind; another one each time, unless a seed is given."""
    _known(world, level)
    seed = random.SystemRandom().randrange(10**6) if seed is None else seed
    if kind == ANY:
        return problems(f"{world}:test", level, seed)[level - 1]
    for problem in generate(PROBLEM_SETS[world], "test", _SAMPLES, seed, level):
        if problem.kind == kind:
            return problem
    raise UserError(f"{world} asks no question of the kind {kind!r} at level {level}; there are {', '.join(kinds(world, level))}.")


def _known(world: str, level: int) -> None:
    if world not in WORLDS or level not in (1, 2, 3):
        raise UserError(f"There are the worlds {', '.join(WORLDS)} and the levels 1 to 3.")


@lru_cache(maxsize=1)
def examples() -> tuple[tuple[Problem, Image.Image], ...]:
    """A few puzzles to begin with, one of them with a picture that can't answer its question."""
    wanted = (("charts", 2, 7), ("scenes", 2, 3), ("digits", 2, 5), ("charts", 3, 11), ("scenes", 3, 12), ("refusals", 1, 1))
    chosen = [new_puzzle(world, level, seed=seed) for world, level, seed in wanted]
    return tuple((problem, draw(problem)) for problem in chosen)


def truth_of(prompt: Prompt, problem: Problem | None) -> Problem | None:
    """`problem`, if picture and question are still its own; None where the visitor has changed either."""
    if problem is None or prompt.question != problem.question.strip():
        return None
    ours = draw(problem)
    return problem if ours.size == prompt.image.size and np.array_equal(np.asarray(ours), np.asarray(prompt.image)) else None


def check_grammar(question: str) -> None:
    """Raises UserError where a question has words that the embedded models have never seen: they would make an answer up."""
    strange = [word for word in dict.fromkeys(re.findall(r"[^\W\d_]+", question)) if word.lower() not in _words()]
    if strange or not re.search(r"[^\W\d_]", question):
        named = (
            "the word " + " and ".join(repr(word) for word in strange[:3]) + " is none of theirs" if strange else "this is none of theirs"
        )
        raise UserError(
            f"The embedded models know only the questions of their own worlds, and {named}. Ask as New puzzle does, for example "
            f"{examples()[0][0].question!r}, or start the app with a larger model: app.py --policy NAME."
        )


@lru_cache(maxsize=1)
def _words() -> frozenset[str]:
    """The words that are one token for the embedded tokenizer, which was trained on all that the worlds say."""
    file = files("cos") / "assets" / "tokenizer" / "tokenizer.json"
    vocabulary: Mapping[str, int] = json.loads(file.read_text("utf-8"))["model"]["vocab"]
    return frozenset(token.removeprefix("Ġ").lower() for token in vocabulary)
