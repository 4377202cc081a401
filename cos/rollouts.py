"""Step labels by roll-outs: a step is good where the policy, going on from it, can still come to the right answer.

Math-Shepherd (arXiv 2312.08935) rolls out from every step; OmegaPRM (2406.06592) searches for the first error in halves. The chains are
read once and each roll-out goes on below the step it begins at, so that neither picture nor prefix is computed again.

    labelled = by_rollouts(policy, samples, picture, grade, Rollouts(n=16), seed=0)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType

from cos import template
from cos.chain import Chain, Labelled, Problem, Sample, StepLabels
from cos.meter import Meter
from cos.protocols import Draw, Handle, Policy, ToRead
from cos.sample import Picture, Sampling, prompts, stream

Grade = Callable[[Problem, str | None], bool]
"""Whether an answer (None: there is none) is the right one to a problem."""


@dataclass(frozen=True)
class Rollouts(Sampling):
    """How labels are made of roll-outs: `n` from each step. 16 and temperature 1 are the CoS paper's (arXiv 2509.19003)."""

    threshold: float = 0.0
    """A step is right where more than this share of its roll-outs comes to the right answer. 0: one is enough, as in VisualPRM
    (arXiv 2503.10291); "Lessons of Developing PRMs" (2501.07301) finds every higher one worse."""
    soft: bool = False
    """Whether the label is the share itself (MM-PRM, arXiv 2505.13427)."""
    early_stop: bool = False
    """Whether steps after the first wrong one are left without a label. VisualPRM finds labelling all a little better."""


def by_rollouts(
    policy: Policy, samples: Sequence[Sample], picture: Picture, grade: Grade, how: Rollouts, seed: int, source: str = "rollouts"
) -> list[Labelled]:
    """Each chain with its labels; the answer's is the grade. The first n roll-outs of a step are the same for every `how.n` from n on."""
    with _Prefixes(policy, samples, picture, grade, how, seed) as prefixes:
        if how.early_stop:
            live = list(range(len(samples)))
            for step in range(max((len(sample.chain.steps) for sample in samples), default=0)):
                asks = [(index, step) for index in live if step < len(samples[index].chain.steps)]
                live = [ask[0] for ask, right in zip(asks, prefixes.right(asks), strict=True) if right]
        else:
            prefixes.right([(index, step) for index, sample in enumerate(samples) for step in range(len(sample.chain.steps))])
    return [_labelled(prefixes, index, prefixes.labels(index), source) for index in range(len(samples))]


def by_binary_search(policy: Policy, samples: Sequence[Sample], picture: Picture, grade: Grade, how: Rollouts, seed: int) -> list[Labelled]:
    """The first error alone: steps before it are right, those after it have no label. About log2 of the steps are rolled out from, for
    whoever can reach the right answer after a step could before it too; of a chain with the right answer, which proves itself, none."""
    with _Prefixes(policy, samples, picture, grade, how, seed) as prefixes:
        bounds = {i: (0, len(s.chain.steps)) for i, s in enumerate(samples) if not prefixes.proven(i)}
        while asks := [(index, (low + high) // 2) for index, (low, high) in bounds.items() if low < high]:
            for (index, middle), right in zip(asks, prefixes.right(asks), strict=True):
                low, high = bounds[index]
                bounds[index] = (middle + 1, high) if right else (low, middle)
    labelled = []
    for index, sample in enumerate(samples):
        first, count = bounds[index][0] if index in bounds else len(sample.chain.steps), len(sample.chain.steps)
        labels = tuple([1.0] * first + [0.0] * (first < count) + [None] * (count - first - 1))
        labelled.append(_labelled(prefixes, index, labels, "binary"))
    return labelled


class _Prefixes:
    """Some chains that a policy has read, so that it can go on from any of their steps; and what that has shown and cost so far."""

    def __init__(self, policy: Policy, samples: Sequence[Sample], picture: Picture, grade: Grade, how: Rollouts, seed: int) -> None:
        self.policy, self.samples, self.picture, self.grade, self.how, self.seed = policy, samples, picture, grade, how, seed
        self.meters = [Meter() for _ in samples]
        self.found: dict[tuple[int, int], int] = {}  # (chain, step) -> roll-outs that came to the right answer
        self.texts = [template.pieces(Chain(sample.chain.steps)) for sample in samples]
        self.roots: list[Handle] = []
        self.handles: list[tuple[Handle, ...]] = [() for _ in samples]

    def __enter__(self) -> _Prefixes:
        self.began = time.perf_counter()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.policy.close(self.roots)
        seconds, tokens = time.perf_counter() - self.began, max(1, sum(meter.tokens for meter in self.meters))
        for meter in self.meters:
            meter.seconds = seconds * meter.tokens / tokens
            meter.flops = self.policy.costs.flops_per_token * meter.tokens + self.policy.costs.flops_per_image * meter.vision_calls
            meter.kv_peak_bytes = self.policy.costs.kv_bytes_per_token * meter.tokens

    def right(self, asks: Sequence[tuple[int, int]]) -> list[bool]:
        """Roll out from step `step` of chain `index` for each (index, step); whether more than the threshold came to the right answer."""
        if not asks:
            return []
        self._read([index for index in dict.fromkeys(index for index, _ in asks) if not self.handles[index]])
        rows = iter(self.policy.draw([draw for index, step in asks for draw in self._draws(index, step)]))
        for index, step in asks:
            before, count = "".join(self.texts[index][: step + 1]), 0
            for row in (next(rows) for _ in range(self.how.n)):
                self.meters[index].policy_decode += sum(len(piece.tokens) for piece in row)
                answer = template.read(before + "".join(piece.text for piece in row)).answer
                count += self.grade(self.samples[index].problem, answer)
            self.found[index, step] = count
        return [self.found[ask] > self.how.threshold * self.how.n for ask in asks]

    def labels(self, index: int) -> tuple[float | None, ...]:
        """Of one chain by what was found; None where there were no roll-outs."""
        counts = [self.found.get((index, step)) for step in range(len(self.texts[index]))]
        n, hard = self.how.n, self.how.threshold * self.how.n
        return tuple(None if count is None else count / n if self.how.soft else float(count > hard) for count in counts)

    def proven(self, index: int) -> bool:
        """Whether the chain comes to the right answer itself."""
        return self.grade(self.samples[index].problem, self.samples[index].chain.answer)

    def _read(self, fresh: Sequence[int]) -> None:
        """Open the problems of these chains and read their steps."""
        opened = self.policy.open(prompts([self.samples[index].problem for index in fresh], self.picture))
        self.roots += [root.handle for root in opened]
        reads = self.policy.read([ToRead(root.handle, tuple(self.texts[index])) for root, index in zip(opened, fresh, strict=True)])
        for index, root, read in zip(fresh, opened, reads, strict=True):
            self.handles[index] = read.handles
            self.meters[index].policy_prefill = root.prefill_tokens + sum(read.tokens)
            self.meters[index].vision_calls = root.vision_calls

    def _draws(self, index: int, step: int) -> list[Draw]:
        how, own = self.how, stream(self.seed, f"rollouts/{self.samples[index].id}")
        pieces = max(1, how.max_steps - step)  # the answer is a piece too
        return [
            Draw(self.handles[index][step], own, (step, number), how.temperature, how.top_p, how.max_tokens, pieces, "answer")
            for number in range(how.n)
        ]


def _labelled(prefixes: _Prefixes, index: int, steps: tuple[float | None, ...], source: str) -> Labelled:
    sample = prefixes.samples[index]
    answer = None if sample.chain.answer is None else float(prefixes.proven(index))
    counts = [prefixes.found.get((index, step)) for step in range(len(steps))]
    details = {"drawn": [0 if count is None else prefixes.how.n for count in counts], "right": [count or 0 for count in counts]}
    return Labelled(sample.id, sample.problem, sample.chain, StepLabels(steps, answer, source), prefixes.meters[index].spent(), details)
