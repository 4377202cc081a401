"""First lessons in seeing, for a vision tower that starts from nothing: each image token learns to name what lies in its place.

Only the tower, the projector and the vocabulary head take part; the language model in between would hide the tower from the lesson:
handwritten digits went from chance to half right in 150 batches this way, and stayed at chance for 500 with description alone
(docs/log.md). A pretrained model needs none of this.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

import torch
import torch.nn.functional as F

from cos import problems
from cos.models.vlm import VLM
from cos.problems.landmarks import landmarks
from cos.train.data import Pictures
from cos.train.loop import Schedule, start, train
from cos.train.processes import processes
from cos.train.report import Report
from cos.train.sft import drawn_problems


@dataclass(frozen=True)
class Config:
    """Problems of worlds whose landmarks are known."""

    out: str
    worlds: dict[str, int] = field(default_factory=lambda: {"all:train": 12_000})
    schedule: Schedule = field(default_factory=lambda: Schedule(steps=1000, learning_rate=2e-3))
    seed: int = 0


@dataclass(frozen=True)
class Lesson:
    """Pictures (B, 3, H, W), and for some of their tokens (row, place) the word to be named."""

    pixels: torch.Tensor
    rows: torch.Tensor
    places: torch.Tensor
    words: torch.Tensor
    share: float
    """What sums are divided by: the words of the whole batch, shared out evenly where several processes take a part each."""

    @property
    def tokens(self) -> int:
        """Image tokens with a word to be named; the language model reads nothing."""
        return len(self.words)


def loss(vlm: VLM, lesson: Lesson) -> tuple[torch.Tensor, dict[str, float]]:
    """Mean cross-entropy of the named words, and the share named right (a bar's end has two true words, so 1 is out of reach)."""
    features = vlm.model.model.get_image_features(pixel_values=lesson.pixels.to(vlm.device)).pooler_output
    seen = torch.stack(list(features)).flatten(1, -2)[lesson.rows, lesson.places]
    logits = vlm.head(vlm.model.model.language_model.norm(seen)).float()
    words = lesson.words.to(vlm.device)
    value = F.cross_entropy(logits, words, reduction="sum") / lesson.share
    return value, {"loss": float(value.detach()), "right": float((logits.argmax(-1) == words).sum()) / lesson.share}


def run(vlm: VLM, config: Config, report: Report = Report()) -> dict[str, float]:
    """Train `vlm` in place; its folder is `config.out`/model. Returns the last averages."""
    folder = start(config.out, asdict(config), config.seed)
    return train(vlm, config.schedule, folder, _lessons(vlm, config), loss, report=report)


def _lessons(vlm: VLM, config: Config) -> Callable[[int], Lesson]:
    drawn = [problem for problem in drawn_problems(config.worlds, config.seed) if landmarks(problem)]
    pictures = Pictures(vlm.encoder, lambda index: problems.draw(drawn[index]))
    side, here = math.isqrt(vlm.encoder.image_tokens), processes()

    def lesson(step: int) -> Lesson:
        rng = random.Random(f"see/{config.seed}/{step}")
        chosen = [rng.randrange(len(drawn)) for _ in range(config.schedule.batch)]
        words: dict[tuple[int, int], int] = {}
        for row, index in enumerate(chosen):
            marks = landmarks(drawn[index])
            for mark in rng.sample(marks, len(marks)):
                place = min(int(mark.y * side), side - 1) * side + min(int(mark.x * side), side - 1)
                words[row, place] = vlm.encoder.plain(" " + rng.choice(mark.words))[0]
        own = {(row // here.count, place): word for (row, place), word in words.items() if row % here.count == here.rank}
        rows, places = zip(*own, strict=True)
        pixels = torch.cat([pictures[index].inputs["pixel_values"] for index in chosen[here.rank :: here.count]])
        named = torch.tensor(list(own.values()))
        return Lesson(pixels, torch.tensor(rows), torch.tensor(places), named, len(words) / here.count)

    return lesson
