"""What all rewards from a model share: prompts are opened and closed, each new piece is read below what was read before, once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch

from cos.engine.prompts import Prompts
from cos.engine.reader import Ask, Reader
from cos.models.encode import Encoder, Role, Turn
from cos.models.vlm import VLM
from cos.protocols import Handle, Opened, Prompt, Scored, ToScore
from cos.rewards.calibrate import Calibration


class ReadingScorer(ABC):
    """`protocols.Scorer` on a VLM; a reward model says in `tokens` what it reads of a piece and in `rewards` what it makes of it.

    May be called from any thread; calls take turns. `forwards`: what really went through the model. `opening`: see `engine.prompts`.
    """

    calibration: Calibration | None = None
    """What its rewards are worth as probabilities, where that was learnt (`loading.load_scorer` looks beside the weights)."""

    def __init__(self, vlm: VLM, name: str, opening: Callable[[str, str], Sequence[int]] | None = None) -> None:
        reader = Reader(vlm)
        self.name, self.costs, self.forwards = name, reader.costs(), reader.forwards
        self._reader, self._prompts = reader, Prompts(reader, opening)

    @abstractmethod
    def tokens(self, text: str) -> Sequence[int]:
        """What is read for one piece."""

    @abstractmethod
    def rewards(self, ask: Ask, hidden: torch.Tensor) -> tuple[float, ...]:
        """One reward a piece; hidden (tokens, width) are the states at all tokens of the ask's own pieces."""

    @torch.inference_mode()
    def open(self, prompts: Sequence[Prompt]) -> list[Opened]:
        """See `protocols.Scorer`. Raises UserError for a picture that can't be read."""
        with self._prompts.lock:
            return self._prompts.open(prompts)

    @torch.inference_mode()
    def score(self, requests: Sequence[ToScore]) -> list[Scored]:
        """See `protocols.Scorer`."""
        prompts = self._prompts
        with prompts.lock:
            asks = [Ask(prompts.nodes[r.parent], tuple(tuple(self.tokens(text)) for text in r.pieces)) for r in requests]
            rewards: dict[int, tuple[float, ...]] = {}

            def watch(index: int, hidden: torch.Tensor) -> None:
                rewards[index] = self.rewards(asks[index], hidden)

            results = []
            for index, nodes in enumerate(self._reader.read(asks, "step", watch)):
                handles: list[Handle] = []
                for node in nodes:
                    handles.append(prompts.add(node, handles[-1] if handles else requests[index].parent))
                results.append(Scored(rewards[index], tuple(handles), tuple(len(node.ids) for node in nodes)))
            return results

    def close(self, roots: Sequence[Handle]) -> None:
        """See `protocols.Scorer`."""
        with self._prompts.lock:
            self._prompts.close(roots)


def ends(ask: Ask) -> list[int]:
    """Where in the ask's own tokens each piece has its last one."""
    lengths = torch.tensor([len(cut) for cut in ask.cuts])
    last: list[int] = (lengths.cumsum(0) - 1).tolist()
    return last


def open_turn(encoder: Encoder, turns: Sequence[Turn], stand_in: str) -> list[int]:
    """A conversation whose last turn is still being written: nothing after its content."""
    encoded = encoder.conversation(turns, stand_in)
    return encoded.ids[: max(at for at, turn in enumerate(encoded.turn) if turn == len(turns) - 1) + 1]


def between(encoder: Encoder, role: Role) -> list[int]:
    """The chat marks that end a turn of `role` (user or assistant) and begin one of the other."""
    roles: tuple[Role, ...] = ("user", "assistant", "user")
    owners = encoder.conversation([Turn(role, "a") for role in roles])
    ended = roles.index(role)
    start = max(at for at, turn in enumerate(owners.turn) if turn == ended) + 1
    return owners.ids[start : owners.turn.index(ended + 1)]
