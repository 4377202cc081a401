"""What a reward model's choice among the sampled chains of a question is worth: best of N by every aggregator, and votes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from cos.metrics import pass_at_n, wilson
from cos.scores import AGGREGATORS, best, tie_rate, vote, weighted_vote

Record = Mapping[str, Any]


class _Pool:
    """The sampled chains of one question that came to an answer, each as often as it was drawn."""

    def __init__(self, record: Record) -> None:
        chains = [chain for chain in record["chains"] if chain["right"] is not None]
        self.size = sum(chain["count"] for chain in chains)
        answered = [chain for chain in chains if chain["reply"] is not None] or [chain for chain in chains if chain["path"]]
        drawn = [chain for chain in answered for _ in range(chain["count"])]
        self.right = [float(chain["right"] >= 0.5) for chain in drawn]
        self.replies: list[str | None] = [chain["reply"] for chain in drawn]
        self.rewards = [_rewards(record, chain) for chain in drawn]

    def scores(self, aggregator: str) -> list[float]:
        return [AGGREGATORS[aggregator](*rewards) for rewards in self.rewards]

    def of(self, reply: str | None) -> float:
        """Whether this reply is right."""
        return self.right[self.replies.index(reply)]


def best_of_n(records: Sequence[Record]) -> dict[str, Any] | None:
    """Accuracy of best of N with each aggregator beside pass@1, pass@N and votes, over the questions with several chains whose answers
    are judged; None where there are none. Ties go to the chain drawn first; `harmful`: ties whose answers differ."""
    pools = [pool for record in records if (pool := _Pool(record)).size > 1]
    if not pools:
        return None
    live = [pool for pool in pools if pool.right]
    found: dict[str, Any] = {"questions": len(pools), "n": max(pool.size for pool in pools)}
    found["pass_at_1"] = math.fsum(sum(pool.right) / pool.size for pool in pools) / len(pools)
    found["pass_at_n"] = math.fsum(pass_at_n(pool.size, int(sum(pool.right)), pool.size) for pool in pools) / len(pools)
    if any(reply is not None for pool in live for reply in pool.replies):
        found["vote"] = _accuracy([pool.of(vote(pool.replies)[0]) for pool in live], len(pools))
        chosen = [weighted_vote(pool.replies, pool.scores("cos"))[0] for pool in live]
        found["weighted_vote"] = _accuracy([pool.of(reply) for pool, reply in zip(live, chosen, strict=True)], len(pools))
    found["aggregators"] = {}
    for name in AGGREGATORS:
        scores = [pool.scores(name) for pool in live]
        right = [pool.right[best(own)] for pool, own in zip(live, scores, strict=True)]
        ties = {"ties": tie_rate(scores), "harmful": tie_rate(scores, [pool.replies for pool in live])}
        found["aggregators"][name] = _accuracy(right, len(pools)) | ties
    return found


def _accuracy(right: Sequence[float], questions: int) -> dict[str, Any]:
    """A question without an answer counts as wrong."""
    share = wilson(int(sum(right)), questions)
    return {"accuracy": share.value, "ci95": [share.low, share.high]}


def _rewards(record: Record, chain: Record) -> tuple[list[float], float | None]:
    """The rewards of a chain's steps, and that of its answer."""
    nodes = [record["nodes"][at] for at in chain["path"]]
    answer = next((node["reward"] for node in nodes if node["kind"] == "answer"), None)
    return [node["reward"] for node in nodes if node["kind"] != "answer"], answer
