"""Our own records as rows of the released form: labelled chains as PRM rows, preferences as DPO rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cos.chain import Labelled, Preference, Problem
from cos.problems.problem_files import drawn
from cos.problems.released_rows import BadRow, Row, dpo_row, parse_row, prm_row


def to_row(source: Mapping[str, Any]) -> Row:
    """A released row, or a record of ours as one. Soft labels are cut at 0.5. Raises BadRow with the reason."""
    name, _, version = str(source.get("schema", "")).partition("/")
    if name not in ("cos.labels", "cos.preference"):
        return parse_row(source)
    if version != "1":
        raise BadRow(f"schema {source['schema']} is unknown here")
    try:
        if name == "cos.preference":
            return preference_row(Preference.from_json(source))
        made = Labelled.from_json(source)
        return prm_row(made.problem.question, made.chain, made.labels, _image(made.problem))
    except BadRow:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise BadRow(f"not a {name.removeprefix('cos.')} record ({problem})") from None


def preference_row(pair: Preference) -> Row:
    """A DPO row. Raises BadRow where its picture is in no file, and TemplateError where the text of a chain holds a marker."""
    return dpo_row(pair.problem.question, pair.chosen, pair.rejected, _image(pair.problem))


def _image(problem: Problem) -> str | None:
    if problem.image is None and drawn(problem):
        raise BadRow(
            f"problem {problem.id}: a released row needs its picture in a file, and this one was drawn as it was sampled; make files with"
            " cos data make and sample them with cos sample --problems"
        )
    return problem.image
