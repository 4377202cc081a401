"""The Solve page's handlers, called directly with scripted models: frames, verdicts, limits, and plain answers to bad input."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from PIL import Image

from cos.chain import Problem
from cos.errors import UserError
from cos.problems import draw
from cos.protocols import Prompt
from cos.search.methods import Settings
from workbench import session as rooms
from workbench.session import LIMITS, Runs, Session, examples, new_puzzle, read_picture, truth_of
from workbench.solve import PANELS, Handlers, check_picture, example_of, puzzle_of

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
        "temperature": 1.0,
        "seed": 0,
        "policy": "scripted",
        "reward": "oracle",
        "threshold": 0.5,
        "aggregator": "cos",
        "request": visitor("a"),
    }


def visitor(key: str) -> Any:
    return SimpleNamespace(session_hash=key)


def click(panel: int, data: Any) -> Any:
    return gr.EventData(SimpleNamespace(elem_id=f"panel-{panel}"), data)  # type: ignore[arg-type]


def test_a_run_fills_its_panels_and_leaves_the_others_empty(asked: dict[str, Any]) -> None:
    frames = list(Handlers(Session()).solve(**asked))
    status, run, stop, *panels = frames[-1]
    assert "truth: " in status and "Done" in status and len(panels) == PANELS and panels[3] == ""
    assert all("score" in panel or "tokens" in panel for panel in panels[:3])
    assert (run.interactive, stop.interactive) == (True, False) and frames[0][2].interactive is True
    assert all("✗ wrong" in panel or "✓ right" in panel for panel in panels[:3])


def test_the_same_seed_gives_the_same_trees(asked: dict[str, Any]) -> None:
    session = Session()
    for key in "ab":
        list(Handlers(session).solve(**asked | {"request": visitor(key)}))
    ours, theirs = session.runs.get("a"), session.runs.get("b")
    assert ours is not None and theirs is not None
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
    frames = []
    with pytest.raises(gr.Error, match=says):
        for frame in Handlers(Session()).solve(**asked | change):
            frames.append(frame)
    assert says in frames[-1][0].replace("&#x27;", "'") and frames[-1][1].interactive is True


@pytest.mark.parametrize("name", ["cut.png", "not_an_image.png"])
def test_pictures_that_are_none_are_named_without_the_servers_path(name: str) -> None:
    with pytest.raises(gr.Error, match=name) as problem:
        check_picture(str(RELEASED / name))
    assert str(RELEASED) not in str(problem.value)


@pytest.mark.parametrize("name", ["alpha.png", "cmyk.jpg", "grey.png", "palette.png", "tall.png", "one.png"])
def test_pictures_of_every_mode_are_read(name: str) -> None:
    image = read_picture(str(RELEASED / name))
    assert image.mode == "RGB" and max(image.size) <= LIMITS.side


def test_a_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    Image.new("1", (13_000, 13_000)).save(tmp_path / "bomb.png")
    with pytest.raises(UserError, match=r"bomb\.png: .*million"):
        read_picture(str(tmp_path / "bomb.png"))


def test_markup_and_special_tokens_in_the_question_stay_text(asked: dict[str, Any]) -> None:
    session = Session()
    hostile = "<img src=x onerror=alert(1)> $x$ **b** <|answer_end|> к+ки"
    *_, last = Handlers(session).solve(**asked | {"question": hostile, "reward": "scripted"})
    assert "<img" not in "".join(last[3:])


def test_stop_ends_all_searches_and_keeps_what_is_there(asked: dict[str, Any]) -> None:
    session = Session()
    handlers = Handlers(session)
    frames = handlers.solve(**asked)
    next(frames), next(frames)
    handlers.stop(visitor("b"))  # another visitor's Stop is none of ours
    handlers.stop(visitor("a"))
    *_, last = frames
    run = session.runs.get("a")
    assert "Stopped" in last[0] and run is not None and {trace.ended for trace in run.traces} <= {"stopped", "answered"}


def test_a_run_that_waits_can_be_given_up(asked: dict[str, Any]) -> None:
    session = Session()
    handlers = Handlers(session)
    assert "Starting" in handlers.wait(visitor("a"))[0]
    others = handlers.solve(**asked | {"request": visitor("b")})
    next(others), next(others)
    assert "another visitor" in handlers.wait(visitor("a"))[0]
    handlers.stop(visitor("a"))
    others.close()
    (frame,) = handlers.solve(**asked)
    assert "Stopped before it began" in frame[0] and frame[1].interactive is True
    handlers.wait(visitor("a"))
    assert len(list(handlers.solve(**asked))) > 1
    session.leave("a")
    assert session.runs.get("a") is None and not session.runs.live()


def test_a_closed_page_stops_its_run(asked: dict[str, Any]) -> None:
    session = Session()
    frames = Handlers(session).solve(**asked)
    next(frames), next(frames)
    run = session.runs.get("a")
    frames.close()
    session.runs.drop("a")
    assert run is not None and run.stop.is_set() and session.runs.get("a") is None


def test_time_runs_out(asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "LIMITS", rooms.Limits(seconds=-1.0))
    *_, last = Handlers(Session()).solve(**asked)
    assert "Stopped after" in last[0] and "smaller N" in last[0]


def test_picking_a_node_shows_its_path_and_the_root_brings_the_answer_back(asked: dict[str, Any]) -> None:
    session = Session()
    handlers = Handlers(session)
    list(handlers.solve(**asked))
    assert "Node 1," in handlers.pick(visitor("a"), click(1, {"id": 1}))
    assert "The answer&#x27;s path" in (back := handlers.pick(visitor("a"), click(1, {"id": 0}))) or "The answer's path" in back


@pytest.mark.parametrize("data", [None, {}, {"id": "1"}, {"id": -1}, {"id": 10**9}, {"id": 1.5}, {"id": ["x"]}])
def test_a_made_up_node_changes_nothing(asked: dict[str, Any], data: Any) -> None:
    session = Session()
    handlers = Handlers(session)
    list(handlers.solve(**asked))
    assert handlers.pick(visitor("a"), click(1, data)) == gr.skip()
    assert handlers.pick(visitor("stranger"), click(1, {"id": 1})) == gr.skip()


def test_another_threshold_flags_other_steps_without_a_new_run(asked: dict[str, Any]) -> None:
    session = Session()
    handlers = Handlers(session)
    list(handlers.solve(**asked | {"reward": "scripted"}))
    assert "⚑" not in "".join(handlers.view(0.0, "min", visitor("a"))[:3])
    shown = handlers.view(1.0, "min", visitor("a"))
    assert "⚑ first step under 1.00" in shown[0] and "min <b>" in shown[1]
    assert handlers.view(1.0, "min", visitor("stranger")) == [gr.skip()] * PANELS


def test_puzzles_and_their_truth() -> None:
    for world in rooms.WORLDS:
        image, question, problem = puzzle_of(world, "2")
        assert isinstance(problem, Problem) and problem.world == world and problem.level == 2
        assert truth_of(Prompt(question, image), problem) is problem
        assert truth_of(Prompt(question + " now", image), problem) is None
        assert truth_of(Prompt(question, image.rotate(90)), problem) is None
    with pytest.raises(gr.Error):
        puzzle_of("moons", "1")
    chosen = example_of(SimpleNamespace(index=2))  # type: ignore[arg-type]
    assert chosen[2] is examples()[2][0] and chosen[0].size == examples()[2][1].size


def test_runs_are_kept_one_a_visitor_and_the_oldest_goes() -> None:
    runs, session = Runs(most=2), Session()
    problem = new_puzzle("charts", 1, 0)
    made = [session.start(Prompt("?", draw(problem)), ["greedy"], Settings(n=1), "scripted", "scripted") for _ in range(4)]
    for key, run in zip("abbc", made, strict=True):
        runs.put(key, run)
    assert [runs.get(key) for key in "abc"] == [None, made[2], made[3]]
    assert [run.stop.is_set() for run in made] == [True, True, False, False]


def test_two_visitors_at_once_see_their_own(asked: dict[str, Any]) -> None:
    session, seen = Session(), {}

    def visit(key: str) -> None:
        *_, seen[key] = Handlers(session).solve(**asked | {"request": visitor(key), "methods": ["vote"] if key == "a" else ["sample"]})

    threads = [threading.Thread(target=visit, args=(key,)) for key in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 'aria-label="vote"' in seen["a"][3] and 'aria-label="sample"' in seen["b"][3]
