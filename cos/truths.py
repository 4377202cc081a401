"""What the truth of a problem says of a search: which of its pieces are right, and how long a right path survived.

truth = Truth(problem)
truth.label(trace, node)      # (1, "see"): right, and it reads the picture
truth.survival(trace)         # [[1, 1], [1, 0]]: at depth 2 a right path was drawn, and then pruned
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from typing import Any

from cos.chain import Problem
from cos.problems import check, grade
from cos.problems.benchmarks import BENCHMARKS
from cos.search.trace import Node, SearchTrace

_ALIVE = ("open", "kept", "finished", "chosen")


class Truth:
    """The verdicts on one problem's pieces; each text is judged once."""

    def __init__(self, problem: Problem) -> None:
        self._check = cache(partial(check, problem))
        self._grade = cache(partial(grade, problem))
        self.knows_steps = problem.world not in BENCHMARKS
        """Whether it can tell right steps from wrong ones. A benchmark knows the answer alone."""

    def right(self, answer: str | None) -> bool:
        """Whether this answer is right, by the rule of the problem's own set."""
        return self._grade(answer).right

    def label(self, trace: SearchTrace, node: Node) -> tuple[int | None, str]:
        """1 right, 0 wrong (as is text that is no piece), None where it claims nothing; and its kind: see, compute, answer or none."""
        if node.answer is not None:
            return int(self.right(node.answer)), "answer"
        if not node.is_step:
            return 0, ""
        verdict = self._check(trace.chain(node).steps[-1])
        return verdict.label, verdict.kind

    def steps(self, trace: SearchTrace, swapped: Mapping[int, float]) -> list[list[Any]]:
        """`[reward, label, kind, reward with another picture or null]` for every distinct scored piece that the truth can judge."""
        rows: list[list[Any]] = []
        for node in [node for node in trace.nodes if node.reward is not None]:
            label, kind = self.label(trace, node)
            if label is not None:
                rows.append([node.reward, label, kind, swapped.get(node.id)])
        return rows

    def survival(self, trace: SearchTrace) -> list[list[int]]:
        """For each depth from 1: was a path without a wrong piece drawn that far, and is one left after what was decided there (1 or 0)?

        A path that came to its right answer earlier counts at every depth below it. Whether search loses right paths, and where, is the
        diagnosis of "Scaling Flaws of Verifier-Guided Search" (arXiv 2502.00271).
        """
        fine = {0}  # nodes with no wrong piece up to them
        for node in trace.nodes[1:]:
            if node.parent in fine and self.label(trace, node)[0] != 0:
                fine.add(node.id)
        rows = []
        for depth in range(1, 1 + max((node.depth for node in trace.nodes), default=0)):
            here = [n for n in trace.nodes[1:] if n.id in fine and (n.depth == depth or (n.depth < depth and n.answer is not None))]
            rows.append([int(bool(here)), int(any(node.status in _ALIVE for node in here))])
        return rows
