"""The Solve page in Chromium: a picture goes in, four searches fill side by side, nodes answer clicks and keys, Stop stops."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from workbench.inputs import examples

pytestmark = pytest.mark.browser
RELEASED = Path(__file__).parent.parent / "data" / "released" / "images"
Open = Callable[..., Page]


def put_in(page: Page, file: Path) -> None:
    """Upload a picture in place of the one shown."""
    page.locator("#picture").get_by_role("button", name=re.compile("clear|remove", re.IGNORECASE)).click()
    page.locator("#picture input[type=file]").set_input_files(file)


def run(page: Page) -> None:
    """Press Run and wait for the end."""
    page.locator("#run").click()
    expect(page.locator("#status")).to_contain_text("Done in")


def test_upload_and_four_searches_side_by_side(open_page: Open, tmp_path: Path) -> None:
    page = open_page()
    _, image = examples()[1]
    image.save(tmp_path / "mine.png")
    put_in(page, tmp_path / "mine.png")
    expect(page.locator("#picture img")).to_be_visible()
    page.locator("#question textarea").fill("How many shapes are there?")
    page.locator("#methods").get_by_label("vote", exact=True).check()
    page.evaluate(
        """() => { window.seen = []; new MutationObserver(() => seen.push([document.querySelectorAll("#panel-3 g.node").length,
        document.querySelector("#status").innerText])).observe(document.querySelector("#board"), {childList: true, subtree: true}); }"""
    )
    page.locator("#run").click()
    expect(page.locator("#status")).to_contain_text("Done in")
    live = {count for count, status in page.evaluate("seen") if "Done in" not in status}
    assert len(live) > 2 and max(live) > 4, "the tree grows before the end: panels fill live"
    expect(page.locator(".panel")).to_have_count(4)
    for number, method in enumerate(["greedy", "vote", "best of n", "step beam"]):
        panel = page.locator(f"#panel-{number}")
        expect(panel.locator("h3")).to_have_text(method)
        expect(panel.locator(".says")).to_have_text(re.compile(r"^\d+$"))
        expect(panel.locator(".step .reward b").first).to_have_text(re.compile(r"^[01]\.\d\d$"))
        expect(panel.locator(".clock")).to_have_text(re.compile(r"\d s$"))
        expect(panel.locator(".cost")).to_contain_text("tokens")
    expect(page.locator(".verdict")).to_have_count(0)


def test_a_click_and_the_keys_take_a_tree_apart(open_page: Open) -> None:
    page = open_page()
    run(page)
    expect(page.locator("#panel-2 .verdict")).to_have_count(1)
    page.locator("#panel-2 g.node.pruned").first.click()
    trail = page.locator("#panel-2 .trail")
    expect(trail).to_contain_text("pruned")
    expect(trail).to_contain_text("rank")
    expect(page.locator("#panel-2 .step.picked")).to_have_count(1)
    page.locator("#panel-2 .trail button").click()
    expect(trail).to_contain_text("The answer's path")
    page.locator("#panel-1 g.node[data-node='0']").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator("#panel-1 .trail")).to_contain_text("Node 2,")
    expect(page.locator("#panel-1 g.node[aria-selected=true]")).to_have_attribute("data-node", "2")


def test_stop_stops_all_and_keeps_what_is_there(open_page: Open) -> None:
    page = open_page()
    page.locator("#question textarea").fill("How many bars are there? Count slowly.")
    page.locator("#run").click()
    expect(page.locator("#panel-2 g.node").nth(2)).to_be_attached()
    page.locator("#stop").click()
    expect(page.locator("#status")).to_contain_text("Stopped after")
    expect(page.locator("#panel-2 .phase")).to_have_text("stopped")
    expect(page.locator("#panel-2 g.node").nth(2)).to_be_attached()
    expect(page.locator("#run")).to_be_enabled()


def test_a_new_puzzle_brings_picture_question_and_truth(open_page: Open) -> None:
    page = open_page()
    before = page.locator("#question textarea").input_value()
    page.locator("#new-puzzle").click()
    expect(page.locator("#question textarea")).not_to_have_value(before)
    page.locator("#examples button").nth(3).click()
    expect(page.locator("#question textarea")).to_have_value(examples()[3][0].question)
    run(page)
    expect(page.locator("#status")).to_contain_text("truth: " + str(examples()[3][0].answer))


def test_digits_drawn_on_the_pad_become_the_picture(open_page: Open) -> None:
    page = open_page()
    before = page.locator("#picture img").get_attribute("src")
    page.locator("#sketch button").first.click()
    page.locator("#pad canvas").scroll_into_view_if_needed()
    box = page.locator("#pad canvas").bounding_box()
    assert box is not None
    for left in (0.2, 0.6):  # two strokes straight down, the ones of "11"
        page.mouse.move(box["x"] + left * box["width"], box["y"] + 0.2 * box["height"])
        page.mouse.down()
        page.mouse.move(box["x"] + left * box["width"], box["y"] + 0.8 * box["height"], steps=6)
        page.mouse.up()
    page.locator("#pad button", has_text="Use drawing").click()
    expect(page.locator("#question textarea")).to_have_value(re.compile("sum of the first and the second digit"))
    expect(page.locator("#picture img")).not_to_have_attribute("src", str(before))


def test_hostile_question_and_broken_picture(open_page: Open) -> None:
    page = open_page()
    page.locator("#question textarea").fill("<img src=x onerror=\"document.title='caught'\"> **b** $x$")
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_contain_text("Done in")
    assert page.title() == "CoS workbench" and page.locator(".panel img").count() == 0
    put_in(page, RELEASED / "not_an_image.png")
    expect(page.get_by_text("not_an_image.png: not a picture").first).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_it_all_without_sideways_scroll(open_page: Open, scheme: str) -> None:
    page = open_page(390, 844, color_scheme=scheme, has_touch=True, is_mobile=True)
    run(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    expect(page.locator("#status")).to_be_in_viewport()
    expect(page.locator("#panel-1 .step").first).to_be_visible()
    dark = page.evaluate("getComputedStyle(document.querySelector('.panel')).backgroundColor") == "rgb(26, 32, 33)"
    assert dark == (scheme == "dark")
