"""The notebooks run from top to bottom in fast mode, keep to the house's form, and are committed with outputs that GitHub shows."""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

BOOKS = sorted((Path(__file__).parent.parent.parent / "notebooks").glob("*.ipynb"))
PLOTLY = "application/vnd.plotly.v1+json"
BYTES, LINES = 500_000, 15

books = pytest.mark.parametrize("book", BOOKS, ids=lambda book: book.stem)


def read(book: Path) -> Any:
    return nbformat.read(book, as_version=4)


def code(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook: Any) -> list[Any]:
    return [output for cell in code(notebook) for output in cell.outputs]


def test_there_are_notebooks() -> None:
    assert BOOKS


@pytest.mark.notebook
@pytest.mark.timeout(900)
@books
def test_it_runs_in_fast_mode(book: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own last cell asserts what came out."""
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("COS_FAST", "1")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(book.parent.parent), os.environ.get("PYTHONPATH", "")]))
    notebook = read(book)
    NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert [cell.execution_count for cell in code(notebook)] == list(range(1, len(code(notebook)) + 1))
    assert not [output for output in outputs(notebook) if output.output_type == "error"]


@books
def test_its_form(book: Path) -> None:
    """Thin cells, one switch, the top says what it takes, the end asserts and says what to try next."""
    notebook = read(book)
    first, *_, last = notebook.cells
    assert first.cell_type == last.cell_type == "markdown"
    assert re.match(r"# \d\d · .+\?\n", first.source), "the title is a question"
    assert "**Run time**" in first.source and re.search("CPU|GPU", first.source) and "you see" in first.source.lower()
    assert "## What to try next" in last.source
    links = re.findall(r"\]\((\w+\.ipynb)\)", "".join(cell.source for cell in notebook.cells))
    assert not [link for link in links if not (book.parent / link).is_file()]
    sources = [cell.source for cell in code(notebook)]
    assert sources[0].count('FAST = os.environ.get("COS_FAST") == "1"') == 1 and "COS_FAST" not in "".join(sources[1:])
    assert "assert " in sources[-1]
    for source in sources:
        assert len(source.splitlines()) <= LINES, source
        lines = "\n".join(line for line in source.splitlines() if not line.startswith(("%", "!")))
        for node in ast.walk(ast.parse(lines)):
            assert not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef), source
    assert "sys.path" not in "".join(sources)


@books
def test_its_outputs(book: Path) -> None:
    """All cells were run, once and in order, without a fault; what a page without scripts shows is there too."""
    notebook = read(book)
    assert book.stat().st_size < BYTES
    assert [cell.execution_count for cell in code(notebook)] == list(range(1, len(code(notebook)) + 1))
    found = outputs(notebook)
    assert found and not [output for output in found if output.output_type == "error"]
    assert not [output.text for output in found if output.get("name") == "stderr"]
    figures = [output.data for output in found if PLOTLY in output.get("data", {})]
    assert all("image/png" in data for data in figures), "run make notebooks where kaleido and a Chrome are there"
    assert figures
    text = nbformat.writes(notebook)
    assert not re.findall(r"(?:/home|/Users|/tmp|/work|/root)/\w+", text)
