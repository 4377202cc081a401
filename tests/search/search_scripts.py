"""What the search tests share: a prompt, pieces and a script of constant length, searches run to their ends."""

from __future__ import annotations

import json
import random
from typing import Any

from cos.chain import Chain, Step
from cos.models.scripted import ScriptedPolicy, ScriptedScorer, words
from cos.protocols import Prompt
from cos.search.growth import Search
from cos.search.scheduler import run
from cos.search.trace import SearchTrace
from cos.template import pieces

PROMPT = Prompt("how many dots are there")
STEPS = 3


def step_text(index: int, value: str) -> str:
    """Piece number `index` of a chain whose steps say a value."""
    return pieces(Chain((Step("s", value, "r"),) * (index + 1)))[-1]


def answer_text(index: int, value: str) -> str:
    """The answer piece after `index` steps."""
    return pieces(Chain((Step("s", "v", "r"),) * index, value))[-1]


def numbers(prompt: Prompt, texts: tuple[str, ...], rng: random.Random) -> str:
    """STEPS steps that each say a long random number (so no two draws are equal), then an answer."""
    if len(texts) < STEPS:
        return step_text(len(texts), str(rng.getrandbits(60)))
    return answer_text(len(texts), str(rng.getrandbits(60)))


def lengths() -> tuple[int, int, int]:
    """Tokens of a first step, a later step and an answer of `numbers`."""
    return len(words(step_text(0, "1"))), len(words(step_text(1, "1"))), len(words(answer_text(STEPS, "1")))


def by_hash(prompt: Prompt, texts: tuple[str, ...]) -> float:
    """A reward without ties that comes from the text alone."""
    return random.Random(repr(texts)).random()


def finish(*searches: Search, policy: Any = None, scorer: Any = None, **options: Any) -> list[SearchTrace]:
    """The traces of these searches, run together to their ends."""
    for _ in run(searches, policy or ScriptedPolicy(), scorer or ScriptedScorer(), **options):
        pass
    return [search.trace for search in searches]


def as_bytes(trace: SearchTrace) -> str:
    """All of a trace but its times."""
    return json.dumps(trace.to_json(times=False))
