"""The documentation speaks of what is there: its links lead somewhere, its verbs, options and places in code exist, its map is whole."""

from __future__ import annotations

import argparse
import importlib
import json
import re
from functools import cache
from pathlib import Path

import pytest

from cos.__main__ import MODULES, VERBS
from cos.commands.options import add_common

ROOT = Path(__file__).parent.parent
ROOMS = ("docs", "cos", "benchmarks", "notebooks", "studies", "recipes", "tests", "tools", "workbench")
PAGES = sorted([*ROOT.glob("*.md"), *(page for room in ROOMS for kind in ("md", "ipynb") for page in (ROOT / room).rglob(f"[!.]*.{kind}"))])
OURS = [page for page in PAGES if page.suffix == ".md" and page.parent in (ROOT, ROOT / "docs")]
"""Pages about the workbench itself, not about a model or a data set."""

_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(\s*<?([^\s)>]+)>?(?:\s+\"[^\"]*\")?\s*\)|(?:src|href)=\"([^\"]+)\"")
_HEADING = re.compile(r"^#+ +(.+?) *#*$", re.MULTILINE)


def name_of(page: Path) -> str:
    """A page as it is named in reports."""
    return str(page.relative_to(ROOT))


@cache
def prose(page: Path) -> str:
    """A page's text, of a notebook its Markdown cells; fenced blocks left out."""
    text = page.read_text("utf-8")
    if page.suffix == ".ipynb":
        text = "\n\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown")
    return _FENCED.sub("", text)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    plain = (re.sub(r"\]\([^)]*\)|[`\[]", "", heading).lower() for heading in _HEADING.findall(prose(page)))
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in (a or b for a, b in _LINK.findall(prose(page))):
        if re.match(r"https?://\w", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.is_relative_to(ROOT) and there.exists(), f"{name_of(page)}: {target} is not there"
        if anchor:
            assert anchor in anchors(there), f"{name_of(page)}: {path or name_of(page)} has no heading {anchor}"


def test_readme_leads_to_every_page() -> None:
    text = prose(ROOT / "README.md")
    assert not [name_of(page) for page in OURS if page.parent != ROOT and f"]({name_of(page)}" not in text]


def test_a_link_into_nothing_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text('# One `two`: three\n\n[a](b.md "c") ![d](<e.png>) [f](#one-two-three)\n\n```sh\n[g](h.md)\n```\n')
    assert [a or b for a, b in _LINK.findall(prose(page))] == ["b.md", "e.png", "#one-two-three"]
    assert anchors(page) == {"one-two-three"}


@cache
def options() -> frozenset[str]:
    """All long options of all verbs, and of app.py."""
    found = set(re.findall(r"\"(--[a-z-]+)\"", (ROOT / "app.py").read_text("utf-8")))
    for verb in VERBS:
        parser = argparse.ArgumentParser()
        importlib.import_module(MODULES.get(verb, "cos.commands." + verb.replace(" ", "_"))).add(parser)
        add_common(parser)
        found |= {option for action in parser._actions for option in action.option_strings}
    return frozenset(found)


@pytest.mark.parametrize("page", OURS, ids=name_of)
def test_verbs_and_options_are_those_of_the_command_line(page: Path) -> None:
    if page.name == "log.md":
        pytest.skip("a diary tells what was; its commands may have changed since")
    code = re.findall(r"`([^`\n]+)`", prose(page))
    words = {word for name in VERBS for word in (name, name.split()[0])}
    for text in code:
        if said := re.match(r"cos ([a-z]+(?: [a-z]+)?)", text):
            assert {said[1], said[1].split()[0]} & words, f"{name_of(page)}: there is no verb in `{text}`"
        if re.match(r"cos |--", text):
            unknown = set(re.findall(r"(?<!\S)--[a-z][a-z-]*(?!\w)", text)) - options()
            assert not unknown, f"{name_of(page)}: no verb has {unknown}, as in `{text}`"


@pytest.mark.parametrize("page", OURS, ids=name_of)
def test_places_in_the_code_are_there(page: Path) -> None:
    """What is written as `file.py::name`; paths may begin at the root, in `cos/`, or in one of its rooms."""
    for path, name in re.findall(r"`([\w/]+\.py)::(\w+)", prose(page)):
        files = [file for room in (".", "cos") for file in [ROOT / room / path] if file.is_file()] or [*(ROOT / "cos").glob(f"*/{path}")]
        assert files, f"{name_of(page)}: {path} is not there"
        assert re.search(rf"^\s*(?:async )?(?:def|class) {name}\b", files[0].read_text("utf-8"), re.MULTILINE), f"{path} has no {name}"


@pytest.mark.parametrize("page", OURS, ids=name_of)
def test_files_and_names_of_the_library_are_there(page: Path) -> None:
    """What is written as a path from the root, or as `cos.module.name`."""
    if page.name == "log.md":
        pytest.skip("a diary tells what was")
    text = prose(page).split("## Where this differs")[0]  # that part of the architecture names what was planned
    paths = re.findall(r"`((?:cos|workbench|tests|tools|recipes|docs|benchmarks)/[a-z0-9_./-]+)(?:::\w+)?`", text)
    missing = [path for path in paths if not (ROOT / path).exists()]
    kinds = {schema.stem for schema in (ROOT / "docs" / "schemas").iterdir()} | {"json"}  # `cos.problem/1`, `cos.json`
    for name in re.findall(r"`((?:cos|workbench)(?:\.\w+)+)", text):
        if name.split(".")[1] not in kinds:
            missing += [] if _known(name.split(".")) else [name]
    assert not missing, f"{name_of(page)} names what is not there: {', '.join(missing)}"


def _known(parts: list[str]) -> bool:
    """Whether the longest beginning that is a module defines what follows."""
    for count in range(len(parts), 0, -1):
        here = ROOT.joinpath(*parts[:count])
        files = [file for file in (here.with_suffix(".py"), here / "__init__.py") if file.is_file()]
        if files:
            text = files[0].read_text("utf-8")
            return all(
                re.search(rf"\b(?:def|class) {name}\b|^\s*{name}\b.* =|import.*\b{name}\b", text, re.MULTILINE) for name in parts[count:]
            )
    return False


def test_the_map_names_every_module() -> None:
    """Each file and folder of `cos` and `workbench`, and each file of the rooms that hold one idea a file."""
    table = (ROOT / "docs" / "architecture.md").read_text("utf-8").split("## Who may import whom")[0]
    named = {Path(part).stem for text in re.findall(r"`([^`\n]+)`", table) for part in text.split("::")[0].split(", ")}
    rooms = [
        ROOT / "workbench",
        ROOT / "cos",
        *(ROOT / "cos" / room for room in ("models", "engine", "rewards", "search", "train", "bench", "card")),
    ]
    inside = [item for room in rooms for item in room.iterdir() if item.suffix == ".py" or (item / "__init__.py").is_file()]
    missing = [str(item.relative_to(ROOT)) for item in inside if item.stem not in named and item.stem != "__init__"]
    assert not missing, f"docs/architecture.md does not say what these are: {', '.join(sorted(missing))}"
