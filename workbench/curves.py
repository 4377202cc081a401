"""The Curves page: what an evaluation found, against N, tokens, FLOPs and seconds, and the questions on which methods differ.

Evaluations are folders of `cos eval` below the app's results, by name, or a `records.jsonl` that is uploaded. A trace that was kept
(`cos eval --traces`) opens beside its question.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from cos.answers import match
from cos.chain import Problem, Step
from cos.errors import UserError
from cos.problems import check
from cos.search.trace import Node, SearchTrace
from cos.summary import by_budget, points
from workbench import parts, plots, render, results, theme
from workbench.parts import QUIET, plainly
from workbench.results import Record
from workbench.session import Session

ALL = ""
AXES = {"N": "n", "tokens": "tokens", "FLOPs": "flops", "seconds": "seconds"}
NONE = "–"
FOOLED = "fooled"
"""In place of a pair of methods: questions whose best rewarded answer is wrong."""
SHOWN = 50
"""Questions in the table."""
NOTHING = "Choose an evaluation, or put in the records.jsonl of one (cos eval --out DIR)."


def pairs(rows: Sequence[Record], n: int) -> list[tuple[str, str]]:
    """What the table may show, as (name with the number of questions, value): pairs of methods that differ, and the fooled reward."""
    names = list(rows[0]["methods"])
    found = [
        (len(results.differing(rows, n, right, wrong)), f"{_say(right)} right, {_say(wrong)} wrong", f"{right}>{wrong}")
        for right in names
        for wrong in names
        if right != wrong
    ]
    counts = [one for one in [*found, (len(results.fooled(rows)), "reward high but wrong", FOOLED)] if one[0]]
    return [(f"{name} ({many})", value) for many, name, value in sorted(counts, key=lambda one: (one[2] not in _FIRST, -one[0]))]


def selection(rows: Sequence[Record], n: int, pair: str) -> tuple[list[str], list[Record]]:
    """The methods of the table's columns and its questions. Raises UserError for a pair that is none."""
    if pair == FOOLED:
        best = [name for name in ("best_of_n", "weighted_vote") if name in rows[0]["methods"]]
        return best or list(rows[0]["methods"])[:1], results.fooled(rows)
    right, _, wrong = pair.partition(">")
    if not {right, wrong} <= set(rows[0]["methods"]):
        raise UserError("There is no such pair of methods in this evaluation.")
    return [right, wrong], results.differing(rows, n, right, wrong)


def cases(rows: Sequence[Record], n: int, pair: str, openable: bool) -> str:
    """The table of questions."""
    columns, chosen = selection(rows, n, pair)
    body = []
    for row in chosen[:SHOWN]:
        answers = [row["methods"][name][str(n)] for name in columns]
        cells: list[tuple[str, bool | None, bool]] = [(a["answer"], a["right"], openable and a["trace"] is not None) for a in answers]
        if pair == FOOLED:
            wrong, right = results.best_answers(row)
            cells.append((f"{wrong:.2f} wrong, {'none' if right is None else f'{right:.2f}'} right", None, False))
        body.append((row, cells))
    title = "Reward high but wrong" if pair == FOOLED else f"{_say(columns[0])} right, {_say(columns[1])} wrong"
    return render.cases(title, [*map(_say, columns), *(["best rewards"] if pair == FOOLED else [])], body, len(chosen))


def panel(trace: SearchTrace, problem: Problem | None, selected: int | None = None) -> str:
    """A trace with what is known of the truth."""

    def is_wrong(node: Node) -> str | None:
        if problem is None or not node.is_step:
            return None
        verdict = check(problem, Step(node.name or "", node.thought or "", node.reflection or ""))
        return verdict.why if verdict.label == 0 else None

    gold = trace.gold
    is_right = None if gold is None else lambda answer: match(answer, gold)
    return render.panel(trace, is_right=is_right, is_wrong=is_wrong, selected=selected, most_tokens=trace.meter.tokens)


class Handlers:
    """What the page does. It keeps nothing of a visitor but which trace is open."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def names(self) -> list[str]:
        """The evaluations to choose from."""
        return results.evaluations(self.session.results)

    def _path(self, name: str | None, upload: str | None) -> Path | None:
        return results.located(self.session.results, self.names(), name, upload, results.EVALUATION)

    def start(self, request: gr.Request) -> list[Any]:
        """The evaluations, and what `show` gives of the one that the address names (`?eval=NAME`), else of the newest that can be read."""
        names = self.names()
        asked = parts.query(request, ["eval"]).get("eval", "")
        for name in [asked] if asked in names else [*names, ""]:
            try:
                return [gr.Dropdown(_with_none(names), value=name), *self.show(name, None, "N", None, None, None, None, None)]
            except UserError:
                continue
        return [gr.Dropdown(_with_none(names), value=asked), render.status(f"{asked} can't be read.", "wrong"), *[gr.skip()] * 8]

    def show(
        self,
        name: str | None,
        upload: str | None,
        axis: str,
        world: str | None,
        level: str | None,
        kind: str | None,
        n: str | None,
        pair: str | None,
    ) -> list[Any]:
        """`[status, world, level, kind, n, pair, plot, tables, cases]` of an evaluation; a choice that it does not have falls back."""
        path = self._path(name, upload)
        if path is None:
            return [render.status(NOTHING), *[gr.skip()] * 6, "", ""]
        whole = results.records(path)
        world, level = _among(world, whole, "world"), _among(level, whole, "level")
        near = results.kept(whole, world, level, None)
        kind = _among(kind, near, "kind")
        rows = results.kept(whole, world, level, kind)
        found = results.summary(path, results.stamp_of(path), world, level, kind)
        tables = by_budget(found)
        at = int(n) if n and n.isdecimal() and int(n) in tables else max(tables)
        offered = pairs(rows, at)
        pair = pair if pair in [value for _, value in offered] else offered[0][1] if offered else None
        choices = [_choice(world, whole, "world"), _choice(level, whole, "level"), _choice(kind, near, "kind")]
        choices += [gr.Dropdown([str(each) for each in tables], value=str(at)), gr.Dropdown(offered or [(NONE, "")], value=pair or "")]
        return [_told(found, len(whole)), *choices, *_drawn(found, axis, at), cases(rows, at, pair, not upload) if pair else ""]

    def open(
        self,
        name: str | None,
        upload: str | None,
        world: str | None,
        level: str | None,
        kind: str | None,
        n: str | None,
        pair: str | None,
        event: gr.EventData,
    ) -> list[Any]:
        """`[opened, picture and question, panel]` of the search whose button was pressed."""
        path, data = self._path(name, upload), event._data or {}
        root, row, side = self.session.results, data.get("row"), data.get("side")
        if path is None or upload or root is None or not n or not pair or not isinstance(row, int) or not isinstance(side, int):
            return [gr.skip()] * 3
        rows = results.kept(results.records(path), world, level, kind)
        if not rows or n not in next(iter(rows[0]["methods"].values())):
            return [gr.skip()] * 3
        columns, chosen = selection(rows, int(n), pair)
        if not 0 <= row < len(chosen) or not 0 <= side < len(columns):
            return [gr.skip()] * 3
        opened = (str(name), chosen[row]["methods"][columns[side]][n]["trace"] or "")
        return [opened, *self._look(opened)]

    def pick(self, opened: tuple[str, str] | None, event: gr.EventData) -> Any:
        """The path to a node of the open trace."""
        node = (event._data or {}).get("id")
        return self._look(opened, node)[1] if opened and isinstance(node, int) else gr.skip()

    def _look(self, opened: tuple[str, str], node: int = 0) -> list[Any]:
        assert self.session.results is not None
        trace = results.trace(self.session.results, *opened)
        problem = results.problem_of(trace)
        picked = node if 0 < node < len(trace.nodes) else None
        return [render.about(trace.question, results.picture(problem) if problem else ""), panel(trace, problem, picked)]


def _with_none(names: Sequence[str]) -> list[tuple[str, str]]:
    return [(NONE, ""), *((name, name) for name in names)]


def _say(method: str) -> str:
    return method.replace("_", " ")


def _among(value: str | None, rows: Sequence[Record], key: str) -> str | None:
    return value if value and value in {str(row[key]) for row in rows} else None


def _choice(value: str | None, rows: Sequence[Record], key: str) -> gr.Dropdown:
    names = sorted({str(row[key]) for row in rows})
    return gr.Dropdown([(f"all {key}s", ALL), *((name or "none", name) for name in names if name)], value=value or ALL)


def _told(found: Record, whole: int) -> str:
    many = f"{found['problems']} of {whole} questions" if found["problems"] < whole else f"{whole} questions"
    drawn = found["pool_n"]
    auc = (found["steps"]["all"] or {}).get("auc")
    knows = "" if auc is None else f" · step AUC of the rewards {auc:.3f}"
    return render.status(f"{many} · pool of {drawn} · pass@{drawn} {found['pass_at'][str(drawn)]:.1%}{knows}")


def _drawn(found: Record, axis: str, n: int) -> list[Any]:
    cost = AXES.get(axis, "n")
    rows, passed = points(found), {int(each): value for each, value in found["pass_at"].items()}
    figure = plots.accuracy_view(rows, passed, cost)
    known = any(row[cost] for row in rows)
    note = "" if known else render.status(f"The {axis} of these models are not known.")
    return [figure, note + render.methods_table(rows, passed) + render.differences_table(by_budget(found)[n]["paired"], n)]


def page(session: Session, demo: gr.Blocks) -> None:
    """Lay out the page and connect it; to be called inside its route."""
    do = Handlers(session)
    opened = gr.State(None)
    # A page may still send a value that the new choices no longer hold: Gradio would answer with an error, `show` falls back.
    choice = partial(gr.Dropdown, allow_custom_value=True)
    with gr.Row(elem_id="bench"):
        with gr.Column(elem_id="controls", min_width=280):
            name = gr.Dropdown([(NONE, "")], value="", label="Evaluation", elem_id="evaluation")
            upload = gr.File(label="or its records.jsonl", file_types=[".jsonl"], height=110, elem_id="records")
            axis = gr.Radio(list(AXES), value="N", label="Accuracy against", elem_id="axis")
            world, level, kind = (choice([(f"all {key}s", ALL)], value=ALL, label=key.capitalize(), elem_id=key) for key in _FILTERS)
            n = choice([NONE], value=NONE, label="N of the tables", elem_id="at-n")
            pair = choice([(NONE, "")], value="", label="Questions to look at", elem_id="pair")
            about = parts.html("", "about")
        with gr.Column(elem_id="results", min_width=280):
            with gr.Row(elem_id="bar"):
                status = parts.html(render.status(NOTHING), "status")
            plot = gr.Plot(show_label=False, elem_id="curves")
            chosen = parts.html("", "cases", js_on_load=theme.script("pick.js"))
            with gr.Row(elem_id="board"):
                shown = parts.panel(0)
            tables = parts.html("", "tables")
    asked = [name, upload, axis, world, level, kind, n, pair]
    filled = [status, world, level, kind, n, pair, plot, tables, chosen]
    show = plainly(do.show)
    few: dict[str, Any] = {**QUIET, "concurrency_limit": 2, "concurrency_id": "curves"}
    demo.load(do.start, None, [name, *filled], **few)
    for control in (name, axis, world, level, kind, n, pair):
        control.input(show, asked, filled, **few)
    for changed in (upload.upload, upload.clear):
        changed(show, asked, filled, **few)
    chosen.picked(plainly(do.open), [name, upload, world, level, kind, n, pair], [opened, about, shown], **QUIET)
    shown.node_select(plainly(do.pick), opened, shown, queue=False, **QUIET)


_FIRST = ("best_of_n>greedy", "step_beam>best_of_n", FOOLED)
"""What is offered before the other pairs."""
_FILTERS = ("world", "level", "kind")
