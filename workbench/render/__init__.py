"""From a trace to HTML and SVG: pure functions without gradio or torch, so the app, notebooks and a file draw the same picture.

Every text that comes from outside (question, steps, answers, reasons, names) passes `marks.escape`; a stored tag stays inert text.
The look is in `workbench.theme`; colour is never the only sign (rewards carry their number, a node's status has a shape of its own).
"""

from __future__ import annotations

from workbench.render.cards import PAD, Place, about, codes, gallery, glossary, panel, standing_leaf, status
from workbench.render.marks import colour, escape
from workbench.render.page import bundle, stylesheet
from workbench.render.rewards import bench, facts, findings
from workbench.render.tables import cases, differences_table, methods_table
from workbench.render.tree import tree_file, tree_svg
from workbench.render.votes import download, votes

__all__ = [
    "PAD",
    "Place",
    "about",
    "bench",
    "bundle",
    "cases",
    "codes",
    "colour",
    "differences_table",
    "download",
    "escape",
    "facts",
    "findings",
    "gallery",
    "glossary",
    "methods_table",
    "panel",
    "standing_leaf",
    "status",
    "stylesheet",
    "tree_file",
    "tree_svg",
    "votes",
]
