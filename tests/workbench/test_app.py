"""app.py: what it serves by its arguments, and one plain line for a mistake."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import app

ROOT = Path(__file__).parent.parent.parent


def test_arguments_reach_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}
    monkeypatch.setattr(app, "build", lambda session: seen.update(session=session) or "pages")
    monkeypatch.setattr(app, "serve", lambda pages, session, **where: seen.update(pages=pages, **where))
    assert app.main(["--policy", "scripted", "--reward", "oracle", "--port", "7999", "--runs", "some/where"]) == 0
    session = seen.pop("session")
    assert seen == {"pages": "pages", "host": None, "port": 7999, "mcp": False}
    assert session.archive.folder == Path("some/where")
    assert session.policies[0] == "scripted" and session.rewards[0] == "oracle" and len(set(session.rewards)) == len(session.rewards)


def test_a_model_that_is_none_ends_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.main(["--policy", "nowhere"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("app: ") and "nowhere" in said and said.count("\n") == 1


def test_the_pages_are_built_private_and_bounded() -> None:
    code = (
        "from workbench.session import Session; from workbench.ui import build; pages = build(Session())\n"
        "public = [f.api_name for f in pages.fns.values() if f.api_visibility != 'private']\n"
        "print(pages._queue.max_size, pages.analytics_enabled, sorted(public))"
    )  # in a process of its own: Gradio leaves event loops open, and here warnings are errors
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=240, check=False)
    assert run.stdout.strip() == "64 False ['get_trace', 'score_steps', 'solve']", run.stderr
