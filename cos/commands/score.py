"""`cos score`: rewards for given chains, from and to the scoring rows of the released CoS code.

example: cos score rows.jsonl --images pictures/ --reward embedded --out scored.jsonl
"""

from __future__ import annotations

import argparse
import json
import zlib
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

from cos.commands.options import Outcome, Progress, add_models, need
from cos.commands.workers import Task, add_workers
from cos.errors import UserError
from cos.problems.pictures import open_picture
from cos.problems.released_rows import BadRow, Row, parse_row, scored
from cos.protocols import Prompt, Scorer, ToScore
from cos.scale import Block, Chunks, ahead, cut, spread
from cos.store import Line, dump, lines
from cos.template import pieces

BLOCK = 32
"""Rows at once."""


def add(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("file", nargs="?", metavar="FILE", help="scoring rows, one JSON object a line")
    add_models(parser, policy=False)
    parser.add_argument("--images", metavar="ROOT", default=".", help="folder that the rows' pictures are under (.)")
    parser.add_argument("--out", metavar="F", help="where the scored rows go; a killed run goes on there")
    add_workers(parser)
    parser.add_argument("--on-error", choices=("stop", "skip"), default="stop", help="what a bad row does (stop)")


def run(args: argparse.Namespace) -> Outcome:
    """Score the rows that `--out` does not hold yet."""
    need(args, file="FILE", out="--out")
    if not Path(args.images).is_dir():
        raise UserError(f"{args.images}: no such folder of pictures; name it with --images")
    work, done = _Scoring(args), _done(Path(args.out))
    blocks, missing, total = _left(args.file, done)
    team, progress, new, bad = work.team(), Progress("score"), 0, list[dict[str, Any]]()
    progress(total - len(missing), total)
    with closing(spread(work, blocks, team, ahead(Path(args.out)))) as made, Path(args.out).open("a", encoding="utf-8") as out:
        for found in (one for rows in made for one in rows if one["line"] in missing):
            if "scored" in found:
                out.write(dump(found["scored"]) + "\n")
                out.flush()
                new += 1
            elif args.on_error == "stop":
                raise UserError(f"{args.file}, line {found['line']}: {found['reason']} (--on-error skip leaves such rows out)")
            else:
                bad.append(found)
            progress(total - len(missing) + new + len(bad), total)
    result = {"rows": total, "scored": new, "already": sum(done.values()), "bad": bad, "out": args.out}
    text = f"{new} rows scored, {result['already']} were there, {len(bad)} bad; {args.out}"
    return Outcome(result, "\n".join([*(f"line {row['line']}: {row['reason']}" for row in bad), text]))


class _Scoring(Task):
    """Block -> for each of some lines `{line, scored}` or, where it can't be scored, `{line, reason}`."""

    def load(self) -> None:
        """Load the reward model."""
        from cos.loading import load_scorer

        self.scorer = load_scorer(self.args.reward)
        self.chunks = Chunks(lambda: lines(self.args.file), BLOCK)

    def rows(self, number: int) -> list[dict[str, Any]]:
        """Every line of the block is in it once."""
        found, good = list[dict[str, Any]](), list[tuple[int, Row, Prompt]]()
        for line in self.chunks[number]:
            try:
                row = _row(line)
                good.append((line.number, row, self._prompt(row)))
            except (BadRow, UserError) as problem:
                found.append({"line": line.number, "reason": str(problem)})
        return sorted(found + self._scored(good), key=lambda one: int(one["line"]))

    def _prompt(self, row: Row) -> Prompt:
        if len(row.images) > 1:
            raise UserError(f"{len(row.images)} pictures, where one at most can be scored")
        return Prompt(row.question, open_picture(row.images[0], self.args.images) if row.images else None)

    def _scored(self, rows: list[tuple[int, Row, Prompt]]) -> list[dict[str, Any]]:
        try:
            scores = rewards(self.scorer, [(prompt, pieces(row.chain)) for _, row, prompt in rows])
        except UserError as problem:
            if len(rows) == 1:
                return [{"line": rows[0][0], "reason": str(problem)}]
            return [one for single in rows for one in self._scored([single])]  # apart, so that only the row at fault is bad
        return [{"line": line, "scored": scored(row, values[:-1], values[-1])} for (line, row, _), values in zip(rows, scores, strict=True)]


def _row(line: Line) -> Row:
    if line.reason is not None:
        raise BadRow(line.reason)
    row = parse_row(line.row)
    if row.kind != "score":
        raise BadRow(f"a row of kind {row.kind}, where a scoring row (`reasoning`, `extract_answer`) is needed")
    return row


def _left(file: str, done: Counter[str]) -> tuple[list[Block], set[int], int]:
    """The blocks with a line that is not done; the numbers of all such lines; and how many lines there are."""
    there, missing, numbers, ids = done.copy(), set[int](), list[int](), list[str]()
    for line in lines(file):
        key = _key(line.row)
        if there[key]:
            there[key] -= 1
        else:
            missing.add(line.number)
        numbers.append(line.number)
        ids.append(f"{line.number} {zlib.crc32(line.text.encode('utf-8', 'surrogatepass'))}")
    blocks = [block for block in cut(ids, BLOCK) if missing.intersection(numbers[block.number * BLOCK : (block.number + 1) * BLOCK])]
    return blocks, missing, len(numbers)


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
