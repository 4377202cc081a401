"""First lessons in seeing, for a vision tower that starts from nothing: each image token learns to name what lies in its place.

Only the tower, the projector and the vocabulary head take part; the language model in between would hide the tower from the lesson:
handwritten digits went from chance to half right in 150 batches this way, and stayed at chance for 500 with description alone
(docs/log.md). A second lesson (`as_words`) turns what the tower sees into the language model's own words: each image token becomes the
sum of the embeddings of the words for what lies there, so that a model that can read can read pictures. A pretrained model needs neither.
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
    as_words: bool = False
    """Whether image tokens become sums of word embeddings, tower and projector alone learning; else the vocabulary head names one word."""
    schedule: Schedule = field(default_factory=lambda: Schedule(steps=1000, learning_rate=2e-3))
    seed: int = 0


@dataclass(frozen=True)
class Lesson:
    """Pictures (B, 3, H, W), and for some of their tokens (row, place) the word to be named: one, or with `as_words` each of several."""

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
    seen = _image_tokens(vlm, lesson)[lesson.rows, lesson.places]
    logits = vlm.head(vlm.model.model.language_model.norm(seen)).float()
    words = lesson.words.to(vlm.device)
    value = F.cross_entropy(logits, words, reduction="sum") / lesson.share
    return value, {"loss": float(value.detach()), "right": float((logits.argmax(-1) == words).sum()) / lesson.share}


def words_loss(vlm: VLM, lesson: Lesson) -> tuple[torch.Tensor, dict[str, float]]:
    """Squared distance of image tokens to the sums of their words' embeddings, in units of a word's squared length: the mean over tokens
    with words and half the mean over the others, which are to be nothing. `right`: words among the nearest, as many as the token has."""
    seen = _image_tokens(vlm, lesson).float()
    table = vlm.model.get_input_embeddings().weight.detach().float()
    words = lesson.words.to(seen.device)
    wanted = torch.zeros_like(seen).index_put((lesson.rows, lesson.places), table[words], accumulate=True)
    counts = torch.zeros(seen.shape[:2], device=seen.device).index_put((lesson.rows, lesson.places), torch.ones(()), accumulate=True)
    far = (seen - wanted).square().sum(-1) / table[words].square().sum(-1).mean()
    empty = counts == 0
    value = far[~empty].mean() + 0.5 * far[empty].sum() / max(1, int(empty.sum()))
    with torch.no_grad():
        scores = seen[lesson.rows, lesson.places] @ table.T
        rank = (scores > scores.gather(1, words[:, None])).sum(1)
        right = float((rank < counts[lesson.rows, lesson.places]).float().mean())
    return value, {"loss": float(value.detach()), "right": right}


def _image_tokens(vlm: VLM, lesson: Lesson) -> torch.Tensor:
    """(B, tokens of an image, width), as the language model gets them."""
    features = vlm.model.model.get_image_features(pixel_values=lesson.pixels.to(vlm.device)).pooler_output
    return torch.stack(list(features)).flatten(1, -2)


def run(vlm: VLM, config: Config, report: Report = Report()) -> dict[str, float]:
    """Train `vlm` in place; its folder is `config.out`/model. Returns the last averages."""
    folder = start(config.out, vlm, asdict(config), config.seed)
    if not config.as_words:
        return train(vlm, config.schedule, folder, _lessons(vlm, config), loss, report=report)
    before = {name: parameter.requires_grad for name, parameter in vlm.model.named_parameters()}
    for name, parameter in vlm.model.named_parameters():
        parameter.requires_grad = "vision_tower" in name or "multi_modal_projector" in name
    try:
        return train(vlm, config.schedule, folder, _lessons(vlm, config), words_loss, report=report)
    finally:
        for name, parameter in vlm.model.named_parameters():
            parameter.requires_grad = before[name]


def _lessons(vlm: VLM, config: Config) -> Callable[[int], Lesson]:
    drawn = [problem for problem in drawn_problems(config.worlds, config.seed) if landmarks(problem)]
    pictures = Pictures(vlm.encoder, lambda index: problems.draw(drawn[index]))
    side, here = math.isqrt(vlm.encoder.image_tokens), processes()

    def lesson(step: int) -> Lesson:
        rng = random.Random(f"see/{config.seed}/{step}")
        chosen = [rng.randrange(len(drawn)) for _ in range(config.schedule.batch)]
        words: dict[tuple[int, int], set[int]] = {}
        for row, index in enumerate(chosen):
            marks = landmarks(drawn[index])
            for mark in rng.sample(marks, len(marks)):
                cell = row, min(int(mark.y * side), side - 1) * side + min(int(mark.x * side), side - 1)
                if config.as_words:
                    words.setdefault(cell, set()).update(vlm.encoder.plain(piece)[0] for piece in mark.pieces)
                else:
                    words[cell] = {vlm.encoder.plain(" " + rng.choice(mark.words))[0]}
        own = [(row // here.count, at, word) for (row, at), all in words.items() if row % here.count == here.rank for word in sorted(all)]
        rows, places, named = (torch.tensor(column) for column in zip(*own, strict=True))
        pixels = torch.cat([pictures[index].inputs["pixel_values"] for index in chosen[here.rank :: here.count]])
        return Lesson(pixels, rows, places, named, sum(map(len, words.values())) / here.count)

    return lesson
