"""Rows for a reward model: chains with what should be said of them, at the tag after each piece and, as hints, at each word."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import replace

from cos import answers, problems, template
from cos.chain import Chain, Problem, Step, StepLabels
from cos.models.encode import Encoder, Turn
from cos.problems import tally
from cos.problems.as_read import as_read
from cos.train.data import Example, written


def labels(problem: Problem, chain: Chain) -> StepLabels:
    """The truth's labels: each step by the world's checker, the answer by the gold answer (None where there is none)."""
    steps = tuple(None if (label := problems.check(problem, step).label) is None else float(label) for step in chain.steps)
    answer = None if problem.answer is None else float(answers.match(chain.answer, problem.answer))
    return StepLabels(steps, answer, "truth")


def labelled_example(
    encoder: Encoder,
    turns: Sequence[Turn],
    chain: Chain,
    marks: StepLabels,
    picture: int | None,
    stand_in: str,
    reference: Chain | None = None,
    *,
    describe: bool = True,
) -> Example:
    """One row: the conversation, then the chain with a tag after each piece. Words are learned in right pieces, and with `describe` in
    the descriptions, where there is a picture that they could be learned from.

    With a right chain as `reference` there are hints too: what the label rows should say at each word, not only at the tags.
    """
    ids: list[int] = []
    parts: list[tuple[int, int, float | None]] = []  # (start, tag position, label) of each piece, within the chain
    for piece, label in zip(template.pieces(chain), (*marks.steps, marks.answer), strict=False):
        start = len(ids)
        ids += [*encoder.piece(piece), encoder.tag_id]
        parts.append((start, len(ids) - 1, label))
    encoded = encoder.conversation([*turns, Turn("assistant", tuple(ids))], stand_in)
    offset = encoded.turn.index(len(turns))
    targets = written(encoder, encoded, [*(describe and bool(stand_in) and turn.role == "assistant" for turn in turns), False])
    for start, tag, label in parts:
        if label is not None and label > 0.5:
            for at in range(offset + start, offset + tag):
                targets[at - 1] = encoded.ids[at]
    tags = tuple((offset + tag, label) for _, tag, label in parts if label is not None)
    known = [tuple(encoder.piece(piece)) for piece in template.pieces(reference)] if reference else []
    hints = [hint for start, tag, label in parts for hint in _hints(ids[start:tag], label, known, offset + start)] if known else []
    pieces = tuple(number for number, (*_, label) in enumerate(parts) if label is not None)
    return Example(encoded.ids, targets, picture, tags, tuple(hints), pieces)


def _hints(piece: Sequence[int], label: float | None, known: Sequence[Sequence[int]], start: int) -> list[tuple[int, float]]:
    """Every word of a right piece is good. A wrong piece is bad from the word on where it leaves the right piece that it follows longest,
    and says nothing before (its first words, the name among them, must be a right piece's, or it is not the same step)."""
    if label is None:
        return []
    if label > 0.5:
        return [(start + at, 1.0) for at in range(1, len(piece))]
    shared = max(next((i for i, (a, b) in enumerate(zip(piece, other, strict=False)) if a != b), 0) for other in known)
    return [(start + at, 0.0) for at in range(shared, len(piece))] if shared > 2 or len(piece) < 6 else []


def unseen_example(encoder: Encoder, problem: Problem, rng: random.Random, sampled: Sequence[Chain] = ()) -> Example:
    """A chain without its picture: nothing can be said of the steps that read it, and of the others what follows from those.

    `sampled`: chains that a policy drew for the problem, of which one is taken in half of the rows, judged by what it read itself.
    """
    chain = rng.choice(sampled) if sampled and rng.random() < 0.5 else None
    if chain is not None and (read := as_read(problem, chain)) is not None:
        problem = read
        right = reference(problem, rng)
        problem = replace(problem, answer=right.answer if right else None)
    else:
        right = problems.chain(problem, rng)
        chain = _misused(problem, right, rng)
    verdicts, marks = [problems.check(problem, step) for step in chain.steps], labels(problem, chain)
    steps = tuple(None if verdict.kind == "see" else label for verdict, label in zip(verdicts, marks.steps, strict=True))
    if any(verdict.kind == "see" and verdict.label == 0 for verdict in verdicts):
        marks = replace(marks, answer=None)  # it read what can't all be true
    turns = [Turn("user", problem.question)]
    return labelled_example(encoder, turns, chain, replace(marks, steps=steps), None, "", right, describe=False)


def reference(problem: Problem, rng: random.Random) -> Chain | None:
    """A right chain for the picture that is shown; None where the question can't be asked of it."""
    try:
        return problems.chain(problem, rng)
    except (KeyError, IndexError, ValueError):  # the picture lacks what the question names
        return None


def miscalculated(problem: Problem, right: Chain, rng: random.Random) -> Chain:
    """Every other step of its work with a number or a comparison of its result changed, or with another list of what it works on; an
    answer that was the changed number goes with it."""
    steps, answer = list(right.steps), right.answer
    for at, step in enumerate(steps):
        if rng.random() < 0.5 and problems.check(problem, step).kind != "see":
            if rng.random() < RELISTED and (thought := relisted(step.thought, rng)) != step.thought:
                steps[at] = recounted(replace(step, thought=thought)) if rng.random() < 0.5 else replace(step, thought=thought)
                continue
            reflection, before, after = _miscounted(step.reflection, rng)
            steps[at] = replace(step, reflection=reflection)
            if at == len(steps) - 1 and before and answer == before:
                answer = after
    return Chain(tuple(steps), answer)


RELISTED = 0.4
"""Share of the steps made wrong that list other things than they should: a policy's usual slips (docs/log.md)."""


def relisted(text: str, rng: random.Random) -> str:
    """A list ("This uses red 3, blue 15 and green 8.") with one of its things twice, left out, or with the number of another; a tally
    (`cos.problems.tally`) with a slip; any other text as it is."""
    if text.startswith(tally.OPENING):
        return _mistold(text, rng)
    found = re.fullmatch(r"(This uses )(.*)\.", text)
    if not found:
        return text
    things = re.split(r", | and ", found[2])
    one, other = rng.sample(range(len(things)), 2) if len(things) > 1 else (0, 0)
    way = rng.choice(("twice", "twice", "number", "number", "left out"))
    if one == other or (way == "left out" and len(things) == 2):
        near = rng.choice((-3, -2, -1, -1, 1, 1, 2, 3))
        changed = re.sub(r"\d+$", lambda number: str(abs(int(number[0]) + near)), things[one])
        return text.replace(things[one], changed, 1)
    if way == "twice":
        things[one] = things[other]
    elif way == "left out":
        del things[one]
    else:
        number = re.search(r"\d+$", things[other])
        things[one] = re.sub(r"\d+$", number[0], things[one]) if number else things[one]
    return found[1] + ", ".join(things[:-1]) + (" and " if len(things) > 1 else "") + things[-1] + "."


def _mistold(text: str, rng: random.Random) -> str:
    """A count with one thing called what it is not, left out, with another number, or miscounted; it goes on from there. A tally that is no
    count (of the first or last of some) stays as it is: that is read from the picture."""
    told, _ = tally.read(text.lower())
    before = [0, *(one.so_far or 0 for one in told or ())]
    counted = {one.word for one, so_far in zip(told or (), before, strict=False) if one.so_far == so_far + 1}
    if not told or any(tally.faults(told, counted)):
        return text
    at, way = rng.randrange(len(told)), rng.choice(("word", "word", "left out", "number", "off"))
    one = told[at]
    if way == "off":
        told[at] = replace(one, so_far=abs((one.so_far or 0) + rng.choice((-1, 1))))
        return tally.tell((one.thing, one.word, one.so_far) for one in told)
    if way == "left out" and len(told) > 1:
        del told[at]
    elif way == "number" and re.search(r"\d$", one.thing):
        told[at] = replace(one, thing=re.sub(r"\d+$", lambda n: str(abs(int(n[0]) + rng.choice((-2, -1, 1, 2)))), one.thing))
    else:
        told[at] = replace(one, word=tally.OTHER[one.word])
        counted = counted or {told[at].word}  # where none counted, the opposite of what they are does
    return tally.count(((one.thing, one.word) for one in told), next(iter(counted)) if counted else "")


def recounted(step: Step) -> Step:
    """A step that counts, with the number that its tally comes to now, right or wrong as that may be; any other step as it is."""
    told, _ = tally.read(step.thought.lower())
    if not told or not step.name.startswith("count"):
        return step
    return replace(step, reflection=re.sub(r"\d+", str(told[-1].so_far), step.reflection, count=1))


def _miscounted(text: str, rng: random.Random) -> tuple[str, str, str]:
    """The text with one number or comparison changed, as often as not the last, and that word before and after."""
    words = re.split(r"(\d+|\bmore\b|\bless\b)", text)
    places = range(1, len(words), 2)
    if not places:
        return text, "", ""
    place = places[-1] if rng.random() < 0.5 else rng.choice(places)
    before = words[place]
    words[place] = _TURNED.get(before) or str(max(0, int(before) + rng.choice((-10, -2, -1, -1, 1, 1, 2, 10))))
    return "".join(words), before, words[place]


_TURNED = {"more": "less", "less": "more"}


def _misused(problem: Problem, right: Chain, rng: random.Random) -> Chain:
    """A chain that reads all things right: with slips in what it makes of them, one or several; with work and answer of a chain that had
    misread something; with such an answer alone; or right throughout."""
    (kind,) = rng.choices(("several", "slip", "splice", "answer", "right"), (0.4, 0.15, 0.15, 0.15, 0.15))
    if kind == "several":
        return miscalculated(problem, right, rng)
    for _ in range(6 * (kind != "right")):
        wrong = problems.corrupt(problem, right if kind == "slip" else problems.chain(problem, rng), rng)
        if kind == "slip" and _readings(problem, wrong) == _readings(problem, right):
            return wrong
        if kind == "splice" and (spliced := _spliced(problem, right, wrong)) is not None:
            return spliced
        if kind == "answer" and wrong.answer != right.answer:
            return replace(right, answer=wrong.answer)
    return right


def _spliced(problem: Problem, right: Chain, wrong: Chain) -> Chain | None:
    """What the first read, and what the second made of what it had read; None where they don't go the same way."""
    reads = [[problems.check(problem, step).kind == "see" for step in chain.steps] for chain in (right, wrong)]
    if reads[0] != reads[1]:
        return None
    steps = (r if seen else w for seen, r, w in zip(reads[0], right.steps, wrong.steps, strict=True))
    return Chain(tuple(steps), wrong.answer)


def _readings(problem: Problem, chain: Chain) -> list[Step]:
    return [step for step in chain.steps if problems.check(problem, step).kind == "see"]
