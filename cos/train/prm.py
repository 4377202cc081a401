"""The step-tag reward model: a two-way softmax over the good and the bad token at the tag after each step and after the answer.

Source: the released `modeling_internvl_prm.py`. There the loss of a labelled tag is twice its two-class cross-entropy, and a tag with
neither label is drawn to 0.5; here unlabelled tags are masked. Two things are ours, both against a reward model that judges the text
and hardly looks (docs/log.md): it *looks first*, that is, writes down what it sees before it reads the question; and it goes on learning
to write right steps (`language`), since only a model that could say the right thing can tell when something else was said.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
import torch.nn.functional as F

from cos import problems
from cos.chain import Chain, Problem, Sample, StepLabels
from cos.errors import UserError
from cos.models.encode import Turn
from cos.models.vlm import LOOK, VLM
from cos.problems.facts import facts
from cos.problems.landmarks import landmarks
from cos.store import read
from cos.train import siblings
from cos.train.data import Batch, Example, Marks, Pictures, batches, point_out
from cos.train.drills import IN_STEPS, computing, computing_steps, reading
from cos.train.files import FileRow, read_rows
from cos.train.judged import labelled_example, labels, miscalculated, reference, unseen_example
from cos.train.look import descriptions, looked, room
from cos.train.loop import Schedule, start, train
from cos.train.processes import processes
from cos.train.report import Report
from cos.train.sft import Source, drawn_problems, hidden_states, next_token_loss
from cos.train.weights import Weights

MISCALCULATED = 0.4
"""Share of the chains made wrong whose steps of work have a number changed, several of them at times (the same)."""


@dataclass(frozen=True)
class Mix:
    """What chains a reward model learns from, as shares of the examples; what is left over are right chains."""

    wrong: float = 0.45
    """A right chain with one or two claims made wrong."""
    sampled: float = 0.0
    """A chain that the policy drew (from `Config.pool`)."""
    swapped: float = 0.2
    """Share of all examples that are given another picture, and labelled by what that one shows."""
    drills: float = 0.0
    """Share of all examples that are reading drills instead (`cos.train.drills`): for a model that starts from nothing."""
    sums: float = 0.0
    """Share of all examples that are computing drills instead (`cos.train.drills`), likewise."""
    unseen: float = 0.0
    """Share of all examples that are chains without the picture instead, right or made wrong after the reading: what is read is taken as it
    is, and only what is made of it is labelled."""


@dataclass(frozen=True)
class Config:
    """What to train on: a file of released PRM rows (`data`, its pictures under `images`), or problems of worlds, whose checker labels
    every step. `pool`: file of sampled chains for the worlds' problems (`cos sample`).
    `language`: weight of the next-token loss on descriptions and right steps (0 in the released code)."""

    out: str
    data: str = ""
    images: str = "."
    unlabelled_to_half: bool = False
    """Whether a file's tags without a label are drawn to 0.5, as the released loss does; else they are masked."""
    worlds: dict[str, int] = field(default_factory=lambda: {"all:train": 33_000, "refusals:train": 3_000})
    """Set and split -> number of problems; read where `data` is empty."""
    repeat: dict[str, int] = field(default_factory=dict)
    """World and kind of question -> how many times its problems count in an epoch (`cos.train.sft.Config`)."""
    pool: str = ""
    mix: Mix = field(default_factory=Mix)
    look: str | None = None
    """What the model is to be asked about the picture before it judges, and so learns to answer; empty: nothing, it judges by what it
    sees; None: as it says of itself."""
    language: float = 0.5
    hints: float = 1.0
    """Weight of the label rows' loss at single words (worlds only): where in a wrong step it goes wrong. From tags alone a model
    learns to compare what it reads with what it sees only slowly (docs/log.md)."""
    siblings: float = 0.0
    """Weight of the rank loss between siblings (`data` only; `cos.train.siblings`), which no source of the step-tag loss has."""
    blind: bool = False
    """Whether the picture is kept back and the true description stands in for it (worlds only): a model that starts from nothing learns to
    copy and compare from text alone first, at two thirds of the cost of a step (docs/log.md)."""
    point_out: bool = False
    """Whether image tokens are trained too, to say what lies in their part of the picture (worlds only)."""
    weights: Weights = field(default_factory=Weights)
    schedule: Schedule = field(default_factory=lambda: Schedule(steps=2000, learning_rate=5e-4))
    seed: int = 0


def tag_loss(logits: torch.Tensor, targets: torch.Tensor, count: float | None = None) -> torch.Tensor:
    """Mean over tags of `-sum_j y_j log s_j + (1 - y_j) log(1 - s_j)`, s the softmax over (good, bad), y = (target, 1 - target).

    `logits` (K, 2), `targets` (K,) in [0, 1], `count`: what the sum is divided by (None: K). For hard labels this is exactly twice the
    two-class cross-entropy. No tags give zero.
    """
    if not len(targets):
        return logits.sum() * 0.0
    total = F.binary_cross_entropy_with_logits(logits[:, 0] - logits[:, 1], targets, reduction="sum")
    return 2 * total / (len(targets) if count is None else count)


def loss(language: float, hints: float = 0.0, rank: float = 0.0) -> Callable[[VLM, Batch], tuple[torch.Tensor, dict[str, float]]]:
    """The whole loss; only the two label rows are projected, and only at the tags."""

    def whole(vlm: VLM, batch: Batch) -> tuple[torch.Tensor, dict[str, float]]:
        hidden = hidden_states(vlm, batch)
        logits, targets = _label_logits(vlm, hidden, batch.tags)
        tags = tag_loss(logits, targets, batch.shares.tags)
        words, _ = next_token_loss(vlm, hidden, batch.targets.to(vlm.device), batch.shares.words)
        right = ((logits[:, 0] > logits[:, 1]) == (targets > 0.5)).float()
        shares = {"right": float(right.sum()) / (batch.shares.tags or 1), "good": float(targets.sum()) / (batch.shares.tags or 1)}
        numbers = {"tags": float(tags.detach()), "language": float(words.detach()), **shares}
        value = tags + language * words
        if hints:
            hinted = tag_loss(*_label_logits(vlm, hidden, batch.hints), batch.shares.hints)
            value, numbers["hints"] = value + hints * hinted, float(hinted.detach())
        if rank and batch.ranked:
            better, worse = (_label_logits(vlm, hidden, marks)[0] for marks in batch.ranked)
            ranked = siblings.rank_loss(better, worse, batch.shares.ranks)
            value, numbers["siblings"] = value + rank * ranked, float(ranked.detach())
        return value, numbers

    return whole


def _label_logits(vlm: VLM, hidden: torch.Tensor, marks: Marks) -> tuple[torch.Tensor, torch.Tensor]:
    """((K, 2) logits of good and bad at the marked positions, (K,) targets)."""
    at = hidden[marks.rows.to(vlm.device), marks.columns.to(vlm.device)]
    return F.linear(at, vlm.head.weight[list(vlm.encoder.label_ids)]).float(), marks.targets.to(vlm.device)


def world_example(vlm: VLM, drawn: Sequence[Problem], index: int, pool: Mapping[str, list[Chain]], config: Config) -> Example:
    """A chain of one of the kinds of `Mix` for problem `index` modulo their number, labelled by the truth of the picture that is shown."""
    rng = random.Random(f"prm/{config.seed}/{index}")
    number = index % len(drawn)
    problem = drawn[number]
    stand_in = "" if config.blind else vlm.encoder.stand_in(*problems.SIZE)
    sort = rng.random()
    if sort < config.mix.drills and facts(problem):
        return reading(vlm.encoder, vlm.look or LOOK, problem, number, stand_in, rng)
    if config.mix.drills <= sort < config.mix.drills + config.mix.sums:
        return computing_steps(vlm.encoder, problem.question, rng) if rng.random() < IN_STEPS else computing(vlm.encoder, rng)
    if 0 <= sort - config.mix.drills - config.mix.sums < config.mix.unseen and facts(problem):
        return unseen_example(vlm.encoder, problem, rng, pool.get(problem.id, ()))
    chain = problems.chain(problem, rng)
    kind = rng.random()
    if kind < config.mix.sampled and problem.id in pool:
        chain = rng.choice(pool[problem.id])
    elif kind < config.mix.sampled + config.mix.wrong:
        chain = miscalculated(problem, chain, rng) if rng.random() < MISCALCULATED else problems.corrupt(problem, chain, rng)
    shown = number
    if rng.random() < config.mix.swapped:
        shown, problem = _other_picture(drawn, number, rng)
    sees = not config.blind
    turns = [Turn("user", problem.question, image=sees)]
    if vlm.look:
        turns = [Turn("user", vlm.look, image=sees), Turn("assistant", problems.describe(drawn[shown])), Turn("user", problem.question)]
    known = reference(problem, rng) if config.hints else None
    example = labelled_example(vlm.encoder, turns, chain, labels(problem, chain), shown, stand_in, known)
    return point_out(vlm.encoder, example, landmarks(drawn[shown]), rng) if config.point_out else example


def _other_picture(drawn: Sequence[Problem], number: int, rng: random.Random) -> tuple[int, Problem]:
    """The same question over another picture of its world: who is shown, and the problem whose truth is that picture's. No gold answer."""
    problem = drawn[number]
    for _ in range(20):
        other = rng.randrange(len(drawn))
        if other != number and drawn[other].world == problem.world != "refusals":
            truth = {**drawn[other].truth, "ask": problem.truth["ask"]}
            return other, replace(problem, truth=truth, answer=None)
    return number, problem


def read_pool(path: str) -> dict[str, list[Chain]]:
    """Sampled chains by problem id (`cos sample` writes them). Raises UserError naming a line that is no sample."""
    found: dict[str, list[Chain]] = {}
    for sample in read(path, "pool", Sample.from_json):
        if sample.chain.steps:
            found.setdefault(sample.problem.id, []).append(sample.chain)
    return found


def run(vlm: VLM, config: Config, report: Report = Report()) -> dict[str, float]:
    """Train `vlm` in place; its folder is `config.out`/model. Returns the last averages. The run's settings count a file's labels."""
    vlm.look = vlm.look if config.look is None else config.look or None
    settings = asdict(config)
    rows: list[FileRow] = []
    if config.siblings and not config.data:
        raise UserError("siblings are looked for among the rows of a file: give data, or leave siblings out")
    if config.data:
        rows = read_rows(config.data, config.images, "prm", vlm.encoder, vlm.longest - room(vlm), unlabelled=config.unlabelled_to_half)
        settings["labels"] = balance(rows)
        if processes().rank == 0:
            sys.stderr.write(f"labels: {', '.join(f'{count} {kind}' for kind, count in settings['labels'].items())}\n")
    source = None if config.data else _from_worlds(vlm, config)  # before there is a folder: it may find a mistake in the recipe
    folder, plan = start(config.out, vlm, settings, config.seed), config.schedule
    example, pictures, count = source or _from_rows(vlm, config, rows)
    if config.siblings:
        batch = siblings.batches(rows, example, pictures, vlm.encoder.pad_id, config.seed, plan)
    else:
        batch = batches(example, count, plan.batch, pictures, vlm.encoder.pad_id, config.seed, plan.accumulate)
    return train(vlm, plan, folder, batch, loss(config.language, config.hints, config.siblings), config.weights, report)


def _from_worlds(vlm: VLM, config: Config) -> Source:
    drawn = drawn_problems(config.worlds, config.seed, config.repeat)
    pool = read_pool(config.pool) if config.pool else {}

    def example(index: int) -> Example:
        return world_example(vlm, drawn, index, pool, config)

    return example, Pictures(vlm.encoder, lambda index: None if config.blind else problems.draw(drawn[index])), len(drawn)


def _from_rows(vlm: VLM, config: Config, rows: Sequence[FileRow]) -> Source:
    pictures = Pictures(vlm.encoder, lambda index: rows[index].picture)
    said = descriptions(vlm, rows, Path(config.out) / "looks.jsonl")

    def example(index: int) -> Example:
        number = index % len(rows)
        row = rows[number]
        assert row.labels is not None
        marks = half_for_none(row.labels) if config.unlabelled_to_half else row.labels
        turns = looked(row.turns(), vlm.look, said[number])
        return labelled_example(vlm.encoder, turns, row.chain, marks, number, pictures.stand_in(number), describe=False)

    return example, pictures, len(rows)


def balance(rows: Sequence[FileRow]) -> dict[str, int]:
    """How many labels of steps and answers are good, bad, between (soft), and none."""
    found = [label for row in rows if row.labels for label in (*row.labels.steps, row.labels.answer)]
    counts = Counter("none" if label is None else {1.0: "good", 0.0: "bad"}.get(label, "between") for label in found)
    return {kind: counts[kind] for kind in ("good", "bad", "between", "none")}


def half_for_none(marks: StepLabels) -> StepLabels:
    """0.5 for every label that is missing: there `tag_loss` is `-log(s_good * s_bad)`, which is what the released loss is at such tags."""
    steps = tuple(0.5 if label is None else label for label in marks.steps)
    return replace(marks, steps=steps, answer=0.5 if marks.answer is None else marks.answer)
