"""The second surface form of a chain: plain marked text, for models that have never seen the format tokens, and a tolerant reader of it.

    <step>
    Name: what this step is about
    Thought: what is seen or worked out
    Reflection: how that is known
    </step>
    <answer>4</answer>

What models really write is read too: steps without an end or a beginning, with Markdown and prose around them, as numbered lists, with
headers such as "Step 2:", with labels alone. A complete step never changes with what follows, so the reader also says where one has
ended while text is still arriving. Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from cos.chain import Chain, Step
from cos.template import Parsed, TemplateError

_LEAD = r"^[ \t]*(?:[#>]+[ \t]*)?(?:[-+•][ \t]+)?(?:[*_`]+[ \t]*)?"
_NUMBER = r"\d{1,3}|one|two|three|four|five|six|seven|eight|nine|ten"
_FIELD = {
    "name": "name|title|summary",
    "thought": "thoughts|thought|thinking|reasoning|explanation|observation|analysis",
    "reflection": "reflection|check|verification",
}
_LABELS = {word: field for field, words in _FIELD.items() for word in words.split("|")}
_MARK = re.compile(
    r"<[ \t]*(?P<close>/?)[ \t]*(?P<tag>step|name|thought|reflection|answer)\b[^<>\n]{0,40}>"
    rf"|{_LEAD}(?P<label>{'|'.join(_FIELD.values())})[*_`]*[ \t]*[:：]"
    rf"|{_LEAD}(?:reasoning[ \t]+)?step[ \t]*#?[ \t]*(?:{_NUMBER})(?P<step>[*_`]*[ \t]*(?:[:：.)\-–—]|\n))"
    r"|^[ \t]{0,3}[*_]*(?P<number>\d{1,2})[.)][*_]*[ \t]+(?=\S)"
    rf"|{_LEAD}(?:(?:so|therefore|thus|hence|finally),?[ \t]+)?(?:the[ \t]+)?(?:(?:final|correct)[ \t]+)?"
    r"answer[*_`]*[ \t]*(?P<answer>[:：]|is[ \t]*[:：]|is(?=[ \t]))",
    re.IGNORECASE | re.MULTILINE,
)
"""Each alternative ends with what makes it certain, so that no later text can make another mark of it."""
_BOXED = re.compile(r"\\boxed\{([^{}]+)\}")
_SAID = re.compile(r"\b(?:answer|result) is:?[ \t]+(\S.*?)[.\s]*$", re.IGNORECASE | re.MULTILINE)
_OWN_NUMBER = re.compile(rf"^step[ \t]*#?(?:{_NUMBER})[*_]*[ \t]*[:：.)\-–—]*", re.IGNORECASE)
_EMPHASIS = " \t\r\n*_`"
_SHORT = 60  # characters: a line's beginning before a colon is a name where it is no longer


def plain_pieces(chain: Chain) -> list[str]:
    """The chain as pieces, one a step and one for the answer unless it is None. Raises TemplateError where `read_plain` would read
    another chain from them: fields with marks in them, with blanks or emphasis at their ends, or empty altogether."""
    texts = [f"<step>\nName: {s.name}\nThought: {s.thought}\nReflection: {s.reflection}\n</step>\n" for s in chain.steps]
    if chain.answer is not None:
        texts.append(f"<answer>{chain.answer}</answer>")
    found = read_plain("".join(texts)).chain
    if found != chain:
        wrong = next((i for i, (a, b) in enumerate(zip(chain.steps, found.steps, strict=False)) if a != b), len(found.steps))
        raise TemplateError(f"piece {wrong + 1} can't be written as plain text: it holds a mark, or nothing")
    return texts


def read_plain(text: str, *, ended: bool = False) -> Parsed:
    """Read text that may still be arriving: `steps` that are complete, the `answer` once it is, `open` fields. Never raises.

    With `ended` nothing more will come: what is open counts as complete, an answer is also looked for in the last words
    (\\boxed{4}, "the answer is 4"), and `error` says why there is no chain, if there is none.
    """
    reader = _Reader()
    at = 0
    for mark in _MARK.finditer(text):
        if reader.done:
            break
        reader.write(text[at : mark.start()])
        if not reader.done:
            reader.mark(mark)
        at = mark.end()
    if not reader.done:
        reader.write(text[at:])
    if ended:
        reader.end()
    error = reader.complaint() if ended else None
    fields = tuple(_clean(reader.fields[name]) for name in ("name", "thought", "reflection")) if reader.fields else ()
    return Parsed(tuple(reader.steps), reader.answer, fields, (), reader.answer is not None and error is None, error)


class _Reader:
    """Takes marks and the text between them from left to right."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.answer: str | None = None
        self.style = ""  # how steps begin here: tag, step (a header) or number; the first one seen decides
        self.fields: dict[str, str] = {}  # of the open step; empty: none is open
        self.field = "head"  # where text goes: a field, or what stands before the first label
        self.prose = ""  # text outside of any step since the last one
        self.asked = ""  # how the open answer began: "tag", "line", or not at all
        self.said = ""  # its text so far
        self.numbers = 0

    @property
    def done(self) -> bool:
        return self.answer is not None

    def write(self, text: str) -> None:
        """Text between two marks."""
        if self.asked:
            self.said += text
            line, newline, _ = self.said.lstrip().partition("\n")
            if self.asked == "line" and newline and _answer(line):
                self.answer = _answer(line)
        elif self.fields:
            self.fields[self.field] += text
        else:
            self.prose += text

    def mark(self, found: re.Match[str]) -> None:
        """A mark: it opens or closes something here, or is taken as text."""
        kind = found.lastgroup
        if found["tag"]:
            self._tag(found["tag"].lower(), closes=bool(found["close"]))
        elif kind == "label" and not self.asked:
            self._field(_LABELS[found["label"].lower()])
        elif kind == "step" and self.style in ("", "step"):
            self._open("step")
        elif kind == "number" and self._is_next(int(found["number"])):
            self.numbers += 1
            self._open("number")
        elif kind == "answer" and not self.asked and (found["answer"] in ":：" or self.style != "tag"):
            self._ask("line")
        else:
            self.write(found.group())

    def _is_next(self, number: int) -> bool:
        """Lists within a step begin again with 1; steps count on."""
        fresh = self.style == "number" or (self.style == "" and not self.fields and not self.steps)
        return fresh and number == self.numbers + 1 and not self.asked

    def _tag(self, tag: str, *, closes: bool) -> None:
        if tag == "step" and not closes:
            self._open("tag")
        elif tag == "step":
            self._keep_prose()
            self._close()
        elif tag == "answer" and not closes:
            self._ask("tag")
        elif tag == "answer":
            if self.asked and _answer(self.said):
                self.answer = _answer(self.said)
        elif not closes:
            self._field(tag)

    def _open(self, style: str) -> None:
        self._close()
        self.style, self.asked, self.said, self.prose = style, "", "", ""
        self.fields, self.field = {"head": "", "name": "", "thought": "", "reflection": ""}, "head"

    def _field(self, field: str) -> None:
        """The next field of the open step, or the first of a new one where no step is open or the open one has had it."""
        here = self.fields
        again = field == "name" and any(text.strip() for text in here.values())
        again = again or (field == "thought" and bool(here) and bool(here["reflection"].strip()))
        if not here or again:
            self._open(self.style)
        self.field = field

    def _ask(self, how: str) -> None:
        if not self.steps:
            self._keep_prose()
        self._close()
        self.asked, self.said, self.prose = how, "", ""

    def _keep_prose(self) -> None:
        """Text that nobody has marked as a step, where there is nothing better."""
        if not self.fields and self.prose.strip():
            text = self.prose
            self._open(self.style)
            self.fields["head"] = text

    def _close(self) -> None:
        if self.fields and (step := _step(self.fields)):
            self.steps.append(step)
        self.fields = {}

    def end(self) -> None:
        """Nothing more comes."""
        if self.done:
            return
        if self.asked and _answer(self.said):
            self.answer = _answer(self.said)
            return
        last = "".join(self.fields.values()) or self.prose or (self.steps[-1].thought if self.steps else "")
        said = [*_BOXED.findall(last), *_SAID.findall(last)[-1:]]
        if said and not self.steps:
            self._keep_prose()
        self._close()
        self.answer = _answer(said[0]) or None if said else None

    def complaint(self) -> str | None:
        """Why this is no chain."""
        if self.answer is None:
            return f"{len(self.steps)} steps and no answer" if self.steps else "neither a step nor an answer can be found"
        return None if self.steps else "an answer and no step before it"


def _step(fields: dict[str, str]) -> Step | None:
    """The step of these fields; None where there is nothing in them. Without a name label the first line is the name, or what stands
    before its colon."""
    head, name, thought, reflection = (_clean(fields[key]) for key in ("head", "name", "thought", "reflection"))
    if head and not name:
        line, _, rest = head.partition("\n")
        before, colon, after = line.partition(":")
        if thought or rest.strip():
            name, head = line, rest
        elif colon and after.strip() and len(before) <= _SHORT:
            name, head = before, after
    name = _clean(_OWN_NUMBER.sub("", _clean(name))).rstrip(":")
    thought = "\n".join(part for part in (_clean(head), thought) if part)
    return Step(name, thought, reflection) if name or thought or reflection else None


def _clean(text: str) -> str:
    return text.strip(_EMPHASIS)


def _answer(text: str) -> str:
    """An answer without what Markdown and LaTeX put around it."""
    text = text.strip(_EMPHASIS + "$")
    boxed = _BOXED.fullmatch(text)
    return (boxed[1] if boxed else text).strip(_EMPHASIS + "$")


def exact(pieces: Sequence[str], chain: Chain) -> bool:
    """Whether texts are to the letter what was asked for, blanks at their ends aside."""
    try:
        wanted = plain_pieces(chain)
    except TemplateError:
        return False
    return [text.strip() for text in pieces] == [text.strip() for text in wanted]
