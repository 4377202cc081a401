"""The check of the Space: what it starts can ask no other machine, and what it reads. The whole of it takes minutes: by hand."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tools import space_check

TRY = """
import socket, sys
try:
    sock = {call}
    print("through", sys.argv[1:])
except OSError as problem:
    print("refused", problem)
"""


@pytest.mark.parametrize(
    ("call", "host"),
    [
        ('socket.create_connection(("192.0.2.1", 80), timeout=1)', "192.0.2.1"),
        ('socket.getaddrinfo("example.invalid", 443)', "example.invalid"),
        ('socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.1", 53))', "192.0.2.1"),
        ('socket.create_connection(("127.0.0.1", PORT), timeout=5)', None),
        ('socket.getaddrinfo("localhost", 80)', None),
    ],
)
def test_no_other_machine_can_be_asked(tmp_path: Path, call: str, host: str | None) -> None:
    (tmp_path / "guard.py").write_text(space_check.GUARD)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        (tmp_path / "app.py").write_text(TRY.format(call=call.replace("PORT", str(listening.getsockname()[1]))))
        command = [sys.executable, "-S", str(tmp_path / "guard.py"), str(tmp_path / "asked"), "app.py", "--port"]
        run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.startswith("refused no other machine" if host else "through ['--port']")
    assert (tmp_path / "asked").read_text().split() == ([host] if host else [])


def test_what_the_readme_says_and_what_a_process_sees(tmp_path: Path) -> None:
    head = space_check.front_matter()
    assert head["app_file"] == "app.py" and head["python_version"] == "3.12"
    env = space_check.variables(tmp_path, 7)
    assert env["HF_HUB_OFFLINE"] == "1" and env["HOME"] == str(tmp_path) and "HF_TOKEN" not in env and "PYTHONPATH" not in env
