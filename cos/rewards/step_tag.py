"""The CoS process reward model: after each piece stands a tag, and the reward is the probability of "good" against "bad" at that tag.

As `generate_prm` of the released code (arXiv 2509.19003, section 3.3): softmax over the two label tokens' logits at the tag. There a
chain is read anew for each score; here only the new piece and its tag are read, below what the model has read before.
"""

from __future__ import annotations

import torch

from cos.engine.reader import Ask
from cos.errors import UserError
from cos.models.vlm import VLM
from cos.rewards.reading import ReadingScorer, ends
from cos.template import TAG_TOKENS


class StepTagScorer(ReadingScorer):
    """A VLM with the three tag tokens. A reward is the probability that this piece is right, as the model was trained to label it: each
    step for itself, the answer by whether it is the right one. With `vlm.look` the model first writes what it sees and judges with that
    before it. Raises UserError where the model has no tag tokens.
    """

    def __init__(self, vlm: VLM) -> None:
        missing = [token for token in TAG_TOKENS if token not in vlm.encoder.vocabulary]
        if missing:
            raise UserError(f"model {vlm.name}: its tokenizer lacks {', '.join(missing)}, so it is no step-tag reward model")
        super().__init__(vlm, vlm.name)

    def tokens(self, text: str) -> list[int]:
        """The piece and its tag."""
        return [*self._reader.encoder.piece(text), self._reader.encoder.tag_id]

    def rewards(self, ask: Ask, hidden: torch.Tensor) -> tuple[float, ...]:
        """Probability of "good" at each tag: two rows of the head, never the whole vocabulary."""
        two = self._reader.vlm.head.weight[list(self._reader.encoder.label_ids)]
        return tuple(torch.softmax((hidden[ends(ask)] @ two.T).float(), dim=-1)[:, 0].tolist())
