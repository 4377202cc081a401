"""Small files to train on, models to train, and ways to look at what was learned; for the tests of this folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from tiny_models import SHAPE, TEXTS, picture

from cos.chain import Chain, Step, StepLabels
from cos.models.embedded import build, make_tokenizer
from cos.models.vlm import VLM
from cos.problems.released import write_rows
from cos.problems.released_rows import dpo_row, prm_row, sft_row
from cos.runs import Run
from cos.train import dpo, loop, prm, sft
from cos.train.loop import Schedule
from cos.train.report import Report

KINDS = ("sft", "prm", "dpo")


def fresh(seed: int = 0, look: str | None = None) -> VLM:
    """An untrained model of the embedded shape."""
    return build(SHAPE, make_tokenizer(TEXTS, size=320), seed=seed, look=look)


def chain(number: int, *, steps: int = 1) -> Chain:
    """Chains of several lengths."""
    return Chain(tuple(Step("Read", f"Red is {number}.", "Seen.") for _ in range(steps)), str(number))


def write_files(folder: Path, count: int = 4) -> Path:
    """`sft.jsonl`, `prm.jsonl` and `dpo.jsonl` with rows of different lengths, the first without a picture."""
    rows = [(f"How many {n}?", chain(n, steps=1 + n % 3), f"{n}.png" if n else None) for n in range(count)]
    for n in range(count):
        picture(n).save(folder / f"{n}.png")
    write_rows(folder / "sft.jsonl", [sft_row(*row) for row in rows])
    marks = [StepLabels((float(n % 2),) * len(made.steps), 1.0) for n, (_, made, _) in enumerate(rows)]
    write_rows(folder / "prm.jsonl", [prm_row(asked, made, mark, image) for mark, (asked, made, image) in zip(marks, rows, strict=True)])
    write_rows(folder / "dpo.jsonl", [dpo_row(asked, made, chain(9, steps=2), image) for asked, made, image in rows])
    return folder


def train(kind: str, vlm: VLM, files: Path, out: Path, schedule: Schedule, report: Report = Report(), **more: Any) -> dict[str, float]:
    """One of the three trainings on its file."""
    module: Any = {"sft": sft, "prm": prm, "dpo": dpo}[kind]
    config = module.Config(str(out), data=str(files / f"{kind}.jsonl"), images=str(files), schedule=replace(schedule, bf16=False), **more)
    found: dict[str, float] = module.run(vlm, config, report=report)
    return found


def weights(vlm: VLM) -> dict[str, torch.Tensor]:
    """A copy of all of them."""
    return {name: value.detach().clone() for name, value in vlm.model.state_dict().items()}


def moved(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> set[str]:
    """Names of the weights that differ."""
    return {name for name, value in one.items() if not torch.equal(value, other[name])}


def trace(out: Path) -> list[dict[str, float]]:
    """The numbers of a run, but those that time and machine decide."""
    return [{k: v for k, v in row.items() if k not in ("seconds", "tokens_per_second", "peak_bytes")} for row in Run.open(out).metrics()]


def descend(vlm: VLM, schedule: Schedule) -> list[torch.optim.Optimizer]:
    """Plain descent in place of `loop._optimizers`: Adam makes steps of rounding as large as any other where a gradient is zero."""
    assert loop
    return [torch.optim.SGD(vlm.model.parameters())]
