"""Trainings as `accelerate launch` runs them in each of two processes; `test_processes.py` compares them with one process."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import torch

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))

from lessons import KINDS, descend, fresh, train
from tiny_families import tiny_family

from cos.train import loop
from cos.train.loop import Schedule
from cos.train.weights import Weights

FAMILIES = ("embedded", "internvl", "llava_next", "qwen2_5_vl")
LEARNS = {"full": Weights(), "adapters": Weights(lora_rank=2, freeze_vision=True)}


def runs(files: Path, home: Path) -> Iterator[Path]:
    """Each training on each family, of all weights and of adapters, three steps of four rows."""
    for family, how, kind in product(FAMILIES, LEARNS, KINDS):
        vlm = fresh() if family == "embedded" else tiny_family(family, gain=1.0)
        out = home / f"{family}-{how}-{kind}"
        train(kind, vlm, files, out, Schedule(steps=3, batch=4, learning_rate=0.02, save_every=2), weights=LEARNS[how])
        yield out


if __name__ == "__main__":
    torch.set_num_threads(1)
    loop._optimizers = descend
    for out in runs(Path(sys.argv[1]), Path(sys.argv[2])):
        assert (out / "model").is_dir()
