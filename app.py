"""Serve the workbench: `make app`, `python app.py --port 7861`; also the entry of a Hugging Face Space."""

from __future__ import annotations

import argparse

from workbench.session import Session
from workbench.ui import build, serve


def main() -> None:
    """Arguments, build, launch."""
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--host", default=None, help="address to listen on (127.0.0.1; 0.0.0.0 opens the app to the network)")
    ask.add_argument("--port", type=int, default=None, help="port (the first free one from 7860)")
    ask.add_argument(
        "--policy", action="append", default=[], help="a policy to offer first: embedded, scripted, a folder, a server's address"
    )
    ask.add_argument(
        "--reward", action="append", default=[], help="a reward model to offer first: embedded, scripted, a folder, judge:MODEL"
    )
    given = ask.parse_args()
    serve(build(Session.offering(given.policy, given.reward)), host=given.host, port=given.port)


if __name__ == "__main__":
    main()
