"""The What-if and Replay pages' handlers, called directly with scripted models."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from jsonschema import Draft202012Validator

from cos.errors import UserError
from cos.protocols import Prompt
from cos.search.methods import Settings
from cos.search.trace import SearchTrace
from cos.template import pieces
from workbench import recordings, replay, what_if
from workbench.inputs import examples
from workbench.limits import LIMITS
from workbench.recordings import Recording, read, write
from workbench.runs import Run
from workbench.session import Session


@pytest.fixture
def session() -> Session:
    return Session()


@pytest.fixture
def run(session: Session) -> Run:
    """A beam search on the first example, ended."""
    problem, image = examples()[0]
    made = session.ask("me", Prompt(problem.question, image), ["step_beam"], [Settings(n=6, width=2)], "scripted", "scripted", problem)
    assert made.done.wait(60)
    return made


def asks(key: str = "me", **query: Any) -> Any:
    return SimpleNamespace(session_hash=key, query_params={name: str(value) for name, value in query.items()})


def click(data: Any) -> Any:
    return gr.EventData(SimpleNamespace(elem_id="panel-0"), data)  # type: ignore[arg-type]


def frames_of(frames: AsyncIterator[list[Any]]) -> list[list[Any]]:
    async def collect() -> list[list[Any]]:
        return [shown async for shown in frames]

    return asyncio.run(collect())


def test_a_changed_step_is_scored_anew_and_gone_on_from(session: Session, run: Run) -> None:
    do = what_if.Handlers(session)
    step = next(node for node in run.traces[0].nodes if node.depth == 2 and node.is_step)
    (opened,) = frames_of(do.open(asks(run=run.id, search=0, node=step.id)))
    assert opened[2].value == step.name and opened[3].value == step.thought and f"Node {step.id}," in opened[-3]
    sent = [step.id, "Read", "I read it off the picture: [3].", "The picture shows it.", "", "step_beam", 6, 2]
    *_, last = frames_of(do.go_on(*sent, request=asks()))
    branch = session.view("me").run
    assert branch is not None and branch.asked.origin == {"run": run.id, "search": 0, "node": step.id}
    trace = branch.traces[0]
    above = [node.text for node in run.traces[0].line(step)[:-1]]
    assert [node.text for node in trace.nodes[1 : step.depth]] == above
    assert trace.start.thought == "I read it off the picture: [3]." and trace.start.reward is not None and trace.ended == "answered"
    assert "Done in" in last[0] and "I read it off the picture: [3]." in last[3] and "given=" in last[4] and "--method" not in last[4]


def test_a_branch_opens_again_with_its_origin(session: Session, run: Run) -> None:
    do = what_if.Handlers(session)
    frames_of(do.open(asks(run=run.id, search=0, node=1)))
    frames_of(do.go_on(1, "Look", "Otherwise.", "So.", "", "greedy", 1, 1, request=asks()))
    branch = session.view("me").run
    assert branch is not None
    *_, last = frames_of(do.open(asks("again", run=branch.id)))
    origin = session.view("again").origin
    assert origin is not None and (origin[0].id, *origin[1:]) == (run.id, 0, 1)
    assert "Otherwise." in last[-2] and 'aria-label="greedy"' in last[-2]


def test_siblings_and_other_nodes_fill_the_form(session: Session, run: Run) -> None:
    do = what_if.Handlers(session)
    frames_of(do.open(asks(run=run.id, search=0, node=1)))
    kin = [node for node in run.traces[0].nodes if node.parent == 0]
    picked = do.pick(asks(), click({"id": kin[-1].id}))
    assert f"Node {kin[-1].id}," in picked[0] and len(picked[1].choices) == len(kin) and picked[3].value == kin[-1].thought
    assert do.take(kin[0].id, asks())[1].value == kin[0].thought
    leaf = run.traces[0].pool()[0]
    form = do.pick(asks(), click({"id": leaf.id}))
    assert form[5].value == leaf.answer and form[5].visible and not form[2].visible
    for data in (None, {}, {"id": 0}, {"id": -1}, {"id": 10**9}, {"id": "1"}):
        assert do.pick(asks(), click(data))[0] == gr.skip()


@pytest.mark.parametrize("query", [{}, {"run": "../../etc"}, {"run": "0" * 24, "node": "1"}])
def test_an_address_without_a_node_says_what_to_do(session: Session, query: dict[str, str]) -> None:
    (opened,) = frames_of(what_if.Handlers(session).open(asks(**query)))
    assert "Pick a step in a tree" in opened[-6]
    with pytest.raises(gr.Error, match="Pick a step"):
        frames_of(what_if.Handlers(session).go_on(1, "a", "b", "c", "", "greedy", 1, 1, request=asks()))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        (["", " ", "", ""], "Write what the step"),
        (["x" * (LIMITS.field + 1), "", "", ""], "characters"),
        (["Look", "<|answer_start|>5<|answer_end|>", "", ""], "marks of a chain"),
    ],
)
def test_text_that_can_stand_in_no_chain_is_refused(run: Run, fields: list[str], says: str) -> None:
    with pytest.raises(UserError, match=says):
        what_if.edited(run.traces[0], run.traces[0].nodes[1], *fields)


def test_an_edited_piece_is_a_piece_of_a_chain(run: Run) -> None:
    trace = run.traces[0]
    leaf = next(node for node in trace.leaves() if node.answer is not None)
    given = what_if.edited(trace, leaf, "", "", "", "<b>42</b>")
    assert given[:-1] == pieces(trace.chain(leaf))[:-1] and given[-1].endswith("<|answer_start|><b>42</b><|answer_end|>")


def test_replay_shows_each_moment_as_it_was(session: Session, run: Run) -> None:
    do = replay.Handlers(session)
    about, status, slider, panel = asyncio.run(do.open(asks(run=run.id, search=0)))
    count = len(run.traces[0].events)
    assert f"runs/{run.id}/picture.png" in about and slider.maximum == count and f"Moment {count} of {count}" in status
    for at in range(count + 1):
        status, panel = do.scrub(at, asks())
        past = SearchTrace.replay(run.traces[0].events[:at])
        assert panel.count('role="treeitem"') == len(past.nodes) and f"Moment {at} of" in status
    assert "✓" in panel or "✗" in panel
    assert "step is" not in do.pick(0, asks(), click({"id": 10**6}))


def test_play_goes_moment_by_moment_and_stops_at_the_end(session: Session, run: Run) -> None:
    do = replay.Handlers(session)
    asyncio.run(do.open(asks(run=run.id, search=0)))
    count = len(run.traces[0].events)
    timer, at, button, playing = do.play(count, False, "fast", asks())
    assert (timer.active, at, button.value, playing) == (True, 0, "Pause", True)
    for _ in range(count):
        at, *_ = do.tick(at, asks())
    assert at == count
    _, _, _, timer, button, playing = do.tick(at, asks())
    assert (timer.active, button.value, playing) == (False, "Play", False)


@pytest.mark.parametrize("query", [{}, {"trace": "../../etc/passwd"}, {"run": "zz"}, {"run": "0" * 24, "search": "9"}])
def test_what_can_not_be_replayed_is_said(session: Session, query: dict[str, str]) -> None:
    shown = asyncio.run(replay.Handlers(session).open(asks(**query)))
    assert "Choose a recorded" in shown[1] and shown[3] == gr.skip()
    assert replay.Handlers(session).scrub(3, asks("stranger"))[1] == gr.skip()


def test_a_recording_is_read_as_it_was_written(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run.picture is not None
    write(tmp_path / "a.json", "Title", "<b>note</b>", run.asked, run.picture, run.traces[0])
    one = read(tmp_path / "a.json")
    assert one.trace.to_json() == run.traces[0].to_json() and one.title == "Title" and one.run.right(0) == run.right(0)
    shown = replay._card(one)
    assert shown[0] == "replay?trace=a" and shown[1].startswith("data:image/png;base64,")
    for broken in ("", "{}", json.dumps({"schema": "cos.recorded/9"}), '{"schema": "cos.recorded/1"}', "[]"):
        (tmp_path / "b.json").write_text(broken, "utf-8")
        with pytest.raises(UserError, match=r"b\.json: "):
            read(tmp_path / "b.json")


def test_the_gallery_that_ships_holds_what_is_promised() -> None:
    schema = json.loads((Path(__file__).parents[2] / "docs" / "schemas" / "recorded.json").read_text("utf-8"))
    for file in recordings.FOLDER.glob("*.json"):
        Draft202012Validator(schema).validate(json.loads(file.read_text("utf-8")))
    shipped: list[Recording] = list(recordings.recordings().values())
    assert len(shipped) >= 12
    assert any(one.trace.ended == "no_answer" for one in shipped), "a failed search"
    fooled = [one for one in shipped if one.run.right(0) is False and (one.trace.answer_reward or 0) >= 0.5]
    assert any(any(one.run.is_right(0)(leaf.answer) for leaf in one.trace.pool()) for one in fooled), "the reward is fooled"  # type: ignore[misc]
    assert len({one.trace.method for one in shipped}) >= 5 and sum(path.stat().st_size for path in recordings.FOLDER.glob("*.json")) < 4e6
