"""What every world with truth offers, and how its problems are drawn by seed into splits that never meet.

A world is a module with the functions of `World`. Its problem holds the whole truth of the picture in `Problem.truth` (JSON values:
what is in it under `content`, how it looks under `style`, what is asked under `ask`), so that picture, gold answer, right chains and
the verdict on any step follow from the problem alone.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from PIL import Image

from cos.chain import Chain, Problem, Step

SPLITS = ("train", "validation", "test", "shift")
Truth = Mapping[str, Any]


@dataclass(frozen=True)
class Verdict:
    """What the truth says of a step: 1 right, 0 wrong, None neutral (it claims nothing that can be checked), and why in one phrase.

    `kind`: the step reads the picture ("see") or works on what was read ("compute"); "" for neutral steps.
    """

    label: int | None
    why: str
    kind: Literal["see", "compute", ""] = ""


class World(Protocol):
    """The functions of a world's module."""

    NAME: str

    def sample(self, rng: random.Random, split: str, level: int) -> dict[str, Any]:
        """Draw `{question, answer, kind, truth: {content, style, ask}}`; `shift` takes styles that no other split has."""
        ...

    def draw(self, truth: Truth) -> Image.Image:
        """The picture, RGB, 256 px or more; the same truth gives the same picture."""
        ...

    def describe(self, truth: Truth) -> str:
        """Every object of the picture in a fixed order and wording, as a model that looks first writes it down."""
        ...

    def chain(self, problem: Problem, rng: random.Random) -> Chain:
        """A chain whose every step is right and that ends in the gold answer; `rng` varies the order of reading and the wording."""
        ...

    def check(self, problem: Problem, step: Step) -> Verdict:
        """The verdict on one step by the truth of this problem's picture, whatever steps came before. Never raises."""
        ...


def generate(world: World, split: str, n: int, seed: int = 0, level: int | None = None) -> Iterator[Problem]:
    """`n` problems of a split, levels 1 to 3 in turn unless one is given. The same arguments give the same problems.

    A problem belongs to the split that the hash of its content falls in, so no picture's content is in two splits, whatever the seeds.
    """
    for index in range(n):
        now = level or index % 3 + 1
        rng = random.Random(f"{world.NAME}/{split}/{seed}/{index}/{now}")
        while True:
            drawn = world.sample(rng, split, now)
            if home(drawn["truth"]["content"]) == ("test" if split == "shift" else split):
                break
        yield Problem(id=f"{world.NAME}-{split}-{seed}-{index:05d}", world=world.NAME, split=split, level=now, **drawn)


def home(content: Any) -> str:
    """The split that a picture's content belongs to: 80 % train, 10 % validation, 10 % test (and shift)."""
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).digest()
    return "train" if digest[0] < 205 else "validation" if digest[0] < 231 else "test"
