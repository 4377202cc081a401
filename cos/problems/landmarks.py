"""Where in its picture each thing of a world is: what a model that starts from nothing is taught to see, place by place, before it can
describe. A pretrained vision tower needs none of this (docs/log.md: without it, describing stays at chance for hundreds of batches)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

from cos.chain import Problem
from cos.problems import chart_pictures, handwriting, scenes_draw
from cos.problems.chart_questions import ORDINALS
from cos.problems.digits import values_of


@dataclass(frozen=True)
class Landmark:
    """A place, as shares of the picture's width and height, and the words that describe what is there."""

    x: float
    y: float
    words: tuple[str, ...]
    place: tuple[str, ...] = ()
    """Words for where it stands among its like: "second" of the bars, "top" and "left" of the digits."""

    @property
    def pieces(self) -> tuple[str, ...]:
        """All its words, told apart: each with the blank before it that it has in a text, a second number without, or "6, 2" and "2, 6"
        would be the same words."""
        second = [word.isdigit() and any(map(str.isdigit, self.words[:at])) for at, word in enumerate(self.words)]
        words = tuple(word if bare else f" {word}" for word, bare in zip(self.words, second, strict=True))
        return words + tuple(f" {word}" for word in self.place)


def landmarks(problem: Problem) -> list[Landmark]:
    """The ends and middles of bars, the middles of shapes, the digits; nothing for pictures without such things."""
    content, style = problem.truth["content"], problem.truth.get("style", {})
    if problem.world == "charts":
        return list(chain.from_iterable(_bar(style, place, content["bars"]) for place in range(len(content["bars"]))))
    if problem.world == "scenes":
        size = scenes_draw.PIXELS
        found = []
        for thing, look in zip(content["things"], style["things"], strict=True):
            x, y = scenes_draw.centre(thing, look)
            found.append(Landmark(x / size, y / size, (thing["colour"], thing["shape"], str(thing["x"]), str(thing["y"]))))
        return found
    if problem.world == "digits":
        size, rows = handwriting.SIZE, content["rows"]
        boxes = handwriting.cell_boxes(len(rows), len(rows[0]), style["shift"])
        return [
            Landmark((box[0] + place[0] * box[2]) / size, (box[1] + place[1] * box[2]) / size, (str(digit),), tuple(name.split()))
            for digit, box, place, name in zip(chain(*rows), boxes, style["places"], values_of(problem.truth), strict=True)
        ]
    return []


def _bar(style: dict[str, object], place: int, bars: list[tuple[str, int]]) -> list[Landmark]:
    name, value = bars[place]
    left, top, right, bottom = chart_pictures.bar_box(style, place, len(bars), value)
    size, x, y = chart_pictures.SIZE, (left + right) / 2, (top + bottom) / 2
    end = (right - 3, y) if style["horizontal"] else (x, top + 3)
    return [Landmark(end[0] / size, end[1] / size, (name, str(value)), (ORDINALS[place],)), Landmark(x / size, y / size, (name,))]
