"""What the records of an evaluation amount to on a benchmark: its published numbers, by all its rules, and sub-scores by category.

Every item counts, answered or not. `of_answered` alone has the denominator of the CoS evaluators, which leave out what did not parse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Record = Mapping[str, Any]


def scores(records: Sequence[Record]) -> dict[str, Any]:
    """`{benchmark: {items, methods: {method: {n: ...}}}}` for the records that have `groups`; empty where there are none.

    A method at a budget has `parse_rate` (the share of items in whose answer the rule that counts found one), `rules` (rule ->
    `accuracy`, `of_answered`), and `by` (key -> `mean` over its values, and `values`: value -> `items`, `accuracy` by the rule that
    counts). So the `mean` by `l2_category` is lmms-eval's MMStar average, and that by `half` the mean of ChartQA's two halves.
    """
    known = [row for row in records if "groups" in row]
    found: dict[str, Any] = {}
    for name in sorted({row["world"] for row in known}):
        rows = [row for row in known if row["world"] == name]
        groups = [row["groups"] for row in rows]
        methods = {
            method: {n: _method([row["methods"][method][n] for row in rows], groups) for n in budgets}
            for method, budgets in rows[0]["methods"].items()
        }
        found[name] = {"items": len(rows), "methods": methods}
    return found


def lines(found: Mapping[str, Any]) -> list[str]:
    """The same for people: a line for every method and budget with all rules, and below the last budget one for each key."""
    text = []
    for name, benchmark in found.items():
        for method, budgets in benchmark["methods"].items():
            for n, row in budgets.items():
                rules = [f"{rule} {_show(share)}" for rule, share in row["rules"].items()]
                text.append(f"{name} ({benchmark['items']}), {method} n={n}: {', '.join(rules)}; parsed {row['parse_rate']:.1%}")
                for key, group in row["by"].items() if n == list(budgets)[-1] else ():
                    values = [f"{value} {share['accuracy']:.1%} ({share['items']})" for value, share in group["values"].items()]
                    text += [f"  by {key}: mean {group['mean']:.1%}; {', '.join(values)}"] if values else []
    return text


def _show(share: Mapping[str, Any]) -> str:
    alone = share["of_answered"]
    return f"{share['accuracy']:.1%}" + ("" if alone in (None, share["accuracy"]) else f" ({alone:.1%} of those answered)")


def _method(results: Sequence[Record], groups: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    answered = [result for result in results if result["answer"] is not None]
    rules = {
        rule: {
            "accuracy": _share([result["also"][rule] for result in results]),
            "of_answered": _share([result["also"][rule] for result in answered]) if answered else None,
        }
        for rule in results[0]["also"]
    }
    keys = dict.fromkeys(key for own in groups for key in own)
    right = [result["right"] for result in results]
    by = {key: _by([own.get(key, []) for own in groups], right) for key in keys}
    return {"parse_rate": _share([result["read"] is not None for result in results]), "rules": rules, "by": by}


def _by(own: Sequence[Any], right: Sequence[bool]) -> dict[str, Any]:
    """`own`: for each item its value, or the list of its values (MathVista's skills)."""
    members: dict[str, list[bool]] = {}
    for value, ok in zip(own, right, strict=True):
        for one in value if isinstance(value, list) else [value]:
            members.setdefault(one, []).append(ok)
    values = {value: {"items": len(oks), "accuracy": _share(oks)} for value, oks in sorted(members.items())}
    return {"mean": sum(share["accuracy"] for share in values.values()) / len(values) if values else None, "values": values}


def _share(oks: Sequence[bool]) -> float:
    return sum(oks) / len(oks)
