"""Servers of the tests: a program of ours in a process of its own, and its address once it answers; a server of ours in a thread."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import TypeVar

import httpx

Server = TypeVar("Server", bound=ThreadingHTTPServer)
ROOT = Path(__file__).parent.parent
START = 240.0
"""Seconds that a server may take to answer on a busy machine."""


@contextmanager
def serving(*command: str) -> Iterator[str]:
    """Run a Python program with a free port in the place of PORT; its address, once something is served there."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = [argument.replace("PORT", str(port)) for argument in command]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            yield answered(f"http://127.0.0.1:{port}", process)
        finally:
            process.terminate()


@contextmanager
def in_thread(server: Server) -> Iterator[Server]:
    """The server, at work until the block ends."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def answered(url: str, process: subprocess.Popen[bytes]) -> str:
    """The address, when something is served there."""
    until = time.monotonic() + START
    while time.monotonic() < until and process.poll() is None:
        try:
            httpx.get(url, timeout=20).raise_for_status()
            return url
        except httpx.TransportError:
            time.sleep(0.2)
    raise RuntimeError(f"nothing is served at {url} (exit code {process.poll()})")
