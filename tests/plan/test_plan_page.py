"""docs/plan.md shows what `cos plan` prints today."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cos.__main__ import main

ROOT = Path(__file__).parent.parent.parent
SHOWN = re.findall(r"^```\n\$ cos (plan .*)\n((?:.*\n)*?)```$", (ROOT / "docs" / "plan.md").read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize(("words", "printed"), SHOWN, ids=lambda text: text.split(" --")[0])
def test_a_command_prints_what_the_page_shows(
    words: str, printed: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    assert main(words.split()) == 0
    assert capsys.readouterr().out == printed


def test_the_page_shows_a_search_a_labelling_and_a_training() -> None:
    assert {words.split()[1] for words, _ in SHOWN} == {"search", "label", "train"}
