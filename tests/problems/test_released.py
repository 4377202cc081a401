"""The released files go through the nouns and come out byte for byte; every bad row is named with its reason."""

from __future__ import annotations

import json
import tempfile
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos.chain import Chain, Step, StepLabels
from cos.errors import UserError
from cos.problems.released import Report, check, read_rows, write_rows
from cos.problems.released_rows import BadRow, dpo_row, parse_row, prm_row, scored, sft_row
from cos.template import FORMAT_TOKENS, render

DATA = Path(__file__).parents[1] / "data" / "released"
GOOD_FILES = {"sft": 5, "prm": 3, "dpo": 2, "score_in": 2}

BAD = {
    2: "not JSON",
    3: "images/nowhere.png: no such picture",
    4: "the turns are ['human']",
    5: "expected '<|reasoning_step_end|>'",
    6: "the thought of step 1 holds <|reasoning_step_start|>",
    7: "3 complete steps, no answer",
    8: "../../../../etc/hostname: leaves the folder",
    10: "2 <image> marks in the question but 1 images",
    11: "an object {...} is needed",
    12: "expected '<|reasoning_step_start|>",
}

TEXT = st.text(st.characters(codec="utf-8"), max_size=20).filter(lambda text: not any(token in text for token in FORMAT_TOKENS))
CHAINS = st.builds(Chain, st.lists(st.builds(Step, TEXT, TEXT, TEXT), min_size=1, max_size=3).map(tuple), TEXT)
QUESTIONS = TEXT.filter(lambda text: "<image>" not in text)


@pytest.mark.parametrize("name", GOOD_FILES)
def test_good_files_round_trip_byte_for_byte(tmp_path: Path, name: str) -> None:
    path = DATA / f"{name}.jsonl"
    rows = list(read_rows(path))
    assert write_rows(tmp_path / "out.jsonl", rows) == GOOD_FILES[name]
    assert (tmp_path / "out.jsonl").read_bytes() == path.read_bytes()
    assert check(path, DATA).to_json() == {"rows": GOOD_FILES[name], "good": GOOD_FILES[name], "bad": []}


def test_the_chains_of_the_good_files_are_written_as_they_were_read() -> None:
    for row in read_rows(DATA / "sft.jsonl"):
        assert render(row.chain) == row.source["conversations"][-1]["value"]
        assert "<image>" not in row.question
    for row in read_rows(DATA / "prm.jsonl"):
        assert row.labels is not None
        again = prm_row(row.question, row.chain, row.labels).source["conversations"][1]["value"]
        assert again == row.source["conversations"][1]["value"]
    for row in read_rows(DATA / "dpo.jsonl"):
        assert [render(chain) for chain in row.chains] == [row.source["chosen"], row.source["rejected"]]


def test_the_labels_are_those_of_the_tags() -> None:
    labels = [row.labels for row in read_rows(DATA / "prm.jsonl")]
    assert [(label.steps, label.answer) for label in labels if label] == [((1, 1, 1), 1), ((1, 1, 0), 0), ((1, None, 1), 1)]


@pytest.mark.parametrize("line", [1, *BAD, 13])
def test_the_bad_rows_are_named(line: int) -> None:
    bad = dict(check(DATA / "bad_sft.jsonl", DATA).bad)
    assert sorted(bad) == list(BAD)
    assert "\n" not in bad.get(line, "")
    assert BAD.get(line, "") in bad.get(line, "")


def test_the_good_rows_survive_the_bad() -> None:
    bad: list[int] = []
    rows = list(read_rows(DATA / "bad_sft.jsonl", lambda line, reason: bad.append(line)))
    assert [row.source["id"] for row in rows] == ["ok-1", "missing-image", "ok-2"]  # whether a picture is there, opening it shows
    assert bad == [line for line in BAD if line != 3]
    with pytest.raises(UserError, match=r"bad_sft\.jsonl, line 2: not JSON"):
        list(read_rows(DATA / "bad_sft.jsonl"))


def test_memory_stays_flat_and_a_file_without_rows_is_refused(tmp_path: Path) -> None:
    row = next(read_rows(DATA / "sft.jsonl"))
    turns = row.source["conversations"]
    sized = {**row.source, "conversations": [{**turns[0], "value": f"{turns[0]['value']} {'x' * 2000}"}, *turns[1:]]}
    write_rows(tmp_path / "rows.jsonl", [parse_row(sized)] * 2000)
    tracemalloc.start()
    assert check(tmp_path / "rows.jsonl", DATA) == Report(2000, ())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20 < (tmp_path / "rows.jsonl").stat().st_size / 4
    (tmp_path / "empty.jsonl").write_text("\n\n")
    with pytest.raises(UserError, match="no rows"):
        check(tmp_path / "empty.jsonl", None)


def test_damaged_pictures_and_a_missing_root_are_named(tmp_path: Path) -> None:
    chain = next(read_rows(DATA / "sft.jsonl")).chain
    images = ["images/cut.png", "images/cmyk.jpg", "images/not_an_image.png"]
    write_rows(tmp_path / "rows.jsonl", [sft_row("?", chain, image) for image in images])
    assert [line for line, _ in check(tmp_path / "rows.jsonl", DATA).bad] == [1, 3]
    assert check(tmp_path / "rows.jsonl", None).bad == ()
    with pytest.raises(UserError, match="no such folder"):
        check(tmp_path / "rows.jsonl", tmp_path / "none")


def changed(name: str, number: int, **fields: Any) -> dict[str, Any]:
    row = json.loads((DATA / f"{name}.jsonl").read_text("utf-8").splitlines()[number])
    return {**row, **fields}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({}, "no field `conversations`"),
        (changed("sft", 0, image=3), "`image` is neither"),
        (changed("sft", 0, image=["images/a.png", "images/a.png"]), "1 <image> marks in the question but 2 images"),
        (changed("sft", 0, image=[]), "1 <image> marks in the question but 0 images"),
        (changed("sft", 0, conversations="x"), "not a list of turns"),
        (changed("dpo", 0, rejected=None), "the text `rejected` is missing"),
        (changed("dpo", 0, rejected=changed("dpo", 0)["chosen"]), "the same chain"),
        (changed("dpo", 0, question=None), "the text `question` is missing"),
        (changed("score_in", 0, reason_step_num=2), "`reason_step_num` is 2 but there are 3 steps"),
        (changed("score_in", 0, reasoning=[]), "at least one step"),
        (changed("score_in", 0, reasoning=[{"step_name": "a"}]), "step 1 of `reasoning` needs"),
        (changed("score_in", 0, extract_answer="<|answer_end|>"), "the answer holds the marker <|answer_end|>"),
        (changed("score_in", 0, extract_answer=None), "`extract_answer` is missing"),
    ],
)
def test_other_faults_are_named(row: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadRow) as caught:
        parse_row(row)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("<|split_token|>", "<|split_token|><|split_token|>", "2 <|split_token|> in the gpt turn"),
        ("ки<|split_token|>", "к+и<|split_token|>", "the left half has a label"),
        ("4<|answer_end|>к+и", "5<|answer_end|>к+и", "not the same chain"),
        ("<|answer_end|>к+и", "<|answer_end|>", "the right half is no chain"),
    ],
)
def test_faults_of_a_reward_row_are_named(old: str, new: str, reason: str) -> None:
    row = changed("prm", 0)
    assert old in row["conversations"][1]["value"]
    row["conversations"][1]["value"] = row["conversations"][1]["value"].replace(old, new)
    with pytest.raises(BadRow) as caught:
        parse_row(row)
    assert reason in str(caught.value)


@given(QUESTIONS, CHAINS, st.sampled_from([None, "a.png"]), st.data())
def test_new_rows_are_read_back(question: str, chain: Chain, image: str | None, data: st.DataObject) -> None:
    given_labels = data.draw(st.lists(st.sampled_from([0.0, 1.0, None]), min_size=len(chain.steps) + 1, max_size=len(chain.steps) + 1))
    labels = StepLabels(tuple(given_labels[:-1]), given_labels[-1], "released")
    other = Chain(chain.steps, (chain.answer or "") + "!")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.jsonl")
        write_rows(path, [sft_row(question, chain, image), prm_row(question, chain, labels, image), dpo_row(question, chain, other, image)])
        sft, prm, dpo = read_rows(path)
    assert (sft.kind, sft.question, sft.chain, sft.images) == ("sft", question, chain, (image,) if image else ())
    assert (prm.kind, prm.question, prm.chain, prm.labels) == ("prm", question, chain, labels)
    assert (dpo.kind, dpo.question, dpo.chains) == ("dpo", question, (chain, other))


@given(st.sampled_from([False, True]), st.sampled_from([(", ", ": "), (",", ":")]), st.text(), st.integers())
def test_the_style_of_a_line_is_kept(ascii_only: bool, separators: tuple[str, str], extra: str, number: int) -> None:
    row = changed("sft", 0, note=extra.encode("utf-8", "replace").decode(), count=number)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.jsonl")
        path.write_text(json.dumps(row, ensure_ascii=ascii_only, separators=separators) + "\n", "utf-8", newline="\n")
        write_rows(Path(folder, "out.jsonl"), read_rows(path))
        assert Path(folder, "out.jsonl").read_bytes() == path.read_bytes()


@given(st.binary(max_size=200))
def test_arbitrary_bytes_give_reasons_not_crashes(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.jsonl")
        path.write_bytes(content)
        if not content.strip():
            with pytest.raises(UserError, match="no rows"):
                check(path, folder)
            return
        report = check(path, folder)
        assert len(report.bad) == report.rows > 0


VALUES = st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3), max_leaves=5)
NAMES = st.sampled_from(["image", "conversations", "chosen", "rejected", "question", "reasoning", "extract_answer", "from", "value"])
ROWS = st.dictionaries(NAMES, VALUES | st.lists(st.dictionaries(NAMES, VALUES)))


@given(ROWS)
def test_arbitrary_rows_are_refused_with_a_reason(row: dict[str, Any]) -> None:
    with pytest.raises(BadRow):
        parse_row(row)


def test_scores_go_back_in_the_released_order() -> None:
    row = next(read_rows(DATA / "score_in.jsonl"))
    out = scored(row, [0.9, 0.8, 0.7], 0.6)
    keys = ["question_id", "image", "reason_step_num", "answer_score", "extract_answer", "step_scores", "reasoning", "question"]
    assert list(out) == keys
    assert (out["step_scores"], out["answer_score"], out["reason_step_num"]) == ([0.9, 0.8, 0.7], 0.6, 3)
    assert out["reasoning"] == row.source["reasoning"]
    with pytest.raises(ValueError, match="2 scores for 3 steps"):
        scored(row, [0.9, 0.8], 0.6)
