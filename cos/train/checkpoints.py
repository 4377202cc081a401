"""Checkpoints of a training, complete or absent, from which it goes on as if it had not been broken off."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from cos.models.vlm import VLM
from cos.runs import Run
from cos.train.processes import processes

_ADAPTERS, _OPTIMIZER, _AVERAGES, _SHARED = "adapters.safetensors", "optimizer.safetensors", "averages.json", "shared"


def save(vlm: VLM, task: Any, optimizers: Sequence[torch.optim.Optimizer], run: Run, step: int, averages: dict[str, float]) -> None:
    """Weights (of adapters and their like alone where the others stand still), optimizers, running averages. All processes must call it."""
    here = processes()
    if not here.whole:
        here.save(str(run.folder / _SHARED / f"{step:08d}"))
    if here.rank == 0:
        with run.checkpoint(step) as folder:
            if here.whole:
                _save_whole(vlm, optimizers, folder)
            (folder / _AVERAGES).write_text(json.dumps(averages))
    here.wait()


def resume(vlm: VLM, optimizers: Sequence[torch.optim.Optimizer], run: Run) -> tuple[int, dict[str, float]]:
    """Step and running averages of the newest checkpoint, what it holds being taken over; 0 and none where there is none.

    Before `Processes.prepare` where each process holds every weight, else after it.
    """
    found = run.last_checkpoint()
    if found is None:
        return 0, {}
    step, folder = found
    if not processes().whole:
        processes().load(str(run.folder / _SHARED / f"{step:08d}"))
    else:
        _take_whole(vlm, optimizers, folder)
    averages = folder / _AVERAGES
    return step, json.loads(averages.read_text()) if averages.is_file() else {}


def take_weights(vlm: VLM, folder: Path) -> None:
    """The weights of a model's folder into a model of the same shape."""
    vlm.model.load_state_dict(type(vlm.model).from_pretrained(folder, dtype=vlm.model.dtype, use_safetensors=True).state_dict())


def _save_whole(vlm: VLM, optimizers: Sequence[torch.optim.Optimizer], folder: Path) -> None:
    learned = {name: p.detach().contiguous() for name, p in vlm.model.named_parameters() if p.requires_grad}
    if any(".lora_" in name for name in learned):
        save_file(learned, folder / _ADAPTERS)
    else:
        vlm.save(folder)
    flat = {
        f"{number}.{index}.{key}": value.contiguous()
        for number, optimizer in enumerate(optimizers)
        for index, entry in optimizer.state_dict()["state"].items()
        for key, value in entry.items()
    }
    save_file(flat, folder / _OPTIMIZER)


def _take_whole(vlm: VLM, optimizers: Sequence[torch.optim.Optimizer], folder: Path) -> None:
    if (folder / _ADAPTERS).is_file():
        vlm.model.load_state_dict(load_file(folder / _ADAPTERS), strict=False)
    else:
        take_weights(vlm, folder)
    states: list[dict[int, dict[str, torch.Tensor]]] = [{} for _ in optimizers]
    for name, value in load_file(folder / _OPTIMIZER).items():
        number, index, key = name.split(".", 2)
        states[int(number)].setdefault(int(index), {})[key] = value
    for optimizer, state in zip(optimizers, states, strict=True):
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
