"""Our own records as rows of the released form: labelled chains as PRM rows, preferences as DPO rows, samples as roll-outs and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cos.chain import Labelled, Preference, Problem, Sample
from cos.problems.problem_files import drawn
from cos.problems.released_rows import BadRow, Row, dpo_row, parse_row, prm_row, rollout_row
from cos.store import read, schema
from cos.template import parse, pieces


def read_samples(path: str | Path) -> Iterator[Sample]:
    """The samples of a pool. Raises UserError, with file and line, for a row that is none or has a text that holds a marker."""
    return read(path, "pool", _sample)


def read_labelled(path: str | Path) -> Iterator[Labelled]:
    """The labelled chains of a file; errors as in `read_samples`."""
    return read(path, "labels", labelled)


def labelled(row: Mapping[str, Any]) -> Labelled:
    """One record of labels. Raises KeyError, TypeError, ValueError or AttributeError for what is none."""
    made = Labelled.from_json(row)
    pieces(made.chain)
    return made


def preference(row: Mapping[str, Any]) -> Preference:
    """One preference; errors as of `labelled`, and ValueError for a chain that isn't whole."""
    made = Preference.from_json(row)
    for chain in (made.chosen, made.rejected):
        parse("".join(pieces(chain)))
    return made


def _sample(row: Mapping[str, Any]) -> Sample:
    made = Sample.from_json(row)
    pieces(made.chain)
    return made


_OURS = ("labels", "preference", "pool")


def to_row(source: Mapping[str, Any]) -> Row:
    """A released row, or a record of ours as one. Soft labels are cut at 0.5. Raises BadRow with the reason."""
    name = str(source.get("schema", "")).partition("/")[0].removeprefix("cos.")
    if name not in _OURS:
        return parse_row(source)
    if source["schema"] != schema(name):
        raise BadRow(f"schema {source['schema']} is unknown here")
    try:
        if name == "preference":
            return preference_row(preference(source))
        if name == "pool":
            return _rollout_row(_sample(source))
        made = labelled(source)
        return prm_row(made.problem.question, made.chain, made.labels, _image(made.problem))
    except BadRow:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise BadRow(f"not a {name} record ({problem})") from None


def preference_row(pair: Preference) -> Row:
    """A DPO row. Raises BadRow where its picture is in no file, and TemplateError where the text of a chain holds a marker."""
    return dpo_row(pair.problem.question, pair.chosen, pair.rejected, _image(pair.problem))


def from_rollout(row: Row, number: int) -> Sample:
    """A roll-out row as number `number` of its question's samples; its problem has no gold answer. Raises BadRow for another row."""
    name = row.source.get("question_id")
    if row.kind != "rollout" or name is None or len(row.images) > 1:
        raise BadRow(f"a roll-out row with a question_id and at most one picture is needed (this one is of kind {row.kind})")
    return Sample(Problem(str(name), row.question, image=row.images[0] if row.images else None), number, row.chain)


def _rollout_row(sample: Sample) -> Row:
    if sample.chain.answer is None:
        raise BadRow(f"sample {sample.id} has come to no answer; a roll-out row needs a whole chain")
    return rollout_row(sample.problem.id, sample.problem.question, sample.chain, _image(sample.problem))


def _image(problem: Problem) -> str | None:
    if problem.image is None and drawn(problem):
        raise BadRow(
            f"problem {problem.id}: a released row needs its picture in a file, and this one was drawn as it was sampled; make files with"
            " cos data make and sample them with cos sample --problems"
        )
    return problem.image
