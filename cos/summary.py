"""What the records of an evaluation amount to: accuracies, paired tests, what a perfect selector would add, and what the rewards know.

Accuracy intervals are Wilson's, those of differences are bootstrapped over problems, p values are McNemar's exact ones, corrected by Holm.
A number that is not defined on its data is None.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from cos.answers import match
from cos.chain import REFUSAL
from cos.metrics import auc, holm, mcnemar, paired_difference, pass_at_n, recovered, selector_gap, wilson

Record = dict[str, Any]


def summarise(records: Sequence[Record], seed: int = 0) -> dict[str, Any]:
    """The summary of all records (the keys: docs/formats.md). Raises ValueError where there are none."""
    if not records:
        raise ValueError("no records to summarise")
    n = records[0]["pool"]["n"]
    names = list(records[0]["methods"])
    budgets = sorted({2**power for power in range(n.bit_length()) if 2**power <= n} | {n})
    passed = {str(budget): _mean(pass_at_n(n, row["pool"]["right"], budget) for row in records) for budget in budgets}
    summary = {
        "problems": len(records),
        "n": n,
        "pass_at_n": passed[str(n)],
        "pass_at": passed,
        "pool_parse_rate": _mean(row["pool"]["answered"] / n for row in records),
        "methods": {name: _method(records, name, passed["1"], passed[str(n)]) for name in names},
        "paired": _paired(records, names, seed),
        "steps": _steps(records),
        "worlds": _groups(records, lambda row: row["world"]),
        "levels": _groups(records, lambda row: str(row["level"])),
    }
    plain: dict[str, Any] = _plain(summary)
    return plain


def table(summary: dict[str, Any]) -> str:
    """The summary for people."""
    lines = [f"{'method':<16}{'accuracy':>9}  {'95 % interval':<16}{'parsed':>8}{'tokens':>9}{'GFLOPs':>9}{'seconds':>9}"]
    for name, row in summary["methods"].items():
        low, high = row["ci95"]
        cells = f"{row['accuracy']:>9.1%}  {low:.1%} to {high:<8.1%}{row['parse_rate']:>8.1%}{row['tokens']:>9.0f}"
        lines.append(f"{name:<16}{cells}{row['flops'] / 1e9:>9.2f}{row['seconds']:>9.3f}")
    lines.append(f"pass@{summary['n']} {summary['pass_at_n']:.1%}, pass@1 {summary['pass_at']['1']:.1%}, {summary['problems']} problems")
    for row in summary["paired"]:
        low, high = row["ci95"]
        lines.append(f"{row['ours']} - {row['theirs']}: {row['difference']:+.1%} ({low:+.1%} to {high:+.1%}), p {row['p_holm']:.2g} (Holm)")
    for name, row in summary["steps"].items():
        aucs = [f"{key} {_show(row[key])}" for key in ("auc", "see", "compute", "answer", "swapped_auc", "swapped_see") if key in row]
        lines.append(f"step AUC, {name}: " + ", ".join(aucs))
    for name, row in summary["worlds"].items():
        shares = [f"{method} {share['accuracy']:.1%}" for method, share in row["methods"].items()]
        lines.append(f"{name} ({row['problems']}): pass@{summary['n']} {row['pass_at_n']:.1%}, " + ", ".join(shares))
    return "\n".join(lines)


def _method(records: Sequence[Record], name: str, pass_1: float, pass_n: float) -> dict[str, Any]:
    rows = [row["methods"][name] for row in records]
    share = _accuracy(records, name)
    failed = sum("failed" in row for row in rows)
    return {
        **share,
        "parse_rate": _mean(row["answer"] is not None for row in rows),
        "refused": _mean(match(row["answer"], REFUSAL) for row in rows),
        "selector_gap": selector_gap(pass_n, share["accuracy"]),
        "recovered": recovered(share["accuracy"], pass_1, pass_n),
        **{key: _mean(row[key] for row in rows) for key in ("tokens", "flops", "seconds")},
        **({"failed": failed} if failed else {}),
    }


def _accuracy(records: Sequence[Record], name: str) -> dict[str, Any]:
    share = wilson(sum(row["methods"][name]["right"] for row in records), len(records))
    return {"accuracy": share.value, "ci95": [share.low, share.high]}


def _paired(records: Sequence[Record], names: Sequence[str], seed: int) -> list[dict[str, Any]]:
    """best_of_n against each other method, problem by problem."""
    if "best_of_n" not in names:
        return []
    rows: list[dict[str, Any]] = []
    right = {name: [row["methods"][name]["right"] for row in records] for name in names}
    for name in [name for name in names if name != "best_of_n"]:
        gain = paired_difference(right["best_of_n"], right[name], np.random.default_rng(seed))
        head = {"ours": "best_of_n", "theirs": name, "difference": gain.value, "ci95": [gain.low, gain.high]}
        rows.append(head | {"p": mcnemar(right["best_of_n"], right[name])})
    corrected = holm([row["p"] for row in rows])
    return [row | {"p_holm": p} for row, p in zip(rows, corrected, strict=True)]


def _steps(records: Sequence[Record]) -> dict[str, dict[str, Any]]:
    """AUC of the rewards against the truth, over all worlds and in each; steps alone, answers apart."""
    worlds = {row["world"] for row in records}
    groups = {"all": records} | {world: [row for row in records if row["world"] == world] for world in sorted(worlds)}
    return {name: _aucs([step for row in rows for step in row["steps"]]) for name, rows in groups.items()}


def _aucs(steps: Sequence[Sequence[Any]]) -> dict[str, Any]:
    kinds = {"auc": ("see", "compute"), "see": ("see",), "compute": ("compute",), "answer": ("answer",)}
    found: dict[str, Any] = {}
    for name, wanted in kinds.items():
        rows = [step for step in steps if step[2] in wanted]
        found[name] = auc([row[0] for row in rows], [row[1] for row in rows])
        other = [row for row in rows if row[3] is not None]
        if other:
            found[f"swapped_{name}"] = auc([row[3] for row in other], [row[1] for row in other])
    labels = [step[1] for step in steps if step[2] != "answer"]
    return found | {"count": len(labels), "right": _mean(labels)}


def _groups(records: Sequence[Record], key: Callable[[Record], str]) -> dict[str, dict[str, Any]]:
    found = {}
    for name in sorted({key(row) for row in records}):
        rows = [row for row in records if key(row) == name]
        passed = _mean(pass_at_n(row["pool"]["n"], row["pool"]["right"], row["pool"]["n"]) for row in rows)
        found[name] = {
            "problems": len(rows),
            "pass_at_n": passed,
            "methods": {method: _accuracy(rows, method) for method in rows[0]["methods"]},
        }
    return found


def _mean(values: Iterable[float]) -> float:
    numbers = [float(value) for value in values]
    return math.fsum(numbers) / len(numbers) if numbers else math.nan


def _show(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _plain(value: Any) -> Any:
    """JSON values: NaN, which JSON can't say, becomes None."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
