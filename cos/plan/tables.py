"""Plans as rows: each method of a search, each source of labels, each stage of training, with what it takes. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from cos.plan import labels, searches, trainings
from cos.plan.hardware import Hardware
from cos.plan.searches import Lengths, Work
from cos.plan.sizes import Size
from cos.plan.trainings import Training
from cos.search.asking import Settings


@dataclass(frozen=True)
class Asked:
    """What is planned: models, lengths of texts and pictures in tokens, how many (`count`) questions, chains or rows. `together`: how many
    of them go through a device in one batch."""

    policy: Size
    reward: Size
    lengths: Lengths
    pictures: tuple[float, float]
    """Tokens of a picture, for policy and reward model."""
    hardware: Hardware
    dtype: str = "bfloat16"
    """Of keys and values."""
    weights: str = "bfloat16"
    """Of weights in use, a key of `sizes.BYTES`: as `dtype`, or quantised."""
    count: int = 1
    together: int = 1


def search_rows(asked: Asked, methods: Sequence[str], settings: Settings) -> list[dict[str, Any]]:
    """One row a method: the counters of one search's meter; keys and values without sharing; memory; seconds of a device for one; hours and
    price of all."""
    policy, reward = asked.policy.costs(asked.pictures[0], asked.dtype), asked.reward.costs(asked.pictures[1], asked.dtype)
    rows = []
    for method in methods:
        work = searches.search(method, settings, asked.lengths, policy, reward)
        used = [asked.policy] if method in searches.UNSCORED else [asked.policy, asked.reward]
        unshared = searches.unshared_bytes(method, settings, asked.lengths, policy, reward)
        rows.append({"name": method, **_row(asked, work, used, asked.count), "kv_unshared_bytes": unshared})
    return rows


def label_rows(asked: Asked, n: int, right: float, judge: Size) -> list[dict[str, Any]]:
    """One row a source, with the counters for one chain that it works on. `count` chains, of which the share `right` comes to the right
    answer; drawing them is a row too."""
    rows = []
    for source in labels.SOURCES:
        one = replace(asked, policy=judge) if source == "judge" else asked
        policy, reward = one.policy.costs(asked.pictures[0], asked.dtype), asked.reward.costs(asked.pictures[1], asked.dtype)
        work = labels.label(source, asked.lengths, n, policy, reward)
        count = round(asked.count * (1 - right)) if source == "binary" else asked.count
        rows.append({"name": source, "chains": count, **_row(one, work, [asked.reward if source == "reward" else one.policy], count)})
    return rows


def training_rows(asked: Asked, epochs: float, rank: int, at_once: int) -> list[dict[str, Any]]:
    """Each stage with all weights and with adapters of this rank: tokens and FLOPs of all, memory of a device by what it is for, hours,
    price. The reward model is trained by prm, the policy by the others."""
    rows = []
    for stage in trainings.STAGES:
        size, picture = (asked.reward, asked.pictures[1]) if stage == "prm" else (asked.policy, asked.pictures[0])
        for own in (0, rank):
            training = Training(stage, own, at_once, asked.hardware.devices)
            flops = epochs * trainings.flops(training, asked.lengths, picture, size)
            flops = asked.count * (flops + trainings.reference_flops(stage, asked.lengths, picture, size))
            memory = trainings.memory(training, asked.lengths, picture, size)
            row = {
                "name": stage,
                "rank": own,
                "tokens": round(asked.count * epochs * trainings.tokens(stage, asked.lengths)),
                "flops": flops,
            }
            row |= {"memory": memory, "memory_bytes": memory["total"]} | _fits(asked.hardware, memory["total"])
            rows.append(row | (_time(asked.hardware, asked.hardware.computing(flops)) if asked.hardware.flops else {}))
    return rows


def _row(asked: Asked, work: Work, used: Sequence[Size], count: int) -> dict[str, Any]:
    """What one piece of work and `count` of them take, with the models `used` in memory."""
    counters = {key: value for key, value in work.meter.to_json().items() if key != "seconds"}
    memory = sum(size.weight_bytes(asked.weights) for size in used) + asked.together * work.meter.kv_peak_bytes
    row = counters | {"forwards": work.forwards, "memory_bytes": memory} | _fits(asked.hardware, memory)
    if not asked.hardware.flops:
        return row
    policy, reward = asked.policy.costs(asked.pictures[0], asked.dtype), asked.reward.costs(asked.pictures[1], asked.dtype)
    seconds = asked.hardware.seconds(work, policy, reward, asked.policy.weight_bytes(asked.weights), asked.together)
    return row | {"seconds": seconds} | _time(asked.hardware, seconds * count)


def _time(hardware: Hardware, seconds: float) -> dict[str, float]:
    """`seconds` of one device, shared out among all."""
    return {"hours": seconds / 3600 / hardware.devices, "price": hardware.price_of(seconds)}


def _fits(hardware: Hardware, memory: float) -> dict[str, bool]:
    return {"fits": memory <= hardware.memory} if hardware.memory else {}
