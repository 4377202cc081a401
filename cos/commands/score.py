"""`cos score`: rewards for given chains, from and to the scoring rows of the released CoS code.

example: cos score rows.jsonl --images pictures/ --reward embedded --out scored.jsonl
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cos.commands.options import Outcome, Progress, add_models, need
from cos.errors import UserError
from cos.problems.pictures import open_picture
from cos.problems.released_rows import BadRow, Row, parse_row, scored
from cos.protocols import Prompt, Scorer, ToScore
from cos.store import dump, lines
from cos.template import pieces

BLOCK = 32
"""Rows at once."""


def add(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("file", nargs="?", metavar="FILE", help="scoring rows, one JSON object a line")
    add_models(parser, policy=False)
    parser.add_argument("--images", metavar="ROOT", default=".", help="folder that the rows' pictures are under (.)")
    parser.add_argument("--out", metavar="F", help="where the scored rows go; a killed run goes on there")
    parser.add_argument("--on-error", choices=("stop", "skip"), default="stop", help="what a bad row does (stop)")


def run(args: argparse.Namespace) -> Outcome:
    """Score the rows that `--out` does not hold yet."""
    need(args, file="FILE", out="--out")
    from cos.loading import load_scorer

    if not Path(args.images).is_dir():
        raise UserError(f"{args.images}: no such folder of pictures; name it with --images")
    total = sum(1 for _ in lines(args.file))
    done = _done(Path(args.out))
    work = _Work(args, load_scorer(args.reward), total, done)
    work.run()
    result = {"rows": total, "scored": work.scored, "already": sum(done.values()), "bad": work.bad, "out": args.out}
    text = f"{work.scored} rows scored, {result['already']} were there, {len(work.bad)} bad; {args.out}"
    return Outcome(result, "\n".join([*(f"line {row['line']}: {row['reason']}" for row in work.bad), text]))


@dataclass
class _Work:
    args: argparse.Namespace
    scorer: Scorer
    total: int
    done: Counter[str]
    scored: int = 0
    bad: list[dict[str, Any]] = field(default_factory=list)

    def run(self) -> None:
        progress, left = Progress("score"), self.done.copy()
        waiting: list[tuple[int, Row, Prompt]] = []
        if sum(left.values()) < self.total:
            progress(sum(left.values()), self.total)
        with Path(self.args.out).open("a", encoding="utf-8") as out:
            for number, row in self._rows():
                if left[_key(row.source)]:
                    left[_key(row.source)] -= 1
                    continue
                try:
                    waiting.append((number, row, self._prompt(row)))
                except UserError as problem:
                    self._bad(number, str(problem))
                if len(waiting) == BLOCK:
                    self._score(waiting, out)
                    waiting = []
                    progress(sum(self.done.values()) + self.scored + len(self.bad), self.total)
            self._score(waiting, out)
        progress(self.total, self.total)

    def _rows(self) -> Iterator[tuple[int, Row]]:
        for line in lines(self.args.file):
            try:
                if line.reason is not None:
                    raise BadRow(line.reason)
                row = parse_row(line.row)
                if row.kind != "score":
                    raise BadRow(f"a row of kind {row.kind}, where a scoring row (`reasoning`, `extract_answer`) is needed")
            except BadRow as problem:
                self._bad(line.number, str(problem))
            else:
                yield line.number, row

    def _prompt(self, row: Row) -> Prompt:
        if len(row.images) > 1:
            raise UserError(f"{len(row.images)} pictures, where one at most can be scored")
        return Prompt(row.question, open_picture(row.images[0], self.args.images) if row.images else None)

    def _score(self, rows: list[tuple[int, Row, Prompt]], out: Any) -> None:
        try:
            scores = rewards(self.scorer, [(prompt, pieces(row.chain)) for _, row, prompt in rows])
        except UserError as problem:
            if len(rows) == 1:
                self._bad(rows[0][0], str(problem))
                return
            for single in rows:  # apart, so that only the row at fault is bad
                self._score([single], out)
            return
        for (_, row, _), values in zip(rows, scores, strict=True):
            out.write(dump(scored(row, values[:-1], values[-1])) + "\n")
        out.flush()
        self.scored += len(rows)

    def _bad(self, line: int, reason: str) -> None:
        if self.args.on_error == "stop":
            raise UserError(f"{self.args.file}, line {line}: {reason} (--on-error skip leaves such rows out)")
        self.bad.append({"line": line, "reason": reason})


def rewards(scorer: Scorer, chains: list[tuple[Prompt, list[str]]]) -> list[tuple[float, ...]]:
    """One reward a piece for each chain, all in one batch."""
    roots = [opened.handle for opened in scorer.open([prompt for prompt, _ in chains])] if chains else []
    try:
        asked = [ToScore(root, tuple(texts)) for root, (_, texts) in zip(roots, chains, strict=True)]
        return [answer.rewards for answer in scorer.score(asked)] if asked else []
    finally:
        scorer.close(roots)


def _key(row: Any) -> str:
    """What makes a row the same row: many chains may share a question's id."""
    return json.dumps([row.get(name) for name in ("question_id", "extract_answer", "reasoning")], sort_keys=True)


def _done(out: Path) -> Counter[str]:
    """The rows that are in the file. A last line that a kill has cut short is cut off."""
    found: Counter[str] = Counter()
    out.parent.mkdir(parents=True, exist_ok=True)
    if not out.exists():
        return found
    with out.open("rb+") as file:
        start = 0
        for raw in file:
            if not raw.endswith(b"\n"):
                file.truncate(start)
                break
            start += len(raw)
    for line in lines(out):
        if line.reason is not None or "answer_score" not in line.row:
            raise UserError(f"{out}, line {line.number}: {line.reason or 'not a scored row'}; name another file with --out")
        found[_key(line.row)] += 1
    return found
