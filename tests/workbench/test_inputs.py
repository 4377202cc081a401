"""What a visitor puts in: pictures, puzzles with their truth, drawings; and plain answers to what is none."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from cos.chain import Problem
from cos.protocols import Prompt
from workbench.inputs import WORLDS, drawing, examples, kinds, read_picture, truth_of
from workbench.limits import LIMITS
from workbench.solve import check_picture, drawn, example_of, kinds_of, puzzle_of

RELEASED = Path(__file__).parent.parent / "data" / "released" / "images"


def click(panel: int, data: Any) -> Any:
    return gr.EventData(SimpleNamespace(elem_id=f"panel-{panel}"), data)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["cut.png", "not_an_image.png"])
def test_pictures_that_are_none_are_named_without_the_servers_path(name: str) -> None:
    with pytest.raises(gr.Error, match=name) as problem:
        check_picture(str(RELEASED / name))
    assert str(RELEASED) not in str(problem.value)


@pytest.mark.parametrize("name", ["alpha.png", "cmyk.jpg", "grey.png", "palette.png", "tall.png", "one.png"])
def test_pictures_of_every_mode_are_read(name: str) -> None:
    image = read_picture(str(RELEASED / name))
    assert image.mode == "RGB" and max(image.size) <= LIMITS.side


def test_puzzles_and_their_truth() -> None:
    for world in WORLDS:
        image, question, problem = puzzle_of(world, "2", "any kind")
        assert isinstance(problem, Problem) and problem.world == world and problem.level == 2
        assert truth_of(Prompt(question, image), problem) is problem
        assert truth_of(Prompt(question + " now", image), problem) is None
        assert truth_of(Prompt(question, image.rotate(90)), problem) is None
    assert puzzle_of("charts", "3", "order")[2].kind == "order"
    assert "order" in str(kinds_of("charts", "3").choices) and "order" not in kinds("charts", 1)
    for wrong in (("moons", "1", "any kind"), ("charts", "1", "order")):
        with pytest.raises(gr.Error):
            puzzle_of(*wrong)
    chosen = example_of(SimpleNamespace(index=2))  # type: ignore[arg-type]
    assert chosen[2] is examples()[2][0] and chosen[0].size == examples()[2][1].size


def test_strokes_become_a_picture_of_digits() -> None:
    strokes = [[[100, 40], [100, 160]], [[300, 50], [330, 50], [330, 150]]]
    image = drawing(strokes)
    assert image.width == 256 and image.convert("L").getextrema()[0] < 80
    assert drawn(click(0, {"strokes": strokes}))[2] is None


@pytest.mark.parametrize("strokes", [None, [], [[]], "x", [[["a", 1]]], [[[10**9, 1]]], [[[1, 2, 3]]], [[[1, 1]] * 30_000], [5]])
def test_what_is_no_drawing_is_refused(strokes: Any) -> None:
    with pytest.raises(gr.Error, match=r"sketch pad is empty|can't be read"):
        drawn(click(0, {"strokes": strokes}))
