"""Serve the workbench: `make app`, `python app.py --port 7861`; also the entry of a Hugging Face Space (docs/hub.md)."""

from __future__ import annotations

import argparse
import os
import sys
from importlib.util import find_spec
from pathlib import Path

from cos.errors import UserError
from workbench.runs import Archive
from workbench.session import Session
from workbench.ui import build, serve

HERE = ("127.0.0.1", "localhost", "::1")
PUBLIC = {"SPACE_ID", "GRADIO_SERVER_NAME"}
"""Variables of a place that serves others."""


def named(variable: str) -> list[str]:
    """Models that a variable of the Space names, commas between them: nobody gives a Space arguments."""
    return [name.strip() for name in os.environ.get(variable, "").split(",") if name.strip()]


def main(arguments: list[str] | None = None) -> int:
    """Arguments, models, pages, server."""
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--host", help="address to listen on (default 127.0.0.1; 0.0.0.0 opens the app to the network)")
    ask.add_argument("--port", type=int, help="port (default: the first free one from 7860)")
    ask.add_argument("--policy", action="append", default=[], help="policy to offer first: embedded, scripted, a folder or a Hub id")
    ask.add_argument("--reward", action="append", default=[], help="reward model to offer first: embedded, scripted, oracle, a folder ...")
    ask.add_argument("--runs", default="runs/app", help="folder that keeps the runs, so that their links still open (default runs/app)")
    ask.add_argument("--results", default="runs", help="folder with folders of cos eval and cos card to look at (default runs)")
    ask.add_argument(
        "--load", action=argparse.BooleanOptionalAction, help="let visitors load further models (on where only this machine is served)"
    )
    ask.add_argument("--mcp", action="store_true", help="offer the API as tools of MCP too (needs pip install 'cos-workbench[mcp]')")
    given = ask.parse_args(arguments)
    try:
        models = given.policy or named("COS_POLICY"), given.reward or named("COS_REWARD")
        session = Session.offering(*models, Archive(Path(given.runs)))
        session.results = Path(given.results)
        session.may_ask = given.host in (None, *HERE) and not PUBLIC & os.environ.keys()
        session.may_load = session.may_ask if given.load is None else given.load
        if given.mcp and find_spec("mcp") is None:
            raise UserError("--mcp needs the extra of that name: pip install 'cos-workbench[mcp]'")
        session.warm()
        serve(build(session), session, host=given.host, port=given.port, mcp=given.mcp)
    except (UserError, OSError) as problem:
        print(f"app: {problem}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
