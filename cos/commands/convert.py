"""`cos convert`: a released InternVL or CoS checkpoint (original `internvl_chat` format) to the native format that this workbench loads.

example: cos convert CoS-PRM models/cos-prm --json
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from cos.commands.options import Outcome, need


def add(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("source", nargs="?", metavar="SRC", help="the folder of the checkpoint as it was released")
    parser.add_argument("target", nargs="?", metavar="DST", help="the new folder")
    parser.add_argument("--expected", metavar="FILE", help="the reference's numbers to compare with (SRC/expected.json, where it is there)")


def run(args: argparse.Namespace) -> Outcome:
    """Convert, compare, say what was mapped."""
    need(args, source="SRC", target="DST")
    from transformers.utils import logging

    from cos.models.internvl import convert

    logging.disable_progress_bar()
    result = convert(Path(args.source), Path(args.target), Path(args.expected) if args.expected else None)
    return Outcome(result, _text(result))


def _text(result: dict[str, Any]) -> str:
    marks, lacking = len(result["tokens"]), len(result["tokens_missing"])
    parity = result["parity"]
    lines = [
        f"{result['source']} -> {result['target']}: {result['language_model']}",
        f"{result['weights_read']} weights in {result['files']} file(s) -> {result['weights_written']}, all names and shapes fit",
        f"{marks} of {marks + lacking} marks of chains and rewards are tokens here"
        + (f"; missing: {', '.join(result['tokens_missing'])}" if lacking else ""),
    ]
    if parity is None:
        lines.append("no numbers of the reference were there to compare with (--expected)")
    else:
        lines += [f"as the reference to {difference:.2g}: {name}" for name, difference in parity.items()]
    return "\n".join(lines)
