"""The loop that all trainings share: AdamW, warm-up and cosine, mixed precision, gradient clipping, checkpoints that resume exactly.

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
from typing import TypeVar

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
    optimizer = _optimizer(vlm, schedule)
    start = _resume(vlm, optimizer, run)
    recent: dict[str, float] = {}
    vlm.model.train()
    began = time.monotonic()
    with fast_attention(vlm), run.log() as log:
        for step in range(start, schedule.steps):
            for group in optimizer.param_groups:
                group["lr"] = schedule.rate(step)
            numbers = _learn(
                vlm, schedule, optimizer, [batch(step * schedule.accumulate + part) for part in range(schedule.accumulate)], loss
            )
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
                _save(vlm, optimizer, run, done)
    vlm.model.eval()
    vlm.save(run.folder / "model")
    return recent


def _learn(
    vlm: VLM,
    schedule: Schedule,
    optimizer: torch.optim.Optimizer,
    parts: Sequence[Batch],
    loss: Callable[[VLM, Batch], tuple[torch.Tensor, dict[str, float]]],
) -> dict[str, float]:
    """One step of the optimizer on the mean gradient of `parts`; the means of the loss's numbers."""
    seen: list[dict[str, float]] = []
    for part in parts:
        with torch.autocast(vlm.device.type, torch.bfloat16, enabled=schedule.bf16):
            value, numbers = loss(vlm, part)
        if not torch.isfinite(value):
            raise UserError(f"the loss is {float(value.detach())}; try a smaller learning_rate, and go on in a new folder")
        (value / len(parts)).backward()  # type: ignore[no-untyped-call]
        seen.append(numbers)
    torch.nn.utils.clip_grad_norm_(vlm.model.parameters(), schedule.clip)
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


def _optimizer(vlm: VLM, schedule: Schedule) -> torch.optim.Optimizer:
    trained = [p for p in vlm.model.parameters() if p.requires_grad]
    decayed = [p for p in trained if p.ndim > 1]
    others = [p for p in trained if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": schedule.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=schedule.learning_rate, betas=(0.9, 0.98))


def _save(vlm: VLM, optimizer: torch.optim.Optimizer, run: Run, step: int) -> None:
    state = optimizer.state_dict()["state"]
    flat = {f"{index}.{key}": value.contiguous() for index, entry in state.items() for key, value in entry.items()}
    with run.checkpoint(step) as folder:
        vlm.save(folder)
        save_file(flat, folder / "optimizer.safetensors")


def _resume(vlm: VLM, optimizer: torch.optim.Optimizer, run: Run) -> int:
    found: tuple[int, Path] | None = run.last_checkpoint()
    if found is None:
        return 0
    step, folder = found
    _take_weights(vlm, folder)
    flat = load_file(folder / "optimizer.safetensors")
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in flat.items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return step


def _take_weights(vlm: VLM, folder: Path) -> None:
    vlm.model.load_state_dict(type(vlm.model).from_pretrained(folder, dtype=vlm.model.dtype, use_safetensors=True).state_dict())
