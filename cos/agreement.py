"""How one source of step labels compares with another, step by step: with the truth of a world above all.

agreement(zip(by_rollouts(...), by_truth(...), strict=True))["auc"]
"""

from __future__ import annotations

from collections.abc import Iterable

from cos.chain import Labelled
from cos.metrics import auc


def agreement(pairs: Iterable[tuple[Labelled, Labelled]]) -> dict[str, float | None] | None:
    """What labels say of the same chains as the truth (second of each pair), over all steps that both label; None without a pair.

    `steps`: how many those are; `same`: share with the truth's label, soft ones cut at 0.5; `so_far`: share that say whether all steps so
    far are right (which is what roll-outs ask); `auc`: how well the labels, or of roll-outs the shares that came out right, rank right
    steps above wrong ones; `first_error`: share of the chains with the first error in the same place. None where there is nothing to count.
    """
    shares, same, so_far, right, placed = list[float](), list[bool](), list[bool](), list[bool](), list[bool]()
    for ours, truth in pairs:
        drawn, came = (ours.details.get(key, [0] * len(ours.labels.steps)) for key in ("drawn", "right"))
        for at, (label, true) in enumerate(zip(ours.labels.steps, truth.labels.steps, strict=True)):
            if label is not None and true is not None:
                shares.append(came[at] / drawn[at] if drawn[at] else label)
                same.append((label >= 0.5) == (true >= 0.5))
                so_far.append((label >= 0.5) == (0.0 not in truth.labels.steps[: at + 1]))
                right.append(true == 1.0)
        placed.append(ours.labels.first_error() == truth.labels.first_error())
    if not placed:
        return None
    area = auc(shares, right) if len(set(right)) == 2 else None
    return {"steps": len(right), "same": _share(same), "so_far": _share(so_far), "auc": area, "first_error": _share(placed)}


def _share(found: list[bool]) -> float | None:
    return sum(found) / len(found) if found else None
