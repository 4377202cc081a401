"""The oracle: rewards from the truth of a world. Reading costs nothing; what a search reaches with it bounds what a reward model can give.

A step gets 1 where the world's checker says right, 0 where it says wrong and 0.5 where the step claims nothing that can be checked; an
answer gets 1 where it matches the gold answer, else 0; text that is not a whole step or answer gets 0. No torch.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cos.chain import Problem
from cos.errors import UserError
from cos.problems import check, grade
from cos.protocols import Costs, Handle, Opened, Prompt, Scored, ToScore
from cos.template import read_piece

NEUTRAL = 0.5


@dataclass(frozen=True)
class _Place:
    root: Handle
    problem: Problem
    first: bool
    """Whether the next piece is the first of its chain."""


class OracleScorer:
    """A `Scorer` that knows the problems behind the prompts it will be asked about."""

    name = "oracle"
    costs = Costs()

    def __init__(self, known: Iterable[tuple[Prompt, Problem]]) -> None:
        self._known: dict[str, list[tuple[Prompt, Problem]]] = {}
        for prompt, problem in known:
            self._known.setdefault(prompt.question, []).append((prompt, problem))
        self._places: dict[Handle, _Place] = {}
        self._next = itertools.count(1)

    def open(self, prompts: Sequence[Prompt]) -> list[Opened]:
        """Raises UserError for a prompt whose problem was not given."""
        opened = []
        for problem in [self._find(prompt) for prompt in prompts]:
            handle = next(self._next)
            self._places[handle] = _Place(handle, problem, first=True)
            opened.append(Opened(handle))
        return opened

    def score(self, requests: Sequence[ToScore]) -> list[Scored]:
        """See `protocols.Scorer`; no tokens are read."""
        return [self._read(request) for request in requests]

    def close(self, roots: Sequence[Handle]) -> None:
        """Forget these prompts and all that hangs below them."""
        gone = set(roots)
        self._places = {handle: place for handle, place in self._places.items() if place.root not in gone}

    def _read(self, request: ToScore) -> Scored:
        place = self._places[request.parent]
        rewards, handles = [], []
        for text in request.pieces:
            rewards.append(truth(place.problem, text, first=place.first))
            place = _Place(place.root, place.problem, first=False)
            handles.append(next(self._next))
            self._places[handles[-1]] = place
        return Scored(tuple(rewards), tuple(handles), (0,) * len(rewards))

    def _find(self, prompt: Prompt) -> Problem:
        asked = self._known.get(prompt.question, [])
        same = [known for known in asked if known[0].image is prompt.image] or [known for known in asked if known[0].image == prompt.image]
        if not same:
            raise UserError(
                f"the oracle has no truth for the question {prompt.question!r} and this picture: it rewards problems of a world only"
            )
        return same[0][1]


def truth(problem: Problem, text: str, *, first: bool) -> float:
    """The reward of one piece of a chain; `first` where it opens the chain."""
    parsed = read_piece(text, first=first)
    if parsed.error is None and parsed.answer is not None:
        return float(grade(problem, parsed.answer).right)
    if parsed.error is None and parsed.steps:
        label = check(problem, parsed.steps[0]).label
        return NEUTRAL if label is None else float(label)
    return 0.0
