"""How likely a model finds a step: a reward that needs no training, and the yardstick for one that was trained.

The reward of a piece is the geometric mean of its tokens' probabilities, exp(mean log-probability), under the model that reads the chain
(the policy itself: self-certainty in its simplest form; or the reward model, with the picture and its own description before it).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from cos.engine.prompts import Prompts
from cos.engine.reader import Ask, Reader
from cos.models.vlm import VLM
from cos.protocols import Handle, Opened, Prompt, Scored, ToScore


class ConfidenceScorer:
    """`protocols.Scorer` on any VLM. May be called from any thread; calls take turns. `forwards`: what really went through the model."""

    def __init__(self, vlm: VLM) -> None:
        reader = Reader(vlm)
        self.name, self.costs, self.forwards = f"confidence:{vlm.name}", reader.costs(), reader.forwards
        self._reader, self._prompts = reader, Prompts(reader)

    @torch.inference_mode()
    def open(self, prompts: Sequence[Prompt]) -> list[Opened]:
        """See `protocols.Scorer`. Raises UserError for a picture that can't be read."""
        with self._prompts.lock:
            return self._prompts.open(prompts)

    @torch.inference_mode()
    def score(self, requests: Sequence[ToScore]) -> list[Scored]:
        """See `protocols.Scorer`."""
        prompts, encoder = self._prompts, self._reader.encoder
        with prompts.lock:
            asks = [Ask(prompts.nodes[r.parent], tuple(tuple(encoder.piece(text)) for text in r.pieces)) for r in requests]
            self._reader.warm([ask.parent for ask in asks if ask.parent])
            rewards: dict[int, tuple[float, ...]] = {}

            def watch(index: int, hidden: torch.Tensor) -> None:
                rewards[index] = self._rewards(asks[index], hidden)

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

    def _rewards(self, ask: Ask, hidden: torch.Tensor) -> tuple[float, ...]:
        """hidden (tokens, width) of the ask's own tokens; each token is foretold by the state before it."""
        assert ask.parent is not None and ask.parent.hidden is not None
        before = torch.cat([ask.parent.hidden[None], hidden[:-1]])
        ids = torch.tensor([token for cut in ask.cuts for token in cut], device=hidden.device)
        logp = torch.log_softmax(self._reader.vlm.head(before).float(), -1).gather(1, ids[:, None])[:, 0]
        return tuple(float(part.mean().exp()) for part in logp.split([len(cut) for cut in ask.cuts]))
