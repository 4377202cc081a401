"""Screenshots of the app for the documentation, wide and phone, light and dark: `make pictures`, or `python tools/pictures.py DIR`.

Takes the models that the app offers first. Needs a Chromium (named in BROWSER_PATH, or found by its usual names).
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from cos.problems import draw
from workbench.inputs import new_puzzle
from workbench.runs import Archive
from workbench.session import Session
from workbench.ui import build, serve

SHOTS = {"": (1440, 900, "light"), "-dark": (1440, 900, "dark"), "-phone": (390, 844, "light"), "-phone-dark": (390, 844, "dark")}
"""Ending of the file's name -> width, height, colours."""


def main() -> None:
    """Serve, press Run, look at each page."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/pictures")
    folder.mkdir(parents=True, exist_ok=True)
    draw(new_puzzle("charts", 2, seed=7)).save(folder / "chart.png")
    found = chromium()
    session = Session.offering(archive=Archive())
    session.results = Path("runs")
    session.warm()
    url = serve(build(session), session, wait=False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        for ending, (width, height, scheme) in SHOTS.items():
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme="dark" if scheme == "dark" else "light")
            page.set_default_timeout(120_000)
            for name, show in PAGES.items():
                show(page, url)
                keep(page, folder / f"{name}{ending}.png")
            page.close()


def chromium() -> str:
    """Where the browser is; ends the program with a line where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = os.environ.get("BROWSER_PATH") or next((path for name in names if (path := shutil.which(name))), None)
    return found or sys.exit("no Chromium found: install one, or name it in BROWSER_PATH")


def solve(page: Page, url: str) -> None:
    """One run of three methods."""
    page.goto(url)
    page.locator("#run:enabled").click()
    page.get_by_text("Done in").wait_for()
    if (page.viewport_size or {"width": 0})["width"] < 900:
        page.evaluate("document.querySelector('#panel-2').scrollIntoView()")


def what_if(page: Page, url: str) -> None:
    """From that run: a dropped step, taken up again with another text."""
    page.locator("#panel-2 g.node.pruned").first.click()
    page.locator("#panel-2 .trail a").click()
    page.locator("#panel-0 .step.picked").wait_for()
    text = page.locator("#step-thought textarea")
    text.fill(re.sub(r"\d+", lambda number: str(int(number[0]) + 1), text.input_value()) or "It is otherwise.")
    page.locator("#run").click()
    page.get_by_text("Done in").wait_for()
    if (page.viewport_size or {"width": 0})["width"] < 900:
        page.evaluate("document.querySelector('#panel-1').scrollIntoView()")


def replay(page: Page, url: str) -> None:
    """A recorded run in its middle."""
    page.goto(f"{url.rstrip('/')}/replay?trace=09-fooled")
    page.locator("#panel-0 .panel").wait_for()


def label(page: Page, url: str) -> None:
    """Two votes on a recorded run."""
    page.goto(f"{url.rstrip('/')}/label?trace=09-fooled")
    for row, key in enumerate("rw"):
        page.locator(f".votes li[data-step='{row}']").press(key)
        page.locator(".views").nth(row).wait_for()


def curves(page: Page, url: str) -> None:
    """The newest evaluation below runs/, where there is one."""
    page.goto(f"{url.rstrip('/')}/curves")
    page.locator("#axis").wait_for()
    page.wait_for_timeout(8000)  # the figures' program is large


def rewards(page: Page, url: str) -> None:
    """A wrong chain with the true, a blank and another picture."""
    page.goto(f"{url.rstrip('/')}/rewards")
    page.locator("#chain-text").wait_for()
    for name in ("Blank picture", "Swap picture"):
        page.get_by_role("button", name=name).click()
        page.locator("#rows th", has_text=name.split()[0].lower().replace("swap", "another")).wait_for()


def models(page: Page, url: str) -> None:
    """The policy that is offered first."""
    page.goto(f"{url.rstrip('/')}/models")
    page.locator("#facts table").wait_for()


PAGES: dict[str, Callable[[Page, str], None]] = {
    "solve": solve,
    "what-if": what_if,
    "replay": replay,
    "label": label,
    "curves": curves,
    "rewards": rewards,
    "models": models,
}
"""In this order: the second begins where the first ends."""


def keep(page: Page, file: Path) -> None:
    """The page as a picture of 256 colours: a fifth of the size, no difference to the eye."""
    if (page.viewport_size or {"width": 0})["width"] > 900:
        page.evaluate("scrollTo(0, 0)")
    page.wait_for_timeout(500)
    page.mouse.move(1, 1)
    page.screenshot(path=str(file))
    with Image.open(file) as shot:
        small = shot.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    small.save(file, optimize=True)


if __name__ == "__main__":
    main()
