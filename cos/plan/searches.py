"""What a search costs, by method: the formulas of docs/architecture.md, "One meter", in the counters of a meter. No torch.

With c tokens of picture and prompt, N chains (or candidates a round) of S pieces of L tokens, all draws differing and every chain being
as long: what a meter counts is what stands here, token for token (tests). Equal draws are read once, and chains that end early save
the rest.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from cos.meter import Meter
from cos.protocols import Costs
from cos.search.asking import Settings
from cos.search.methods import FIRST, ONE_CHAIN

UNSCORED = frozenset({"greedy", "sample", "vote"})
"""Methods that ask for no rewards."""


@dataclass(frozen=True)
class Lengths:
    """How long things are, in tokens: the prompt with its picture for policy and reward model (what a looking one writes down too), a piece
    (a step, or the answer), and how many pieces a chain has, the answer among them."""

    prompt: float
    reward_prompt: float
    piece: float
    pieces: float


@dataclass(frozen=True)
class Work:
    """What is to be done: the counters of a meter, and how many forwards of the policy draw one token a row, one after the other."""

    meter: Meter
    forwards: float


def search(method: str, settings: Settings, lengths: Lengths, policy: Costs, reward: Costs) -> Work:
    """One search that runs alone. A method that is not told apart here draws N chains' worth, as most do."""
    drawn = _DRAWN.get(method, _chains)(settings, lengths.pieces)
    meter = costed(
        Meter(
            policy_prefill=round(lengths.prompt),
            policy_decode=round(drawn * lengths.piece),
            reward_prefill=0 if method in UNSCORED else round(lengths.reward_prompt),
            reward_step=0 if method in UNSCORED else round(drawn * (lengths.piece + 1)),
            vision_calls=1 if method in UNSCORED else 2,
            reward_calls=0 if method in UNSCORED else round(drawn),
        ),
        policy,
        reward,
    )
    return Work(meter, drawn * lengths.piece / _rows(method, settings))


def costed(meter: Meter, policy: Costs, reward: Costs) -> Meter:
    """`meter` with FLOPs and bytes of keys and values: those of all that is read and drawn, as the prefix tree holds them. Each model that
    reads anything sees its picture once."""
    ours, theirs = meter.policy_prefill + meter.policy_decode, meter.reward_prefill + meter.reward_step
    meter.flops = policy.flops_per_token * ours + policy.flops_per_image * bool(ours)
    meter.flops += reward.flops_per_token * theirs + reward.flops_per_image * bool(theirs)
    meter.kv_peak_bytes = policy.kv_bytes_per_token * ours + reward.kv_bytes_per_token * theirs
    return meter


def unshared_bytes(method: str, settings: Settings, lengths: Lengths, policy: Costs, reward: Costs) -> float:
    """Keys and values of a search where every chain, or path of a step search, has a whole copy of its own, picture and prompt too:
    N (c + S L), and N (c + S (L + 1)) of the reward model."""
    n = 1 if method in ONE_CHAIN else settings.n
    held = n * policy.kv_bytes_per_token * (lengths.prompt + lengths.pieces * lengths.piece)
    if method in UNSCORED:
        return held
    return held + n * reward.kv_bytes_per_token * (lengths.reward_prompt + lengths.pieces * (lengths.piece + 1))


def _chains(settings: Settings, pieces: float) -> float:
    """Pieces that are drawn: N S. For adaptive_n the most it may take."""
    return settings.n * pieces


def _lookahead(settings: Settings, pieces: float) -> float:
    """N S, and from each candidate `lookahead` pieces more, or as many as are left: N (S - 1) where it is 1."""
    rounds = range(1, math.ceil(pieces / settings.granularity) + 1)
    left = [max(0.0, pieces - number * settings.granularity) for number in rounds]
    ahead = settings.n * sum(min(settings.lookahead, pieces) for pieces in left)
    return settings.n * pieces + (ahead if settings.n > 1 else 0.0)  # a single candidate needs no ranking


def _retrace(settings: Settings, pieces: float) -> float:
    """N S, and a round for each time that it may go back: the least where it always does (it may go back further than a round)."""
    return settings.n * (pieces + settings.retraces * settings.granularity)


def _mcts(settings: Settings, pieces: float) -> float:
    """Simulations draw `width` pieces at a time as long as they stay within N S."""
    width = min(settings.width, settings.n)
    return width * (settings.n * pieces // width)


_DRAWN: dict[str, Callable[[Settings, float], float]] = {
    **dict.fromkeys(ONE_CHAIN, lambda settings, pieces: pieces),
    "lookahead": _lookahead,
    "retrace": _retrace,
    "mcts": _mcts,
}


def _rows(method: str, settings: Settings) -> float:
    """Rows that are drawn side by side: those of a first round. adaptive_n doubles its chains each time: 1, 1, 2, 4, ... up to N."""
    if method == "adaptive_n":
        return settings.n / (1 + math.ceil(math.log2(settings.n)))
    return min(settings.n, FIRST.get(method, lambda settings: settings.n)(settings))
