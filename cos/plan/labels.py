"""What it costs to draw chains and to label their steps, for one chain: the counters that `cos label` keeps beside it. No torch.

With T steps before the answer, pieces of L tokens and n roll-outs a step: a roll-out from step i writes the T - i steps and the answer that
are left. Examples
are in docs/plan.md.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from cos.meter import Meter
from cos.plan.searches import Lengths, Work, costed
from cos.protocols import Costs

ASKED = 100
"""Tokens of what a judge is asked beside question and chain (`cos.label.JUDGED` has some 75 words)."""
VERDICT = 6
"""Tokens of a line such as "Step 1: Good"."""


def label(source: str, lengths: Lengths, n: int, policy: Costs, reward: Costs) -> Work:
    """One chain by this source (`SOURCES`), with `n` roll-outs a step. By a binary search, one with a wrong answer: others prove themselves
    and cost nothing. A judge is counted as a policy."""
    meter, forwards = SOURCES[source](lengths, n)
    return Work(costed(meter, policy, reward), forwards)


def _sample(lengths: Lengths, n: int) -> tuple[Meter, float]:
    """Draw the chain: one of many below a prompt, which is read for it alone here."""
    drawn = lengths.pieces * lengths.piece
    return Meter(round(lengths.prompt), round(drawn), vision_calls=1), drawn


def _rollouts(lengths: Lengths, n: int) -> tuple[Meter, float]:
    """Read the prompt and the T steps, go on n times from each: n L (T + (T - 1) + ... + 1) tokens, in as many forwards as the longest."""
    steps = _steps(lengths)
    drawn = n * lengths.piece * steps * (steps + 1) / 2
    return Meter(round(lengths.prompt + steps * lengths.piece), round(drawn), vision_calls=1), steps * lengths.piece


def _binary(lengths: Lengths, n: int) -> tuple[Meter, float]:
    """As roll-outs, but from the steps alone that halving asks about."""
    steps = _steps(lengths)
    drawn = lengths.piece * float(halving(steps))
    return Meter(round(lengths.prompt + steps * lengths.piece), round(n * drawn), vision_calls=1), drawn


def halving(steps: int) -> Fraction:
    """Pieces that one roll-out from each of the steps asked about writes in all; the mean over the T + 1 places where the first error may
    be (nowhere among them), each as likely as another."""
    total = 0
    for error in range(steps + 1):
        low, high = 0, steps
        while low < high:
            middle = (low + high) // 2
            total += steps - middle
            low, high = (middle + 1, high) if middle < error else (low, middle)
    return Fraction(total, steps + 1)


def _judge(lengths: Lengths, n: int) -> tuple[Meter, float]:
    """A model reads prompt, request and chain, and writes a line a piece."""
    read = lengths.prompt + ASKED + lengths.pieces * lengths.piece
    return Meter(round(read), round(lengths.pieces * VERDICT), vision_calls=1), lengths.pieces * VERDICT


def _reward(lengths: Lengths, n: int) -> tuple[Meter, float]:
    """The reward model reads prompt, chain and tags."""
    read = round(lengths.pieces * (lengths.piece + 1))
    return Meter(reward_prefill=round(lengths.reward_prompt), reward_step=read, vision_calls=1, reward_calls=round(lengths.pieces)), 0.0


def _steps(lengths: Lengths) -> int:
    return max(0, round(lengths.pieces) - 1)


SOURCES: dict[str, Callable[[Lengths, int], tuple[Meter, float]]] = {
    "sample": _sample,
    "rollouts": _rollouts,
    "binary": _binary,
    "judge": _judge,
    "reward": _reward,
}
"""By name: (lengths, roll-outs a step) -> counters and forwards of one chain. The first is the drawing itself."""
