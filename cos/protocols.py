"""The two protocols between search and models: a `Policy` writes steps, a `Scorer` gives each a reward.

Both work on *handles*: a handle names a place in a tree of text that the model has already read (an opaque integer), so that
whoever holds one never re-sends the image, the prompt or an earlier step. Requests come in batches of any size, over any number of
prompts; the order of the answers is the order of the requests, and no answer depends on what else is in the batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Handle = int
Ending = Literal["step", "answer", "cut"]
"""How a piece ended: with a step's end token, with the answer's end, or at a limit (or in text that is neither)."""


@dataclass(frozen=True)
class Prompt:
    """What a search is about. `image` is a PIL image, a path, or None for a question without a picture."""

    question: str
    image: Any = None


@dataclass(frozen=True)
class Opened:
    """A prompt that a model has read: the handle of its root and what reading it costs a search that runs alone.

    (A model that has the image or the whole prompt in its cache does less; the cost stays what it would be, so that meters compare.)
    """

    handle: Handle
    prefill_tokens: int = 0
    """Image, question and whatever else the model reads or writes before the first step, in tokens."""
    vision_calls: int = 0


@dataclass(frozen=True)
class Costs:
    """What a model's token-forwards cost: FLOPs a token and an encoded image, bytes of keys and values a token. Zero where unknown.

    `kv_room`: bytes of keys and values that it can hold; what is beyond would be read again. Infinite where it holds none here.
    """

    flops_per_token: float = 0.0
    flops_per_image: float = 0.0
    kv_bytes_per_token: float = 0.0
    kv_room: float = math.inf


@dataclass(frozen=True)
class Draw:
    """Draw text below `parent`.

    `path` is the place of the first new node in its tree (child numbers from the root); together with `seed` it fixes the random
    stream of that node. With `to="answer"` drawing goes on through step ends, each further node at `path + (0,)`, `path + (0, 0)`, ...
    with a stream of its own, so a chain drawn whole equals the same chain drawn step by step.
    """

    parent: Handle
    seed: int
    path: tuple[int, ...]
    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 256
    """Limit for each step."""
    max_steps: int = 1
    """Pieces to draw at most, when `to` is "answer"."""
    to: Literal["step", "answer"] = "step"


@dataclass(frozen=True)
class Piece:
    """One new node's worth of text: all of a step up to and with its end token, or the answer, as the policy wrote it."""

    handle: Handle
    text: str
    tokens: tuple[int, ...]
    logprob: float
    """Sum over the tokens of the log-probability at temperature 1."""
    ending: Ending


@dataclass(frozen=True)
class ToRead:
    """Take `pieces` (texts that follow one another below `parent`, a handle of the policy's own) as if the policy had written them."""

    parent: Handle
    pieces: tuple[str, ...]


@dataclass(frozen=True)
class Read:
    """One new handle for each piece of the request, to be gone on from, and how many tokens each piece has."""

    handles: tuple[Handle, ...]
    tokens: tuple[int, ...] = ()


@dataclass(frozen=True)
class ToScore:
    """Score `pieces` (texts that follow one another below `parent`, a handle of the scorer's own)."""

    parent: Handle
    pieces: tuple[str, ...]


@dataclass(frozen=True)
class Scored:
    """One reward in [0, 1] and one new handle for each piece of the request."""

    rewards: tuple[float, ...]
    handles: tuple[Handle, ...]
    tokens: tuple[int, ...] = ()
    """Tokens read for each piece, its tag included."""


class Policy(Protocol):
    """Whatever can write the next step: the torch engine, a server, a script."""

    name: str
    costs: Costs

    def open(self, prompts: Sequence[Prompt]) -> list[Opened]:
        """Read image and question once. Equal prompts may share a root; each must still be closed."""
        ...

    def draw(self, requests: Sequence[Draw]) -> list[list[Piece]]:
        """For each request the new pieces in order (one, unless it asked to go on to the answer)."""
        ...

    def read(self, requests: Sequence[ToRead]) -> list[Read]:
        """One `Read` a request, in order: for roll-outs from a chain that is there, for going on from a step that a person has written."""
        ...

    def close(self, roots: Sequence[Handle]) -> None:
        """Forget these prompts and all that hangs below them."""
        ...


class Scorer(Protocol):
    """Whatever can say how good a step is: the step-tag reward model, a judge, the truth of a world, a script."""

    name: str
    costs: Costs

    def open(self, prompts: Sequence[Prompt]) -> list[Opened]:
        """Read image and question once. Equal prompts may share a root; each must still be closed."""
        ...

    def score(self, requests: Sequence[ToScore]) -> list[Scored]:
        """One `Scored` a request, in order."""
        ...

    def close(self, roots: Sequence[Handle]) -> None:
        """Forget these prompts and all that hangs below them."""
        ...
