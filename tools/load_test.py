"""Many visitors at once on the app, over loopback: `python tools/load_test.py [--visitors 50] [--seconds 120] [--policy embedded]`.

Starts the app in a process of its own. Each visitor opens the page's stream as a browser does, presses Run with a question of their own,
waits for the end and begins again. Checked: nothing but notices of a full line goes wrong, every answer is about the question of the
visitor who asked, and the server's memory afterwards is within 10 % of what it was after the first runs. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from cos.problems import draw
from workbench.inputs import new_puzzle

ROOT = Path(__file__).parent.parent
EXPECTED = ("are waiting already", "a minute are the most", "Queue is full")
"""What a visitor may be told when too many come."""


def memory(process: int) -> float:
    """Resident megabytes."""
    return int(Path(f"/proc/{process}/statm").read_text("utf-8").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


class Visitor(threading.Thread):
    """One visitor: asks, waits, checks that what comes back is their own, asks again."""

    def __init__(self, url: str, number: int, until: float, n: int) -> None:
        super().__init__(name=f"visitor{number}", daemon=True)
        self.url, self.number, self.until, self.n = url, number, until, n
        self.said: Counter[str] = Counter()
        self.seconds: list[float] = []

    def run(self) -> None:
        """Until the time is over."""
        problem = new_puzzle("charts", 1 + self.number % 3, seed=self.number)
        buffer = io.BytesIO()
        draw(problem).save(buffer, "PNG")
        image = base64.b64encode(buffer.getvalue()).decode()
        values: list[Any] = [image, problem.question, "step_beam", self.n, 4, self.number, 1.0, 12, 256, "", ""]
        with httpx.Client(timeout=300) as client:
            while time.monotonic() < self.until:
                began = time.monotonic()
                try:
                    self._visit(client, values, problem.question)
                except (httpx.HTTPError, AssertionError, ValueError) as fault:
                    self.said[f"FAULT {type(fault).__name__}: {fault}"[:200]] += 1
                self.seconds.append(time.monotonic() - began)
                time.sleep(0.5)

    def _visit(self, client: httpx.Client, values: list[Any], question: str) -> None:
        kind, told = call(self.url, client, "solve", values, self.name)
        if kind == "error":
            notice = any(part in str(told) for part in EXPECTED)
            self.said["notice of a full line" if notice else f"FAULT {told}"[:200]] += 1
            time.sleep(1.0)
            return
        _, (kept,) = call(self.url, client, "get_trace", [told[0]["run"]], self.name)
        mine = kept["asked"]["question"] == question and kept["traces"][0]["seed"] == self.number
        self.said["own run" if mine else "FAULT another visitor's run"] += 1


def call(url: str, client: httpx.Client, name: str, values: list[Any], session: str) -> tuple[str, Any]:
    """One call of the API by plain HTTP, to its end: `("complete", result)` or `("error", message)`. `session`: the page that asks."""
    made = client.post(f"{url}/gradio_api/call/{name}", json={"data": values, "session_hash": session})
    if made.status_code == 503:
        return "error", made.text
    made.raise_for_status()
    with client.stream("GET", f"{url}/gradio_api/call/{name}/{made.json()['event_id']}") as stream:
        kind = ""
        for line in stream.iter_lines():
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: ") and kind in ("complete", "error"):
                return kind, json.loads(line.removeprefix("data: "))
    raise ValueError("the stream ended without a word")


def main() -> int:
    """Serve, visit, count."""
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--visitors", type=int, default=50)
    ask.add_argument("--seconds", type=float, default=120.0)
    ask.add_argument("--n", type=int, default=8)
    ask.add_argument("--policy", default="embedded")
    ask.add_argument("--reward", default="embedded")
    given = ask.parse_args()
    with served("--policy", given.policy, "--reward", given.reward) as (url, app):
        crowd(url, given.visitors, 5.0, given.n)  # the first runs load what is loaded once, and fill the caches
        before, sizes = memory(app.pid), list[float]()
        visitors = crowd(url, given.visitors, given.seconds, given.n, lambda: sizes.append(round(memory(app.pid), 1)))
        time.sleep(5)
        after = memory(app.pid)
    said: Counter[str] = sum((visitor.said for visitor in visitors), Counter())
    waits = sorted(second for visitor in visitors for second in visitor.seconds) or [0.0]
    faults = sum(count for text, count in said.items() if text.startswith("FAULT"))
    result = {"visitors": given.visitors, "seconds": given.seconds, "outcomes": said, "median_wait": round(waits[len(waits) // 2], 2)}
    result |= {
        "longest_wait": round(waits[-1], 2),
        "megabytes": {"before": round(before, 1), "meanwhile": sizes, "after": round(after, 1)},
        "memory_ratio": round(after / before, 3),
    }
    print(json.dumps(result, indent=1))
    return 1 if faults or after > 1.1 * before else 0


@contextmanager
def served(*options: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The app in a process of its own, with runs in a folder that goes with it: its address and the process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "app.py", "--port", str(port), *options, "--runs"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with (
        tempfile.TemporaryDirectory(prefix="cos-load-") as runs,
        subprocess.Popen([*command, runs], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL) as app,
    ):
        try:
            wait(f"http://127.0.0.1:{port}", app)
            yield f"http://127.0.0.1:{port}", app
        finally:
            app.terminate()
            app.wait()


def wait(url: str, app: subprocess.Popen[bytes]) -> None:
    """Until something is served there."""
    for _ in range(1200):
        try:
            httpx.get(url, timeout=20).raise_for_status()
            return
        except httpx.TransportError:
            if app.poll() is not None:
                break
            time.sleep(0.2)
    sys.exit("the app does not start")


def crowd(url: str, count: int, seconds: float, n: int, look: Callable[[], None] = lambda: None) -> list[Visitor]:
    """Visitors at once, until they have all left; `look` is called every ten seconds meanwhile."""
    visitors = [Visitor(url, number, time.monotonic() + seconds, n) for number in range(count)]
    for visitor in visitors:
        visitor.start()
    while any(visitor.is_alive() for visitor in visitors):
        look()
        next((visitor for visitor in visitors if visitor.is_alive()), visitors[0]).join(10.0)
    return visitors


if __name__ == "__main__":
    sys.exit(main())
