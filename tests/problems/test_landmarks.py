"""Landmarks against the pixels and against what the worlds say of themselves."""

from __future__ import annotations

import numpy as np

from cos import problems
from cos.problems import chart_pictures, scenes_draw
from cos.problems.landmarks import landmarks


def colour_at(picture: np.ndarray, x: float, y: float) -> np.ndarray:
    size = picture.shape[0]
    return picture[min(int(y * size), size - 1), min(int(x * size), size - 1)].astype(int)


def test_a_scenes_landmarks_have_the_colour_they_name() -> None:
    for problem in problems.problems("scenes:train", 20):
        picture = np.asarray(problems.draw(problem))
        looks = problem.truth["style"]["things"]
        for mark, look in zip(landmarks(problem), looks, strict=True):
            wanted = np.array(scenes_draw.shade(mark.words[0], look[4:7]))
            assert np.abs(colour_at(picture, mark.x, mark.y) - wanted).max() < 40, (problem.id, mark)


def test_a_bars_landmarks_lie_in_it() -> None:
    for problem in problems.problems("charts:train", 20):
        picture = np.asarray(problems.draw(problem))
        marks = landmarks(problem)
        assert [mark.words for mark in marks[::2]] == [(name, str(value)) for name, value in problem.truth["content"]["bars"]]
        for mark in marks[1::2]:
            wanted = np.array(chart_pictures.shade(problem.truth["style"], mark.words[0]))
            assert np.abs(colour_at(picture, mark.x, mark.y) - wanted).max() < 40, (problem.id, mark)


def test_digits_come_in_the_order_of_the_description_with_ink_around_them() -> None:
    for problem in problems.problems("digits:train", 20):
        picture = np.asarray(problems.draw(problem)).astype(int)
        marks = landmarks(problem)
        said = [part.split()[-1] for part in problems.describe(problem).rstrip(".").split(", ")]
        assert [mark.words[0] for mark in marks] == said
        ink = np.array(problem.truth["style"]["ink"])
        for mark in marks:
            x, y = int(mark.x * 320), int(mark.y * 320)
            near = picture[max(0, y - 35) : y + 35, max(0, x - 35) : x + 35]
            assert np.abs(near - ink).sum(-1).min() < 60, (problem.id, mark)


def test_pictures_to_refuse_have_none_of_their_own() -> None:
    for problem in problems.problems("refusals:train", 20):
        assert landmarks(problem) == []
