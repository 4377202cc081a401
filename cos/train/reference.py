"""What the reference model of a DPO training thinks of each pair: computed once, kept in the run, and never taken for another's."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from cos.models.vlm import VLM
from cos.runs import Run
from cos.store import Log, read
from cos.train import arithmetic
from cos.train.loop import Schedule, fast_attention
from cos.train.pairs import Pair, Pairs
from cos.train.processes import processes
from cos.train.weights import fingerprint


@torch.no_grad()
def references(
    vlm: VLM,
    pairs: Sequence[Pair],
    batch: Callable[[Sequence[Pair]], Pairs],
    measure: Callable[[VLM, Pairs], torch.Tensor],
    run: Run,
    schedule: Schedule,
) -> list[tuple[float, float]]:
    """Log-probability of chosen and rejected under `vlm`, for each pair; each process computes its share, where it is not there.

    A record is known by a hash of weights, arithmetic, ids and pixels, so that neither a changed model nor changed data is taken for
    what was measured.
    """
    here, size = processes(), max(1, schedule.batch // processes().count)
    weights = fingerprint(vlm) + (b"bf16" if schedule.bf16 and arithmetic.fast(vlm.device.type) else b"fp32")
    keys = [_key(weights, pair, batch([pair])) for pair in pairs]
    order = sorted(range(here.rank, len(pairs), here.count), key=lambda index: pairs[index].tokens)
    vlm.model.eval()
    with fast_attention(vlm), Log(run.folder / f"reference.{here.rank}.jsonl", "reference", key="key") as log:
        known = _read(run.folder)
        left = [index for index in order if keys[index] not in known]
        for start in range(0, len(left), size):
            block = left[start : start + size]
            with arithmetic.autocast(vlm.device, schedule.bf16):
                found = measure(vlm, batch([pairs[index] for index in block])).tolist()
            log.add(*({"key": keys[i], "chosen": pair[0], "rejected": pair[1]} for i, pair in zip(block, found, strict=True)))
    here.wait()
    known = _read(run.folder)
    return [known[key] for key in keys]


def _read(folder: Path) -> dict[str, tuple[float, float]]:
    files = sorted(folder.glob("reference.*.jsonl"))
    return {row["key"]: (row["chosen"], row["rejected"]) for file in files for row in read(file, "reference", dict)}


def _key(weights: bytes, pair: Pair, alone: Pairs) -> str:
    digest = hashlib.blake2b(weights + repr(pair.ids).encode(), digest_size=16)
    for name, tensor in alone.inputs.items():
        digest.update(f"{name} {tuple(tensor.shape)}".encode() + tensor.numpy().tobytes())
    return digest.hexdigest()
