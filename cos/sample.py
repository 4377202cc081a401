"""Sampling: N whole chains for each problem, many problems at once; or the chains that a search likes best.

for own in samples(policy, problems, picture, Sampling(n=16), seed=0):      # the samples of one problem, problem after problem
    log.add(*(sample.to_json() for sample in own))
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cos import template
from cos.chain import Problem, Sample
from cos.protocols import Draw, Piece, Policy, Prompt, Scorer
from cos.search.growth import Search
from cos.search.methods import Settings
from cos.search.scheduler import run
from cos.search.select import chain_score
from cos.search.trace import SearchTrace

Picture = Callable[[Problem], Any]
"""A problem's picture, as a `Prompt` takes it."""


@dataclass(frozen=True)
class Sampling:
    """How chains are drawn: `n` for each problem. N and temperature are those of the released roll-outs (`generate_dpo_data.py`), the
    limits those of a search (`cos.search.methods.Settings`)."""

    n: int = 16
    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 256
    """For each step."""
    max_steps: int = 12
    """A chain with more steps is cut."""


def samples(
    policy: Policy, problems: Sequence[Problem], picture: Picture, how: Sampling, seed: int, block: int = 64
) -> Iterator[list[Sample]]:
    """For each problem, in order, its `how.n` samples. A chain depends on seed, problem and number alone, not on what is drawn beside it;
    `block`: problems that are open at once."""
    for start in range(0, len(problems), block):
        yield from _block(policy, problems[start : start + block], picture, how, seed)


def favourites(
    policy: Policy, scorer: Scorer, problems: Sequence[Problem], picture: Picture, method: str, how: Sampling, keep: int, seed: int
) -> list[list[Sample]]:
    """For each problem the `keep` different chains that a search scores highest, best first; fewer where it comes to fewer. They hold
    what a reward model is fooled by, and so are what it should learn from next (hard examples; docs/log.md). Without tokens."""
    settings = Settings(n=how.n, temperature=how.temperature, top_p=how.top_p, max_tokens=how.max_tokens, max_steps=how.max_steps)
    asked = zip(prompts(problems, picture), problems, strict=True)
    searches = [Search(prompt, method, replace(settings, seed=stream(seed, problem.id)), problem.id) for prompt, problem in asked]
    for _ in run(searches, policy, scorer):
        pass
    return [_best(problem, search.trace, keep) for problem, search in zip(problems, searches, strict=True)]


def _best(problem: Problem, trace: SearchTrace, keep: int) -> list[Sample]:
    scores = {trace.chain(leaf): chain_score(trace, leaf, trace.settings["aggregator"]) for leaf in trace.pool()}
    best = sorted(scores, key=lambda chain: -scores[chain])[:keep]
    return [Sample(problem, number, chain) for number, chain in enumerate(best)]


def prompts(problems: Sequence[Problem], picture: Picture) -> list[Prompt]:
    """One a problem; each picture is asked for once, however many chains are about it."""
    pictures: dict[str, Any] = {}
    for problem in problems:
        if problem.id not in pictures:
            pictures[problem.id] = picture(problem)
    return [Prompt(problem.question, pictures[problem.id]) for problem in problems]


def stream(seed: int, name: str) -> int:
    """The seed of the random streams of whatever is called `name`."""
    return zlib.crc32(f"{seed}/{name}".encode())


def _block(policy: Policy, problems: Sequence[Problem], picture: Picture, how: Sampling, seed: int) -> list[list[Sample]]:
    opened = policy.open(prompts(problems, picture))
    try:
        pieces = how.max_steps + 1  # the answer is a piece too
        asks = [
            Draw(root.handle, stream(seed, problem.id), (number,), how.temperature, how.top_p, how.max_tokens, pieces, "answer")
            for root, problem in zip(opened, problems, strict=True)
            for number in range(how.n)
        ]
        rows = iter(policy.draw(asks))
    finally:
        policy.close([root.handle for root in opened])
    return [[_sample(problem, number, next(rows)) for number in range(how.n)] for problem in problems]


def _sample(problem: Problem, number: int, row: Sequence[Piece]) -> Sample:
    chain = template.read("".join(piece.text for piece in row)).chain
    tokens, logprobs = tuple(piece.tokens for piece in row), tuple(piece.logprob for piece in row)
    return Sample(problem, number, chain, tokens, logprobs, row[-1].ending)
