"""The steps of a chain to vote on, and what reward and truth say of those that have their vote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workbench.render.marks import badge, clip, escape

WORDS = ("right", "neutral", "wrong")
_SIGNS = {"right": "✓", "neutral": "–", "wrong": "✗"}
_LONGEST = 2000


@dataclass(frozen=True)
class Row:
    """One step, or the answer, to vote on; what the reward and the truth say is given only when the vote is there."""

    name: str
    text: str
    note: str = ""
    said: str | None = None
    after: bool = False
    """After the first error, where labelling stops."""
    shown: bool = False
    """Whether reward and truth are."""
    reward: float | None = None
    truth: str | None = None
    why: str = ""


def votes(rows: Sequence[Row], chain: str) -> str:
    """The rows; `chain` names what they are of, so that a late message about another chain is known for one."""
    body = "".join(_row(place, row) for place, row in enumerate(rows))
    return f'<ol class="votes" data-chain="{escape(chain)}" aria-label="steps to vote on">{body}</ol>'


def download(name: str, address: str, says: str) -> str:
    """A link to a file that the address itself holds."""
    return f'<p class="download"><a download="{escape(name)}" href="{escape(address)}">{escape(says)}</a></p>'


def _row(place: int, row: Row) -> str:
    buttons = "".join(
        f'<button type="button" data-vote="{word}" aria-pressed="{str(row.said == word).lower()}"{" disabled" if row.after else ""}>'
        f"{_SIGNS[word]} {word} <kbd>{word[0]}</kbd></button>"
        for word in WORDS
    )
    said = f' data-said="{row.said}"' if row.said else ""
    note = f'<p class="reflection">{_long(row.note)}</p>' if row.note else ""
    focus = "" if row.after else f' tabindex="0" data-step="{place}"'
    title = escape(clip(row.name, 120)) or "(no name)"
    head = f'<li class="{"after" if row.after else "open"}"{focus}{said} aria-label="{place + 1}: {title}, {row.said or "no vote"}">'
    return (
        f'{head}<div class="line"><div><b>{place + 1} · {title}</b><p>{_long(row.text)}</p>{note}</div>'
        f'<div class="three">{buttons}</div></div>{_views(row)}</li>'
    )


def _views(row: Row) -> str:
    if not row.shown:
        return ""
    found = ["no reward" if row.reward is None else f"reward: {'right' if row.reward >= 0.5 else 'wrong'} {badge(row.reward)}"]
    if row.truth is not None:
        found.append(f"truth: {_SIGNS[row.truth]} {row.truth}" + (f", {escape(clip(row.why, 200))}" if row.why else ""))
    views = "".join(f"<span>{text}</span>" for text in found)
    if row.reward is not None and row.said in ("right", "wrong") and (row.reward >= 0.5) != (row.said == "right"):
        views += '<span class="differs">you and the reward differ</span>'
    return f'<div class="views">{views}</div>'


def _long(text: str) -> str:
    return escape(text if len(text) <= _LONGEST else text[:_LONGEST] + "…")
