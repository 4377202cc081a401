"""The loop all trainings share: AdamW or Muon, warm-up and cosine, mixed precision, clipped gradients, checkpoints that resume exactly.

A batch is a function of its step number, so a run that was killed goes on with the very batches it would have had.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import torch

from cos.errors import UserError
from cos.models.hub import NOTES
from cos.models.vlm import VLM
from cos.problems.meta import is_meta, read_meta
from cos.runs import Run
from cos.store import digest
from cos.train import arithmetic
from cos.train.checkpoints import resume, save, take_weights
from cos.train.processes import processes
from cos.train.report import Report, peak_bytes, write_card
from cos.train.weights import Weights, choose, fingerprint


class Counted(Protocol):
    """A batch, or this process's part of one; `tokens`: how many the model reads of it."""

    @property
    def tokens(self) -> int:
        """Padding left out."""
        ...


Batch = TypeVar("Batch", bound=Counted)
Loss = Callable[[VLM, Batch], tuple[torch.Tensor, dict[str, float]]]
"""(model, batch) -> the value to be made small, and numbers to be shown. Both are means; see `cos.train.data.Shares` on whose."""


@dataclass(frozen=True)
class Schedule:
    """How long and how fast. Warm-up share, weight decay and cosine are those of the released scripts (`shell/*.sh`); the rest belongs to
    the model: 5e-6 (SFT) and 1e-6 (PRM) at batch 128 for 8B and 38B models there, 1e-3 to 2e-3 for the embedded ones (recipes/)."""

    steps: int
    batch: int = 64
    accumulate: int = 1
    learning_rate: float = 1e-3
    warmup_ratio: float = 0.03
    weight_decay: float = 0.05
    clip: float = 1.0
    final_share: float = 0.02
    """The learning rate at the end, as a share of its peak."""
    save_every: int = 200
    bf16: bool = True
    """Whether most of the arithmetic is in bfloat16, where the device is fast at it (`cos.train.arithmetic`)."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    """muon (Jordan et al. 2024, scaled as in arXiv 2502.16982 so that AdamW's rates serve): hidden matrices move along orthogonalised
    momentum, all else by AdamW. For a model that starts from nothing, where it learns in 0.7 times the steps (docs/log.md)."""

    def __post_init__(self) -> None:
        """Raises UserError for a number that no training can have."""
        for name in ("steps", "batch", "accumulate", "save_every"):
            if getattr(self, name) < 1:
                raise UserError(f"schedule: {name} is {getattr(self, name)}; it must be 1 or more")
        if not self.learning_rate >= 0 or not 0 <= self.warmup_ratio <= 1 or self.weight_decay < 0 or not self.clip > 0:
            said = ", ".join(f"{name} {getattr(self, name)}" for name in ("learning_rate", "warmup_ratio", "weight_decay", "clip"))
            raise UserError(f"schedule: {said}; rate and decay must be 0 or more, clip above 0, warmup_ratio from 0 to 1")

    def rate(self, step: int) -> float:
        """The learning rate of a step (from 0)."""
        warm = max(1, round(self.steps * self.warmup_ratio))
        if step < warm:
            return self.learning_rate * (step + 1) / warm
        turn = (1 + math.cos(math.pi * (step - warm) / max(1, self.steps - warm))) / 2
        return self.learning_rate * (self.final_share + (1 - self.final_share) * turn)


def start(out: str, vlm: VLM, config: Mapping[str, Any], seed: int) -> Run:
    """The run in folder `out`, begun or gone on with; the first process writes it. Raises UserError where it was begun with other settings,
    from another model or with other rows: its checkpoints would be taken for ones of this training."""
    given = {name: Path(path) for name in ("data", "pool") if (path := config.get(name)) and Path(path).is_file()}
    if "data" in given and is_meta(given["data"]):
        given |= {f"data {part.name}": part.rows for part in read_meta(given["data"])}
    files = {name: digest(path) for name, path in given.items() if path.is_file()}
    with processes().first_before():
        return Run.start(Path(out), {**config, "model": fingerprint(vlm, torch.bfloat16).hex(), "files": files}, seed)


def train(
    vlm: VLM,
    schedule: Schedule,
    run: Run,
    batch: Callable[[int], Batch],
    loss: Loss[Batch],
    weights: Weights = Weights(),
    report: Report = Report(),
) -> dict[str, float]:
    """Train in place, from the newest checkpoint of `run` where there is one, and save the model to `run.folder/model`.

    `batch`: number -> batch; a step takes the next `schedule.accumulate` of them. Returns running averages of what `loss` gives beside its
    value; nothing where the run had ended before. Raises UserError where the loss is no number.
    """
    if (run.folder / "model" / NOTES).is_file():  # written last: the run has ended
        take_weights(vlm, run.folder / "model")
        return {}
    here, name, dtype = processes(), vlm.name, vlm.model.dtype
    vlm.model.float()  # small steps are lost in bfloat16; autocast does its arithmetic where it is wanted
    merge = choose(vlm, weights, run.seed)
    optimizers = _optimizers(vlm, schedule)
    task: torch.nn.Module = _Task(vlm, loss, schedule.bf16)
    first, averages = resume(vlm, optimizers, run) if here.whole else (0, {})
    task, optimizers = here.prepare(task, optimizers)
    if not here.whole:
        first, averages = resume(vlm, optimizers, run)
    vlm.model.train()
    with fast_attention(vlm), _Log(run, schedule, first, report) as log:
        for step in range(first, schedule.steps):
            for group in (group for optimizer in optimizers for group in optimizer.param_groups):
                group["lr"] = schedule.rate(step)
            parts = [batch(step * schedule.accumulate + part) for part in range(schedule.accumulate)]
            numbers = _learn(task, schedule, optimizers, parts, vlm.device.type)
            averages = {key: numbers[key] if key not in averages else 0.95 * averages[key] + 0.05 * numbers[key] for key in numbers}
            log.step(step + 1, averages, sum(part.tokens for part in parts))
            if (step + 1) % schedule.save_every == 0 and step + 1 < schedule.steps:
                save(vlm, task, optimizers, run, step + 1, averages)
    vlm.model.eval()
    state = None if here.whole else here.weights(task)
    merge()
    if here.rank == 0:
        write_card(_made(run.folder / "model"), run, name, report.command, averages)
        if state is not None:
            vlm.model.load_state_dict({key.removeprefix("model."): value for key, value in state.items()}, assign=True)
        vlm.model.to(dtype)
        vlm.save(run.folder / "model")
    here.wait()
    return averages


class _Task(torch.nn.Module):
    """Model and loss as one module, since sharing gradients or weights among processes begins and ends with one module's call."""

    def __init__(self, vlm: VLM, loss: Loss[Any], bf16: bool) -> None:
        super().__init__()
        self.model = vlm.model
        self._no_split_modules = getattr(vlm.model, "_no_split_modules", None)  # FSDP cuts a model at its layers
        self._vlm, self._loss, self._bf16 = vlm, loss, bf16

    def forward(self, batch: Any) -> tuple[torch.Tensor, dict[str, float]]:
        with arithmetic.autocast(self._vlm.device, self._bf16):
            return self._loss(self._vlm, batch)


class _Log:
    """The numbers of every twentieth step and the last, to the run's file, standard error and the tracker."""

    def __init__(self, run: Run, schedule: Schedule, first: int, report: Report) -> None:
        self._schedule, self._first, self._began, self._tokens = schedule, first, time.monotonic(), 0
        self._tracker, self._count = report.tracker(run), processes().count
        self._log = run.log() if processes().rank == 0 else None

    def step(self, done: int, averages: Mapping[str, float], tokens: int) -> None:
        """`tokens`: what this process has read for the step."""
        self._tokens += tokens
        if self._log is None or (done % 20 and done != self._schedule.steps):
            return
        seconds = time.monotonic() - self._began
        speed = {"tokens_per_second": round(self._tokens * self._count / max(seconds, 1e-9)), "peak_bytes": peak_bytes()}
        numbers = {key: round(value, 5) for key, value in averages.items()}
        if done not in self._log.done:
            self._log.add({"step": done, "seconds": round(seconds, 1), **speed, **numbers})
        if self._tracker:
            self._tracker.log({**speed, **numbers}, step=done)
        shown = "  ".join(f"{key} {value:.4f}" for key, value in averages.items())
        pace = f"{seconds / (done - self._first):.2f} s/step, {speed['tokens_per_second']} tokens/s"
        sys.stderr.write(f"step {done}/{self._schedule.steps}  {shown}  {pace}\n")
        sys.stderr.flush()

    def __enter__(self) -> _Log:
        return self

    def __exit__(self, *_: object) -> None:
        if self._log:
            self._log.close()
        if self._tracker:
            self._tracker.finish()


def _learn(
    task: Any, schedule: Schedule, optimizers: Sequence[torch.optim.Optimizer], parts: Sequence[Any], device: str
) -> dict[str, float]:
    """One step of the optimizers on the mean gradient of `parts`; the means of the loss's numbers."""
    here = processes()
    seen: list[dict[str, float]] = []
    for number, part in enumerate(parts, 1):
        with nullcontext() if number == len(parts) else here.apart(task):
            value, numbers = task(part)
            if not torch.isfinite(value):
                raise UserError(f"the loss is {float(value.detach())}; try a smaller learning_rate, and go on in a new folder")
            here.backward(value / len(parts))
        seen.append(numbers)
    here.clip(task, schedule.clip)
    for optimizer in optimizers:
        arithmetic.step(optimizer, device)
        optimizer.zero_grad(set_to_none=True)
    return here.mean({key: sum(numbers[key] for numbers in seen) / len(seen) for key in seen[0]})


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def fast_attention(vlm: VLM) -> Iterator[None]:
    """On a CPU the backward pass of fused attention takes longer than the rest of a small model: 1.8 against 1.0 s a batch with plain
    matrix products (docs/log.md); on a GPU the model keeps what it was loaded with."""
    before = vlm.model.config._attn_implementation
    if vlm.device.type == "cpu":
        vlm.model.set_attn_implementation("eager")
    try:
        yield
    finally:
        vlm.model.set_attn_implementation(before)


def _optimizers(vlm: VLM, schedule: Schedule) -> list[torch.optim.Optimizer]:
    trained = {name: p for name, p in vlm.model.named_parameters() if p.requires_grad}
    adapted = any(".lora_" in name for name in trained)  # then of the vocabulary a few rows learn, and decay would move the others
    matrices = [p for name, p in trained.items() if schedule.optimizer == "muon" and p.ndim == 2 and not _of_the_vocabulary(name)]
    taken = set(map(id, matrices))
    others = [p for name, p in trained.items() if p.ndim <= 1 or (adapted and _of_the_vocabulary(name))]
    taken |= set(map(id, others))
    decayed = [p for p in trained.values() if id(p) not in taken]
    rate, decay = schedule.learning_rate, schedule.weight_decay
    groups = [{"params": decayed, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
    found: list[torch.optim.Optimizer] = [torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98))]
    if matrices:
        found.append(torch.optim.Muon(matrices, lr=rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw"))
    return found


def _of_the_vocabulary(name: str) -> bool:
    return "embed" in name or "lm_head" in name
