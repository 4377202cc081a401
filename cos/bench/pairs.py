"""One pair of measurements: a step search by our engine, then the same tokens without memory, then the bound."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch

from cos.bench.cases import Case, Forced
from cos.bench.stateless import Stateless
from cos.engine.kv import Node, Rows
from cos.engine.reader import Ask, Reader
from cos.engine.torch_engine import TorchPolicy
from cos.models.encode import Turn
from cos.protocols import Prompt
from cos.rewards.step_tag import StepTagScorer
from cos.search.growth import Search
from cos.search.methods import Settings
from cos.search.scheduler import run
from cos.search.trace import SearchTrace

TOLERANCE = 1e-4
"""Between rewards of the two ways, in float32."""


@dataclass(frozen=True)
class Plan:
    """The search: `n` candidates a step, `width` of them kept, `steps` pieces (the answer is one) of `length` tokens."""

    n: int = 16
    width: int = 4
    steps: int = 5
    length: int = 80
    seed: int = 0
    method: str = "step_beam"

    def settings(self) -> Settings:
        """As the search is told."""
        return Settings(n=self.n, width=self.width, max_tokens=self.length, max_steps=self.steps, seed=self.seed)


class Took(NamedTuple):
    """How long something took."""

    seconds: float
    processor: float
    """Seconds of this process on all cores: on a machine that does other work too they say more than those of the clock."""


class Clock:
    """Runs from its making."""

    def __init__(self) -> None:
        self._began = time.perf_counter(), time.process_time()

    def took(self) -> Took:
        """Since then."""
        return Took(time.perf_counter() - self._began[0], time.process_time() - self._began[1])


@dataclass(frozen=True)
class Pair:
    """Times of the three, token-forwards of the two by kind, and the largest difference of a reward."""

    ours: Took
    stateless: Took
    bound: Took
    our_forwards: dict[str, int]
    stateless_forwards: dict[str, int]
    difference: float


def pair(case: Case, plan: Plan) -> Pair:
    """Measure once, one way after the other, so that what else the machine does meets both."""
    ours, forwards, trace = search(case, plan)
    rounds = _rounds(trace)
    clock = Clock()
    theirs, difference = _forgetful(case, rounds)
    return Pair(ours, clock.took(), bound(case, plan), dict(forwards), dict(theirs), difference)


def search(case: Case, plan: Plan) -> tuple[Took, Counter[str], SearchTrace]:
    """A search by our engine: its time, what really went through the models, and its trace."""
    policy = TorchPolicy(case.policy, decoder=lambda reader: Forced(reader, plan.steps, plan.length))
    scorer = StepTagScorer(case.reward)
    found = Search(Prompt(case.question, case.image), plan.method, plan.settings())
    clock = Clock()
    for _ in run([found], policy, scorer):
        pass
    took = clock.took()
    forwards = Counter({f"policy_{kind}": count for kind, count in policy.forwards.items()})
    forwards.update({f"reward_{kind}": count for kind, count in scorer.forwards.items()})
    return took, forwards, found.trace


@dataclass(frozen=True)
class _Candidate:
    """A node: the texts before it, its own, and the reward that it got."""

    before: tuple[str, ...]
    text: str
    reward: float


def _rounds(trace: SearchTrace) -> list[list[_Candidate]]:
    """The candidates of each round in order."""
    rounds: dict[int, list[_Candidate]] = {}
    for node in trace.nodes[1:]:
        line = tuple(other.text for other in trace.line(node)[:-1])
        assert node.reward is not None
        rounds.setdefault(node.round, []).append(_Candidate(line, node.text, node.reward))
    return [rounds[number] for number in sorted(rounds)]


def _forgetful(case: Case, rounds: Sequence[Sequence[_Candidate]]) -> tuple[Counter[str], float]:
    """Draw and score the same without memory: token-forwards, and the largest difference of a reward."""
    policy, reward = Stateless(case.policy), Stateless(case.reward)
    turn, worst = Turn("user", case.question, image=True), 0.0
    for candidates in rounds:
        read, write = case.policy.encoder, case.reward.encoder
        pixels = read.pixels(case.image)
        prompt = read.conversation([turn], pixels.stand_in, reply=True).ids
        prefixes = [prompt + [token for text in one.before for token in read.piece(text)] for one in candidates]
        policy.draw(pixels, prefixes, [read.piece(one.text) for one in candidates])
        pixels = write.pixels(case.image)
        prompt = write.conversation([turn], pixels.stand_in, reply=True).ids
        tagged = [[[*write.piece(text), write.tag_id] for text in (*one.before, one.text)] for one in candidates]
        scores = reward.score(pixels, [prompt + [token for piece in chain for token in piece] for chain in tagged])
        worst = max([worst, *(abs(score - one.reward) for score, one in zip(scores, candidates, strict=True))])
    forwards = Counter({f"policy_{kind}": count for kind, count in policy.forwards.items()})
    forwards.update({f"reward_{kind}": count for kind, count in reward.forwards.items()})
    return forwards, worst


def measure(case: Case, plan: Plan, pairs: int, told: Callable[[int, int], None]) -> dict[str, Any]:
    """So many pairs after one to warm up (of which nothing is kept), as one JSON object: medians, ratios, token-forwards.

    `told(done, of)` hears how far it is.
    """
    told(0, pairs)
    pair(case, replace(plan, n=plan.width, steps=2))
    found = []
    for number in range(pairs):
        found.append(pair(case, replace(plan, seed=plan.seed + number)))
        told(number + 1, pairs)
    first = found[0]
    ours, theirs = (_tokens(counts) for counts in (first.our_forwards, first.stateless_forwards))
    worst = max(one.difference for one in found)
    names = ("ours", "stateless", "bound")
    seconds, processor = ({name: statistics.median(getattr(one, name)[at] for one in found) for name in names} for at in (0, 1))
    return {
        "case": case.name,
        "plan": asdict(plan),
        "pairs": pairs,
        "ratio_seconds": statistics.median(one.stateless.seconds / one.ours.seconds for one in found),
        "ratio_processor_seconds": statistics.median(one.stateless.processor / one.ours.processor for one in found),
        "ratio_token_forwards": theirs / ours,
        "bound_ratio": statistics.median(one.ours.seconds / one.bound.seconds for one in found),
        "bound_ratio_processor": statistics.median(one.ours.processor / one.bound.processor for one in found),
        "same_scores": worst <= TOLERANCE,
        "difference": worst,
        "seconds": seconds,
        "processor_seconds": processor,
        "forwards": {"ours": first.our_forwards, "stateless": first.stateless_forwards},
        "formula": dict(zip(("ours", "stateless"), formula(plan, *_prompts(case)), strict=True)),
        "parameters": sum(case.policy.parameters()),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "device": str(case.policy.device),
    }


def _tokens(forwards: Mapping[str, int]) -> int:
    return sum(count for kind, count in forwards.items() if not kind.endswith("vision"))


def _prompts(case: Case) -> tuple[int, int]:
    """Tokens of the two prompts, the picture's included."""
    turn = Turn("user", case.question, image=True)
    encoders = (case.policy.encoder, case.reward.encoder)
    sizes = [len(e.conversation([turn], e.pixels(case.image).stand_in, reply=True).ids) for e in encoders]
    return sizes[0], sizes[1]


@torch.inference_mode()
def bound(case: Case, plan: Plan) -> Took:
    """The time of the forwards that can't be avoided, in batches of the same sizes, and of nothing else: no search, no drawing, no tree."""
    policy, reward = Reader(case.policy), Reader(case.reward)
    clock = Clock()
    root = _root(policy, case)
    rows = Rows([root] * plan.n, plan.steps * plan.length, policy.layout)
    for at in range(plan.steps * plan.length):
        ids = torch.zeros((plan.n, 1), dtype=torch.long, device=policy.layout.device)
        policy.vlm.head(policy.forward(rows, ids, np.full(plan.n, root.end + at))[:, 0])
    root = _root(reward, case)
    rows = Rows([root] * plan.n, plan.steps * (plan.length + 1), reward.layout)
    for step in range(plan.steps):
        ids = torch.zeros((plan.n, plan.length + 1), dtype=torch.long, device=reward.layout.device)
        hidden = reward.forward(rows, ids, np.full(plan.n, root.end + step * (plan.length + 1)))
        torch.softmax(hidden[:, -1] @ reward.vlm.head.weight[:2].T, -1).tolist()
    return clock.took()


def _root(reader: Reader, case: Case) -> Node:
    pixels = reader.encoder.pixels(case.image)
    (seen,) = reader.vlm.see([pixels])
    prompt = reader.encoder.conversation([Turn("user", case.question, image=True)], pixels.stand_in, reply=True).ids
    ((root,),) = reader.read([Ask(None, (tuple(prompt),), seen)], "prefill")
    return root


def formula(plan: Plan, policy_prompt: int, reward_prompt: int) -> tuple[int, int]:
    """Token-forwards with full reuse and with none, for prompts (pictures included) of so many tokens: with c of a prompt, N candidates,
    S steps of L tokens and g = L + 1, c + NSL and c + NSg, against N(Sc + L S(S-1)/2) + NSL and N(Sc + g S(S+1)/2)."""
    n, s, length = plan.n, plan.steps, plan.length
    tagged = length + 1
    ours = policy_prompt + n * s * length + reward_prompt + n * s * tagged
    policy = n * (s * policy_prompt + length * s * (s - 1) // 2) + n * s * length
    return ours, policy + n * (s * reward_prompt + tagged * s * (s + 1) // 2)
