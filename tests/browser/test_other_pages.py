"""Links, files, What-if, Replay and the keyboard in Chromium."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from cos.search.trace import SearchTrace

pytestmark = pytest.mark.browser
Open = Callable[..., Page]


def run(page: Page) -> None:
    """Press Run and wait for the end."""
    page.locator("#run").click()
    expect(page.locator("#status")).to_contain_text("Done in")


def save(page: Page, selector: str, folder: Path) -> Path:
    """Press a link or button that gives a file, and keep the file."""
    with page.expect_download() as given:
        page.locator(selector).click()
    given.value.save_as(folder / given.value.suggested_filename)
    return folder / given.value.suggested_filename


def test_a_refresh_in_the_middle_loses_nothing_and_a_link_reopens(open_page: Open) -> None:
    page = open_page()
    page.locator("#question textarea").fill("How many bars are there? Count slowly.")
    page.locator("#run").click()
    expect(page.locator("#panel-2 g.node").nth(2)).to_be_attached()
    expect(page).to_have_url(re.compile(r"\?run=[0-9a-f]{24}$"))
    page.reload()
    expect(page.locator("#question textarea")).to_have_value("How many bars are there? Count slowly.")
    expect(page.locator("#panel-2 g.node").nth(2)).to_be_attached()
    expect(page.locator("#status")).to_contain_text("Done in")
    expect(page.locator(".panel")).to_have_count(3)
    answers = page.locator(".says").all_inner_texts()
    other = open_page(path="/" + page.url.rpartition("/")[2])
    expect(other.locator("#status")).to_contain_text("Done in")
    assert other.locator(".says").all_inner_texts() == answers
    expect(open_page(path="/?run=../../etc/passwd").locator("#status")).to_contain_text("There is no run of that name")


def test_the_files_of_a_run(open_page: Open, tmp_path: Path) -> None:
    page = open_page()
    run(page)
    trace = SearchTrace.load(save(page, "#panel-2 a[download='trace.json']", tmp_path))
    assert trace.method == "step_beam" and json.loads((tmp_path / "trace.json").read_text("utf-8"))["schema"] == "cos.trace/1"
    assert save(page, "#panel-2 a[download='tree.svg']", tmp_path).read_text("utf-8").startswith("<svg ")
    with Image.open(save(page, "#panel-2 [data-png]", tmp_path)) as image:
        assert image.format == "PNG" and image.width > 400 and len(image.convert("RGB").getcolors(10**6) or []) > 10
    saved = save(page, "#panel-2 a[download='search.html']", tmp_path)
    alone = page.context.new_page()
    alone.goto(saved.as_uri())
    alone.locator("g.node.pruned").first.click()
    expect(alone.locator(".trail")).to_contain_text("pruned")
    expect(alone.locator(".path .step")).to_have_count(1)


def test_what_if_a_step_said_something_else(open_page: Open) -> None:
    page = open_page()
    run(page)
    page.locator("#panel-2 g.node.pruned").first.click()
    page.locator("#panel-2 .trail a").click()
    expect(page.locator("#panel-0 .step.picked")).to_have_count(1)
    expect(page.locator("#step-name textarea")).to_have_value("Look")
    page.locator("#step-thought textarea").fill("I find something else: [3].")
    page.locator("#run").click()
    expect(page.locator("#panel-1 .step").first).to_contain_text("something else: [3]")
    expect(page.locator("#status")).to_contain_text("Done in")
    expect(page.locator("#panel-1 .step").first.locator(".reward b")).to_have_text(re.compile(r"^[01]\.\d\d$"))
    page.reload()
    expect(page.locator("#panel-1 .step").first).to_contain_text("something else: [3]")
    expect(page.locator("#panel-0 .step.picked")).to_have_count(1)
    page.locator("#step-thought textarea").fill("<|answer_end|>")
    page.locator("#run").click()
    expect(page.locator("#status")).to_contain_text("marks of a chain")


def test_a_recorded_run_replays_moment_by_moment(open_page: Open, tmp_path: Path) -> None:
    page = open_page(path="/replay")
    expect(page.locator(".gallery-of-runs li").nth(11)).to_be_attached()
    page.locator(".gallery-of-runs a", has_text="step beam").first.click()
    expect(page.locator("#panel-0 .says")).to_be_visible()
    assert SearchTrace.load(save(page, "#panel-0 a[download='trace.json']", tmp_path)).method == "step_beam"
    page.locator("#moment input[type=number]").fill("3")
    page.locator("#moment input[type=number]").press("Tab")
    expect(page.locator("#status")).to_contain_text("Moment 3 of")
    few = page.locator("#panel-0 g.node").count()
    page.locator("#play").click()
    expect(page.locator("#status")).to_contain_text(re.compile(r"Moment [7-9] of"))
    page.locator("#play").click()
    assert page.locator("#panel-0 g.node").count() > few


def test_the_keyboard_is_enough(open_page: Open) -> None:
    page = open_page()
    page.locator("#question textarea").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_contain_text("Done in")
    seen = set()
    for _ in range(80):
        page.keyboard.press("Tab")
        where = "document.activeElement.closest('[id]')?.id + ' ' + (document.activeElement.getAttribute('role') || '')"
        seen.add(page.evaluate(where))
        if page.evaluate("document.activeElement.closest('#panel-1 g.node') !== null"):
            break
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator("#panel-1 .trail")).to_contain_text("Node 1,")
    assert any("run" in place for place in seen) and any("threshold" in place or "range" in place for place in seen), seen


@pytest.mark.parametrize(("path", "scheme"), [("/replay?trace=05-step-beam", "dark"), ("/what-if", "light")])
def test_a_phone_shows_the_other_pages_too(open_page: Open, path: str, scheme: str) -> None:
    page = open_page(390, 844, path, color_scheme=scheme, has_touch=True, is_mobile=True)
    expect(page.locator("#status p")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_every_control_has_a_name_and_every_picture_a_text(open_page: Open) -> None:
    page = open_page()
    run(page)
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("main button, main input:not([type=hidden]), main textarea, main a, main [role=treeitem]")]
        .filter((part) => part.offsetParent !== null || part.tagName === "g").filter((part) => !(part.getAttribute("aria-label")
        || part.getAttribute("title") || part.innerText?.trim() || part.labels?.length || part.placeholder || part.type === "file"
        || part.closest("label") || part.querySelector("img[alt]"))).map((part) => part.outerHTML.slice(0, 200))"""
    )
    assert nameless == []
