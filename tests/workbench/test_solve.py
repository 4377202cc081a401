"""The Solve page's handlers, called directly with scripted models: frames, verdicts, limits, and plain answers to bad input."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from PIL import Image

from cos.errors import UserError
from cos.problems import chain, corrupt
from cos.protocols import Prompt
from cos.search.methods import Settings
from cos.template import pieces
from workbench import estimate, limits, parts, runs
from workbench import session as rooms
from workbench.inputs import examples
from workbench.limits import LIMITS
from workbench.parts import PANELS
from workbench.runs import Asked
from workbench.session import Session
from workbench.solve import Handlers

RELEASED = Path(__file__).parent.parent / "data" / "released" / "images"


@pytest.fixture
def asked(tmp_path: Path) -> dict[str, Any]:
    """What the page sends for the first example."""
    problem, image = examples()[0]
    image.save(tmp_path / "a.png")
    return {
        "picture": str(tmp_path / "a.png"),
        "question": problem.question,
        "puzzle": problem,
        "methods": ["greedy", "best_of_n", "step_beam"],
        "n": 8,
        "width": 2,
        "budget": 0,
        "temperature": 1.0,
        "seed": 0,
        "policy": "scripted",
        "reward": "oracle",
        "threshold": 0.5,
        "aggregator": "cos",
        "request": visitor("a"),
    }


def frames_of(frames: AsyncIterator[list[Any]]) -> list[list[Any]]:
    """All that a handler yields."""

    async def collect() -> list[list[Any]]:
        return [shown async for shown in frames]

    return asyncio.run(collect())


def visitor(key: str) -> Any:
    return SimpleNamespace(session_hash=key)


def click(panel: int, data: Any) -> Any:
    return gr.EventData(SimpleNamespace(elem_id=f"panel-{panel}"), data)  # type: ignore[arg-type]


def test_a_run_fills_its_panels_and_leaves_the_others_empty(asked: dict[str, Any]) -> None:
    frames = frames_of(Handlers(Session()).solve(**asked))
    status, run, stop, *panels, code = frames[-1]
    assert "truth: " in status and "Done" in status and len(panels) == PANELS and panels[3] == ""
    assert all("score" in panel or "tokens" in panel for panel in panels[:3])
    assert (run.interactive, stop.interactive) == (True, False) and frames[0][2].interactive is True
    assert all("✗ wrong" in panel or "✓ right" in panel for panel in panels[:3])
    assert "cos solve" in code and "--method step_beam" in code


def test_the_same_seed_gives_the_same_trees(asked: dict[str, Any]) -> None:
    session = Session()
    for key in "ab":
        frames_of(Handlers(session).solve(**asked | {"request": visitor(key)}))
    ours, theirs = session.view("a").run, session.view("b").run
    assert ours is not None and theirs is not None and ours is not theirs
    assert [trace.to_json(times=False) for trace in ours.traces] == [trace.to_json(times=False) for trace in theirs.traces]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"picture": None}, "Put in a picture first"),
        ({"question": "  "}, "Write a question"),
        ({"question": "x" * 5000}, "5,000 characters"),
        ({"methods": []}, "at least one method"),
        ({"methods": ["greedy"] * 5}, "at most 4"),
        ({"methods": ["magic"]}, "magic"),
        ({"n": 1000}, "N may be at most"),
        ({"n": 0}, "n is 0"),
        ({"n": None}, "each need a number"),
        ({"seed": None}, "each need a number"),
        ({"policy": "../../etc"}, "does not offer"),
        ({"aggregator": "cos", "reward": "oracle", "puzzle": None}, "The oracle knows puzzles only"),
        ({"question": "another one?"}, "The oracle knows puzzles only"),
    ],
)
def test_bad_input_gets_one_plain_line(asked: dict[str, Any], change: dict[str, Any], says: str) -> None:
    frames: list[list[Any]] = []

    async def collect() -> None:
        async for frame in Handlers(Session()).solve(**asked | change):
            frames.append(frame)

    with pytest.raises(gr.Error, match=says):
        asyncio.run(collect())
    assert says in frames[-1][0].replace("&#x27;", "'") and frames[-1][1].interactive is True


def test_words_that_the_embedded_models_do_not_know_are_named(asked: dict[str, Any]) -> None:
    session = Session(policies=("embedded",), rewards=("scripted",))
    change = {"policy": "embedded", "reward": "scripted", "question": "Who painted the Mona Lisa?"}
    with pytest.raises(gr.Error, match=r"'Who' .*'painted'.*New puzzle"):
        frames_of(Handlers(session).solve(**asked | change))


def test_stop_ends_all_searches_and_keeps_what_is_there(asked: dict[str, Any]) -> None:
    handlers = Handlers(Session())

    async def visit() -> list[Any]:
        async for shown in handlers.solve(**asked | {"n": 64, "methods": ["best_of_n"] * 4}):
            last = shown
            handlers.stop(visitor("b"))  # another visitor's Stop is none of ours
            handlers.stop(visitor("a"))
        return last

    last = asyncio.run(visit())
    run = handlers.session.view("a").run
    assert "Stopped" in last[0] and last[1].interactive is True
    assert run is not None and {trace.ended for trace in run.traces} <= {"stopped", "answered", None}


def test_runs_wait_in_line_are_told_their_place_and_can_be_given_up(asked: dict[str, Any]) -> None:
    session, hold = Session(), threading.Event()
    first = session.archive.add(Asked("?", ("vote",), ({},), "scripted", "scripted"), None)
    session.line.put(first, lambda: bool(hold.wait(60)))
    handlers, said = Handlers(session), []

    async def visit() -> None:
        async for frame in handlers.solve(**asked):
            said.append(frame[0])
            if "Waiting" in frame[0]:
                handlers.stop(visitor("a"))
                hold.set()

    asyncio.run(visit())
    assert any("another run is before this one" in text for text in said) and "Stopped before it began" in said[-1]
    assert session.archive.live() == 0


def test_the_line_is_bounded_and_so_is_the_rate(asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "LIMITS", replace(LIMITS, waiting=1))
    session, hold = Session(), threading.Event()
    made = [session.archive.add(Asked("?", ("vote",), ({},), "scripted", "scripted"), None) for _ in range(2)]
    session.line.put(made[0], lambda: bool(hold.wait(60)))
    assert made[0].begun.wait(10)
    session.line.put(made[1], lambda: None)
    with pytest.raises(gr.Error, match="waiting already"):
        frames_of(Handlers(session).solve(**asked))
    hold.set()
    assert made[1].done.wait(10)
    monkeypatch.setattr(limits, "LIMITS", replace(LIMITS, rate=2))
    for _ in range(2):
        session.rate.admit("x")
    session.rate.admit("y")
    with pytest.raises(UserError, match="2 runs a minute"):
        session.rate.admit("x")


@pytest.mark.parametrize(
    ("limit", "says"), [({"seconds": -1.0}, "smaller N"), ({"tokens": 10}, "10 are the most"), ({"patience": -1.0}, "looking")]
)
def test_limits_end_a_run(asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch, limit: dict[str, float], says: str) -> None:
    monkeypatch.setattr(runs, "LIMITS", replace(LIMITS, **limit))
    *_, last = frames_of(Handlers(Session()).solve(**asked))
    assert "Stopped" in last[0] and says in last[0] and last[1].interactive is True


def test_picking_a_node_shows_its_path_and_the_root_brings_the_answer_back(asked: dict[str, Any]) -> None:
    session = Session()
    handlers = Handlers(session)
    frames_of(handlers.solve(**asked))
    picked = handlers.pick(visitor("a"), click(1, {"id": 1}))
    run = session.view("a").run
    assert run is not None and "Node 1," in picked and f"what-if?run={run.id}&amp;search=1&amp;node=1" in picked
    back = handlers.pick(visitor("a"), click(1, {"id": 0}))
    assert "The answer&#x27;s path" in back or "The answer's path" in back


@pytest.mark.parametrize("data", [None, {}, {"id": "1"}, {"id": -1}, {"id": 10**9}, {"id": 1.5}, {"id": ["x"]}])
def test_a_made_up_node_changes_nothing(asked: dict[str, Any], data: Any) -> None:
    session = Session()
    handlers = Handlers(session)
    frames_of(handlers.solve(**asked))
    assert handlers.pick(visitor("a"), click(1, data)) == gr.skip()
    assert handlers.pick(visitor("stranger"), click(1, {"id": 1})) == gr.skip()


def test_another_threshold_or_aggregator_needs_no_new_run(asked: dict[str, Any]) -> None:
    handlers = Handlers(Session())
    frames_of(handlers.solve(**asked | {"reward": "scripted"}))
    assert "⚑" not in "".join(handlers.look(0.0, "cos", visitor("a"))[:3])
    shown = handlers.look(1.0, "min", visitor("a"))
    assert "⚑ first step under 1.00" in shown[0] and "min <b>" in shown[1] and "chosen by min; the run itself, by cos, " in shown[1]
    assert handlers.look(1.0, "min", visitor("stranger")) == [gr.skip()] * PANELS


def test_the_first_wrong_step_is_flagged_by_the_truth() -> None:
    problem, image = examples()[0]
    right = chain(problem, random.Random(0))
    wrong = next(made for seed in range(9) if (made := corrupt(problem, right, random.Random(seed))).steps != right.steps)
    for shown, flags in ((right, 0), (wrong, 1)):
        session = Session()
        prompt, given = Prompt(problem.question, image), pieces(shown)
        run = session.ask("a", prompt, ["sample"], [Settings(n=1)], "scripted", "oracle", problem, given)
        assert run.done.wait(30)
        view = session.view("a")
        view.run = run
        assert parts.frame(view, {0})[0].count("✗ first wrong step: ") == flags


def test_what_it_will_cost_is_said_before_and_close_to_what_it_costs(asked: dict[str, Any]) -> None:
    session = Session()
    handlers = Handlers(session)
    assert "tokens" in handlers.cost(["greedy", "vote"], 8, 4, 0, "scripted") and "N=8" in handlers.cost(["vote"], 8, 4, 0, "scripted")
    assert "each need a number" in handlers.cost(["vote"], None, 4, 0, "scripted")
    frames_of(handlers.solve(**asked | {"methods": ["greedy", "vote", "best_of_n"], "reward": "scripted"}))
    run = session.view("a").run
    assert run is not None
    for trace in run.traces:
        assert 0.5 < trace.meter.tokens / estimate.tokens(trace.method, 8, "scripted") < 1.6, trace.method
    assert ", about " in handlers.cost(["vote"], 8, 4, 0, "scripted"), "the pace of a run is known now"


def test_a_budget_of_tokens_gives_each_method_its_n(asked: dict[str, Any]) -> None:
    session = Session()
    frames_of(Handlers(session).solve(**asked | {"budget": 2000, "methods": ["vote", "best_of_n"], "reward": "scripted"}))
    run = session.view("a").run
    assert run is not None
    ns = [row["n"] for row in run.asked.settings]
    assert ns[0] > ns[1] > 1 and all(trace.meter.tokens < 3200 for trace in run.traces)


def test_two_visitors_at_once_see_their_own(asked: dict[str, Any]) -> None:
    session, seen = Session(), {}

    async def visit(key: str, method: str) -> None:
        async for frame in Handlers(session).solve(**asked | {"request": visitor(key), "methods": [method]}):
            seen[key] = frame

    async def both() -> None:
        await asyncio.gather(visit("a", "vote"), visit("b", "sample"))

    asyncio.run(both())
    assert 'aria-label="vote"' in seen["a"][3] and 'aria-label="sample"' in seen["b"][3]


def test_views_are_few_and_the_oldest_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "LIMITS", replace(LIMITS, visitors=2))
    session = Session()
    first = session.view("a")
    session.view("b"), session.view("a"), session.view("c")
    assert session.view("a") is first and len(session._views) == 2
    session.leave("a")
    assert session.view("a") is not first


def test_a_picture_that_is_shown_again_is_not_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    image = examples()[0][1]
    box = parts.picture_input(image)
    file = Path(box.postprocess(image).path)
    assert file.is_relative_to(tmp_path)
    with Image.open(file) as kept:
        assert kept.format == "PNG" and kept.convert("RGB").tobytes() == image.convert("RGB").tobytes()
    file.write_bytes(b"being fetched")  # by another page: who writes now breaks it
    assert Path(box.postprocess(image.copy()).path) == file and file.read_bytes() == b"being fetched"
    assert box.postprocess(None) is None
