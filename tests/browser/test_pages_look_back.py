"""Label, Curves, Rewards and Models in Chromium."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from cos.problems.records import read_labelled
from workbench.recordings import recordings
from workbench.votes import task_of

pytestmark = pytest.mark.browser
Open = Callable[..., Page]


def press_on(page: Page, row: int, key: str) -> None:
    """A key on a row, and what the server answers to it."""
    page.locator(f".votes li[data-step='{row}']").press(key)
    expect(page.locator(".votes li").nth(row).locator(".views")).to_be_visible()


def test_labels_by_the_keyboard_are_in_the_file(open_page: Open, tmp_path: Path) -> None:
    long = next(name for name, one in recordings().items() if len(task_of(one.trace, None, "", name).chains[0].chain.steps) > 3)
    page = open_page(path=f"/label?trace={long}")
    expect(page.locator(".votes li").nth(2)).to_be_visible()
    assert page.locator(".views").count() == 0 and page.locator(".votes .reward").count() == 0, "nothing is told before the vote"
    press_on(page, 0, "r")
    expect(page.locator(".views")).to_have_count(1)
    expect(page.locator(".votes li:focus")).to_have_attribute("data-step", "1")
    press_on(page, 1, "n")
    press_on(page, 2, "w")
    expect(page.locator(".votes li.after").first).to_be_visible()
    expect(page.locator("#status")).to_contain_text("votes as the reward")
    page.locator("#save").click()
    expect(page.locator("#status")).to_contain_text("Saved: 1 chain")
    with page.expect_download() as given:
        page.locator("a[download='labels.jsonl']").click()
    given.value.save_as(tmp_path / "labels.jsonl")
    (row,) = read_labelled(tmp_path / "labels.jsonl")
    assert row.labels.source == "human" and row.labels.steps[:3] == (1.0, None, 0.0) and set(row.labels.steps[3:]) <= {None}
    page.reload()
    expect(page.locator("a[download='labels.jsonl']")).to_contain_text("download 1 labelled")


def test_curves_filters_and_a_trace_that_opens(open_page: Open) -> None:
    page = open_page(path="/curves")
    expect(page.locator("#status")).to_contain_text("6 questions")
    expect(page.locator("#curves .js-plotly-plot .legend")).to_contain_text("best of n")
    page.locator("#axis").get_by_text("tokens").click()
    expect(page.locator("#curves .xtitle")).to_contain_text("tokens a question")
    expect(page.locator("#tables table").first).to_contain_text("best of n")
    page.locator("#world input").fill("nonsense")
    page.locator("#world input").press("Enter")
    expect(page.locator("#world input")).to_have_value("all worlds")  # as for a choice that is gone when it arrives
    expect(page.locator("#status")).to_contain_text("6 questions")
    page.locator("#cases button").first.click()
    expect(page.locator("#panel-0 .says")).to_be_visible()
    expect(page.locator("#about img")).to_be_visible()
    page.locator("#panel-0 g.node").nth(2).click()
    expect(page.locator("#panel-0 .trail")).to_contain_text("Node ")


def test_records_of_whoever_are_no_markup(open_page: Open, tmp_path: Path) -> None:
    page = open_page(path="/curves")
    expect(page.locator("#status")).to_contain_text("6 questions")
    hostile = "<img src=x onerror=\"document.title='caught'\">"
    cost = dict.fromkeys(("policy_prefill", "policy_decode", "reward_prefill", "reward_step"), 1)
    cost |= {"vision_calls": 1, "reward_calls": 1, "flops": 1.0, "seconds": 1.0, "kv_peak_bytes": 1.0, "tokens": 4}
    methods = {name: {"1": {"answer": hostile, "right": name == "a", **cost}} for name in ("a", hostile)}
    pool = {"n": 1, "answered": 1, "right": 0, "votes": [0], "vote_flops": [1.0]}
    row = {
        "problem": hostile,
        "world": hostile,
        "level": 1,
        "kind": hostile,
        "gold": hostile,
        "methods": methods,
        "pool": pool,
        "steps": [],
    }
    (tmp_path / "records.jsonl").write_text(json.dumps(row) + "\n", "utf-8")
    page.locator("#records input[type=file]").set_input_files(tmp_path / "records.jsonl")
    expect(page.locator("#status")).to_contain_text("1 questions")
    expect(page.locator("#cases table")).to_contain_text("<img src=x")
    assert page.title() == "CoS workbench" and page.locator("#cases img, #tables img, #curves img").count() == 0
    (tmp_path / "records.jsonl").write_text("not json", "utf-8")
    page.locator("#records button[aria-label*='lear'], #records button[aria-label*='emove']").first.click()
    page.locator("#records input[type=file]").set_input_files(tmp_path / "records.jsonl")
    expect(page.get_by_text("records.jsonl, line 1: not JSON").first).to_be_visible()


def test_the_bench_scores_with_a_blank_picture_by_one_click(open_page: Open) -> None:
    page = open_page(path="/rewards")
    page.get_by_role("button", name="Blank picture").click()
    table = page.locator("#rows table")
    expect(table.locator("thead th")).to_have_text(["step", "as it is", "blank", "truth"])
    expect(table.locator("tbody tr").first.locator(".reward b").nth(1)).to_have_text(re.compile(r"^[01]\.\d\d$"))
    chain = page.locator("#chain-text textarea")
    right = chain.input_value()
    page.get_by_role("button", name="Wrong chain").click()
    expect(chain).not_to_have_value(right)  # it has come, and won't come over what is written now
    chain.fill("no chain")
    page.get_by_role("button", name="Score", exact=True).click()
    expect(page.get_by_text("Line 1: write a step").first).to_be_visible()


def test_models_are_described(open_page: Open) -> None:
    page = open_page(path="/models")
    expect(page.locator("#facts table")).to_contain_text("none: a script")
    expect(page.locator("#code summary").first).to_have_text("command")
    expect(page.locator("#load")).to_be_disabled()


@pytest.mark.parametrize("path", ["/label?trace=09-fooled", "/curves", "/rewards", "/models"])
def test_a_phone_shows_the_pages_that_look_back(open_page: Open, path: str) -> None:
    page = open_page(390, 844, path, color_scheme="dark", has_touch=True, is_mobile=True)
    expect(page.locator("#status p")).to_be_visible()
    expect(page.locator(".votes li, #tables table, #rows, #facts table").first).to_be_attached()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
