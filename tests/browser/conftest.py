"""A served app, a browser, and a page that fails its test on any console error, failed request or request to another host."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright
from serving import serving

PATIENCE = 60_000.0
"""Milliseconds that an expectation may take to come true there."""
expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    names = ("chromium", "chromium-browser", "google-chrome")
    found = os.environ.get("BROWSER_PATH") or next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium found: install one, or name it in BROWSER_PATH")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def app(browser: Browser) -> Iterator[str]:
    """The address of the app with slow scripted models."""
    with serving("tests/browser/served.py", "PORT", "0.5") as url:
        yield url


@pytest.fixture
def open_page(browser: Browser, app: str) -> Iterator[Callable[..., Page]]:
    """`open_page(width, height, path, **context)`: a page, ready. What goes wrong on any page fails the test at its end."""
    faults: list[str] = []
    contexts = []

    def opened(width: int = 1440, height: int = 900, path: str = "/", **context: Any) -> Page:
        contexts.append(browser.new_context(viewport={"width": width, "height": height}, **context))
        page = contexts[-1].new_page()
        watch(page, faults)
        page.set_default_timeout(PATIENCE)
        page.goto(app + path)
        page.locator("#run:enabled, #play, #save, #axis, #chain-text, #model").wait_for()
        return page

    yield opened
    for context in contexts:
        context.close()
    assert faults == []


def watch(page: Page, faults: list[str]) -> None:
    """Write down console errors, exceptions, failed requests, and requests to any host but this one."""
    page.on("console", lambda message: faults.append(f"console: {message.text}") if is_fault(message) else None)
    page.on("pageerror", lambda error: faults.append(f"exception: {error}"))
    page.on("response", lambda response: faults.append(f"{response.status}: {response.url}") if response.status >= 400 else None)
    page.on("request", lambda request: faults.append(f"off host: {request.url}") if is_away(request.url) else None)


def is_fault(message: ConsoleMessage) -> bool:
    """Whether a line on the console is an error, but for what Gradio's client says of a stream whose page is left in the middle of it."""
    return message.type == "error" and not re.search(r"AbortError: signal is aborted|errored out", message.text)


def is_away(url: str) -> bool:
    """Whether an address is on another host than this machine."""
    return urlsplit(url).scheme not in ("data", "blob") and urlsplit(url).hostname != "127.0.0.1"
