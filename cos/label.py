"""Step labels without roll-outs (those: `cos.rollouts`): from the truth of a world, a reward model, a judge; and what two sources agree on.

    by_truth(samples, check, grade), by_reward(scorer, samples, picture), by_judge(judge, samples, picture), consensus(one, other)

Models, checkers and pictures arrive as arguments. Labels of a person come as records with the source `human` (docs/formats.md).
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from cos import template
from cos.chain import Chain, Labelled, Problem, Sample, Step, StepLabels
from cos.meter import Meter
from cos.protocols import Draw, Policy, Prompt, Scorer, ToScore
from cos.rollouts import Grade
from cos.sample import Picture, prompts

Check = Callable[[Problem, Step], float | None]
"""1 where a step is right, 0 where it is wrong, None where it claims nothing that can be checked."""

JUDGED = """Question: {question}

Somebody answers it step by step:

{chain}

Judge each step, and the answer, by the picture and by the steps before it: Good where all it says is right, Bad where something in it is \
wrong, Neutral where it says nothing that could be right or wrong. Write one line for each, and nothing else:

Step 1: Good, Neutral or Bad
...
Answer: Good, Neutral or Bad"""
"""What a judge is asked. The three verdicts are those of the CoS paper (its GPT-4o judge); its words are not published, these are ours."""

_VERDICT = re.compile(r"^\W*(?:step\W*(\d{1,4})|(answer))\W+(good|neutral|bad)\b", re.IGNORECASE | re.MULTILINE)
_MEANS: dict[str | None, float | None] = {"good": 1.0, "neutral": None, "bad": 0.0, None: None}


@dataclass(frozen=True)
class Reply:
    """What a judge has written, and what that cost."""

    text: str
    meter: Meter = field(default_factory=Meter)


Judge = Callable[[Sequence[Prompt]], Sequence[Reply]]
"""Whatever answers in plain words: one reply a prompt, in order."""


def by_truth(samples: Sequence[Sample], check: Check, grade: Grade) -> list[Labelled]:
    """Labels from the truth of a world. They cost nothing."""
    labelled = []
    for sample in samples:
        steps = tuple(check(sample.problem, step) for step in sample.chain.steps)
        labels = StepLabels(steps, _graded(sample, grade), "truth")
        labelled.append(Labelled(sample.id, sample.problem, sample.chain, labels))
    return labelled


def by_reward(scorer: Scorer, samples: Sequence[Sample], picture: Picture) -> list[Labelled]:
    """Soft labels: the rewards, as they are. What `cos prefer` makes pairs of."""
    began, scored = time.perf_counter(), [sample for sample in samples if sample.chain != Chain()]
    opened = scorer.open(prompts([sample.problem for sample in scored], picture))
    try:
        asks = [ToScore(root.handle, tuple(template.pieces(sample.chain))) for root, sample in zip(opened, scored, strict=True)]
        answers = dict(zip((sample.id for sample in scored), zip(opened, scorer.score(asks), strict=True), strict=True))
    finally:
        scorer.close([root.handle for root in opened])
    share = (time.perf_counter() - began) / max(1, len(scored))
    labelled = []
    for sample in samples:
        meter, rewards = Meter(), tuple[float, ...]()
        if sample.id in answers:
            root, found = answers[sample.id]
            rewards = found.rewards
            read, costs = sum(found.tokens), scorer.costs
            flops = costs.flops_per_token * (root.prefill_tokens + read) + costs.flops_per_image * root.vision_calls
            held = costs.kv_bytes_per_token * (root.prefill_tokens + read)
            meter = Meter(0, 0, root.prefill_tokens, read, root.vision_calls, len(rewards), flops, share, held)
        count = len(sample.chain.steps)
        labels = StepLabels(tuple(rewards[:count]), rewards[count] if len(rewards) > count else None, "reward")
        labelled.append(Labelled(sample.id, sample.problem, sample.chain, labels, meter.spent(), {"reward": scorer.name}))
    return labelled


def by_judge(judge: Judge, samples: Sequence[Sample], picture: Picture) -> list[Labelled]:
    """Good is 1, Bad is 0, Neutral no label. Pieces on which the judge gave no verdict that can be read, or two, have no label either, and
    are counted (`details["unparsed"]`)."""
    shown = prompts([sample.problem for sample in samples], picture)
    asked = [replace(prompt, question=question(sample.problem, sample.chain)) for prompt, sample in zip(shown, samples, strict=True)]
    labelled = []
    for sample, reply in zip(samples, judge(asked), strict=True):
        words = verdicts(reply.text, sample.chain)
        given = [_MEANS[word] for word in words]
        count = len(sample.chain.steps)
        labels = StepLabels(tuple(given[:count]), given[count] if len(given) > count else None, "judge")
        details = {"said": reply.text, "unparsed": words.count(None)}
        labelled.append(Labelled(sample.id, sample.problem, sample.chain, labels, reply.meter.spent(), details))
    return labelled


def question(problem: Problem, chain: Chain) -> str:
    """What a judge is asked about a chain."""
    told = [f"Step {number}: {step.name}. {step.thought} {step.reflection}" for number, step in enumerate(chain.steps, 1)]
    told += [] if chain.answer is None else [f"Answer: {chain.answer}"]
    return JUDGED.format(question=problem.question, chain="\n".join(told))


def verdicts(text: str, chain: Chain) -> list[str | None]:
    """`good`, `neutral` or `bad` for each step, and for the answer where there is one; None where the text has no verdict on it, or two."""
    said: dict[str, set[str]] = {}
    for number, answer, word in _VERDICT.findall(text):
        said.setdefault(answer.lower() or str(int(number)), set()).add(word.lower())
    places = [*map(str, range(1, len(chain.steps) + 1)), *([] if chain.answer is None else ["answer"])]
    return [next(iter(said[place])) if len(said.get(place, ())) == 1 else None for place in places]


def speaker(policy: Policy, max_tokens: int = 512) -> Judge:
    """A judge that is a policy's model, which replies by its likeliest words. `max_tokens` is enough for some 80 lines of verdicts."""

    def reply(prompts: Sequence[Prompt]) -> list[Reply]:
        opened = policy.open(prompts)
        try:
            asks = [Draw(root.handle, 0, (number,), 0.0, max_tokens=max_tokens) for number, root in enumerate(opened)]
            rows = policy.draw(asks)
        finally:
            policy.close([root.handle for root in opened])
        replies = []
        for root, (piece,) in zip(opened, rows, strict=True):
            meter = Meter(root.prefill_tokens, len(piece.tokens), vision_calls=root.vision_calls)
            meter.flops = policy.costs.flops_per_token * meter.tokens + policy.costs.flops_per_image * root.vision_calls
            replies.append(Reply(piece.text, meter))
        return replies

    return reply


def consensus(one: Labelled, other: Labelled) -> Labelled | None:
    """What two sources say alike, None where they place the first error in different steps (the filter of "Lessons of Developing PRMs",
    arXiv 2501.07301). Labels are cut at 0.5; where one source has none, or another, there is none. Raises ValueError for two chains."""
    if one.id != other.id or one.chain != other.chain:
        raise ValueError(f"{one.id} and {other.id} are not the same chain")
    if one.labels.first_error() != other.labels.first_error():
        return None
    steps = tuple(_agreed(*pair) for pair in zip(one.labels.steps, other.labels.steps, strict=True))
    labels = StepLabels(steps, _agreed(one.labels.answer, other.labels.answer), "consensus")
    cost = {key: one.cost.get(key, 0) + other.cost.get(key, 0) for key in {**one.cost, **other.cost}}
    return replace(one, labels=labels, cost=cost, details={"sources": [one.labels.source, other.labels.source]})


def mistaken(one: Labelled, share: float, rng: random.Random) -> Labelled:
    """The labels of somebody who errs: each label of a step or answer is turned over (x to 1 - x) with the chance `share`."""
    steps = tuple(None if label is None else _turned(label, share, rng) for label in one.labels.steps)
    answer = None if one.labels.answer is None else _turned(one.labels.answer, share, rng)
    return replace(one, labels=replace(one.labels, steps=steps, answer=answer))


def _turned(label: float, share: float, rng: random.Random) -> float:
    return 1.0 - label if rng.random() < share else label


def _agreed(one: float | None, other: float | None) -> float | None:
    if one is None or other is None or (one >= 0.5) != (other >= 0.5):
        return None
    return float(one >= 0.5)


def _graded(sample: Sample, grade: Grade) -> float | None:
    return None if sample.chain.answer is None or sample.problem.answer is None else float(grade(sample.problem, sample.chain.answer))
