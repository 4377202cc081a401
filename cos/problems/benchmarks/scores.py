"""What the records of an evaluation amount to on a benchmark: its published numbers, by all its rules, and sub-scores by category.

Every item counts, answered or not. `of_answered` alone has the denominator of the CoS evaluators, which leave out what did not parse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Record = Mapping[str, Any]


def scores(records: Sequence[Record]) -> dict[str, Any]:
    """`{benchmark: {items, methods: {method: ...}}}` for the records that have `groups`; empty where there are none.

    A method has `parse_rate` (the share of items where the rule that counts found an answer), `rules` (rule -> `accuracy`,
    `of_answered`), and `by` (key -> `mean` over its values, and `values`: value -> `items`, `accuracy` by the rule that counts). So the
    `mean` by `l2_category` is lmms-eval's MMStar average, and that by `half` the mean of ChartQA's two halves.
    """
    known = [row for row in records if "groups" in row]
    found: dict[str, Any] = {}
    for name in sorted({row["world"] for row in known}):
        rows = [row for row in known if row["world"] == name]
        found[name] = {"items": len(rows), "methods": {method: _method(rows, method) for method in rows[0]["methods"]}}
    return found


def table(found: Mapping[str, Any]) -> list[str]:
    """The same for people: one line a method with every rule, one a key with its values."""
    lines = []
    for name, benchmark in found.items():
        for method, row in benchmark["methods"].items():
            rules = [f"{rule} {share['accuracy']:.1%}" for rule, share in row["rules"].items()]
            answered = next(iter(row["rules"].values()))["of_answered"]
            rest = "" if answered is None else f", of those answered {answered:.1%}"
            lines.append(f"{name} ({benchmark['items']}), {method}: {', '.join(rules)}; parsed {row['parse_rate']:.1%}{rest}")
            for key, group in row["by"].items():
                values = [f"{value} {share['accuracy']:.1%} ({share['items']})" for value, share in group["values"].items()]
                lines.append(f"  by {key}: mean {group['mean']:.1%}; {', '.join(values)}")
    return lines


def _method(rows: Sequence[Record], method: str) -> dict[str, Any]:
    results = [row["methods"][method] for row in rows]
    answered = [result for result in results if result["answer"] is not None]
    rules = {}
    for rule in results[0]["also"]:
        within = [result["also"][rule] for result in answered]
        rules[rule] = {
            "accuracy": sum(result["also"][rule] for result in results) / len(results),
            "of_answered": sum(within) / len(within) if within else None,
        }
    parsed = sum(result["read"] is not None for result in results) / len(results)
    keys = dict.fromkeys(key for row in rows for key in row["groups"])
    return {"parse_rate": parsed, "rules": rules, "by": {key: _by(rows, method, key) for key in keys}}


def _by(rows: Sequence[Record], method: str, key: str) -> dict[str, Any]:
    members: dict[str, list[bool]] = {}
    for row in rows:
        value = row["groups"].get(key, [])
        for one in value if isinstance(value, list) else [value]:
            members.setdefault(one, []).append(row["methods"][method]["right"])
    values = {value: {"items": len(right), "accuracy": sum(right) / len(right)} for value, right in sorted(members.items())}
    mean = sum(share["accuracy"] for share in values.values()) / len(values) if values else 0.0
    return {"mean": mean, "values": values}
