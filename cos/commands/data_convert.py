"""`cos data convert`: CoS rows to TRL's types and back, and the problems of a world to CoS training rows.

    --to trl      SFT, PRM and DPO rows, label records and preferences to prompt-completion, stepwise and preference rows
    --to parquet  the same as a Parquet file for `datasets`, with the pictures from --images within
    --to cos      the way back; label records, preferences and pools to PRM, DPO and roll-out rows
    --to pool     roll-out rows to a pool, for cos label
    --to sft      problems of a world (cos data make) to SFT rows with a right chain each
    --to prm      the same to PRM rows: chains right or made wrong, labelled by the truth

example: cos data convert sft.jsonl --to trl --out trl.jsonl
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cos.answers import match
from cos.chain import Problem, StepLabels
from cos.commands.options import Outcome, need
from cos.errors import UserError
from cos.store import dump, lines, schema


def add(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("file", nargs="?", metavar="FILE", help="rows, one JSON object a line")
    parser.add_argument("--to", choices=("trl", "parquet", "cos", "pool", "sft", "prm"), help="the form wanted")
    parser.add_argument("--out", metavar="F", help="where the rows go")
    parser.add_argument("--images", metavar="ROOT", help="look at every picture under this folder before")
    parser.add_argument("--on-error", choices=("stop", "skip"), default="stop", help="what a bad row does (stop)")


def run(args: argparse.Namespace) -> Outcome:
    """Convert row by row; the file appears when it is whole."""
    need(args, file="FILE", to="--to", out="--out", **({"images": "--images"} if args.to == "parquet" else {}))
    from cos.problems.parquet import write_parquet
    from cos.problems.pictures import open_picture
    from cos.problems.released_rows import BadRow

    bad: list[dict[str, Any]] = []
    convert = _converter(args.to, args.seed)

    def rows() -> Iterator[dict[str, Any]]:
        for line in lines(args.file):
            try:
                if line.reason is not None:
                    raise BadRow(line.reason)
                row = convert(line.row)
                for image in _images(row) if args.images else ():
                    open_picture(image, args.images)
                yield row
            except (BadRow, UserError) as problem:
                if args.on_error == "stop":
                    raise UserError(f"{args.file}, line {line.number}: {problem} (--on-error skip leaves such rows out)") from None
                bad.append({"line": line.number, "reason": str(problem)})

    count = write_parquet(args.out, rows(), args.images) if args.to == "parquet" else _write(Path(args.out), rows())
    result = {"rows": count + len(bad), "written": count, "bad": bad, "out": args.out}
    return Outcome(result, "\n".join([*(f"line {row['line']}: {row['reason']}" for row in bad), f"{count} rows written to {args.out}"]))


def _converter(to: str, seed: int) -> Callable[[dict[str, Any]], dict[str, Any]]:
    from cos.problems.records import to_row
    from cos.problems.trl import from_trl, to_trl

    if to in ("trl", "parquet"):
        return lambda row: to_trl(to_row(row))
    if to == "cos":
        return lambda row: dict((to_row(row) if str(row.get("schema", "")).startswith("cos.") else from_trl(row)).source)
    if to == "pool":
        return _pooled(Counter())
    return lambda row: _from_world(_problem(row), to, seed)


def _pooled(seen: Counter[str]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """`seen`: how many roll-outs of each question there were before."""
    from cos.problems.records import from_rollout
    from cos.problems.released_rows import parse_row

    def convert(row: dict[str, Any]) -> dict[str, Any]:
        name = str(row.get("question_id"))
        sample = from_rollout(parse_row(row), seen[name])
        seen[name] += 1
        return {"schema": schema("pool"), **sample.to_json()}

    return convert


def _problem(row: dict[str, Any]) -> Problem:
    from cos.problems.released_rows import BadRow

    if row.get("schema", "cos.problem/1") != "cos.problem/1" or not {"id", "question", "world", "truth"} <= set(row):
        raise BadRow("not a problem of a world, as cos data make writes them")
    return Problem.from_json(row)


def _from_world(problem: Problem, to: str, seed: int) -> dict[str, Any]:
    """A right chain; for `prm` in half of the rows one made wrong, with the truth's label of every step."""
    from cos import problems
    from cos.problems.released_rows import prm_row, sft_row

    rng = random.Random(f"convert/{seed}/{problem.id}")
    chain = problems.chain(problem, rng)
    if to == "sft":
        return dict(sft_row(problem.question, chain, problem.image).source)
    if rng.random() < 0.5:
        chain = problems.corrupt(problem, chain, rng)
    steps = [problems.check(problem, step).label for step in chain.steps]
    labels = StepLabels(tuple(steps), float(match(chain.answer, problem.answer)), "truth")
    return dict(prm_row(problem.question, chain, labels, problem.image).source)


def _images(row: dict[str, Any]) -> list[str]:
    images = row.get("images", row.get("image"))
    return images if isinstance(images, list) else [images] if images else []


def _write(out: Path, rows: Iterator[dict[str, Any]]) -> int:
    out.parent.mkdir(parents=True, exist_ok=True)
    part, count = out.with_name(out.name + ".part"), 0
    try:
        with part.open("w", encoding="utf-8", newline="\n") as file:
            for count, row in enumerate(rows, 1):  # noqa: B007
                file.write(dump(row) + "\n")
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)
    return count
