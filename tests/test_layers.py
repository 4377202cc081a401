"""Who may import whom: the table of docs/architecture.md, enforced by walking the imports. Rooms that are not there yet are passed over."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

LAYERS: dict[str, tuple[str, ...]] = {
    "words": (
        "cos.chain",
        "cos.template",
        "cos.plain_form",
        "cos.answers",
        "cos.scores",
        "cos.metrics",
        "cos.protocols",
        "cos.errors",
        "cos.meter",
    ),
    "storage": ("cos.store", "cos.runs", "cos.problems"),
    "models": ("cos.models",),
    "engine": ("cos.engine",),
    "rewards": ("cos.rewards",),
    "decide": ("cos.search", "cos.sample", "cos.rollouts", "cos.label", "cos.agreement", "cos.prefer"),
    "learn": ("cos.train",),
    "judge": (
        "cos.loading",
        "cos.evaluate",
        "cos.bench",
        "cos.plan",
        "cos.clocked",
        "cos.pool",
        "cos.truths",
        "cos.summary",
        "cos.tables",
        "cos.card",
        "cos.study",
        "cos.scale",
        "cos.rounds",
        "cos.publish",
    ),
    "wiring": ("cos.__main__", "cos.commands"),
    "pictures": (
        "workbench.plots",
        "workbench.measured",
        "workbench.figures",
        "workbench.trees",
        "workbench.render",
    ),
    "app": ("workbench", "app"),
}
"""Longest prefix wins, so `workbench.plots` is a picture and any other `workbench` module belongs to the app."""

LIBRARY = ("words", "storage", "models", "engine", "rewards", "decide", "learn", "judge")
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "words": (),
    "storage": ("words",),
    "models": ("words", "storage"),
    "engine": ("words", "storage", "models"),
    "rewards": ("words", "storage", "models", "engine"),
    "decide": ("words",),
    "learn": ("words", "storage", "models", "engine", "rewards"),
    "judge": LIBRARY,
    "wiring": LIBRARY,
    "pictures": (),
    "app": (*LIBRARY, "wiring", "pictures"),
}
"""A layer may also import itself, but for the app's pages (see `PAGES`); no two modules may import each other, however far round."""

ALSO: dict[str, tuple[str, ...]] = {
    "pictures": ("cos.chain", "cos.scores", "cos.metrics", "cos.search.trace"),
    "wiring": (
        "workbench.plots",
        "workbench.measured",
        "workbench.render",
    ),  # a figure is drawn in one place, for the app, the notebooks and what a verb leaves in its folder
}
"""Single modules that a layer may import beyond its layers."""

BANNED: dict[str, tuple[str, ...]] = {
    "words": ("torch", "transformers", "gradio", "plotly", "PIL", "yaml"),
    "storage": ("torch", "transformers", "gradio", "plotly"),
    "models": ("gradio", "plotly"),
    "engine": ("gradio", "plotly"),
    "rewards": ("gradio", "plotly"),
    "decide": ("torch", "transformers", "gradio", "plotly", "PIL"),
    "learn": ("gradio", "plotly"),
    "judge": ("gradio",),
    "pictures": ("torch", "transformers", "gradio"),
}
"""Outside packages that a layer must not import."""

SHARED_IN_APP = (
    "workbench.session",
    "workbench.theme",
    "workbench.plots",
    "workbench.render",
    "workbench.inputs",
    "workbench.limits",
    "workbench.runs",
    "workbench.parts",
    "workbench.estimate",
    "workbench.lent",
    "workbench.export",
    "workbench.recordings",
    "workbench.addresses",
    "workbench.results",
    "workbench.votes",
    "workbench.bench",
    "workbench.shelf",
)
"""What a page may import of the workbench. Every other module but `workbench.ui` is a page; no page imports a page."""


def modules(root: Path) -> dict[str, Path]:
    """Module name -> file, for `cos`, `workbench` and `app.py` under `root`, as far as they exist."""
    files = [*root.glob("cos/**/*.py"), *root.glob("workbench/**/*.py"), *root.glob("app.py")]
    return {".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): file for file in files}


def imports(file: Path, known: dict[str, Path]) -> Iterator[tuple[int, str]]:
    """`(line, module)` for every import anywhere in `file`; `from a import b` is `a.b` where that is a module, else `a`."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            yield from ((node.lineno, f"{base}.{name.name}" if f"{base}.{name.name}" in known else base) for name in node.names)


def within(module: str, prefix: str) -> bool:
    return module == prefix or module.startswith(prefix + ".")


def layer(module: str) -> str | None:
    """The layer whose longest prefix holds `module`; None for outside packages and for a bare package such as `cos`."""
    fits = [(len(prefix), name) for name, prefixes in LAYERS.items() for prefix in prefixes if within(module, prefix)]
    return max(fits)[1] if fits else None


def allowed(module: str, target: str) -> bool:
    """Whether `module` may import `target`, both being of this project."""
    here, there = layer(module), layer(target)
    if here is None or there is None:
        return module == "cos" or target == "cos"
    if here == "app" and there == "app" and module not in ("app", "workbench.ui"):
        return target in SHARED_IN_APP or target == "workbench"
    return here == there or there in MAY_IMPORT[here] or target in ALSO.get(here, ())


def welcome(module: str, target: str) -> bool:
    """Whether `module` may import the outside package `target`."""
    return not any(within(target, name) for name in BANNED.get(layer(module) or "words", ()))


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Some circle of imports as a list of modules, empty where there is none."""
    done: set[str] = set()

    def walk(module: str, path: list[str]) -> list[str]:
        if module in path:
            return [*path[path.index(module) :], module]
        if module in done:
            return []
        found = next((ring for target in sorted(graph[module]) if (ring := walk(target, [*path, module]))), [])
        done.add(module)
        return found

    return next((ring for module in sorted(graph) if (ring := walk(module, []))), [])


def breaches(root: Path) -> list[str]:
    """One line for each import that the tables forbid, and one for a circle."""
    known = modules(root)
    found, graph = [], {module: set[str]() for module in known}
    for module, file in known.items():
        if module != "cos" and layer(module) is None:
            found.append(f"{module} belongs to no layer: give it one")
        for line, target in imports(file, known):
            own = target.split(".")[0] in ("cos", "workbench", "app")
            if target.startswith("."):
                found.append(f"{module}:{line} imports relatively")
            elif not (allowed(module, target) if own else welcome(module, target)):
                found.append(f"{module}:{line} may not import {target}")
            if target in known and target != module and not within(module, target):
                graph[module].add(target)
    ring = circle(graph)
    return found + (["circle: " + " -> ".join(ring)] if ring else [])


def test_the_layers_hold() -> None:
    assert breaches(ROOT) == []


@pytest.mark.parametrize(
    ("file", "text", "reason"),
    [
        ("cos/chain.py", "import torch", "cos.chain:1 may not import torch"),
        ("cos/answers.py", "from cos.store import read", "cos.answers:1 may not import cos.store"),
        ("cos/search/methods.py", "def f():\n    from cos.engine import kv", "cos.search.methods:2 may not import cos.engine.kv"),
        ("cos/search/methods.py", "from cos import rewards", "cos.search.methods:1 may not import cos.rewards"),
        ("cos/train/sft.py", "import cos.search.methods", "cos.train.sft:1 may not import cos.search.methods"),
        ("cos/models/vlm.py", "from cos.engine.kv import Tree", "cos.models.vlm:1 may not import cos.engine.kv"),
        ("cos/models/vlm.py", "from .families import f", "cos.models.vlm:1 imports relatively"),
        ("cos/surprise.py", "", "cos.surprise belongs to no layer: give it one"),
        ("workbench/plots.py", "import gradio.themes", "workbench.plots:1 may not import gradio.themes"),
        ("workbench/plots.py", "import cos.search.methods", "workbench.plots:1 may not import cos.search.methods"),
        ("workbench/solve.py", "from workbench import train", "workbench.solve:1 may not import workbench.train"),
        ("cos/store.py", "import workbench.plots", "cos.store:1 may not import workbench.plots"),
        ("cos/engine/kv.py", "import cos.engine.loop", "circle: cos.engine.kv -> cos.engine.loop -> cos.engine.kv"),
    ],
)
def test_a_breach_is_seen(tmp_path: Path, file: str, text: str, reason: str) -> None:
    rooms = {"cos/engine/kv.py": "", "cos/engine/loop.py": "import cos.engine.kv", "cos/rewards/__init__.py": ""}
    rooms |= {"cos/search/methods.py": "", "workbench/train.py": "", file: text}
    for name, content in rooms.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content, "utf-8")
    assert breaches(tmp_path) == [reason]


def test_what_is_allowed_is_let_through(tmp_path: Path) -> None:
    rooms = {
        "cos/search/trace.py": "from cos.chain import Step\nimport json",
        "cos/chain.py": "",
        "cos/evaluate.py": "import torch\nfrom cos.search import trace",
        "workbench/plots.py": "import plotly.graph_objects as go\nfrom cos.search.trace import Node",
        "workbench/session.py": "import cos.evaluate",
        "workbench/solve.py": "import gradio\nfrom workbench import plots, session",
        "workbench/ui.py": "from workbench.solve import page",
        "app.py": "from workbench.ui import build",
    }
    for name, content in rooms.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content, "utf-8")
    assert breaches(tmp_path) == []


@pytest.mark.parametrize("module", ["cos.chain", "cos.search", "cos.problems", "cos.evaluate", "workbench.plots", "workbench.render"])
def test_light_rooms_load_no_torch(module: str) -> None:
    if module not in modules(ROOT):
        pytest.skip(f"{module} is not built yet")
    heavy = "torch", "transformers", "gradio"
    code = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert (run.returncode, run.stdout.strip()) == (0, "[]"), run.stderr
