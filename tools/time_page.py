"""How long a visitor waits: from Run to the first scored step on the screen, and to the end of four searches of N = 8, in Chromium.

python tools/time_page.py [URL of a served app, or none to serve the embedded models] > benchmarks/page.json
"""

from __future__ import annotations

import json
import sys
import time

from load_test import served
from pictures import chromium
from playwright.sync_api import Page, sync_playwright

RUNS = 5


def main() -> None:
    """Serve, press Run five times after once to warm up, print the seconds of each."""
    if len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1]), indent=1))
        return
    with served() as (url, _):
        print(json.dumps(measure(url), indent=1))


def measure(url: str) -> dict[str, object]:
    """Medians and all values."""
    with sync_playwright() as playwright:
        page = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"]).new_page(
            viewport={"width": 1440, "height": 900}
        )
        page.set_default_timeout(120_000)
        page.goto(url)
        page.locator("#run:enabled").wait_for()
        page.locator("#methods").get_by_label("vote", exact=True).check()
        page.locator("#n input[type=number]").fill("8")
        page.locator("#n input[type=number]").press("Enter")
        seconds = [once(page) for _ in range(RUNS + 1)][1:]
    first, done = (sorted(values) for values in zip(*seconds, strict=True))
    return {"methods": 4, "n": 8, "first_scored_step": first[RUNS // 2], "all_done": done[RUNS // 2], "each": seconds}


def once(page: Page) -> tuple[float, float]:
    """Seconds from the click on Run to the first reward of a new run on the screen, and to the end."""
    page.locator("#run:enabled").wait_for()
    page.locator("#new-puzzle").click()
    page.evaluate("for (const old of document.querySelectorAll('.step')) old.dataset.old = 1")  # of the run before
    begun = time.monotonic()
    page.locator("#run").click()
    page.locator(".step:not([data-old]) .reward b").first.wait_for()
    first = time.monotonic() - begun
    page.locator("#run:disabled").wait_for()
    page.locator("#run:enabled").wait_for()
    return round(first, 2), round(time.monotonic() - begun, 2)


if __name__ == "__main__":
    main()
