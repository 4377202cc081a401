"""Would this checkout start as a Hugging Face Space? `python tools/space_check.py [--python python3.12] [--also spaces]`.

Does what a Space does: a copy of the files that git tracks, a new virtual environment with requirements.txt and nothing else, app_file of
README.md started with the variables of a Space. There is no GPU, and while the app runs no other machine may be asked: whoever is, is
noted and refused. One question goes through the API, and the Replay page must offer every recorded run. Prints one JSON object; exit code
1 where something of this fails. Takes minutes and some 3 GB of disk for as long; needs git, Python 3.11 or newer, and pip's usual index.
"""

from __future__ import annotations

import argparse
import html
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
QUESTION = "How much taller is the green bar than the brown bar?"

GUARD = """
import runpy, sys
note = open(sys.argv[1], "a", buffering=1)
near = ("127.", "::1", "localhost", "0.0.0.0")
def guard(event, found):
    host = None
    if event in ("socket.connect", "socket.sendto"):
        host = found[1][0] if isinstance(found[1], tuple) else None
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = found[0]
    if isinstance(host, bytes):
        host = host.decode()
    if host and not host.startswith(near):
        note.write(host + "\\n")
        raise OSError("no other machine may be asked here: " + host)
sys.addaudithook(guard)
sys.argv[:] = sys.argv[2:]
sys.path[0] = ""
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Runs a script (its arguments: a file for notes, the script, the script's own) in which no host but this one can be asked."""

ASK = """
import base64, json, sys
from gradio_client import Client
image = base64.b64encode(open("docs/pictures/chart.png", "rb").read()).decode()
print(json.dumps(Client(sys.argv[1], verbose=False).predict(image, sys.argv[2], api_name="/solve")))
"""


def front_matter() -> dict[str, str]:
    """The plain `key: value` lines at the head of README.md."""
    head = (ROOT / "README.md").read_text("utf-8").split("---")[1]
    return {key: value.strip("\"' ") for key, value in re.findall(r"^(\w+):[ ]*(.+)$", head, re.M)}


def copy_to(home: Path) -> int:
    """All that git tracks, as it is now; how many files."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout.split("\0")
    names = [name for name in names if name and (ROOT / name).is_file()]
    for name in names:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, home / name)
    return len(names)


def install(python: str, home: Path, venv: Path, also: list[str]) -> None:
    """A new environment with what requirements.txt says, and `also`."""
    subprocess.run([python, "-m", "venv", str(venv)], check=True)
    pip = [str(venv / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "-r", str(home / "requirements.txt"), *also], check=True, cwd=venv, stdout=sys.stderr)


def variables(work: Path, port: int) -> dict[str, str]:
    """What a process of a Space sees, but for the address: this machine alone."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "OMP_NUM_THREADS") if name in os.environ}
    space = {"SYSTEM": "spaces", "SPACE_ID": "check/space", "GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_SERVER_PORT": str(port)}
    return kept | space | {"HOME": str(work), "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONUNBUFFERED": "1"}


def get(url: str) -> str | None:
    """A page as text; None where nobody answers yet."""
    try:
        with urllib.request.urlopen(url, timeout=60) as page:
            return str(page.read().decode("utf-8"))
    except urllib.error.HTTPError as problem:
        sys.exit(f"space_check: {url}: {problem}")
    except OSError:
        return None


def visit(app: subprocess.Popen[bytes], url: str, home: Path, venv: Path, env: dict[str, str]) -> dict[str, Any]:
    """Wait for the app, ask it one question, look at its recorded runs."""
    began = time.monotonic()
    while get(url) is None:
        if app.poll() is not None or time.monotonic() - began > 600:
            sys.exit("space_check: the app does not start; what it wrote is above")
        time.sleep(0.2)
    started = time.monotonic()
    asked = subprocess.run([str(venv / "bin/python"), "-c", ASK, url, QUESTION], cwd=home, env=env, stdout=subprocess.PIPE, check=True)
    found, answered = json.loads(asked.stdout), time.monotonic()
    titles = [json.loads(file.read_text("utf-8"))["title"] for file in sorted((home / "workbench/recorded").glob("*.json"))]
    shown = html.unescape(get(url + "config") or "")  # all pages as Gradio describes them
    missing = [title for title in titles if title not in shown]
    return {
        "seconds_to_start": round(started - began, 1),
        "seconds_to_answer": round(answered - started, 1),
        "seconds_of_search": round(found["seconds"], 2),
        "answer": found["answer"],
        "steps": len(found["steps"]),
        "recorded": len(titles),
        "recorded_missing": missing,
    }


def check(work: Path, python: str, also: list[str]) -> dict[str, Any]:
    """The whole of it, in an empty folder."""
    home, venv, notes, head = work / "app", work / "venv", work / "asked", front_matter()
    files, began = copy_to(home), time.monotonic()
    install(python, home, venv, also)
    installed = time.monotonic() - began
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = variables(work, port)
    (work / "guard.py").write_text(GUARD, "utf-8")
    notes.touch()
    command = [str(venv / "bin/python"), str(work / "guard.py"), str(notes), head["app_file"]]
    with subprocess.Popen(command, cwd=home, env=env, stdout=sys.stderr) as app:
        try:
            found = visit(app, f"http://127.0.0.1:{port}/", home, venv, env)
        finally:
            app.terminate()
            app.wait()
    others = sorted(set(notes.read_text("utf-8").split()))
    return {
        "files": files,
        "sdk_version": head["sdk_version"],
        "seconds_to_install": round(installed),
        **found,
        "other_machines_asked": others,
    }


def main() -> int:
    """Check, print, tidy."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--python", default=sys.executable, help="the Python to make the environment with (this one)")
    ask.add_argument("--also", nargs="*", default=[], help="packages beside requirements.txt, such as spaces, which a Space has too")
    given = ask.parse_args()
    with tempfile.TemporaryDirectory(prefix="cos-space-") as work:
        found = check(Path(work), given.python, given.also)
    print(json.dumps(found, indent=1, ensure_ascii=False))
    return 1 if found["answer"] is None or found["recorded_missing"] or found["other_machines_asked"] else 0


if __name__ == "__main__":
    sys.exit(main())
