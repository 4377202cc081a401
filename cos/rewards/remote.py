"""Rewards from a model on an OpenAI-compatible server: the step-tag reward model, and any chat model as a judge.

    scorer = RemoteTagScorer(Server("http://localhost:8000/v1#prm"), look="Describe the picture.")
    scorer = RemoteJudge(Server("http://localhost:8000/v1#any-chat-model"))

A score is one token: the prompt ends where the model would answer, and the answer is read from the log-probabilities of the two tokens
that count. So it goes through generation, whose prefix cache makes the server read the new step alone; vLLM's pooling and prompt
log-probabilities read the whole prompt each time. No torch.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from cos.engine.remote import PURE, Place, Places, Turns, plain, plain_piece, user_turn
from cos.engine.server import Refused, Server
from cos.errors import UserError
from cos.protocols import Costs, Handle, Opened, Prompt, Scored, ToScore
from cos.rewards.calibrate import Calibration
from cos.rewards.words import ASKED, OPENING, plain_text
from cos.template import BAD, GOOD, TAG, TAG_TOKENS

LOOK = "Describe the picture."
"""What a looking reward model is asked, as in `cos.models.vlm`."""
LOOK_TOKENS = 120
"""What a looking reward model may write about a picture, as in `cos.engine.prompts`."""
LISTED = 20
"""Log-probabilities asked for: the most that OpenAI's API allows, and vLLM unless told otherwise."""
VERDICTS, VERDICT_TOKENS = 5, 512
"""Without log-probabilities: how often a judge is asked, at temperature 1, and how much it may say each time. Ours."""
_TAG = re.compile("к(?=[+-]?и)")
_SAID = re.compile(r"\b(yes|no)\b", re.IGNORECASE)
Chances = dict[str, float]
"""Token (its text, or `token_id:N`) -> log-probability."""


class RemoteScorer(ABC):
    """What both share: prompts, places, and one request a piece. A subclass says what is sent of a piece, and what it makes of it."""

    calibration: Calibration | None = None

    def __init__(self, server: Server, name: str) -> None:
        self.server, self.name, self.costs = server, name, Costs()
        self._places = Places(server)
        self.close = self._places.close

    def open(self, prompts: Sequence[Prompt]) -> list[Opened]:
        """See `protocols.Scorer`. Raises UserError for a picture that can't be read."""
        return self._places.open(self._turns(prompts))

    def score(self, requests: Sequence[ToScore]) -> list[Scored]:
        """See `protocols.Scorer`."""
        rows = []
        for request in requests:
            row, place = [], self._places.at[request.parent]
            for text in request.pieces:
                place = replace(place, text=place.text + self._text(text))
                row.append(place)
            rows.append(row)
        found = iter(self._judged([place for row in rows for place in row]))
        scored = []
        for request, row in zip(requests, rows, strict=True):
            rewards, handles, tokens, above = list[float](), list[Handle](), list[int](), self._places.at[request.parent].tokens
            for place in row:
                reward, read, after = next(found)  # `after`: of what is read, how much stays behind
                rewards.append(reward)
                tokens.append(max(0, read - above))
                above = read - after
                handles.append(self._places.add(replace(place, tokens=above)))
            scored.append(Scored(tuple(rewards), tuple(handles), tuple(tokens)))
        return scored

    @abstractmethod
    def _turns(self, prompts: Sequence[Prompt]) -> list[Turns]: ...

    @abstractmethod
    def _text(self, piece: str) -> str: ...

    @abstractmethod
    def _judged(self, places: Sequence[Place]) -> list[tuple[float, int, int]]:
        """For each place: the reward, the prompt's tokens, and those of them that are no part of what comes after."""

    def _body(self, ids: Sequence[int]) -> dict[str, Any]:
        """A request for one token and the chances of some; `ids`: theirs, where they are known."""
        body: dict[str, Any] = {"model": self.server.model, "max_tokens": 1, "temperature": 0, "logprobs": True, "top_logprobs": LISTED}
        return body | ({"logprob_token_ids": list(ids), "return_tokens_as_token_ids": True} if ids else {})


class RemoteTagScorer(RemoteScorer):
    """A step-tag reward model: P(good) against P(bad) at the tag after each piece, as `StepTagScorer`. `look`: what it is asked about the
    picture before it judges (`look` in the model's `cos.json`; a server does not tell). Raises UserError where it has no tag tokens."""

    def __init__(self, server: Server, look: str | None = None) -> None:
        super().__init__(server, server.name)
        self.look = look
        ids = server.tokens([*TAG_TOKENS])
        if ids is not None and any(len(tag) != 1 for tag in ids):
            raise UserError(f"model {server.name}: its tokenizer lacks {', '.join(TAG_TOKENS)}, so it is no step-tag reward model")
        single = dict(zip(TAG_TOKENS, ids or [], strict=False))
        self._ids = [single[label][0] for label in (GOOD, BAD) if label in single]

    def _turns(self, prompts: Sequence[Prompt]) -> list[Turns]:
        asked = [_untagged(prompt.question) for prompt in prompts]
        looks = {i: user_turn(self.look, prompt.image) for i, prompt in enumerate(prompts) if self.look and prompt.image is not None}
        asking = {"model": self.server.model, "max_tokens": LOOK_TOKENS, "temperature": 0, **PURE}
        bodies = [{**asking, "messages": [turn]} for turn in looks.values()]
        seen = dict(zip(looks, self.server.ask("chat/completions", bodies, _text_of), strict=True))
        return [
            (looks[i], {"role": "assistant", "content": _untagged(seen[i])}, user_turn(text, None))
            if i in looks
            else (user_turn(text, prompt.image),)
            for i, (prompt, text) in enumerate(zip(prompts, asked, strict=True))
        ]

    def _text(self, piece: str) -> str:
        return _TAG.sub("к\u200b", plain_piece(piece)) + TAG

    def _judged(self, places: Sequence[Place]) -> list[tuple[float, int, int]]:
        allowed = {"allowed_token_ids": self._ids} if self._ids else {}
        bodies = [{**self._body(self._ids), **allowed, "skip_special_tokens": False, **place.chat()} for place in places]
        found = []
        for chances, read in self.server.ask("chat/completions", bodies, _chances):
            good, bad = (_of(chances, [label], self._ids[i : i + 1]) for i, label in enumerate((GOOD, BAD)))
            if good is None and bad is None:
                raise UserError(f"model {self.name}: the server gives no chances of {GOOD} and {BAD}; is it a step-tag reward model?")
            least = math.exp(min(chances.values()))  # what is not listed is less likely than all that is
            good, bad = (least if chance is None else chance for chance in (good, bad))
            found.append((_share(good, bad), read, 0))
        return found


class RemoteJudge(RemoteScorer):
    """Any chat model, asked whether the last step is right: P(yes) / (P(yes) + P(no)) at its first token, as `JudgeScorer`. Where the
    server gives no such log-probabilities, or the model says something else first, the share of yes among VERDICTS answers that it
    writes out (0.5 where none can be read)."""

    def __init__(self, server: Server) -> None:
        super().__init__(server, f"judge:{server.name}")
        known = server.tokens(["Yes", "yes", "No", "no", ASKED])
        self._yes, self._no = ([], []) if known is None else ([ids[0] for ids in known[i : i + 2]] for i in (0, 2))
        self._asked, self._places.dialect = len(known[4]) if known else 0, known is not None
        self._counts = not set(self._yes) & set(self._no)
        """Whether log-probabilities are worth asking for."""

    def _turns(self, prompts: Sequence[Prompt]) -> list[Turns]:
        named = self._places.dialect  # a server that is not vLLM may refuse fields that it does not know
        return [(user_turn(OPENING.format(question=plain(prompt.question)), prompt.image, named=named),) for prompt in prompts]

    def _text(self, piece: str) -> str:
        return "\n" + plain(plain_text(piece))

    def _judged(self, places: Sequence[Place]) -> list[tuple[float, int, int]]:
        found: list[tuple[float | None, int]] = [(None, 0)] * len(places)
        refused = not self._counts
        if not refused:
            bodies = [{**self._body([*self._yes, *self._no]), "messages": _asking(place)} for place in places]
            try:
                found = [(self._chance(chances), read) for chances, read in self.server.ask("chat/completions", bodies, _chances)]
            except Refused:  # of the log-probabilities, or of the whole question: the next one tells
                refused = True
        left = [i for i, (chance, _) in enumerate(found) if chance is None]
        body = {"model": self.server.model, "max_tokens": VERDICT_TOKENS, "temperature": 1, "n": VERDICTS}
        said = self.server.ask("chat/completions", [{**body, "messages": _asking(places[i])} for i in left], _verdict)
        self._counts = not refused
        for i, verdict in zip(left, said, strict=True):
            found[i] = verdict
        return [(0.5 if chance is None else chance, read, self._asked) for chance, read in found]

    def _chance(self, chances: Chances) -> float | None:
        yes, no = _of(chances, ("Yes", "yes"), self._yes), _of(chances, ("No", "no"), self._no)
        return None if yes is None and no is None else _share(yes or 0.0, no or 0.0)


def _untagged(text: str) -> str:
    return _TAG.sub("к\u200b", plain(text))


def _asking(place: Place) -> list[dict[str, Any]]:
    """The opening, the steps and the question as one turn of the user."""
    (turn,) = place.turns
    *picture, text = turn["content"]
    return [{**turn, "content": [*picture, {"type": "text", "text": text["text"] + place.text + ASKED}]}]


def _chances(reply: Any) -> tuple[Chances, int]:
    """(chances of the first token, tokens of the prompt). Raises ValueError for one that is no log-probability."""
    listed = (reply["choices"][0].get("logprobs") or {}).get("content") or []
    entries = [*listed[0].get("top_logprobs", ()), listed[0]] if listed else []
    chances = {str(entry["token"]): float(entry["logprob"]) for entry in entries}
    if any(math.isnan(chance) or chance > 1e-3 for chance in chances.values()):
        raise ValueError(f"log-probabilities {list(chances.values())[:3]}")
    return chances, _read(reply)


def _of(chances: Chances, texts: Iterable[str], ids: Iterable[int]) -> float | None:
    """The probability of these tokens together; None where none of them is listed."""
    found = [chances[key] for key in {*texts, *(f"token_id:{token}" for token in ids)} if key in chances]
    return sum(map(math.exp, found)) if found else None


def _share(one: float, other: float) -> float:
    return one / (one + other) if one + other > 0 else 0.5


def _verdict(reply: Any) -> tuple[float | None, int]:
    """(share of yes among the last yes or no of each answer, tokens of the prompt)."""
    said = [_SAID.findall(choice["message"]["content"] or "") for choice in reply["choices"]]
    last = [words[-1].lower() for words in said if words]
    return (last.count("yes") / len(last) if last else None), _read(reply)


def _text_of(reply: Any) -> str:
    return str(reply["choices"][0]["message"]["content"] or "")


def _read(reply: Any) -> int:
    return int(reply["usage"]["prompt_tokens"])
