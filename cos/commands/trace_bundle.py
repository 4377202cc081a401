"""`cos trace bundle`: one or several searches as one HTML file that needs no server: tree, steps, rewards, cost.

example: cos trace bundle trace.json --image docs/pictures/chart.png --out search.html
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

from cos.commands.options import Outcome, need
from cos.search.trace import SearchTrace


def add(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("files", nargs="*", metavar="FILE", help="traces, as cos solve --trace keeps them; side by side on the page")
    parser.add_argument("--image", metavar="FILE", help="the picture they are about")
    parser.add_argument("--out", metavar="FILE", help="the page")


def run(args: argparse.Namespace) -> Outcome:
    """Read, draw, write."""
    from cos.answers import match
    from cos.errors import UserError
    from cos.problems.pictures import open_picture
    from workbench.render import bundle

    need(args, files="FILE", out="--out")
    if not args.files:
        raise UserError("no trace is given; name one or several files, as cos solve --trace keeps them")
    traces = [SearchTrace.load(file) for file in args.files]
    picture = io.BytesIO()
    if args.image:
        open_picture(args.image).save(picture, "PNG")
    gold = traces[0].gold
    page = bundle(traces, picture.getvalue() or None, None if gold is None else lambda answer: match(answer, gold))
    out = Path(args.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(page.encode("utf-8", "replace"))
    return Outcome({"out": str(out), "searches": len(traces), "bytes": out.stat().st_size}, f"{out}: {len(traces)} searches")
