"""The summary of an evaluation as text for people."""

from __future__ import annotations

from typing import Any

from cos.search.methods import ONE_CHAIN
from cos.summary import by_budget, points


def table(summary: dict[str, Any]) -> str:
    """Methods by budget; what they say against each other, at equal n and at equal FLOPs; what the rewards know; each world."""
    return "\n".join(
        [*_methods(summary), *_pairs(summary), *_equal_flops(summary), *_survival(summary), *_steps(summary), *_worlds(summary)]
    )


def _methods(summary: dict[str, Any]) -> list[str]:
    names = ("accuracy", "95 % interval", "parsed", "of parsed", "gap", "won", "tokens", "GFLOPs", "KV MB", "seconds")
    lines = [f"{'method':<16}{'n':>4}" + "".join(f"{name:>{width}}" for name, width in zip(names, _WIDTHS, strict=True))]
    for row in points(summary):
        low, high = row["ci95"]
        cells = (
            f"{row['accuracy']:.1%}",
            f"{low:.1%} to {high:.1%}",
            f"{row['parse_rate']:.1%}",
            _percent(row["parsed_accuracy"]),
            *(("-", "-") if row["method"] in ONE_CHAIN else (f"{row['selector_gap']:.1%}", _percent(row["recovered"]))),
            f"{row['tokens']:.0f}",
            f"{row['flops'] / 1e9:.2f}",
            f"{row['kv_peak_bytes'] / 1e6:.1f}",
            f"{row['seconds']:.3f}",
        )
        lines.append(f"{row['method']:<16}{row['n']:>4}" + "".join(f"{cell:>{width}}" for cell, width in zip(cells, _WIDTHS, strict=True)))
    passed = ", ".join(f"pass@{n} {share:.1%}" for n, share in summary["pass_at"].items())
    notes = "no answer counts as wrong; `of parsed` leaves those out, as the released scripts do; `gap` to pass@n, `won` of it from pass@1"
    return [*lines, f"{summary['problems']} problems, pools of {summary['pool_n']}: {passed}", notes]


_WIDTHS = (10, 18, 9, 11, 8, 9, 9, 10, 8, 9)


def _pairs(summary: dict[str, Any]) -> list[str]:
    """A line for every method at every n: what it has over each reference."""
    lines: dict[str, str] = {}
    for n, row in by_budget(summary).items():
        for pair in row["paired"]:
            start = f"n={n}: {pair['ours']}"
            lines[start] = lines.get(start, start) + f" - {pair['theirs']} {_difference(pair)};"
    return [line.rstrip(";") for line in lines.values()]


def _equal_flops(summary: dict[str, Any]) -> list[str]:
    """At each budget the best rewarded method against the vote that costs as much, and in plain words which is better. Where no vote of the
    pool costs as much, the line says so: who wins by spending more has not won at equal FLOPs."""
    lines = []
    for n in by_budget(summary):
        rows = [row for row in summary["equal_flops"] if row["n"] == n]
        if rows:
            best = max(rows, key=lambda row: row["accuracy"])
            low, high = best["ci95"]
            said = "better than voting" if low > 0 else "worse than voting" if high < 0 else "not shown to differ from voting"
            if (low > 0 or high < 0) and best["p_holm"] > 0.05:
                said += " by its interval, not by Holm's p"
            if best["capped"] and low > 0:
                said = "better, but not at equal cost; draw a larger pool"
            start = f"no equal FLOPs, {best['vote_flops'] / best['flops']:.2f} of them" if best["capped"] else "equal FLOPs"
            lines.append(f"{start}: {best['method']} at n={n} - vote of {best['vote_n']} {_difference(best)}: {said}")
    return lines


def _survival(summary: dict[str, Any]) -> list[str]:
    lines = []
    for n, found in by_budget(summary).items():
        for name, row in found["methods"].items():
            if row.get("survival"):
                kept = " ".join(f"{100 * at['kept']:.0f}/{100 * at['drawn']:.0f}" for at in row["survival"])
                lines.append(f"n={n}: {name}, problems with a right path kept/drawn by depth, %: {kept}")
    return lines


def _steps(summary: dict[str, Any]) -> list[str]:
    lines = []
    for name, row in summary["steps"].items():
        keys = [key for key in ("auc", "see", "compute", "answer", "swapped_auc", "swapped_see") if key in row]
        aucs = [f"{key} {'-' if row[key] is None else format(row[key], '.3f')}" for key in keys]
        lines.append(f"step AUC, {name}: " + ", ".join(aucs))
    return lines


def _worlds(summary: dict[str, Any]) -> list[str]:
    """Each world and level at the largest n."""
    lines = []
    n, found = max(by_budget(summary).items())
    for name, row in {**found["worlds"], **{f"level {level}": row for level, row in found["levels"].items()}}.items():
        shares = [f"{method} {share['accuracy']:.1%}" for method, share in row["methods"].items()]
        lines.append(f"n={n}: {name} ({row['problems']}): pass@{n} {row['pass_at_n']:.1%}, " + ", ".join(shares))
    return lines


def _difference(row: dict[str, Any]) -> str:
    low, high = row["ci95"]
    return f"{row['difference']:+.1%} ({low:+.1%} to {high:+.1%}), p {row['p_holm']:.2g} (Holm)"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
