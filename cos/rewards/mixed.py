"""Rewards made of other rewards. No torch."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import replace

from cos.errors import UserError
from cos.protocols import Costs, Handle, Opened, Prompt, Scored, Scorer, ToScore
from cos.template import ANSWER_END

SILENT = 0.5
"""What an outcome reward says of a step: nothing."""


class OutcomeScorer:
    """Another reward that speaks at the answer alone, as an outcome reward model does: every step gets SILENT, an answer what the other
    model gives it. So it can choose among whole chains and can't guide a search. Reads (and costs) what the other reads."""

    def __init__(self, scorer: Scorer) -> None:
        self.name, self.costs, self._scorer = f"outcome:{scorer.name}", scorer.costs, scorer
        self.open, self.close = scorer.open, scorer.close

    def score(self, requests: Sequence[ToScore]) -> list[Scored]:
        """See `protocols.Scorer`."""
        results = []
        for request, scored in zip(requests, self._scorer.score(requests), strict=True):
            kept = (reward if text.endswith(ANSWER_END) else SILENT for text, reward in zip(request.pieces, scored.rewards, strict=True))
            results.append(replace(scored, rewards=tuple(kept)))
        return results


class BlendScorer:
    """The weighted mean of several rewards (weights are divided by their sum). What it means is what its parts mean, mixed: parts on
    different scales count by their spread too.

    Its tokens are those of all parts; the costs of one are the mean of theirs, exact where all parts read equally much.
    """

    def __init__(self, parts: Sequence[tuple[float, Scorer]]) -> None:
        total = sum(weight for weight, _ in parts)
        self._parts = [(weight / total, scorer) for weight, scorer in parts]
        self.name = "blend:" + "+".join(f"{weight:g}*{scorer.name}" for weight, scorer in parts)
        each = [scorer.costs for _, scorer in parts]
        means = {name: math.fsum(getattr(cost, name) for cost in each) / len(each) for name in Costs.__dataclass_fields__}
        self.costs = Costs(**means | {"kv_room": min(cost.kv_room for cost in each)})
        self._handles: dict[Handle, tuple[Handle, ...]] = {}  # ours -> that of each part
        self._below: dict[Handle, list[Handle]] = {}
        self._root: dict[Handle, Handle] = {}
        self._next = itertools.count(1)

    def open(self, prompts: Sequence[Prompt]) -> list[Opened]:
        """See `protocols.Scorer`."""
        opened = []
        for each in zip(*(scorer.open(prompts) for _, scorer in self._parts), strict=True):
            handle = self._add(tuple(one.handle for one in each), None)
            opened.append(Opened(handle, sum(one.prefill_tokens for one in each), sum(one.vision_calls for one in each)))
        return opened

    def score(self, requests: Sequence[ToScore]) -> list[Scored]:
        """See `protocols.Scorer`."""
        answers = []
        for index, (_, scorer) in enumerate(self._parts):
            answers.append(scorer.score([replace(r, parent=self._handles[r.parent][index]) for r in requests]))
        results = []
        for request, *each in zip(requests, *answers, strict=True):
            columns = zip(*(one.rewards for one in each), strict=True)
            weights = [weight for weight, _ in self._parts]
            rewards = tuple(math.fsum(w * r for w, r in zip(weights, column, strict=True)) for column in columns)
            handles: list[Handle] = []
            for column in zip(*(one.handles for one in each), strict=True):
                handles.append(self._add(column, handles[-1] if handles else request.parent))
            results.append(Scored(rewards, tuple(handles), tuple(map(sum, zip(*(one.tokens for one in each), strict=True)))))
        return results

    def close(self, roots: Sequence[Handle]) -> None:
        """See `protocols.Scorer`."""
        for index, (_, scorer) in enumerate(self._parts):
            scorer.close([self._handles[root][index] for root in roots])
        for handle in [handle for root in roots for handle in self._below.pop(root)]:
            del self._handles[handle], self._root[handle]

    def _add(self, handles: tuple[Handle, ...], parent: Handle | None) -> Handle:
        handle = next(self._next)
        root = handle if parent is None else self._root[parent]
        self._handles[handle], self._root[handle] = handles, root
        self._below.setdefault(root, []).append(handle)
        return handle


def parse_blend(text: str) -> list[tuple[float, str]]:
    """`0.5*embedded+0.5*confidence` -> [(0.5, "embedded"), (0.5, "confidence")]. Raises UserError for anything else."""
    parts = [part.partition("*") for part in re.split(r"\+(?=[\d.]+\*)", text)]
    found = [(float(weight), name) for weight, _, name in parts if re.fullmatch(r"\d+(?:\.\d*)?|\.\d+", weight) and name]
    if len(found) < len(parts) or min(weight for weight, _ in found) <= 0:
        raise UserError(f"reward blend:{text}: weights above 0 and names are needed, as in blend:0.5*embedded+0.5*confidence")
    return found
