"""Screenshots of the app for the documentation, wide and phone, light and dark: `make pictures`, or `python tools/pictures.py DIR`.

Takes the models that the app offers first. Needs a Chromium (named in BROWSER_PATH, or found by its usual names).
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from cos.problems import draw
from workbench.session import Session, new_puzzle
from workbench.ui import build, serve

SHOTS = {
    "solve": (1440, 900, "light"),
    "solve-dark": (1440, 900, "dark"),
    "solve-phone": (390, 844, "light"),
    "solve-phone-dark": (390, 844, "dark"),
}


def main() -> None:
    """Serve, press Run, look."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/pictures")
    folder.mkdir(parents=True, exist_ok=True)
    draw(new_puzzle("charts", 2, seed=7)).save(folder / "chart.png")
    names = ("chromium", "chromium-browser", "google-chrome")
    found = os.environ.get("BROWSER_PATH") or next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        sys.exit("pictures: no Chromium found: install one, or name it in BROWSER_PATH")
    session = Session.offering()
    session.warm()
    url = serve(build(session), wait=False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        for name, (width, height, scheme) in SHOTS.items():
            shoot(browser, url, folder / f"{name}.png", width, height, scheme == "dark")


def shoot(browser: Browser, url: str, file: Path, width: int, height: int, dark: bool) -> None:
    """One run of three methods, then one node picked."""
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light")
    page.goto(url)
    page.locator("#run:enabled").click()
    page.get_by_text("Done in").wait_for()
    page.wait_for_timeout(500)
    page.mouse.move(width - 1, height - 1)
    if width < 900:
        page.locator("#panel-2").scroll_into_view_if_needed()
        page.evaluate("document.querySelector('#panel-2').scrollIntoView()")
    page.screenshot(path=str(file))
    with Image.open(file) as shot:  # 256 colours: a fifth of the size, no difference to the eye
        small = shot.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    small.save(file, optimize=True)
    page.close()


if __name__ == "__main__":
    main()
