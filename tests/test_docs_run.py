"""The commands and Python blocks of README.md and of the pages of docs/ run as they stand, in order, in a folder of their own.

A block that begins with `# name.py` or `# name.yaml` is that file. A block after `<!-- not run: REASON -->` is not run; its `cos`
commands are still read by their verbs.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from cos.__main__ import _parse

ROOT = Path(__file__).parent.parent
NEEDED = ("docs", "app.py")
"""What the blocks use of the project's folder, beside `.venv`."""

_BLOCK = re.compile(r"(?:^<!-- not run:(?P<why>.*?)-->\n)?^```(?P<language>.*)\n(?P<text>(?:.*\n)*?)^```$", re.MULTILINE)
_PAGE = """a

```sh
true # b
false
```

<!-- not run: takes a day -->
```sh
.venv/bin/cos dance \\
  --n 3
```

```python
# c.py
d = 1
```
"""
_APP = """
import arithmetic, dots, until_good
from workbench.estimate import tokens
from workbench.inputs import new_puzzle
from workbench.session import Session
from workbench.ui import build
shown = repr(build(Session.offering(["scripted"], ["arithmetic"])).config)
assert all(word in shown for word in ("until good", "until_good", "'arithmetic'", "'dots'")), shown
assert tokens("until_good", 4, "scripted") > 0  # what a run will cost is said of any method
assert new_puzzle("dots", 2).question == "How many dots are there?"
"""


@dataclass(frozen=True)
class Block:
    """A fenced block: where it begins (`page:line`), its language and text, and why it is not run (None: it is)."""

    place: str
    language: str
    text: str
    why: str | None

    @property
    def file(self) -> str | None:
        """The file that the block is, where it names one."""
        found = re.match(r"# (\w+\.(?:py|yaml))\n", self.text)
        return found[1] if found else None

    @property
    def commands(self) -> list[str]:
        """The commands of a shell block, without comments and what follows them."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


def blocks(text: str, page: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    return [
        Block(f"{page}:{text.count(chr(10), 0, found.start('text'))}", found["language"].strip(), found["text"], found["why"])
        for found in _BLOCK.finditer(text)
    ]


def read(page: str) -> list[Block]:
    """The blocks of a page of the project."""
    return blocks((ROOT / page).read_text("utf-8"), page)


PAGES = [
    name
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
    for name in [str(page.relative_to(ROOT))]
    if any(block.language in ("sh", "python") for block in read(name))
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that looks like the project's, where blocks may write."""
    for name in NEEDED:
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    return tmp_path


def run(words: Sequence[str], folder: Path, place: str) -> None:
    """Run a command there; what it has printed is shown where it fails."""
    quiet = os.environ | {"PYTHONWARNINGS": "ignore", "GRADIO_ANALYTICS_ENABLED": "False"}
    done = subprocess.run(words, cwd=folder, env=quiet, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600)
    assert done.returncode == 0, f"{place} ended with {done.returncode}:\n{done.stdout[-3000:]}"


def run_block(block: Block, folder: Path) -> None:
    """Write the file that it is, or run it."""
    python = str(folder / ".venv" / "bin" / "python")
    if block.file:
        (folder / block.file).write_text(block.text, "utf-8")
    elif block.language == "python":
        run([python, "-c", block.text], folder, block.place)
    else:
        run(["sh", "-euc", block.text], folder, block.place)


@pytest.mark.timeout(1200)  # a busy machine
@pytest.mark.parametrize("page", PAGES)
def test_all_blocks_run(page: str, folder: Path) -> None:
    for block in read(page):
        if block.why is None and block.language in ("sh", "python", "yaml"):
            run_block(block, folder)
    if page == "docs/extending.md":
        run([str(folder / ".venv" / "bin" / "python"), "-c", _APP], folder, "the app with what docs/extending.md adds")


@pytest.mark.parametrize("page", PAGES)
def test_what_is_not_run_says_why_and_is_read_by_its_verb(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for block in read(page):
        assert block.language, f"{block.place}: a block without a language is not run by anybody"
        assert block.why is None or len(block.why.split()) >= 3, f"{block.place}: why is it not run?"
        for words in (shlex.split(command, comments=True) for command in block.commands if block.language == "sh"):
            if words[0] in (".venv/bin/cos", "cos"):
                _parse(words[1:])


def test_blocks_are_found_and_a_failing_one_fails(folder: Path) -> None:
    first, second, third = blocks(_PAGE, "p")
    assert [block.why for block in (first, second, third)] == [None, " takes a day ", None]
    assert (first.place, first.commands, second.commands) == ("p:3", ["true # b", "false"], [".venv/bin/cos dance    --n 3"])
    run_block(third, folder)
    assert (folder / "c.py").read_text() == "# c.py\nd = 1\n"
    with pytest.raises(AssertionError, match="p:3 ended with 1"):
        run_block(first, folder)
    with pytest.raises(AssertionError, match="NameError"):
        run_block(Block("p:9", "python", "d", None), folder)
