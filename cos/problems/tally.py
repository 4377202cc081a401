"""A count told thing by thing, `One by one: red 3 below 1, blue 15 above 1, green 8 below 2.`: how worlds write it and read it back.

A list of only those that count makes a small model jump over the others, which it hardly learns; going through all of them, it copies
what comes next, says on which side it is, and adds one or not (docs/log.md). Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

OPENING = "One by one: "
OTHER = {"yes": "no", "above": "below", "on": "above", "even": "odd", "more": "at most"}
"""What a thing may be said to be, and the opposite of it."""
OTHER |= {other: word for word, other in OTHER.items() if word != "on"}
_TOLD = re.compile(r"\bone by one: ([^.;|]*)")
_TOLD_ONE = re.compile(rf"(?P<thing>[a-z0-9' -]+?) (?P<word>{'|'.join(OTHER)})(?: (?P<so_far>[0-9]{{1,4}}|none))?")


@dataclass(frozen=True)
class Told:
    """One thing of a tally: its words ("red 3"), what it is said to be, and the number after that (None: none yet, or none said)."""

    thing: str
    word: str
    so_far: int | None


def tell(things: Iterable[tuple[str, str, int | None]]) -> str:
    """The sentence for (words of the thing, what it is, number so far)."""
    told = (f"{thing} {word} {'none' if so_far is None else so_far}" for thing, word, so_far in things)
    return f"{OPENING}{', '.join(told)}."


def count(things: Iterable[tuple[str, str]], counts: str) -> str:
    """The sentence that counts those that are `counts`."""
    so_far, told = 0, []
    for thing, word in things:
        so_far += word == counts
        told.append((thing, word, so_far))
    return tell(told)


def read(text: str) -> tuple[list[Told] | None, str]:
    """The tally in a normalised text (None: there is none; empty: one that can't be read), and the text with it blotted out."""
    found = _TOLD.search(text)
    if not found:
        return None, text
    matches = [_TOLD_ONE.fullmatch(part.strip()) for part in found[1].split(",")]
    told = [Told(m["thing"], m["word"], int(m["so_far"]) if (m["so_far"] or "none") != "none" else None) for m in matches if m]
    return (told if len(told) == len(matches) else []), text[: found.start()] + "#" * (found.end() - found.start()) + text[found.end() :]


def faults(told: Sequence[Told], counts: Collection[str], total: int | None = None) -> Iterator[str]:
    """What is wrong with a count in itself: a number that does not follow, or a `total` that is not the last."""
    if not told:
        yield "the count can't be read"
    so_far = 0
    for one in told:
        so_far += one.word in counts
        if one.so_far != so_far:
            yield f"after {one.thing} the count is {so_far}"
            return
    if told and total is not None and total != so_far:
        yield f"it counts {so_far}, not {total}"
