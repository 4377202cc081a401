"""Our own records from files that anybody may have written: they are read, or refused in one line."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos.chain import Chain, Labelled, Preference, Problem, Sample, Step, StepLabels
from cos.errors import UserError
from cos.problems.records import read_labelled, read_samples, to_row
from cos.problems.released_rows import BadRow
from cos.store import write

CHAIN = Chain((Step("s", "t", "r"), Step("s", "u", "r")), "3")
PROBLEM = Problem("p", "How many?", "3", image="a.png", world="charts", truth={"content": {}})
SAMPLE = Sample(PROBLEM, 2, CHAIN, ((1, 2), (3,), (4,)), (-0.5, -1.0, -2.0))
LABELLED = Labelled("p/2", PROBLEM, CHAIN, StepLabels((1.0, None), 0.25, "rollouts"), {"tokens": 4.0}, {"drawn": [4, 0]})
PAIR = Preference(PROBLEM, CHAIN, Chain(CHAIN.steps, "4"), 0.9, 0.1)


def test_records_come_back_as_they_were(tmp_path: Path) -> None:
    write(tmp_path / "pool.jsonl", "pool", [SAMPLE.to_json()])
    write(tmp_path / "labels.jsonl", "labels", [LABELLED.to_json()])
    assert list(read_samples(tmp_path / "pool.jsonl")) == [SAMPLE] and list(read_labelled(tmp_path / "labels.jsonl")) == [LABELLED]
    assert Preference.from_json(json.loads(json.dumps(PAIR.to_json()))) == PAIR
    assert (SAMPLE.id, SAMPLE.to_json()["id"]) == ("p/2", "p/2")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "steps", "answer", "question", "truth"]), inner),
    max_leaves=4,
)
PLACES = st.sampled_from(
    [
        (key,)
        for key in ("id", "problem", "number", "chain", "tokens", "logprobs", "ending", "labels", "cost", "details", "source", "chosen")
    ]
    + [("problem", key) for key in ("id", "question", "answer", "image", "truth")]
    + [("chain", "steps"), ("chain", "answer"), ("labels", "steps"), ("labels", "answer"), ("chain", "steps", 0), ("labels", "steps", 1)]
    + [("chain", "steps", 0, "name"), ("chosen_score",), ("rejected", "answer")]
)


@given(st.sampled_from(["pool", "labels", "preference"]), PLACES, VALUES)
def test_a_changed_record_is_read_or_refused(kind: str, place: tuple[Any, ...], value: Any) -> None:
    row: Any = json.loads(json.dumps({"pool": SAMPLE, "labels": LABELLED, "preference": PAIR}[kind].to_json()))
    inner = row
    for key in place[:-1]:
        inner = inner.get(key) if isinstance(inner, dict) else inner[key]
        if inner is None:
            return
    inner[place[-1]] = value
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder, "rows.jsonl"), kind, [row])
        for reader in (read_samples, read_labelled):
            try:
                for made in reader(Path(folder, "rows.jsonl")):
                    assert isinstance(made.problem.question, str) and isinstance(made.chain.answer, str | None)
            except UserError as error:
                assert "\n" not in str(error)
    try:
        to_row({"schema": "cos.pool/2" if kind == "pool" else f"cos.{kind}/1", **row})
    except BadRow as refused:
        assert "\n" not in str(refused)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"chain": {"steps": [{"name": "<|answer_end|>", "thought": "", "reflection": ""}], "answer": "3"}}, "holds the marker"),
        ({"chain": {"steps": [], "answer": 3}}, "`answer` is 3, where a text is needed"),
        ({"problem": {"id": "p"}}, "the field 'question' is missing"),
        ({"problem": {"id": "p", "question": None}}, "`question` is None"),
        ({"number": "first"}, "not a pool record"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    write(tmp_path / "pool.jsonl", "pool", [SAMPLE.to_json(), {**SAMPLE.to_json(), **change}])
    with pytest.raises(UserError, match=r"pool\.jsonl, line 2: .*") as caught:
        list(read_samples(tmp_path / "pool.jsonl"))
    assert said in str(caught.value)
