"""One pair of measurements: a step search by our engine, then the same tokens without memory, then the bound."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

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


@dataclass(frozen=True)
class Pair:
    """Seconds of the three, token-forwards of the two by kind, and the largest difference of a reward."""

    ours: float
    stateless: float
    bound: float
    our_forwards: dict[str, int]
    stateless_forwards: dict[str, int]
    difference: float


def pair(case: Case, plan: Plan) -> Pair:
    """Measure once, one way after the other, so that what else the machine does meets both."""
    seconds, forwards, trace = search(case, plan)
    chains = _rounds(case, trace)
    began = time.perf_counter()
    theirs, difference = _forgetful(case, chains)
    stateless = time.perf_counter() - began
    return Pair(seconds, stateless, bound(case, plan), dict(forwards), dict(theirs), difference)


def search(case: Case, plan: Plan) -> tuple[float, Counter[str], SearchTrace]:
    """A search by our engine: seconds, what really went through the models, and its trace."""
    policy = TorchPolicy(case.policy, decoder=lambda reader: Forced(reader, plan.steps, plan.length))
    scorer = StepTagScorer(case.reward)
    found = Search(Prompt(case.question, case.image), plan.method, plan.settings())
    began = time.perf_counter()
    for _ in run([found], policy, scorer):
        pass
    seconds = time.perf_counter() - began
    forwards = Counter({f"policy_{kind}": count for kind, count in policy.forwards.items()})
    forwards.update({f"reward_{kind}": count for kind, count in scorer.forwards.items()})
    return seconds, forwards, found.trace


@dataclass(frozen=True)
class _Candidate:
    """A node: the texts before it, its own, and the reward that it got."""

    before: tuple[str, ...]
    text: str
    reward: float


def _rounds(case: Case, trace: SearchTrace) -> list[list[_Candidate]]:
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
    seconds = {name: statistics.median(getattr(one, name) for one in found) for name in ("ours", "stateless", "bound")}
    return {
        "case": case.name,
        "plan": asdict(plan),
        "pairs": pairs,
        "ratio_seconds": statistics.median(one.stateless / one.ours for one in found),
        "ratio_token_forwards": theirs / ours,
        "bound_ratio": statistics.median(one.ours / one.bound for one in found),
        "same_scores": worst <= TOLERANCE,
        "difference": worst,
        "seconds": seconds,
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
def bound(case: Case, plan: Plan) -> float:
    """Seconds of the forwards that can't be avoided, in batches of the same sizes, and of nothing else: no search, no drawing, no tree."""
    policy, reward = Reader(case.policy), Reader(case.reward)
    began = time.perf_counter()
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
    return time.perf_counter() - began


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
