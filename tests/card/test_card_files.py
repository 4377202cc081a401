"""Labelled files: ProcessBench by its own definition on a table made by hand, VisualProcessBench, our own records, and what is none."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from PIL import Image

from cos import problems as worlds
from cos.__main__ import main
from cos.card import judging
from cos.card.cases import labelled
from cos.card.files import LabelFile
from cos.card.report import calibrate, report
from cos.chain import Labelled, StepLabels
from cos.errors import UserError
from cos.models.scripted import ScriptedScorer
from cos.protocols import Prompt
from cos.store import write

SCHEMAS = Path(__file__).parent.parent.parent / "docs" / "schemas"


def save(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def spoken(prompt: Prompt, texts: tuple[str, ...]) -> float:
    """The reward that a step names itself, `r=0.3`; 0.9 for one that names none."""
    return float(texts[-1].partition("r=")[2][:3] or 0.9)


def judge(path: Path, folder: Path, images: Path | None = None) -> tuple[LabelFile, list[dict[str, Any]]]:
    source = LabelFile.read(path, images)
    folder.mkdir(exist_ok=True)
    return source, judging.judge(source, ScriptedScorer(spoken), folder / "records.jsonl")


def process(number: int, label: int, *rewards: float, final: bool = True) -> dict[str, Any]:
    steps = [f"step r={reward:.1f}" for reward in rewards]
    return {
        "id": f"gsm8k-{number}",
        "generator": "g",
        "problem": f"q{number}",
        "steps": steps,
        "label": label,
        "final_answer_correct": final,
    }


PROCESS = [
    process(0, 1, 0.9, 0.2, 0.9),  # found
    process(1, 1, 0.3, 0.2, 0.1),  # too early
    process(2, 0, 0.9, 0.9),  # missed
    process(3, 2, 0.8, 0.6, 0.4, 0.1),  # found
    process(4, -1, 0.9, 0.8),  # left alone
    process(5, -1, 0.9, 0.4),  # accused
    process(6, -1, 0.5),  # left alone: at the threshold
]


def test_processbench_by_hand(tmp_path: Path) -> None:
    source, records = judge(save(tmp_path / "gsm8k.jsonl", PROCESS), tmp_path / "out")
    card = report(records, None)
    assert (card["first_error_wrong"], card["first_error_right"]) == (2 / 4, pytest.approx(2 / 3))
    assert card["first_error_f1"] == pytest.approx(2 * (1 / 2) * (2 / 3) / (1 / 2 + 2 / 3))
    assert card["steps"] == 2 + 2 + 1 + 3 + 2 + 2 + 1 and card["thresholds"]["first_error_f1"] == 0.5
    assert list(card["by"]["group"]) == ["gsm8k"] and card["by"]["group"]["gsm8k"]["first_error_f1"] == card["first_error_f1"]
    assert source.left_out == 0 and card["best_of_n"] is None and card["auc_swapped"] is None
    whole = tmp_path / "gsm8k.json"
    whole.write_text(json.dumps(PROCESS), "utf-8")  # as the Hub has it
    assert judge(whole, tmp_path / "list")[1] == records


def test_visualprocessbench_by_hand(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), "red").save(tmp_path / "a.png")
    Image.new("RGB", (8, 8), "blue").save(tmp_path / "b.png")

    def row(images: list[str], question: str, source: str, *steps: tuple[float, int]) -> dict[str, Any]:
        response = {"steps": [f"r={reward}" for reward, _ in steps], "process_correctness": [label for _, label in steps]}
        return {"image": images, "question": question, "answer": "4", "response": response, "policy_model": "m", "data_source": source}

    rows = [
        row(["a.png"], "q1", "MathVerse", (0.9, 1), (0.1, 0), (0.3, -1), (0.8, -1)),
        row(["a.png"], "q1", "MathVerse", (0.2, 1), (0.7, 1)),
        row(["b.png"], "q2", "WeMath", (0.6, 1), (0.2, -1)),
        row(["a.png", "b.png"], "q3", "MMMU", (0.6, 1)),
        row([], "q4", "WeMath", (0.9, 1)),
    ]
    source, records = judge(save(tmp_path / "bench.jsonl", rows), tmp_path / "out")
    card = report(records, None)
    assert (source.left_out, card["questions"], card["chains"], card["steps"]) == (1, 3, 4, 8)
    # right steps: 0.9, 0.2, 0.7, 0.6, 0.9 of which four are kept; wrong ones: 0.3, 0.8, 0.2 of which one is
    assert card["f1_right"] == pytest.approx(2 * 4 / (5 + 5)) and card["f1_wrong"] == pytest.approx(2 * 2 / (3 + 3))
    assert card["macro_f1"] == pytest.approx((0.8 + 2 / 3) / 2)
    wemath = card["by"]["group"]["WeMath"]["macro_f1"]
    assert wemath == 1.0 and card["macro_f1_mean_of_groups"] == pytest.approx((wemath + card["by"]["group"]["MathVerse"]["macro_f1"]) / 2)
    assert card["auc_swapped"] is not None and card["edits"]["filler"]["chains"] == 2  # q1's second chain, q4


def test_our_own_labels(tmp_path: Path) -> None:
    rows = []
    for problem in worlds.problems("all:validation", 6):
        right = worlds.chain(problem, random.Random(1))
        for number, chain in enumerate([right, worlds.corrupt(problem, right, random.Random(2))]):
            item = labelled(problem, chain)
            details = {"drawn": [8] * len(chain.steps), "right": [3] * len(chain.steps)} if number else {}
            rows.append(Labelled(f"{problem.id}/{number}", problem, chain, StepLabels(item.labels, item.right, "rollouts"), {}, details))
    write(tmp_path / "labels.jsonl", "labels", [row.to_json() for row in rows])
    source = LabelFile.read(tmp_path / "labels.jsonl")
    records = judging.judge(source, None, tmp_path / "records.jsonl")
    calibration = calibrate(records, {})
    card = report(records, calibration)
    assert calibration.about["rollouts"] > 0 and {value for _, value in calibration.quantiles["0.9"]} == {3 / 8}
    assert (card["questions"], card["chains"]) == (6, 12) and card["auc"] == card["first_error_f1"] == 1.0
    assert (
        set(card["by"]["kind"]) >= {"see"}
        and card["best_of_n"]["n"] == 2
        and card["best_of_n"]["pass_at_1"] == pytest.approx(sum(row.labels.answer or 0 for row in rows) / 12, abs=1e-9)
    )
    assert len(LabelFile.read(tmp_path / "labels.jsonl", limit=2).problems) == 2


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"steps": ["a"], "label": 3, "id": "x-1", "problem": "q"}, "line 2: .*label 3 for 1 steps"),
        ({"steps": ["a"], "label": 0, "problem": "q"}, "line 2: .*'id'"),
        ({"response": {"steps": ["a"], "process_correctness": [7]}, "question": "q"}, "line 2"),
        ({"response": {"steps": ["a", "b"], "process_correctness": [1]}, "question": "q"}, "1 labels for 2 steps"),
        ({"chain": {"steps": []}, "labels": {"steps": [1]}}, "line 2"),
        ({"something": 1}, "line 2: neither a record of cos label"),
        (["a"], "line 2"),
    ],
)
def test_rows_that_are_none(tmp_path: Path, row: Any, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        LabelFile.read(save(tmp_path / "bad.jsonl", [PROCESS[0], row]))


names = st.sampled_from(["id", "steps", "label", "labels", "chain", "response", "problem"])
values = st.one_of(st.none(), st.integers(), st.text(max_size=3), st.lists(st.text(max_size=2), max_size=2))
rows = st.lists(st.dictionaries(names, values)).map(lambda found: json.dumps(found).encode())


@given(st.one_of(st.binary(max_size=60), rows))
def test_any_file_is_read_or_refused_in_one_line(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    path.write_bytes(content)
    try:
        assert LabelFile.read(path).problems
    except UserError as fault:
        assert str(path) in str(fault)


def test_a_step_that_holds_a_mark_is_refused(tmp_path: Path) -> None:
    row = process(0, -1, 0.9) | {"steps": ["a <|answer_end|> r=0.1"]}
    with pytest.raises(UserError, match=r"gsm8k-0: .*holds the marker"):
        judge(save(tmp_path / "bad.jsonl", [row]), tmp_path / "out")


def test_a_question_is_shown_another_picture_not_another_question_about_its_own(tmp_path: Path) -> None:
    pictures = {"a.png": "red", "b.png": "blue"}
    for name, colour in pictures.items():
        Image.new("RGB", (4, 4), colour).save(tmp_path / name)
    response = {"steps": ["r"], "process_correctness": [1]}
    rows = [{"image": name, "question": str(at), "response": response} for at, name in enumerate(["a.png", "a.png", "b.png"])]
    source = LabelFile.read(save(tmp_path / "bench.jsonl", rows))
    red = ScriptedScorer(lambda prompt, texts: prompt.image.getpixel((0, 0))[0] / 255)
    records = judging.judge(source, red, tmp_path / "records.jsonl")
    shown = [(node["reward"], node["swapped"], node["blank"]) for row in records for node in row["nodes"]]
    assert shown == [(1.0, 0.0, 1.0), (1.0, 0.0, 1.0), (0.0, 1.0, 1.0)]


def test_rewards_that_are_none_are_refused(tmp_path: Path) -> None:
    source = LabelFile.read(save(tmp_path / "gsm8k.jsonl", PROCESS))
    with pytest.raises(UserError, match="must lie between 0 and 1"):
        judging.judge(source, ScriptedScorer(lambda prompt, texts: float("nan")), tmp_path / "records.jsonl")


def test_the_verb_reads_files_and_says_where_its_threshold_is_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = save(tmp_path / "gsm8k.jsonl", PROCESS)
    words = ["card", "--file", str(file), "--reward", "scripted", "--policy", "scripted", "--json"]
    assert main([*words, "--out", str(tmp_path / "a")]) == 0
    card = json.loads(capsys.readouterr().out)
    assert card["threshold_from"] == "nothing: 0.5" and any("chosen on no data" in text for text in card["findings"])
    dev = save(tmp_path / "dev.jsonl", PROCESS[:5])
    assert main([*words, "--out", str(tmp_path / "b"), "--validation", str(dev)]) == 0
    chosen = json.loads(capsys.readouterr().out)
    assert chosen["threshold_from"] == str(dev) and "ece_calibrated" in chosen
    for name in ("a", "b"):
        for kind, lines in (("card", "card.json"), ("judged", "records.jsonl")):
            schema = json.loads((SCHEMAS / f"{kind}.json").read_text("utf-8"))
            for line in (tmp_path / name / lines).read_text("utf-8").splitlines():
                Draft202012Validator(schema).validate(json.loads(line))
    calibration = json.loads((SCHEMAS / "calibration.json").read_text("utf-8"))
    Draft202012Validator(calibration).validate(json.loads((tmp_path / "b" / "calibration.json").read_text("utf-8")))


def test_chains_that_share_a_step_keep_their_own_labels(tmp_path: Path) -> None:
    problem = worlds.problems("charts:validation", 1)[0]
    right = worlds.chain(problem, random.Random(1))
    shared = [replace(right, answer=answer) for answer in ("1", "2", "3")]
    rows = []
    for number, (chain, first) in enumerate(zip(shared, (1.0, 0.0, 1.0), strict=True)):
        labels = StepLabels((first, *[1.0] * (len(chain.steps) - 1)), 0.0, "rollouts")
        details = {"drawn": [4] * len(chain.steps), "right": [int(4 * first)] * len(chain.steps)}
        rows.append(Labelled(f"{problem.id}/{number}", problem, chain, labels, {}, details))
    write(tmp_path / "labels.jsonl", "labels", [row.to_json() for row in rows])
    (record,) = judging.judge(LabelFile.read(tmp_path / "labels.jsonl"), ScriptedScorer(), tmp_path / "records.jsonl")
    firsts = [record["nodes"][chain["path"][0]] for chain in record["chains"]]
    assert [node["label"] for node in firsts] == [1.0, 0.0, 1.0] and firsts[0] is firsts[2]
    assert [tuple(node["rollouts"]) for node in firsts[:2]] == [(8, 8), (4, 0)]


def test_a_limit_takes_all_chains_of_its_questions(tmp_path: Path) -> None:
    rows = [process(0, -1, 0.5), process(1, -1, 0.5), process(0, -1, 0.5)]
    source = LabelFile.read(save(tmp_path / "mixed.jsonl", rows), limit=1)
    assert len(source.problems) == 1 and len(source.cases(source.problems)[0].items) == 2


def test_a_file_that_was_changed_is_not_taken_for_the_one_before(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = save(tmp_path / "gsm8k.jsonl", PROCESS)
    words = ["card", "--file", str(file), "--reward", "scripted", "--policy", "scripted", "--out", str(tmp_path / "a")]
    assert main(words) == main(words) == 0
    save(file, PROCESS[:3])
    capsys.readouterr()
    assert main(words) == 2 and "other settings (files)" in capsys.readouterr().err
