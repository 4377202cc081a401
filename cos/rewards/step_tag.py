"""The CoS process reward model: after each piece stands a tag, and the reward is the probability of "good" against "bad" at that tag.

As `generate_prm` of the released code (arXiv 2509.19003, section 3.3): softmax over the two label tokens' logits at the tag. There a
chain is read anew for each score; here only the new piece and its tag are read, below what the model has read before.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from cos.engine.prompts import Prompts
from cos.engine.reader import Ask, Reader
from cos.errors import UserError
from cos.models.vlm import VLM
from cos.protocols import Handle, Opened, Prompt, Scored, ToScore
from cos.template import TAG_TOKENS


class StepTagScorer:
    """`protocols.Scorer` on a VLM with the three tag tokens. With `vlm.look` it first writes what it sees and judges with that before it.

    May be called from any thread; calls take turns. `forwards`: what really went through the model. Raises UserError where the model has
    no tag tokens.
    """

    def __init__(self, vlm: VLM) -> None:
        missing = [token for token in TAG_TOKENS if token not in vlm.encoder.vocabulary]
        if missing:
            raise UserError(f"model {vlm.name}: its tokenizer lacks {', '.join(missing)}, so it is no step-tag reward model")
        reader = Reader(vlm)
        self.name, self.costs, self.forwards = vlm.name, reader.costs(), reader.forwards
        self._reader, self._prompts = reader, Prompts(reader)

    @torch.inference_mode()
    def open(self, prompts: Sequence[Prompt]) -> list[Opened]:
        """See `protocols.Scorer`. Raises UserError for a picture that can't be read."""
        with self._prompts.lock:
            return self._prompts.open(prompts)

    @torch.inference_mode()
    def score(self, requests: Sequence[ToScore]) -> list[Scored]:
        """See `protocols.Scorer`."""
        reader, prompts = self._reader, self._prompts
        with prompts.lock:
            asks = []
            for request in requests:
                cuts = tuple((*reader.encoder.piece(text), reader.encoder.tag_id) for text in request.pieces)
                asks.append(Ask(prompts.nodes[request.parent], cuts))
            results = []
            for request, nodes in zip(requests, reader.read(asks, "step"), strict=True):
                rewards = self._rewards(torch.stack([node.hidden for node in nodes if node.hidden is not None]))
                handles: list[Handle] = []
                for node in nodes:
                    handles.append(prompts.add(node, handles[-1] if handles else request.parent))
                results.append(Scored(tuple(rewards.tolist()), tuple(handles), tuple(len(node.ids) for node in nodes)))
            return results

    def close(self, roots: Sequence[Handle]) -> None:
        """See `protocols.Scorer`."""
        with self._prompts.lock:
            self._prompts.close(roots)

    def _rewards(self, hidden: torch.Tensor) -> torch.Tensor:
        """hidden (pieces, width) -> probability of "good" (pieces,): two rows of the head, never the whole vocabulary."""
        two = self._reader.vlm.head.weight[list(self._reader.encoder.label_ids)]
        return torch.softmax((hidden @ two.T).float(), dim=-1)[:, 0]
