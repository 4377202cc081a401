"""A judge: any vision-language model, asked about each step in words, with a number read from the probabilities of yes and no.

The chain is read once. The question about a step stands on a branch below it, which is dropped again, so that no step is read with an
answer of the judge before it: what it thought of one step can't tip the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from cos.engine.reader import Ask
from cos.errors import UserError
from cos.models.encode import Turn
from cos.models.vlm import VLM
from cos.protocols import Scored, ToScore
from cos.rewards.reading import ReadingScorer, between, open_turn
from cos.rewards.words import ASKED, OPENING, plain_text


class JudgeScorer(ReadingScorer):
    """A reward is P(yes) / (P(yes) + P(no)), each in both spellings (Yes, yes), at the judge's first token: how likely it would say that
    the last step (or the answer) is right. Not calibrated: judges tend to say yes. Raises UserError where the first tokens are alike."""

    def __init__(self, vlm: VLM) -> None:
        yes, no = ({vlm.encoder.plain(word)[0] for word in words} for words in (("Yes", "yes"), ("No", "no")))
        if yes & no:
            raise UserError(f"model {vlm.name}: its tokenizer begins yes and no with the same token, so it can't be a judge")
        super().__init__(vlm, f"judge:{vlm.name}", self._opening)
        self._yes, self._no = sorted(yes), sorted(no)
        self._asked = (*vlm.encoder.plain(ASKED), *between(vlm.encoder, "user"))

    def _opening(self, question: str, stand_in: str) -> list[int]:
        turn = Turn("user", OPENING.format(question=question), image=bool(stand_in))
        return open_turn(self._reader.encoder, [turn], stand_in)

    def tokens(self, text: str) -> list[int]:
        """The piece in plain words, on a line of its own."""
        return self._reader.encoder.plain("\n" + plain_text(text))

    def rewards(self, ask: Ask, hidden: torch.Tensor) -> tuple[float, ...]:
        """None yet: `score` asks about every piece when all are read."""
        return (0.0,) * len(ask.cuts)

    @torch.inference_mode()
    def score(self, requests: Sequence[ToScore]) -> list[Scored]:
        """See `protocols.Scorer`; `tokens` counts the questions too."""
        with self._prompts.lock:
            read = super().score(requests)
            leaves = [self._prompts.nodes[handle] for scored in read for handle in scored.handles]
            found: dict[int, float] = {}

            def watch(index: int, hidden: torch.Tensor) -> None:
                found[index] = self._chance(hidden[-1])

            self._reader.read([Ask(leaf, (self._asked,)) for leaf in leaves], "step", watch)
        chances = iter(found[index] for index in range(len(leaves)))
        extra = len(self._asked)
        return [replace(s, rewards=tuple(next(chances) for _ in s.handles), tokens=tuple(n + extra for n in s.tokens)) for s in read]

    def _chance(self, hidden: torch.Tensor) -> float:
        """hidden (width,) -> the probability of yes against no."""
        logits = (self._reader.vlm.head.weight[self._yes + self._no] @ hidden).float()
        return float(torch.softmax(logits, -1)[: len(self._yes)].sum())
