"""The three trainings as `accelerate launch` runs them in each of two processes; `test_processes.py` compares them with one process."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))
    from lessons import KINDS, descend, fresh, train

    from cos.train import loop
    from cos.train.loop import Schedule

    torch.set_num_threads(1)
    loop._optimizers = descend
    files = Path(sys.argv[1])
    for kind in KINDS:
        train(kind, fresh(), files, files / f"two-{kind}", Schedule(steps=3, batch=4, learning_rate=0.1, save_every=2))
