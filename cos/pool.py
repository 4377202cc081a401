"""The pool of one problem: whole chains drawn and scored once, from which every selector chooses; and what each choice costs by itself.

A pool is the trace of a best-of-N search. Each chain draws from a random stream of its own, so the first n chains of a pool are those that
a search with this n draws: a pool of 64 serves every budget up to 64, and selectors differ in nothing but the choice.

    keep(trace, "pools/charts-test-0-00000.jsonl")          # SearchTrace.load reads it
    select(trace, "vote", n=4), cost(trace, "vote", 4, policy.costs, scorer.costs), votes(trace, right)
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from cos.answers import normalise
from cos.meter import Meter
from cos.protocols import Costs
from cos.search.trace import SearchTrace

UNREWARDED = ("sample", "vote")
"""Selectors that ask for no rewards, and so pay for none. `sample` takes the first chain alone."""


def keep(trace: SearchTrace, path: Path) -> None:
    """Write the trace as a journal, one event a line; it appears under its name only when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text("".join(json.dumps(event, ensure_ascii=False) + "\n" for event in trace.events), "utf-8")
    os.replace(draft, path)


def clock(trace: SearchTrace, policy: float, reward: float) -> None:
    """Set the seconds of the meter to this search's share of what each model took; wall time would count the searches beside it too.

    The meter of the last drawing gets the policy's share, the last meter both.
    """
    metered = [event for event in trace.events if "meter" in event]
    for event in metered[-1:]:
        event["meter"]["seconds"] = trace.meter.seconds = policy + reward
    for event in [event for event in metered if event["kind"] == "expanded"][-1:]:
        event["meter"]["seconds"] = policy


def cost(trace: SearchTrace, method: str, n: int, policy: Costs, reward: Costs) -> Meter:
    """What `method` would have cost alone on the first `n` chains of the pool.

    Exact, but for two shares: tokens judged are shared out by the tokens of the pieces (exact where both models cut text alike), and
    seconds by the tokens that each model read or wrote.
    """
    drawings = [event for event in trace.events if event["kind"] == "expanded"]
    if not drawings:
        return replace(trace.meter)
    n = 1 if method == "sample" else n
    drawn = Meter(**{key: drawings[-1]["meter"][key] for key in Meter.__dataclass_fields__})
    pieces = [piece for event in drawings for piece in (*event["nodes"], *event["merged"])]
    written = sum(piece["tokens"] for piece in pieces if piece["path"][0] < n)
    unwritten = drawn.policy_decode - written
    writing = drawn.seconds * _share(drawn.policy_prefill, written, drawn.policy_decode)
    scored = [node for node in trace.nodes if node.reward is not None]
    read = {node.id for leaf in trace.pool() if leaf.path[0] < n for node in trace.line(leaf)}
    if method in UNREWARDED or not read or not scored:  # not scored: the reward model failed on this problem
        flops, held = unwritten * policy.flops_per_token, unwritten * policy.kv_bytes_per_token
        kept = {"flops": drawn.flops - flops, "seconds": writing, "kv_peak_bytes": drawn.kv_peak_bytes - held}
        return replace(drawn, policy_decode=written, **kept)
    full = trace.meter
    weight = sum(node.tokens + 1 for node in scored if node.id in read) / sum(node.tokens + 1 for node in scored)
    judged = round(full.reward_step * weight)
    unjudged = full.reward_step - judged
    return replace(
        full,
        policy_decode=written,
        reward_step=judged,
        reward_calls=len(read),
        flops=full.flops - unwritten * policy.flops_per_token - unjudged * reward.flops_per_token,
        seconds=writing + (full.seconds - drawn.seconds) * _share(full.reward_prefill, judged, full.reward_step),
        kv_peak_bytes=full.kv_peak_bytes - unwritten * policy.kv_bytes_per_token - unjudged * reward.kv_bytes_per_token,
    )


def votes(trace: SearchTrace, n: int, right: Callable[[str], bool]) -> list[int]:
    """For k = 1 to `n`: is the majority vote over the first k chains right (1 or 0)? The same as `select(trace, "vote", n=k)`."""
    given: dict[int, str] = {}
    for leaf in trace.pool():
        given |= {path[0]: leaf.answer or "" for path in (leaf.path, *leaf.merged)}
    tally: dict[str, int] = {}
    first: dict[str, int] = {}
    found = []
    for k in range(n):
        if k in given:
            form = normalise(given[k])
            tally[form] = tally.get(form, 0) + 1
            first.setdefault(form, int(right(given[k])))
        found.append(first[max(tally, key=lambda form: tally[form])] if tally else 0)
    return found


def _share(always: int, some: int, all: int) -> float:
    """(always + some) / (always + all), 1 where there is nothing to share."""
    return (always + some) / (always + all) if always + all else 1.0
