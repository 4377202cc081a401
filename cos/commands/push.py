"""`cos push`: a model, a data set or the app to the Hugging Face Hub, in one commit.

    policy, reward   WHAT is a folder that a training has saved (runs/NAME/model), or embedded; with a reward model go its thresholds and
                     its calibration (cos calibrate), if it has them
    data             WHAT is a folder of cos data make, or a Parquet file (cos data convert --to parquet)
    space            WHAT is a checkout of this repository: the app as a Space

The token is that of `hf auth login` or of HF_TOKEN; it is never shown. Models go as safetensors. A README.md in the folder becomes the card
of the page and keeps its words; what a card needs and it lacks is added to the copy that goes up. docs/hub.md says how all of it comes
back: wherever a model may be named, owner/name or owner/name@REVISION will do.

example: cos push reward runs/prm/model --to owner/cos-prm --dry-run
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cos.commands.options import Outcome, need

if TYPE_CHECKING:
    from cos.publish.parcel import Parcel

KINDS = ("policy", "reward", "data", "space")


def add(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("kind", nargs="?", choices=KINDS, metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("what", nargs="?", metavar="WHAT", help="a folder, a file, or embedded")
    parser.add_argument("--to", metavar="OWNER/NAME", help="the repository; made where there is none")
    parser.add_argument("--private", action="store_true", help="make it for its owner alone (off)")
    parser.add_argument("--dry-run", action="store_true", help="say what would go up; ask nothing of the Hub")


def run(args: argparse.Namespace) -> Outcome:
    """Look at everything, then send it."""
    need(args, kind="KIND", what="WHAT", to="--to")
    from cos.publish.parcel import send

    with tempfile.TemporaryDirectory(prefix="cos-push-") as work:
        parcel = _parcel(args, Path(work))
        sizes = parcel.sizes()
        sent = None if args.dry_run else send(parcel, private=args.private)
    result: dict[str, Any] = {"kind": args.kind, "repo": args.to, "files": sizes, "bytes": sum(sizes.values())}
    result |= {"left_out": list(parcel.left_out), "notes": list(parcel.notes)}
    result |= {"commit": sent.commit if sent else None, "url": sent.url if sent else None}
    return Outcome(result, _text(result))


def _parcel(args: argparse.Namespace, work: Path) -> Parcel:
    from cos.publish.data import data_parcel
    from cos.publish.parcel import model_parcel, space_parcel

    if args.kind == "data":
        return data_parcel(args.what, args.to, work)
    return space_parcel(args.what, args.to) if args.kind == "space" else model_parcel(args.what, args.kind, args.to)


def _text(result: dict[str, Any]) -> str:
    lines = [f"{size:>13,}  {path}" for path, size in result["files"].items()]
    lines += [f"    stays here  {path}" for path in result["left_out"]] + [f"! {note}" for note in result["notes"]]
    total = f"{len(result['files'])} files, {result['bytes'] / 1e6:,.1f} MB"
    if result["commit"] is None:
        return "\n".join([*lines, f"{total} would go to {result['repo']}; nothing was sent"])
    return "\n".join([*lines, f"{total} are at {result['url']}, as {result['repo']}@{result['commit'][:12]}"])
