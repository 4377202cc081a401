"""The loop all trainings share: AdamW or Muon, warm-up and cosine, mixed precision, clipped gradients, checkpoints that resume exactly.

A batch is a function of its step number, so a run that was killed goes on with the very batches it would have had.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import torch
from safetensors.torch import load_file, save_file

from cos.errors import UserError
from cos.models.vlm import NOTES, VLM
from cos.runs import Run

Batch = TypeVar("Batch")


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
    optimizer: Literal["adamw", "muon"] = "adamw"
    """muon (Jordan et al. 2024, scaled as in arXiv 2502.16982 so that AdamW's rates serve): hidden matrices move along orthogonalised
    momentum, all else by AdamW. For a model that starts from nothing, where it learns in 0.7 times the steps (docs/log.md)."""

    def rate(self, step: int) -> float:
        """The learning rate of a step (from 0)."""
        warm = max(1, round(self.steps * self.warmup_ratio))
        if step < warm:
            return self.learning_rate * (step + 1) / warm
        turn = (1 + math.cos(math.pi * (step - warm) / max(1, self.steps - warm))) / 2
        return self.learning_rate * (self.final_share + (1 - self.final_share) * turn)


def train(
    vlm: VLM,
    schedule: Schedule,
    run: Run,
    batch: Callable[[int], Batch],
    loss: Callable[[VLM, Batch], tuple[torch.Tensor, dict[str, float]]],
) -> dict[str, float]:
    """Train in place, from the newest checkpoint of `run` where there is one, and save the model to `run.folder/model`.

    Returns running averages of what `loss` gives beside its value; nothing where the run had ended before. Raises UserError where the
    loss is no number.
    """
    if (run.folder / "model" / NOTES).is_file():  # written last: the run has ended
        _take_weights(vlm, run.folder / "model")
        return {}
    optimizers = _optimizers(vlm, schedule)
    start = _resume(vlm, optimizers, run)
    recent: dict[str, float] = {}
    vlm.model.train()
    began = time.monotonic()
    with fast_attention(vlm), run.log() as log:
        for step in range(start, schedule.steps):
            for group in (group for optimizer in optimizers for group in optimizer.param_groups):
                group["lr"] = schedule.rate(step)
            parts = [batch(step * schedule.accumulate + part) for part in range(schedule.accumulate)]
            numbers = _learn(vlm, schedule, optimizers, parts, loss)
            recent = {key: numbers[key] if key not in recent else 0.95 * recent[key] + 0.05 * numbers[key] for key in numbers}
            done = step + 1
            if done % 20 == 0 or done == schedule.steps:
                seconds = time.monotonic() - began
                if done not in log.done:
                    log.add({"step": done, "seconds": round(seconds, 1), **{key: round(value, 5) for key, value in recent.items()}})
                shown = "  ".join(f"{key} {value:.4f}" for key, value in recent.items())
                sys.stderr.write(f"step {done}/{schedule.steps}  {shown}  {seconds / (done - start):.2f} s/step\n")
                sys.stderr.flush()
            if done % schedule.save_every == 0 and done < schedule.steps:
                _save(vlm, optimizers, run, done)
    vlm.model.eval()
    vlm.save(run.folder / "model")
    return recent


def _learn(
    vlm: VLM,
    schedule: Schedule,
    optimizers: Sequence[torch.optim.Optimizer],
    parts: Sequence[Batch],
    loss: Callable[[VLM, Batch], tuple[torch.Tensor, dict[str, float]]],
) -> dict[str, float]:
    """One step of the optimizers on the mean gradient of `parts`; the means of the loss's numbers."""
    seen: list[dict[str, float]] = []
    for part in parts:
        with torch.autocast(vlm.device.type, torch.bfloat16, enabled=schedule.bf16):
            value, numbers = loss(vlm, part)
        if not torch.isfinite(value):
            raise UserError(f"the loss is {float(value.detach())}; try a smaller learning_rate, and go on in a new folder")
        (value / len(parts)).backward()  # type: ignore[no-untyped-call]
        seen.append(numbers)
    torch.nn.utils.clip_grad_norm_(vlm.model.parameters(), schedule.clip)
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return {key: sum(numbers[key] for numbers in seen) / len(seen) for key in seen[0]}


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
    matrices = [p for name, p in trained.items() if schedule.optimizer == "muon" and p.ndim == 2 and not _of_the_vocabulary(name)]
    taken = set(map(id, matrices))
    decayed = [p for p in trained.values() if p.ndim > 1 and id(p) not in taken]
    others = [p for p in trained.values() if p.ndim <= 1]
    rate, decay = schedule.learning_rate, schedule.weight_decay
    groups = [{"params": decayed, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
    found: list[torch.optim.Optimizer] = [torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98))]
    if matrices:
        found.append(torch.optim.Muon(matrices, lr=rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw"))
    return found


def _of_the_vocabulary(name: str) -> bool:
    return "embed" in name or "lm_head" in name


def _save(vlm: VLM, optimizers: Sequence[torch.optim.Optimizer], run: Run, step: int) -> None:
    flat = {
        f"{number}.{index}.{key}": value.contiguous()
        for number, optimizer in enumerate(optimizers)
        for index, entry in optimizer.state_dict()["state"].items()
        for key, value in entry.items()
    }
    with run.checkpoint(step) as folder:
        vlm.save(folder)
        save_file(flat, folder / "optimizer.safetensors")


def _resume(vlm: VLM, optimizers: Sequence[torch.optim.Optimizer], run: Run) -> int:
    found: tuple[int, Path] | None = run.last_checkpoint()
    if found is None:
        return 0
    step, folder = found
    _take_weights(vlm, folder)
    states: list[dict[int, dict[str, torch.Tensor]]] = [{} for _ in optimizers]
    for name, value in load_file(folder / "optimizer.safetensors").items():
        number, index, key = name.split(".", 2)
        states[int(number)].setdefault(int(index), {})[key] = value
    for optimizer, state in zip(optimizers, states, strict=True):
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return step


def _take_weights(vlm: VLM, folder: Path) -> None:
    vlm.model.load_state_dict(type(vlm.model).from_pretrained(folder, dtype=vlm.model.dtype, use_safetensors=True).state_dict())
