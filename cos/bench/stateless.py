"""The way without memory between calls: for every candidate at every step the picture is encoded, the prompt and the chain so far are read
and the step is drawn; the reward model reads picture, prompt and whole chain from the start. So do searches that ask a server for text
without its prefix cache, and scripts over `generate()`. Here transformers' own classes do it, all candidates of a step in one batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch
from transformers import DynamicCache

from cos.models.encode import Pixels, merge
from cos.models.vlm import VLM


class Stateless:
    """A model that forgets. `forwards`: token-forwards by kind, as `engine.reader.Reader` counts them."""

    def __init__(self, vlm: VLM) -> None:
        vlm.model.eval()
        self.vlm = vlm
        self.forwards: Counter[str] = Counter()

    @torch.inference_mode()
    def draw(self, pixels: Pixels, prefixes: Sequence[Sequence[int]], written: Sequence[Sequence[int]]) -> None:
        """Draw a step below each prefix (all of one length); what is `written`, equally long, is told."""
        cache = DynamicCache(config=self.vlm.model.config.get_text_config())
        hidden = self._read(pixels, prefixes, "prefill", cache)
        ids = torch.tensor(written, device=self.vlm.device)
        for at in range(ids.shape[1]):
            torch.log_softmax(self.vlm.head(hidden[:, -1]).float(), -1).argmax(-1)
            if at + 1 < ids.shape[1]:  # nobody goes on from the last
                hidden = self.vlm.body(input_ids=ids[:, at : at + 1], past_key_values=cache, use_cache=True).last_hidden_state
        self.forwards["decode"] += ids.numel()

    @torch.inference_mode()
    def score(self, pixels: Pixels, chains: Sequence[Sequence[int]]) -> list[float]:
        """The reward at the last tag of each chain, prompt included (all of one length)."""
        hidden = self._read(pixels, chains, "step", None)[:, -1]
        two = self.vlm.head.weight[list(self.vlm.encoder.label_ids)]
        rewards: list[float] = torch.softmax((hidden @ two.T).float(), -1)[:, 0].tolist()
        return rewards

    def _read(self, pixels: Pixels, texts: Sequence[Sequence[int]], kind: str, cache: DynamicCache | None) -> torch.Tensor:
        given = self.vlm.arguments(torch.tensor(texts), merge([pixels] * len(texts)))
        self.forwards.update({kind: given["input_ids"].numel(), "vision": len(texts)})
        hidden: torch.Tensor = self.vlm.body(**given, past_key_values=cache, use_cache=cache is not None).last_hidden_state
        return hidden
