"""Figures of plain numbers: what is drawn is what was given, bounds included; and how a notebook shows a figure."""

from __future__ import annotations

import plotly.io as pio
import pytest
from PIL import Image

from cos.metrics import wilson
from workbench import notebooks
from workbench.figures import bars, histograms, lines


def test_bars_and_lines_hold_the_numbers_and_their_bounds() -> None:
    series = {"one": {1: 0.5, 2: wilson(9, 10)}, "other": {2: 0.25}}
    for figure in (bars(series, y="share", percent=True), lines(series, y="share", percent=True)):
        one, other = figure.data
        assert (list(one.y), list(other.y), one.name) == ([0.5, 0.9], [0.25], "one")
        low, high = wilson(9, 10)[1:]
        assert one.error_y.visible and list(one.error_y.array) == [0, pytest.approx(high - 0.9)]
        assert list(one.error_y.arrayminus) == [0, pytest.approx(0.9 - low)] and not other.error_y.visible
        assert figure.layout.yaxis.tickformat == ".0%" and figure.layout.showlegend
    assert list(bars(series).data[0].x) == ["1", "2"] and list(lines(series).data[0].x) == [1, 2]
    assert not bars({"alone": {"a": 1}}).layout.showlegend


def test_places_of_powers_are_named() -> None:
    axis = lines({"one": {1: 0.1, 16: 0.2}, "other": {4: 0.3}}, log=True).layout.xaxis
    assert (axis.type, axis.tickvals, axis.ticktext) == ("log", (1, 4, 16), ("1", "4", "16"))


def test_histograms_show_shares_of_each_group() -> None:
    right, wrong = histograms({"right": [0.1, 0.9, 1.0], "wrong": [0.2]}, bins=10).data
    assert (right.name, list(right.x), right.histnorm, wrong.name) == ("right (3)", [0.1, 0.9, 1.0], "probability", "wrong (1)")
    assert right.xbins.size == 0.1


def test_a_notebook_shows_figures_on_white(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pio.renderers, "default", pio.renderers.default)
    notebooks.show_figures(pictures=False)
    (bundle,) = [renderer.to_mimebundle(bars({"one": {1: 2}}).to_dict()) for renderer in [pio.renderers[pio.renderers.default]]]
    assert list(bundle) == ["application/vnd.plotly.v1+json"]
    shown = bundle["application/vnd.plotly.v1+json"]
    assert shown["layout"]["paper_bgcolor"] == "#ffffff" and shown["data"][0]["y"] == [2]


def test_without_kaleido_figures_show_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pio.renderers, "default", pio.renderers.default)
    monkeypatch.setattr(notebooks.importlib.util, "find_spec", lambda name: None)
    notebooks.show_figures()
    assert not pio.renderers["page"].pictures


def test_pictures_in_a_row() -> None:
    row = notebooks.side_by_side([Image.new("RGB", (100, 50), "red"), Image.new("RGB", (40, 80), "blue")], height=20)
    assert row.size == (40 + 8 + 10 + 8, 20)
    assert [row.getpixel((x, 10)) for x in (20, 44, 52)] == [(255, 0, 0), (255, 255, 255), (0, 0, 255)]
