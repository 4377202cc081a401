"""Chain <-> marked text: the byte-exact form of the released CoS code, and a parser that also reads text still arriving.

The form is that of `score_with_prm.py::get_think` and `generate_dpo_data.py` in the released code. A chain is written as *pieces*: one a
step, ending in the step's end token, and one for the answer; a policy writes piece after piece and a reward model scores each:

    <|reasoning_start|>\\n<|reasoning_step_start|>\\n ... <|reasoning_step_end|>          first step
    \\n<|reasoning_proceed|>\\n<|reasoning_step_start|>\\n ... <|reasoning_step_end|>      every later step
    \\n<|reasoning_end|>\\nAnswer:\\n<|answer_start|>ANSWER<|answer_end|>                  the answer

Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from cos.chain import Chain, Step

FORMAT_TOKENS = {
    "<|reasoning_start|>": "start of reasoning",
    "<|reasoning_end|>": "end of reasoning",
    "<|reasoning_proceed|>": "reasoning proceed",
    "<|reasoning_backtrack|>": "reasoning backtrack",
    "<|reasoning_step_start|>": "start of reasoning step",
    "<|reasoning_step_end|>": "end of reasoning step",
    "<|reasoning_step_name_start|>": "start of reasoning step name",
    "<|reasoning_step_name_end|>": "end of reasoning step name",
    "<|reasoning_step_thought_start|>": "start of reasoning step thought",
    "<|reasoning_step_thought_end|>": "end of reasoning step thought",
    "<|reasoning_step_reflection_start|>": "start of reasoning step reflection",
    "<|reasoning_step_reflection_end|>": "end of reasoning step reflection",
    "<|answer_start|>": "start of answer",
    "<|answer_end|>": "end of answer",
}
"""Token -> the English text whose mean embedding initialises it, in the released order (`add_special_token.py`)."""

TAG, GOOD, BAD = "\u043a\u0438", "\u043a+\u0438", "\u043a-\u0438"  # Cyrillic letters, as released
TAG_TOKENS = {TAG: "step tag to label", GOOD: "correct step", BAD: "bad step"}
"""The tag to be scored and its two labels."""

STEP_END, ANSWER_END = "<|reasoning_step_end|>", "<|answer_end|>"
_OPEN, _PROCEED, _CLOSE = "<|reasoning_start|>\n", "<|reasoning_proceed|>\n", "<|reasoning_end|>\nAnswer:\n<|answer_start|>"
_STEP_OPEN = "<|reasoning_step_start|>\n"
_FIELDS = ("name", "thought", "reflection")
_MARKER = re.compile("|".join(re.escape(token) for token in FORMAT_TOKENS))
_PLAIN_STEP = re.compile(
    re.escape(_STEP_OPEN)
    + "".join(rf"<\|reasoning_step_{field}_start\|>([^<]*)<\|reasoning_step_{field}_end\|>\n" for field in _FIELDS)
    + re.escape(STEP_END)
)
"""A complete step whose fields hold no `<`, and so no marker: most steps, and read at once: field by field costs twice the time."""


class TemplateError(ValueError):
    """Text that is not a chain in the marked form; the message says where and why."""


@dataclass(frozen=True)
class Parsed:
    """What a text holds so far. `open` has the fields of a step that is being written; `tags` what stood at each tag position."""

    steps: tuple[Step, ...] = ()
    answer: str | None = None
    open: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    done: bool = False
    error: str | None = None
    """The reason why the text can't become a chain, whatever follows; None while it still can."""

    @property
    def chain(self) -> Chain:
        """The complete steps and the answer, if it has come."""
        return Chain(self.steps, self.answer)


def split_markers(text: str) -> list[tuple[str, bool]]:
    """Cut text into `(part, is_marker)`; only the 14 format tokens are markers, never a tag, padding or an image token."""
    parts: list[tuple[str, bool]] = []
    end = 0
    for match in _MARKER.finditer(text):
        parts += [(text[end : match.start()], False), (match.group(), True)]
        end = match.end()
    return [part for part in [*parts, (text[end:], False)] if part[0]]


def pieces(chain: Chain) -> list[str]:
    """The chain as pieces: one a step, and one for the answer unless it is None. Their concatenation is `render(chain)`.

    Raises TemplateError where a field holds a marker, since such a text could not be read back.
    """
    texts = [_step_text(step, first=index == 0, where=f"step {index + 1}") for index, step in enumerate(chain.steps)]
    if chain.answer is not None:
        _refuse_markers(chain.answer, "the answer")
        texts.append(("\n" if texts else _OPEN) + _CLOSE + chain.answer + ANSWER_END)
    return texts


def render(chain: Chain, tags: Sequence[str] | None = None) -> str:
    """The whole chain as text; with `tags` (one a piece: TAG, GOOD or BAD) in the form the reward model reads."""
    texts = pieces(chain)
    if tags is None:
        return "".join(texts)
    if len(tags) != len(texts):
        raise TemplateError(f"{len(texts)} tags are needed (one a step and one for the answer), {len(tags)} were given")
    return "".join(text + tag for text, tag in zip(texts, tags, strict=True))


def parse(text: str) -> Chain:
    """Read a complete chain; the inverse of `render`. Raises TemplateError with the reason for anything else."""
    return _complete(read(text)).chain


def parse_tagged(text: str) -> tuple[Chain, tuple[str, ...]]:
    """Read the reward model's form: the chain, and what stands at each tag position (n steps give n + 1 tags)."""
    parsed = _complete(read(text, tagged=True))
    return parsed.chain, parsed.tags


def read(text: str, *, tagged: bool = False) -> Parsed:
    """Read text that may still be arriving: what is complete, what is open, and whether it can still become a chain. Never raises."""
    return _Reader(text, tagged).run()


def read_piece(text: str, *, first: bool) -> Parsed:
    """Read one piece on its own: `steps` holds its step, or `answer` the answer."""
    parsed = read(text if first else _blank_start() + text)
    if first:
        return parsed
    return Parsed(parsed.steps[1:], parsed.answer, parsed.open, parsed.tags, parsed.done, parsed.error)


def extract_answer(text: str) -> str | None:
    """The answer in any text, as `extract_answer_from_think` of the released code takes it: after the first answer start up to the
    answer end, stripped of white space, then of `(` and then of `)` at both ends. None where either token is missing."""
    if "<|answer_start|>" not in text or ANSWER_END not in text:
        return None
    return text.split("<|answer_start|>")[1].split(ANSWER_END)[0].strip().strip("(").strip(")")


def _step_text(step: Step, *, first: bool, where: str) -> str:
    lead = _OPEN if first else "\n" + _PROCEED
    fields = ""
    for field in _FIELDS:
        value = getattr(step, field)
        _refuse_markers(value, f"the {field} of {where}")
        fields += f"<|reasoning_step_{field}_start|>{value}<|reasoning_step_{field}_end|>\n"
    return lead + _STEP_OPEN + fields + STEP_END


def _refuse_markers(text: str, where: str) -> None:
    if found := _MARKER.search(text):
        raise TemplateError(f"{where} holds the marker {found.group()}")


@lru_cache(maxsize=1)
def _blank_start() -> str:
    return pieces(Chain((Step("", "", ""),)))[0]


def _complete(parsed: Parsed) -> Parsed:
    if parsed.error is None and not parsed.done:
        missing = "an open step" if parsed.open else "no answer yet" if parsed.steps else "no complete step"
        raise TemplateError(f"the text ends early: {len(parsed.steps)} complete steps, {missing}")
    if parsed.error is not None:
        raise TemplateError(parsed.error)
    return parsed


class _Short(Exception):
    """The text ends before what must come next is complete."""


class _Reader:
    """A left-to-right reader of the marked form; stops at the first byte that can't belong to it."""

    def __init__(self, text: str, tagged: bool) -> None:
        self.text, self.tagged, self.at = text, tagged, 0
        self.steps: list[Step] = []
        self.open: list[str] = []
        self.tags: list[str] = []
        self.answer: str | None = None

    def run(self) -> Parsed:
        error, done = None, False
        try:
            self._chain()
            done = True
        except _Short:
            pass
        except TemplateError as problem:
            error = str(problem)
        return Parsed(tuple(self.steps), self.answer, tuple(self.open), tuple(self.tags), done, error)

    def _chain(self) -> None:
        self._literal(_OPEN)
        self._step()
        while self._either("\n" + _PROCEED, "\n" + _CLOSE) == 0:
            self._step()
        answer = self._until(ANSWER_END, "the answer", keep_open=False)
        if self.tagged:
            self._tag()
        self.answer = answer
        if self.at != len(self.text):
            raise TemplateError(f"text after the answer's end: {self.text[self.at : self.at + 20]!r}")

    def _step(self) -> None:
        if plain := _PLAIN_STEP.match(self.text, self.at):
            self.at, self.open = plain.end(), list(plain.groups())
        else:
            self._step_by_fields()
        if self.tagged:
            self._tag()
        self.steps.append(Step(*self.open))
        self.open = []

    def _step_by_fields(self) -> None:
        self._literal(_STEP_OPEN)
        for field in _FIELDS:
            self._literal(f"<|reasoning_step_{field}_start|>")
            where = f"the {field} of step {len(self.steps) + 1}"
            self.open.append(self._until(f"<|reasoning_step_{field}_end|>", where, keep_open=True))
            self._literal("\n")
        self._literal(STEP_END)

    def _literal(self, wanted: str) -> None:
        self._either(wanted)

    def _either(self, *wanted: str) -> int:
        for index, literal in enumerate(wanted):
            if self.text.startswith(literal, self.at):
                self.at += len(literal)
                return index
        rest = self.text[self.at :]
        if any(literal.startswith(rest) for literal in wanted):
            raise _Short
        names = " or ".join(repr(literal) for literal in wanted)
        raise TemplateError(f"step {len(self.steps) + 1}: expected {names}, found {rest[:40]!r}")

    def _until(self, end: str, where: str, *, keep_open: bool) -> str:
        found = _MARKER.search(self.text, self.at)
        if found is None:
            rest = self.text[self.at :]
            if keep_open:
                self.open.append(_without_partial_marker(rest))
            raise _Short
        if found.group() != end:
            raise TemplateError(f"{where} holds {found.group()} where only text and then {end} may stand")
        value = self.text[self.at : found.start()]
        self.at = found.end()
        return value

    def _tag(self) -> None:
        for tag in TAG_TOKENS:
            if self.text.startswith(tag, self.at):
                self.at += len(tag)
                self.tags.append(tag)
                return
        if any(tag.startswith(self.text[self.at :]) for tag in TAG_TOKENS):
            raise _Short
        raise TemplateError(
            f"step {len(self.steps) + 1}: expected a tag ({', '.join(TAG_TOKENS)}), found {self.text[self.at : self.at + 20]!r}"
        )


def _without_partial_marker(text: str) -> str:
    cut = text.rfind("<")
    tail = text[cut:] if cut >= 0 else ""
    return text[:cut] if tail and any(token.startswith(tail) for token in FORMAT_TOKENS) else text
