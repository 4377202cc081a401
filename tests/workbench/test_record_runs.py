"""tools/record_runs.py: what it chooses is what was wanted, and a gallery that would lack something leaves the old one in place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tools import record_runs
from workbench.recordings import read

MODELS = ["--policy", "scripted", "--reward", "scripted"]


def entries(count: int) -> tuple[record_runs.Entry, ...]:
    """Two that the gallery needs, as the scripted models can make them, and others."""
    failed = next(replace(entry, settings={"max_steps": 1}) for entry in record_runs.ENTRIES if entry.name == "10-failed")
    liked = replace(failed, name="09-fooled", method="best_of_n", wanted=lambda trace: not record_runs.right(trace), settings={})
    others = [replace(liked, name=f"x-{number}", method="vote", wanted=record_runs.ends) for number in range(count - 2)]
    return (liked, failed, *others)


def test_the_new_gallery_takes_the_place_of_the_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(record_runs, "ENTRIES", entries(record_runs.FEWEST))
    (tmp_path / "07-old.json").write_text("{}", "utf-8")
    assert record_runs.main([str(tmp_path), *MODELS]) == 0
    told = capsys.readouterr().out
    made = {file.stem: read(file) for file in tmp_path.glob("*.json")}
    assert len(made) == record_runs.FEWEST and "07-old" not in made
    assert made["10-failed"].trace.ended == "no_answer" and made["09-fooled"].run.right(0) is False
    for name, one in made.items():
        assert one.trace.problem is not None and f"{name}: {one.trace.problem} by {one.trace.method}" in told


@pytest.mark.parametrize("count", [2, record_runs.FEWEST])
def test_without_what_it_needs_the_old_gallery_stays(
    count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = entries(count)
    if count > 2:
        wanted = (replace(wanted[0], wanted=lambda trace: False, places=wanted[0].places[:1]), *wanted[1:])
    monkeypatch.setattr(record_runs, "ENTRIES", wanted)
    monkeypatch.setattr(record_runs, "TRIES", 2)
    (tmp_path / "07-old.json").write_text("{}", "utf-8")
    assert record_runs.main([str(tmp_path), *MODELS]) == 1
    said = capsys.readouterr()
    assert [file.name for file in tmp_path.iterdir()] == ["07-old.json"] and "the gallery stays as it was" in said.err
    assert count == 2 or "09-fooled: never came out so in 2 tries" in said.out
