"""Tables of an evaluation: methods, differences, and the questions on which methods differ. Numbers from `cos.summary`, texts escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.render.marks import clip, count, escape

Row = Mapping[str, Any]


def table(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are HTML of our own; the first of each row is its heading. `head`: names of the columns, if they have any."""
    names = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    top = f"<thead><tr>{names}</tr></thead>" if any(head) else ""
    body = "".join(f'<tr><th scope="row">{row[0]}</th>{"".join(f"<td>{cell}</td>" for cell in row[1:])}</tr>' for row in rows)
    return (
        f'<div class="table-room" tabindex="0" role="region" aria-label="{escape(caption)}"><table class="figures">'
        f"<caption>{escape(caption)}</caption>{top}<tbody>{body}</tbody></table></div>"
    )


def methods_table(points: Sequence[Row], passed: Mapping[int, float]) -> str:
    """Accuracy with its interval, what a perfect selector would add, and the mean costs, for every method and n."""
    rows = [
        [
            escape(row["method"].replace("_", " ")),
            str(row["n"]),
            f"<b>{share(row['accuracy'])}</b> <small>{share(row['ci95'][0])} to {share(row['ci95'][1])}</small>",
            share(passed.get(row["n"])),
            share(row["parse_rate"]),
            count(row["tokens"]),
            count(row["flops"]) if row["flops"] else "–",
            f"{row['seconds']:.2f} s",
        ]
        for row in points
    ]
    return table("Methods", ("method", "N", "accuracy, 95 %", "pass@N", "answered", "tokens", "FLOPs", "seconds"), rows)


def differences_table(pairs: Sequence[Row], n: int) -> str:
    """Each method less a reference, on the same questions, with McNemar's exact p by Holm."""
    rows = [
        [
            f"{escape(row['ours'].replace('_', ' '))} less {escape(row['theirs'].replace('_', ' '))}",
            f"<b>{points_of(row['difference'])}</b> <small>{points_of(row['ci95'][0])} to {points_of(row['ci95'][1])}</small>",
            "–" if row["p_holm"] is None else f"{row['p_holm']:.3f}",
        ]
        for row in pairs
    ]
    return table(f"Differences at N = {n}, question by question", ("methods", "points, 95 %", "p (Holm)"), rows) if rows else ""


def cases(title: str, columns: Sequence[str], rows: Sequence[tuple[Row, Sequence[tuple[str, bool | None, bool]]]], whole: int) -> str:
    """Questions with what was answered: of each cell the text, right or wrong (None: neither), and whether a trace can be opened.

    A button says `data-row` (place in the table) and `data-side` (column). `whole`: how many there are, of which `rows` are the first.
    """
    body = [
        [
            f"{escape(row['problem'])}<br><small>level {row['level']} · {escape(row['kind'])} · truth: {_answer(row['gold'])}</small>",
            *(_case(place, side, *cell) for side, cell in enumerate(cells)),
        ]
        for place, (row, cells) in enumerate(rows)
    ]
    more = f"<p class='left-out'>and {whole - len(rows)} more</p>" if whole > len(rows) else ""
    return table(f"{title}: {whole}", ("question", *columns), body) + more if rows else f'<p class="status">{escape(title)}: none.</p>'


def share(value: float | None) -> str:
    """A share in per cent."""
    return "–" if value is None else f"{value:.1%}"


def points_of(value: float | None) -> str:
    """A difference of shares in points, with its sign."""
    return "–" if value is None else f"{100 * value:+.1f}"


def _case(place: int, side: int, text: str, right: bool | None, opens: bool) -> str:
    sign = "" if right is None else "✓ " if right else "✗ "
    button = f' <button type="button" data-row="{place}" data-side="{side}" aria-label="open the trace">open</button>' if opens else ""
    return f"{sign}{_answer(text)}{button}"


def _answer(text: str | None) -> str:
    return "<em>no answer</em>" if text is None else escape(clip(text, 60)) or "(empty)"
