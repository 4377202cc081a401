"""Runs on the disk and by address: what was kept opens again, after a restart and in the middle; nothing else opens."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import time
import weakref
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from cos.__main__ import main
from cos.commands.options import read_yaml
from cos.protocols import Prompt
from cos.search.methods import Settings
from cos.search.trace import SearchTrace
from workbench import runs
from workbench.addresses import file, recorded
from workbench.export import command, python, recipe
from workbench.inputs import examples
from workbench.limits import LIMITS
from workbench.recordings import recordings
from workbench.replay import moment
from workbench.runs import Archive, Asked, Run
from workbench.session import Session

ROOT = Path(__file__).parent.parent.parent
HOSTILE = '<img src=x onerror="alert(1)"> $x$ **b** --trace /etc/passwd'


def ended(folder: Path | None = None, question: str | None = None) -> tuple[Session, Run]:
    """A run of two methods on the first example, kept in a folder."""
    problem, image = examples()[0]
    session = Session(archive=Archive(folder))
    truth = problem if question is None else None
    prompt = Prompt(question or problem.question, image)
    run = session.ask("me", prompt, ["vote", "step_beam"], [Settings(n=4, width=2, seed=5)] * 2, "scripted", "scripted", truth)
    assert run.done.wait(60) and not run.problem
    return session, run


def test_a_run_opens_again_after_a_restart(tmp_path: Path) -> None:
    _, run = ended(tmp_path)
    again = Archive(tmp_path).find(run.id)
    assert again is not None and again is not run and again.done.is_set()
    assert [trace.to_json() for trace in again.traces] == [trace.to_json() for trace in run.traces]
    assert again.asked == run.asked and again.right(0) == run.right(0)
    assert run.picture is not None and again.picture is not None and again.picture.tobytes() == run.picture.tobytes()


def test_a_run_that_was_killed_opens_as_far_as_it_came(tmp_path: Path) -> None:
    _, run = ended(tmp_path)
    journal = tmp_path / run.id / "1.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:3]) + lines[3][:20])
    again = Archive(tmp_path).find(run.id)
    assert again is not None and len(again.traces[1].events) == 3
    assert again.traces[1].ended == "stopped" and "cut off" in again.traces[1].ended_why and again.traces[0].ended == "answered"


def test_a_run_is_found_while_it_is_at_work(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    run = archive.add(Asked("?", ("vote",), ({},), "scripted", "scripted"), None)
    assert archive.find(run.id) is run and archive.live() == 1
    run.done.set()
    assert archive.live() == 0 and archive.find(run.id) is not run


@pytest.mark.parametrize("id", [None, 5, "", "../" * 3 + "etc", "a" * 23, "A" * 24, "0" * 24, "a/../" + "a" * 19, "a" * 24 + "\n", ["x"]])
def test_what_is_no_id_opens_nothing(tmp_path: Path, id: object) -> None:
    assert Archive(tmp_path).find(id) is None


@given(st.text(max_size=40), st.text(max_size=20))
def test_no_text_reaches_another_file(id: str, name: str) -> None:
    archive = Archive()
    (archive.folder / "secret.json").write_text("{}", "utf-8")
    assert file(archive, id, name) is None and recorded(id, name) is None


def test_old_runs_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = Archive(tmp_path)
    asked = Asked("?", ("vote",), ({},), "scripted", "scripted")
    made = [archive.add(asked, None) for _ in range(3)]
    for age, run in enumerate(made):
        then = time.time() - 3600 * (10 - age)
        os.utime(tmp_path / run.id / "asked.json", (then, then))
    monkeypatch.setattr(runs, "LIMITS", replace(LIMITS, runs_kept=2))
    archive.add(asked, None)
    assert [(tmp_path / run.id).exists() for run in made] == [False, True, True]
    monkeypatch.setattr(runs, "LIMITS", replace(LIMITS, days_kept=8.5 / 24))
    archive.add(asked, None)
    assert [(tmp_path / run.id).exists() for run in made] == [False, False, True]
    monkeypatch.setattr(runs, "LIMITS", replace(LIMITS, bytes_kept=0))
    archive.add(asked, None)
    assert len(list(tmp_path.iterdir())) == 1


def test_ended_runs_leave_the_memory(tmp_path: Path) -> None:
    problem, image = examples()[0]
    session = Session(archive=Archive(tmp_path))
    made = []
    for seed in range(25):
        run = session.ask(f"v{seed}", Prompt(problem.question, image), ["vote"], [Settings(n=2, seed=seed)], "scripted", "scripted")
        assert run.done.wait(60)
        session.view("one").run = run
        made.append(weakref.ref(run))
    del run
    gc.collect()
    assert sum(ref() is not None for ref in made) <= 2, "the visitor's own, and the one that ended last"
    assert len(list(tmp_path.iterdir())) == 25


def test_files_by_address(tmp_path: Path) -> None:
    session, run = ended(tmp_path)
    content, kind = file(session.archive, run.id, "1.json") or (b"", "")
    assert kind == "json" and SearchTrace.from_json(json.loads(content)).to_json() == run.traces[1].to_json()
    content, kind = file(session.archive, run.id, "1.svg") or (b"", "")
    drawing = ElementTree.fromstring(content)
    assert kind == "svg" and drawing.tag == "{http://www.w3.org/2000/svg}svg" and b"var(--" in content and b"--cos-ink:" in content
    assert len([g for g in drawing.iter() if g.get("data-node")]) == len(run.traces[1].nodes)
    content, kind = file(session.archive, run.id, "picture.png") or (b"", "")
    assert kind == "png" and content.startswith(b"\x89PNG")
    for name in ("2.json", "0.jsonl", "asked.json", "../asked.json", "0.json/..", "", "0.html\n"):
        assert file(session.archive, run.id, name) is None, name


def test_recorded_runs_have_files_and_links_too() -> None:
    name, one = next(iter(recordings().items()))
    content, kind = recorded(name, "0.json") or (b"", "")
    assert kind == "json" and SearchTrace.from_json(json.loads(content)).to_json() == one.trace.to_json()
    for ending in ("svg", "html"):
        assert (recorded(name, f"0.{ending}") or ("", ""))[1] == ending
    assert recorded(name, "picture.png") and recorded(name, "1.json") is None and recorded(f"../recorded/{name}", "0.json") is None
    shown = moment(one.run, 0, len(one.trace.events), selected=1)
    assert f'"recorded/{name}/0.json"' in shown and f'"label?trace={name}"' in shown and "what-if" not in shown


def test_a_page_of_its_own_runs_nothing_but_its_script(tmp_path: Path) -> None:
    session, run = ended(tmp_path, HOSTILE)
    content, kind = file(session.archive, run.id, "0.html") or (b"", "")
    text = content.decode()
    assert kind == "html" and "<img src=x" not in text and text.count("<script>") == 1 and "data:image/png;base64," in text
    assert "default-src &#x27;none&#x27;" in text and "http://" not in text.replace("http://www.w3.org", "") and "https://" not in text
    assert text.count("<li data-card=") == len(run.traces[0].nodes) - 1


def test_the_command_line_bundles_traces_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, run = ended()
    for number, trace in enumerate(run.traces):
        trace.save(tmp_path / f"{number}.json")
    given = ["trace", "bundle", str(tmp_path / "0.json"), str(tmp_path / "1.json"), "--out", str(tmp_path / "page.html"), "--json"]
    assert main(given) == 0
    assert json.loads(capsys.readouterr().out)["searches"] == 2 and (tmp_path / "page.html").read_text("utf-8").count('class="shelf"') == 2
    assert main(["trace", "bundle", "--out", str(tmp_path / "none.html")]) == 2 and not (tmp_path / "none.html").exists()


def test_command_yaml_and_python_do_the_same_elsewhere(tmp_path: Path) -> None:
    _, run = ended()
    assert run.picture is not None
    run.picture.save(tmp_path / "picture.png")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    shell = command(run.asked, 1).replace("cos solve", f"{sys.executable} -m cos solve", 1)
    for program, answer in (([sys.executable, "-c", python(run.asked, 1)], f"{run.traces[1].answer}\n"), (["sh", "-c", shell], "answer: ")):
        done = subprocess.run(program, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0 and answer in done.stdout, done.stderr
    theirs = SearchTrace.load(tmp_path / "trace.json")  # (the scripted models tell a file from a picture, so it may answer something else)
    assert (theirs.question, theirs.method, theirs.settings) == (run.asked.question, "step_beam", run.asked.settings[1])
    (tmp_path / "run.yaml").write_text(recipe(run.asked, 1), "utf-8")
    assert read_yaml(tmp_path / "run.yaml") == yaml.safe_load(recipe(run.asked, 1)) and "seed: 5" in recipe(run.asked, 1)


def test_a_question_is_never_an_option() -> None:
    _, run = ended(question="--policy nowhere")
    assert "-- picture.png '--policy nowhere'" in command(run.asked, 0)


def test_what_was_asked_fits_its_schema() -> None:
    _, run = ended()
    schema = json.loads((ROOT / "docs" / "schemas" / "asked.json").read_text("utf-8"))
    Draft202012Validator(schema).validate(json.loads(json.dumps(run.asked.to_json())))
