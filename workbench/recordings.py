"""Recorded runs that ship with the app (`recorded/*.json`): they replay without a model. Made by `tools/record_runs.py`. No gradio.

A recording is one JSON object: `{schema, title, note, problem, picture (PNG, base64), asked, trace {schema, events}}`.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from PIL import Image

from cos.errors import UserError
from cos.search.trace import SearchTrace
from workbench.runs import Asked, Run

SCHEMA = "cos.recorded/1"
FOLDER = Path(str(files("workbench"))) / "recorded"
NAME = re.compile(r"[a-z0-9-]{1,60}")


@dataclass(frozen=True, eq=False)
class Recording:
    """A run that ended, with what there is to see in it."""

    name: str
    title: str
    note: str
    run: Run

    @property
    def trace(self) -> SearchTrace:
        """Its one search."""
        return self.run.traces[0]


def write(path: Path, title: str, note: str, asked: Asked, picture: Image.Image, trace: SearchTrace) -> None:
    """Keep a run as a recording."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    image = base64.b64encode(buffer.getvalue()).decode()
    events = {"schema": trace.events[0]["schema"], "events": trace.events}
    row = {"schema": SCHEMA, "title": title, "note": note, "picture": image, "asked": asked.to_json(), "trace": events}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(row, ensure_ascii=False) + "\n", "utf-8")


def read(path: Path) -> Recording:
    """A recording from a file. Raises UserError where it is none."""
    try:
        row: Mapping[str, Any] = json.loads(path.read_text("utf-8"))
        if row.get("schema") != SCHEMA:
            raise UserError(f"schema {row.get('schema')!r} where {SCHEMA} is needed")
        image = Image.open(io.BytesIO(base64.b64decode(row["picture"], validate=True)), formats=["PNG"]).convert("RGB")
        run = Run(path.stem, Asked.from_json(row["asked"]), image, [SearchTrace.from_json(row["trace"])])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, binascii.Error, UserError) as problem:
        raise UserError(f"{path}: {problem}") from None
    for event in (run.stop, run.begun, run.done):
        event.set()
    return Recording(path.stem, str(row["title"]), str(row["note"]), run)


@lru_cache(maxsize=1)
def recordings() -> Mapping[str, Recording]:
    """All that ship, by name, in the order of their names."""
    return {path.stem: read(path) for path in sorted(FOLDER.glob("*.json")) if NAME.fullmatch(path.stem)}
