"""How sure a model is of a step: rewards that need no training, and the yardstick for one that was trained.

Both read the chain with one model (the policy itself, or the reward model, with the picture and its own description before it) and look
at its distribution over the next token at every token of a piece.
"""

from __future__ import annotations

import math

import torch

from cos.engine.reader import Ask
from cos.models.vlm import VLM
from cos.rewards.reading import ReadingScorer


class ConfidenceScorer(ReadingScorer):
    """Confidence: the geometric mean of the piece's token probabilities, exp(mean log-probability). 1: nothing else could have come."""

    def __init__(self, vlm: VLM) -> None:
        super().__init__(vlm, f"confidence:{vlm.name}")

    def tokens(self, text: str) -> list[int]:
        """The piece."""
        return self._reader.encoder.piece(text)

    def rewards(self, ask: Ask, hidden: torch.Tensor) -> tuple[float, ...]:
        """One for each piece; each token is foretold by the state before it."""
        ids = torch.tensor([token for cut in ask.cuts for token in cut], device=hidden.device)
        chances = self._foretold(ask, hidden).gather(1, ids[:, None])[:, 0]
        return tuple(float(part.mean().exp()) for part in chances.split([len(cut) for cut in ask.cuts]))

    def _foretold(self, ask: Ask, hidden: torch.Tensor) -> torch.Tensor:
        """Log-probabilities (tokens, vocabulary) for each of the ask's own tokens, from the state before it."""
        assert ask.parent is not None and ask.parent.hidden is not None
        before = torch.cat([ask.parent.hidden[None], hidden[:-1]])
        return torch.log_softmax(self._reader.vlm.head(before).float(), -1)


class CertaintyScorer(ConfidenceScorer):
    """Self-certainty (arXiv 2502.18581): the mean over a piece's tokens of KL(uniform || p), whatever was written there, brought from
    [0, inf) to [0, 1) by k / (1 + k), which keeps the order. 0: every token is as likely as every other."""

    def __init__(self, vlm: VLM) -> None:
        super().__init__(vlm)
        self.name = f"certainty:{vlm.name}"

    def rewards(self, ask: Ask, hidden: torch.Tensor) -> tuple[float, ...]:
        """One for each piece."""
        chances = self._foretold(ask, hidden)
        divergence = -math.log(chances.shape[1]) - chances.mean(-1)
        means = [float(part.mean()) for part in divergence.split([len(cut) for cut in ask.cuts])]
        return tuple(max(0.0, mean) / (1.0 + max(0.0, mean)) for mean in means)
