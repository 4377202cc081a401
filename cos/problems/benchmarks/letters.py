"""Which letter an answer names: the extractors that several benchmarks share. Each gives the letter (None: it finds none) and its rule.

Sources: `can_infer` of VLMEvalKit (`vlmeval/utils/matching_util.py`, e8e78f05) without its judge model, and `extract_answer_from_think`
of the CoS evaluators. None of them guesses.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from cos.answers import Verdict

Found = tuple[str | None, str]

_REFUSALS = (
    "Sorry, I can't help with images of people yet.",
    "I can't process this file.",
    "I'm sorry, but without the image provided",
    "Cannot determine the answer",
)
_ANSWER_IS = re.compile(r"(?i)(?:correct\s+)?answer\s+is\s+\**([ABCD])\**")
_BLANKS = str.maketrans(dict.fromkeys(".()[],:;!*#{}", " "))


def can_infer(given: str, options: Sequence[str]) -> Found:
    """VLMEvalKit: a letter among the last words, `answer is X`, or exactly one choice's text in a short answer. `Z` is a refusal."""
    if "Failed to obtain answer via API" in given:
        return None, "no answer from the server"
    if any(refusal in given for refusal in _REFUSALS):
        return "Z", "refusal"
    letters = [chr(65 + place) for place in range(len(options))]
    words = given.translate(_BLANKS).split()
    named = [letter for letter in letters if letter in words]
    if len(named) == 1 and words.index(named[0]) > len(words) - 5:
        return named[0], "one letter, near the end"
    if not named and "Z" in words:
        return "Z", "refusal"
    if (found := _ANSWER_IS.search(given)) and found[1].upper() in letters:
        return found[1].upper(), "answer is"
    lower = given.lower()
    if len(lower) > 2 * sum(len(option) for option in options):
        return None, "no letter, and too long to look for a choice"
    inside = [letter for letter, option in zip(letters, options, strict=True) if option.lower() in lower]
    return (inside[0], "the text of one choice") if len(inside) == 1 else (None, "no letter, and not the text of one choice")


def cos_text(given: str) -> str:
    """What the CoS evaluators take from the answer: stripped of white space, then of `(`, then of `)`."""
    return given.strip().strip("(").strip(")")


def judged(found: Found, gold: str) -> Verdict:
    """The verdict where a letter is right when it is the gold one."""
    letter, rule = found
    return Verdict(letter == gold, rule, letter if letter != "Z" else None)


def no_answer(*names: str) -> dict[str, Verdict]:
    """Wrong by every rule."""
    return {name: Verdict(False, "no answer") for name in names}
