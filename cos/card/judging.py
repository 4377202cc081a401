"""Rewards for labelled chains: with the right picture, with another one and with a blank one; and for right chains written another way.

One record a question (docs/formats.md): steps that several chains share are one node of it. Records go to a file block by block, so that a
killed run goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from cos.card.cases import Case, Item, Source
from cos.chain import Chain, Problem
from cos.errors import UserError
from cos.problems import problem_files
from cos.protocols import Prompt, Scorer, ToScore
from cos.rewards.oracle import OracleScorer
from cos.store import Log, read
from cos.template import TemplateError, pieces

RECORD = "judged"
"""The kind of the records."""
BLOCK = 16
"""Questions at once; with a blank and another picture each they still fit a reward model's cache of pictures."""
BATCH = 128
"""Chains for one call of the scorer."""

VIEWS = ("reward", "swapped", "blank")
"""The rewards of a node: with the right picture, another one, a blank one."""

Record = dict[str, Any]
Rewards = tuple[float, ...]


def judge(
    source: Source, scorer: Scorer | None, records: Path, progress: Callable[[int, int], None] | None = None, *, thorough: bool = True
) -> list[Record]:
    """The records of all problems of the source, in its order; those that the file holds already are not made again.

    `scorer` None: the truth itself (the oracle), which looks at no picture. Without `thorough` neither other pictures nor edits are tried.
    `progress(done, total)`: at the start and after each block.
    """
    total = len(source.problems)
    if scorer is None and not all(map(problem_files.drawn, source.problems)):
        raise UserError(f"{source.name}: the oracle knows the truth of the worlds' own problems only")
    with Log(records, RECORD, key="problem") as log:
        for start in range(0, total, BLOCK):
            left = [problem for problem in source.problems[start : start + BLOCK] if problem.id not in log.done]
            if progress:
                progress(start, total)
            if left:
                log.add(*_Block(source, source.cases(left), scorer, thorough).records())
    if progress:
        progress(total, total)
    made = {row["problem"]: row for row in read(records, RECORD, dict)}
    return [made[problem.id] for problem in source.problems]


class _Block:
    """Some cases, judged together."""

    def __init__(self, source: Source, cases: Sequence[Case], scorer: Scorer | None, thorough: bool) -> None:
        self.source, self.cases = source, cases
        self.edits = [case.edits if thorough else {} for case in cases]
        self.prompts = [Prompt(case.problem.question, case.picture) for case in cases]
        known = zip(self.prompts, [case.problem for case in cases], strict=True)
        self.scorer: Scorer = scorer or OracleScorer(known)
        self.looks = thorough and scorer is not None

    def records(self) -> list[Record]:
        jobs = [(index, item.chain) for index, case in enumerate(self.cases) for item in case.items]
        tried = [(index, edit.chain) for index, edits in enumerate(self.edits) for edit in edits.values()]
        true = iter([rewards or () for rewards in self._rewards(self.prompts, [*jobs, *tried])])
        nothing: list[Rewards | None] = [None] * len(jobs)
        others = (lambda case: _partner_picture(self.source, case.problem), lambda case: Image.new("RGB", case.picture.size, "white"))
        swapped, blank = (iter(self._rewards(self._view(other), jobs) if self.looks else nothing) for other in others)
        rows = []
        for case in self.cases:
            views = [[next(view) for _ in case.items] for view in (true, swapped, blank)]
            rows.append(_record(case, list(zip(*views, strict=True))))
        for edits, row in zip(self.edits, rows, strict=True):
            row["edits"] = {name: _edited(next(true), edit.added, len(edit.chain.steps)) for name, edit in edits.items()}
        return rows

    def _view(self, picture: Callable[[Case], Any]) -> list[Prompt | None]:
        """The questions with other pictures; None where a question has none, or there is no other."""
        made = [None if case.picture is None else picture(case) for case in self.cases]
        return [None if image is None else Prompt(case.problem.question, image) for case, image in zip(self.cases, made, strict=True)]

    def _rewards(self, prompts: Sequence[Prompt | None], jobs: Sequence[tuple[int, Chain]]) -> list[Rewards | None]:
        """For each job (number of the prompt, chain) one reward a piece; None where there is no prompt, or no piece."""
        texts = [_pieces(self.cases[index].problem, chain) for index, chain in jobs]
        asked = [at for at, (index, _) in enumerate(jobs) if prompts[index] is not None and texts[at]]
        wanted = sorted({jobs[at][0] for at in asked})
        opened = self.scorer.open([prompt for index in wanted if (prompt := prompts[index]) is not None])
        roots = {index: one.handle for index, one in zip(wanted, opened, strict=True)}
        found: list[Rewards | None] = [None] * len(jobs)
        try:
            for start in range(0, len(asked), BATCH):
                part = asked[start : start + BATCH]
                scored = self.scorer.score([ToScore(roots[jobs[at][0]], texts[at]) for at in part])
                for at, one in zip(part, scored, strict=True):
                    if not all(0 <= reward <= 1 for reward in one.rewards):
                        raise UserError(f"reward {self.scorer.name} gave {one.rewards}; rewards must lie between 0 and 1")
                    found[at] = tuple(round(reward, 6) for reward in one.rewards)
        finally:
            self.scorer.close(list(roots.values()))
        return found


def _partner_picture(source: Source, problem: Problem) -> Any:
    """The picture of the next problem of the same world (of any, where it is alone in its own) that has another picture; else None."""
    place = next(index for index, other in enumerate(source.problems) if other.id == problem.id)
    order = [*source.problems[place + 1 :], *source.problems[:place]]
    order = [other for other in order if problem_files.drawn(other) or (other.image and other.image != problem.image)]
    partner = next((other for other in order if other.world == problem.world), order[0] if order else None)
    return None if partner is None else source.picture(partner)


def _pieces(problem: Problem, chain: Chain) -> tuple[str, ...]:
    try:
        return tuple(pieces(chain))
    except TemplateError as fault:
        raise UserError(f"problem {problem.id}: {fault}") from None


def _record(case: Case, views: Sequence[tuple[Rewards, Rewards | None, Rewards | None]]) -> Record:
    nodes: list[Record] = []
    chains: list[Record] = []
    known: dict[tuple[Any, ...], int] = {}
    for item, seen in zip(case.items, views, strict=True):
        path: list[int] = []
        key: tuple[Any, ...] = ()
        for depth, (label, kind, part, rollouts) in enumerate(_parts(item)):
            key = (*key, part, label)  # a step that two chains share and that is labelled in two ways is two
            if key not in known:
                known[key] = len(nodes)
                rewards = {name: None if view is None else view[depth] for name, view in zip(VIEWS, seen, strict=True)}
                size = sum(map(len, (part.name, part.thought, part.reflection))) if kind != "answer" else len(part)
                nodes.append({"depth": depth + 1, "kind": kind, "label": label, "size": size, **rewards, "rollouts": rollouts})
            elif rollouts:  # each chain has its own
                drawn, right = nodes[known[key]]["rollouts"] or (0, 0)
                nodes[known[key]]["rollouts"] = (drawn + rollouts[0], right + rollouts[1])
            path.append(known[key])
        chains.append({"path": path, "count": item.count, "reply": item.chain.answer, "right": item.right})
    problem = case.problem
    return {"problem": problem.id, "group": problem.world, "level": problem.level, "nodes": nodes, "chains": chains}


def _parts(item: Item) -> Iterator[tuple[float | None, str, Any, tuple[int, int] | None]]:
    """Label, kind, content and roll-outs of each piece of a chain."""
    kinds, rollouts = item.kinds or ("",) * len(item.labels), item.rollouts or (None,) * len(item.labels)
    yield from zip(item.labels, kinds, item.chain.steps, rollouts, strict=True)
    if item.chain.answer is not None:
        yield item.right, "answer", item.chain.answer, None


def _edited(rewards: Rewards, added: int | None, steps: int) -> Record:
    """The rewards of the steps; that of an added one apart."""
    return {"steps": [r for at, r in enumerate(rewards[:steps]) if at != added], "added": None if added is None else rewards[added]}
