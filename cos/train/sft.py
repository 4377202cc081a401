"""Supervised fine-tuning on chains: next-token loss on what the model writes, and on nothing it reads.

Source: the released `internvl_chat_finetune.py` (mean cross-entropy over labelled positions). A model that is to reason about small
pictures from scratch learns to see first: with `look` above 0 that share of the examples asks it to describe the whole picture.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace

import torch
import torch.nn.functional as F

from cos import problems
from cos.chain import Problem
from cos.errors import UserError
from cos.models.encode import Turn
from cos.models.vlm import LOOK, VLM
from cos.problems.facts import facts
from cos.problems.landmarks import landmarks
from cos.train.data import IGNORE, Batch, Example, Pictures, batches, chain_ids, point_out, supervised
from cos.train.drills import IN_STEPS, computing, reading, written_steps
from cos.train.files import read_rows
from cos.train.loop import Schedule, start, train
from cos.train.report import Report
from cos.train.weights import Weights


@dataclass(frozen=True)
class Config:
    """What to train on: a file of released SFT rows (`data`, its pictures under `images`), or problems drawn from worlds."""

    out: str
    data: str = ""
    images: str = "."
    worlds: dict[str, int] = field(default_factory=lambda: {"all:train": 22_000, "refusals:train": 2_000})
    """Set and split -> number of problems; read where `data` is empty. `all` and a world of its own are the same problems twice."""
    repeat: dict[str, int] = field(default_factory=dict)
    """World and kind of question ("charts count") -> how many times its problems count in an epoch, each time with a chain of its own, as
    `repeat_time` of the released meta file does for a data set (1 where nothing is said; worlds only)."""
    look: float = 0.0
    """Share of the worlds' examples that ask for a description of the picture instead of a chain."""
    drills: float = 0.0
    """Share of the worlds' examples that are reading drills instead (`cos.train.drills`)."""
    sums: float = 0.0
    """Share of the worlds' examples that are computing drills instead."""
    hasty: float = 0.0
    """Share of the worlds' chains that are cut to their last step and the answer. They say right things without having looked: what a
    policy learns from teachers of whom some don't show their work, and what rewards may then prefer or not (docs/log.md)."""
    point_out: bool = False
    """Whether image tokens are trained too, to say what lies in their part of the picture (worlds only)."""
    weights: Weights = field(default_factory=Weights)
    schedule: Schedule = field(default_factory=lambda: Schedule(steps=1000))
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises UserError for a share that is none."""
        for name in ("look", "drills", "sums", "hasty"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"{name} is {getattr(self, name)}; a share between 0 and 1 is needed")


def loss(vlm: VLM, batch: Batch) -> tuple[torch.Tensor, dict[str, float]]:
    """Mean cross-entropy over the labelled positions of the batch, and the share of them predicted right."""
    hidden = hidden_states(vlm, batch)
    value, right = next_token_loss(vlm, hidden, batch.targets.to(vlm.device), batch.shares.words)
    return value, {"loss": float(value.detach()), "right": right}


def hidden_states(vlm: VLM, batch: Batch) -> torch.Tensor:
    """(B, T, width): one forward pass without the vocabulary head."""
    hidden: torch.Tensor = vlm.body(**vlm.arguments(batch.ids, batch.inputs), use_cache=False).last_hidden_state
    return hidden


def next_token_loss(vlm: VLM, hidden: torch.Tensor, targets: torch.Tensor, count: float | None = None) -> tuple[torch.Tensor, float]:
    """Cross-entropy at the positions with a target (only these are projected to the vocabulary), and the share predicted right.

    `hidden` (B, T, width), `targets` (B, T), `count`: what the sums are divided by (None: as many as there are). Without any target
    both are 0.
    """
    where = targets != IGNORE
    if not where.any():
        return hidden.sum() * 0.0, 0.0
    logits = vlm.head(hidden[where]).float()
    wanted = targets[where]
    count = len(wanted) if count is None else count
    return F.cross_entropy(logits, wanted, reduction="sum") / count, float((logits.argmax(-1) == wanted).sum()) / count


def run(vlm: VLM, config: Config, report: Report = Report()) -> dict[str, float]:
    """Train `vlm` in place; its folder is `config.out`/model. Returns the last averages of loss and share right."""
    example, pictures, count = _from_file(vlm, config) if config.data else _from_worlds(vlm, config)
    plan = config.schedule
    batch = batches(example, count, plan.batch, pictures, vlm.encoder.pad_id, config.seed, plan.accumulate)
    return train(vlm, plan, start(config.out, vlm, asdict(config), config.seed), batch, loss, config.weights, report)


def drawn_problems(worlds: dict[str, int], seed: int, repeat: Mapping[str, int] = {}) -> list[Problem]:
    """The problems of several sets, one after the other; those of a kind in `repeat` ("charts count") as many times as it says.

    Raises UserError for a kind that no problem is of, and for a count below 1.
    """
    drawn = [problem for spec, count in worlds.items() for problem in problems.problems(spec, count, seed)]
    if not drawn:
        raise UserError("worlds names no problems to learn from; write a set and a number, as in charts:train: 3000")
    kinds = sorted({_kind(problem) for problem in drawn})
    for kind, times in repeat.items():
        if kind not in kinds:
            raise UserError(f"repeat: no problem is of the kind {kind!r}; there are {', '.join(kinds)}")
        if times < 1:
            raise UserError(f"repeat: {kind} is {times}; 1 or more is needed")
    return [problem for problem in drawn for _ in range(repeat.get(_kind(problem), 1))]


def _kind(problem: Problem) -> str:
    return f"{problem.world} {problem.kind}"


Source = tuple[Callable[[int], Example], Pictures, int]
"""Examples by index, their pictures, and how many there are."""


def _from_worlds(vlm: VLM, config: Config) -> Source:
    drawn = drawn_problems(config.worlds, config.seed, config.repeat)

    def example(index: int) -> Example:
        return world_example(vlm, drawn[index % len(drawn)], index, len(drawn), config)

    return example, Pictures(vlm.encoder, lambda index: problems.draw(drawn[index])), len(drawn)


def _from_file(vlm: VLM, config: Config) -> Source:
    rows = read_rows(config.data, config.images, "sft", vlm.encoder, vlm.longest)
    pictures = Pictures(vlm.encoder, lambda index: rows[index].picture)

    def example(index: int) -> Example:
        number = index % len(rows)
        turns = [*rows[number].turns(), Turn("assistant", chain_ids(vlm.encoder, rows[number].chain))]
        return supervised(vlm.encoder, turns, [turn.role == "assistant" for turn in turns], number, pictures.stand_in(number))

    return example, pictures, len(rows)


def world_example(vlm: VLM, problem: Problem, index: int, count: int, config: Config) -> Example:
    """A description or a right chain for one problem; which, and in which words, changes from epoch to epoch (`index` // `count`)."""
    rng = random.Random(f"sft/{config.seed}/{index}")
    stand_in, sort = vlm.encoder.stand_in(*problems.SIZE), rng.random()
    if sort > 1 - config.sums:
        return written_steps(vlm.encoder, problem.question, rng) if rng.random() < IN_STEPS else computing(vlm.encoder, rng, wrong=0.0)
    if sort > 1 - config.sums - config.drills and facts(problem):
        example = reading(vlm.encoder, LOOK, problem, index % count, stand_in, rng, wrong=0.0)
        return point_out(vlm.encoder, example, landmarks(problem), rng) if config.point_out else example
    if sort < config.look:
        turns = [Turn("user", LOOK, image=True), Turn("assistant", problems.describe(problem))]
    else:
        chain = problems.chain(problem, rng)
        if config.hasty and rng.random() < config.hasty:
            chain = replace(chain, steps=chain.steps[-1:])
        turns = [Turn("user", problem.question, image=True), Turn("assistant", chain_ids(vlm.encoder, chain))]
    example = supervised(vlm.encoder, turns, (False, True), index % count, stand_in)
    return point_out(vlm.encoder, example, landmarks(problem), rng) if config.point_out else example
