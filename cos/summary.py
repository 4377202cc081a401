"""What the records of an evaluation amount to: accuracies, paired tests, what a perfect selector would add, what rewards know.

Accuracy intervals are Wilson's, those of differences are bootstrapped over problems, p values are McNemar's exact ones, corrected by Holm
over all comparisons of the summary of one kind. A number that is not defined on its data is None.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from cos.answers import match
from cos.chain import REFUSAL
from cos.meter import Meter
from cos.metrics import auc, holm, mcnemar, paired_difference, pass_at_n, recovered, selector_gap, wilson
from cos.search.methods import ONE_CHAIN

Record = dict[str, Any]
COSTS = ("tokens", *Meter.__dataclass_fields__)
"""The counters of a method's cost, means of a problem."""
UNREWARDED = (*ONE_CHAIN, "vote")
"""Methods that no reward guides."""
REFERENCES = ("greedy", "vote", "best_of_n")
"""What every method is compared with: the one likeliest chain, voting, which needs no rewards, and choosing among whole chains, which needs
no search."""


def summarise(records: Sequence[Record], seed: int = 0) -> dict[str, Any]:
    """The summary of all records (the keys: docs/formats.md). Raises ValueError where there are none.

    With one budget its figures stand at the top, with several under `budgets`, by n.
    """
    if not records:
        raise ValueError("no records to summarise")
    drawn = records[0]["pool"]["n"]
    ns = budgets(records)
    views = {n: [_view(row, n) for row in records] for n in ns}
    shown = sorted({2**power for power in range(drawn.bit_length())} | {*ns, drawn})
    passed = {n: _passed(records, n) for n in shown}
    tables = {str(n): _budget(view, passed, n) for n, view in views.items()}
    for n, pairs in _paired(views, seed).items():
        tables[str(n)]["paired"] = pairs
    summary = {
        "problems": len(records),
        "n": ns if len(ns) > 1 else ns[0],
        "pool_n": drawn,
        "pass_at": {str(n): share for n, share in passed.items()},
        "pool_parse_rate": _mean(row["pool"]["answered"] / drawn for row in records),
        **({"budgets": tables} if len(ns) > 1 else tables[str(ns[0])]),
        "equal_flops": _equal_flops(records, views, seed),
        "steps": _steps(records),
    }
    plain: dict[str, Any] = _plain(summary)
    return plain


def budgets(records: Sequence[Record]) -> list[int]:
    """The values of n of these records, the smallest first."""
    return sorted({int(n) for results in records[0]["methods"].values() for n in results})


def by_budget(summary: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """The figures of each n, whether the summary is of one or of several."""
    return {int(n): row for n, row in summary["budgets"].items()} if "budgets" in summary else {summary["n"]: summary}


def points(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """A row for every method at every n: `method`, `n` and its figures. A method of one chain comes once, with n = 1."""
    rows: list[dict[str, Any]] = []
    for n, table in by_budget(summary).items():
        for name, row in table["methods"].items():
            if name not in ONE_CHAIN:
                rows.append({"method": name, "n": n, **row})
            elif n == min(by_budget(summary)):
                rows.append({"method": name, "n": 1, **row})
    return rows


def _view(record: Record, n: int) -> Record:
    """The record at one budget."""
    return record | {"methods": {name: results[str(n)] for name, results in record["methods"].items()}}


def _budget(view: Sequence[Record], passed: dict[int, float], n: int) -> dict[str, Any]:
    return {
        "pass_at_n": passed[n],
        "methods": {name: _method(view, name, passed[1], passed[n]) for name in view[0]["methods"]},
        "paired": [],
        "worlds": _groups(view, n, lambda row: row["world"]),
        "levels": _groups(view, n, lambda row: str(row["level"])),
        "kinds": _groups(view, n, lambda row: f"{row['world']} {row['kind']}".strip()),
    }


def _method(view: Sequence[Record], name: str, pass_1: float, pass_n: float) -> dict[str, Any]:
    rows = [row["methods"][name] for row in view]
    share = _accuracy(view, name)
    parsed = [row["right"] for row in rows if row["answer"] is not None]
    failed = sum("failed" in row for row in rows)
    return {
        **share,
        "parse_rate": len(parsed) / len(rows),
        "parsed_accuracy": _mean(parsed),
        "refused": _mean(match(row["answer"], REFUSAL) for row in rows),
        "selector_gap": selector_gap(pass_n, share["accuracy"]),
        "recovered": recovered(share["accuracy"], pass_1, pass_n),
        **{key: _mean(row[key] for row in rows) for key in COSTS},
        **({"failed": failed} if failed else {}),
        **({"survival": _survival(searches)} if (searches := [row["survival"] for row in rows if "survival" in row]) else {}),
    }


def _accuracy(view: Sequence[Record], name: str) -> dict[str, Any]:
    share = wilson(sum(row["methods"][name]["right"] for row in view), len(view))
    return {"accuracy": share.value, "ci95": [share.low, share.high]}


def _survival(searches: Sequence[Sequence[Sequence[int]]]) -> list[dict[str, float]]:
    """Share of the searches with a right path drawn, and left, at each depth; one that ended before counts as it ended."""
    rows = []
    for depth in range(1, 1 + max(map(len, searches))):
        here = [search[min(depth, len(search)) - 1] if search else (0, 0) for search in searches]
        rows.append({"depth": depth, "drawn": _mean(drawn for drawn, _ in here), "kept": _mean(kept for _, kept in here)})
    return rows


def _paired(views: dict[int, list[Record]], seed: int) -> dict[int, list[dict[str, Any]]]:
    """Every method against each reference at the same n (against the first method, where there is no reference), problem by problem.

    At n = 1 nothing is chosen, so nothing is compared: it would only make the correction harder on the rest.
    """
    found: dict[int, list[dict[str, Any]]] = {}
    for n, view in views.items():
        right = {name: [row["methods"][name]["right"] for row in view] for name in view[0]["methods"]}
        references = [name for name in REFERENCES if name in right] or [*right][:1]
        pairs = [(ours, theirs) for place, theirs in enumerate(references) for ours in right if ours not in references[: place + 1]]
        found[n] = [_difference(right[ours], right[theirs], seed, ours=ours, theirs=theirs) for ours, theirs in pairs if n > 1]
    _correct([row for rows in found.values() for row in rows])
    return found


def _equal_flops(records: Sequence[Record], views: dict[int, list[Record]], seed: int) -> list[dict[str, Any]]:
    """Every rewarded method against the majority vote that costs as much: over the fewest first chains of the pool with at least its FLOPs.

    `capped`: even the whole pool costs less, so the vote had to do with less. Empty where FLOPs are not known.
    """
    spent = np.mean([row["pool"]["vote_flops"] for row in records], axis=0)
    rows: list[dict[str, Any]] = []
    for n, view in [(n, view) for n, view in views.items() if n > 1 and spent.any()]:
        for name in [name for name in view[0]["methods"] if name not in UNREWARDED]:
            flops = _mean(row["methods"][name]["flops"] for row in view)
            enough = np.flatnonzero(spent >= flops * (1 - 1e-9))
            at = int(enough[0]) if enough.size else spent.size - 1
            vote = [row["pool"]["votes"][at] for row in records]
            row = _difference([row["methods"][name]["right"] for row in view], vote, seed, method=name, n=n, vote_n=at + 1)
            costs = {"flops": flops, "vote_flops": float(spent[at]), "capped": not enough.size}
            rows.append(row | costs | {"accuracy": _accuracy(view, name)["accuracy"], "vote_accuracy": _mean(vote)})
    _correct(rows)
    return rows


def _difference(mine: Sequence[bool], other: Sequence[bool], seed: int, **head: Any) -> dict[str, Any]:
    gain = paired_difference(mine, other, np.random.default_rng(seed))
    return {**head, "difference": gain.value, "ci95": [gain.low, gain.high], "p": mcnemar(mine, other)}


def _correct(rows: Sequence[dict[str, Any]]) -> None:
    for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = p


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


def _groups(view: Sequence[Record], n: int, key: Callable[[Record], str]) -> dict[str, dict[str, Any]]:
    found = {}
    for name in sorted({key(row) for row in view}):
        rows = [row for row in view if key(row) == name]
        methods = {method: _accuracy(rows, method) for method in rows[0]["methods"]}
        found[name] = {"problems": len(rows), "pass_at_n": _passed(rows, n), "methods": methods}
    return found


def _passed(records: Sequence[Record], n: int) -> float:
    return _mean(pass_at_n(row["pool"]["n"], row["pool"]["right"], n) for row in records)


def _mean(values: Iterable[float]) -> float:
    numbers = [float(value) for value in values]
    return math.fsum(numbers) / len(numbers) if numbers else math.nan


def _plain(value: Any) -> Any:
    """JSON values: NaN, which JSON can't say, becomes None."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
