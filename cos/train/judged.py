"""Rows for a reward model: chains with what should be said of them, at the tag after each piece and, as hints, at each word."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import replace

from cos import answers, problems, template
from cos.chain import Chain, Problem, Step, StepLabels
from cos.models.encode import Encoder, Turn
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
    if sampled and rng.random() < 0.5:
        chain = rng.choice(sampled)
        problem = as_read(problem, chain)
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
    """Every other step of its work with a number or a comparison changed; an answer that was the changed number goes with it."""
    steps, answer = list(right.steps), right.answer
    for at, step in enumerate(steps):
        words = re.split(r"(\d+|\bmore\b|\bless\b)", step.thought)
        places = range(1, len(words), 2)
        if places and rng.random() < 0.5 and problems.check(problem, step).kind != "see":
            place = places[-1] if rng.random() < 0.5 else rng.choice(places)
            before = words[place]
            words[place] = _TURNED.get(before) or str(max(0, int(before) + rng.choice((-10, -2, -1, -1, 1, 1, 2, 10))))
            steps[at] = replace(step, thought="".join(words))
            if at == len(steps) - 1 and answer == before:
                answer = words[place]
    return Chain(tuple(steps), answer)


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
