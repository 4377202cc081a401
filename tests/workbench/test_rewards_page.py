"""The Rewards page: chains as text, the bench with several pictures, report cards from whoever."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos.card.findings import findings
from cos.card.report import report
from cos.chain import Chain, Step
from cos.errors import UserError
from cos.models.scripted import ScriptedScorer
from cos.protocols import Prompt, ToScore
from cos.store import write
from cos.template import pieces, render
from workbench import rewards
from workbench.bench import VIEWS, example, read_chain, viewed, write_chain
from workbench.inputs import examples
from workbench.limits import LIMITS
from workbench.parts import plainly_later
from workbench.session import Session

PROBLEM, PICTURE = examples()[0]
REQUEST: Any = SimpleNamespace(session_hash="me", client=None)
_TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=30).filter(lambda text: "<|" not in text)


@pytest.fixture
def file(tmp_path: Path) -> str:
    PICTURE.save(tmp_path / "own.png")
    return str(tmp_path / "own.png")


def card() -> dict[str, Any]:
    """The report of four hand-made steps of two questions."""
    rows = []
    for question, rewards_of in (("a", (0.9, 0.2)), ("b", (0.6, 0.7))):
        nodes = [
            {"kind": kind, "label": label, "depth": depth, "size": 20, "reward": reward, "swapped": 0.5, "blank": 0.5}
            for (kind, label, depth), reward in zip((("see", 1, 1), ("compute", 0, 2)), rewards_of, strict=True)
        ]
        chains = [{"path": [0, 1], "count": 1, "right": None, "reply": None}]
        rows.append({"question": question, "level": 1, "group": "charts", "nodes": nodes, "chains": chains, "edits": {}})
    made = report(rows, None)
    return {"reward": "scripted", "set": "charts:test", "threshold_from": "nothing", **made, "findings": findings(made)}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path / "cards" / "one" / "card.json", "card", [card()])
    return tmp_path / "cards"


@given(st.lists(st.builds(Step, _TEXTS, _TEXTS, _TEXTS), min_size=1, max_size=4), st.none() | _TEXTS)
def test_a_chain_comes_back_from_its_text(steps: list[Step], answer: str | None) -> None:
    chain = Chain(tuple(steps), answer)
    assert read_chain(write_chain(chain)) == chain


def test_three_forms_of_one_chain() -> None:
    chain = Chain((Step("Read", "Green is 12.", "The bar ends at 12."), Step("End", "It is 12.", "")), "12")
    assert read_chain("Read: Green is 12. | The bar ends at 12.\n\nEnd: It is 12.\nAnswer: 12\n") == chain
    assert read_chain(render(chain)) == chain and read_chain(json.dumps(chain.to_json())) == chain
    released = {"reasoning": [{f"step_{key}": value for key, value in vars(step).items()} for step in chain.steps], "extract_answer": "12"}
    assert read_chain(json.dumps(released)) == chain


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "1 to"),
        ("just words", "Line 1"),
        ("Answer: 3\nRead: late", "Line 2"),
        ("Answer: 3", "1 to"),
        ("{", "JSON"),
        ('{"steps": 3}', "JSON"),
        ("<|reasoning_start|>", "can't be read"),
        ("Read: a <|answer_end|> | b", "can't be read"),
        ("Read: " + "x" * (LIMITS.steps * LIMITS.field), "too long"),
        ("\n".join(["Read: a"] * (LIMITS.steps + 1)), "1 to"),
    ],
)
def test_text_that_is_no_chain_is_refused_in_one_line(text: str, says: str) -> None:
    with pytest.raises(UserError, match=says) as said:
        read_chain(text)
    assert "\n" not in str(said.value)


def test_the_bench_gives_the_reward_models_own_scores(file: str) -> None:
    do = rewards.Handlers(Session())
    text = "Look: I see [3]. | So.\nAnswer: 3"
    given = [file, PROBLEM.question, PROBLEM, text, "scripted"]
    old, table, status = asyncio.run(do.score(VIEWS[0], *given, None, REQUEST))
    scorer = ScriptedScorer()
    (root,) = scorer.open([Prompt(PROBLEM.question, PICTURE)])
    (own,) = scorer.score([ToScore(root.handle, tuple(pieces(read_chain(text))))])
    assert old["columns"][0][2] == list(own.rewards) and f"{own.rewards[0]:.2f}" in table and "2 pieces" in status and "truth" in table
    both, table, status = asyncio.run(do.score("blank", *given, old, REQUEST))
    assert [name for name, *_ in both["columns"]] == ["as it is", "blank"] and "2 pictures" in status and table.count("<img") == 2
    again, *_ = asyncio.run(do.score("blank", *given[:3], text + "4", "scripted", both, REQUEST))
    assert [name for name, *_ in again["columns"]] == ["as it is", "blank"], "another chain begins anew, with the true picture first"
    with pytest.raises(gr.Error, match="Line 1"):
        asyncio.run(plainly_later(do.score)("blank", *given[:3], "nothing", "scripted", None, REQUEST))


def test_the_oracle_is_asked_about_the_true_picture_alone(file: str) -> None:
    do = rewards.Handlers(Session())
    for wrong in (False, True):
        text = example(PROBLEM, wrong=wrong)
        old, table, _ = asyncio.run(do.score(VIEWS[0], file, PROBLEM.question, PROBLEM, text, "oracle", None, REQUEST))
        assert (0.0 in old["columns"][0][2]) == wrong and ("✗ wrong" in table) == wrong
    with pytest.raises(UserError, match="oracle"):
        asyncio.run(do.score("blank", file, PROBLEM.question, PROBLEM, text, "oracle", None, REQUEST))


def test_other_pictures_are_other() -> None:
    blank, another = (viewed(PICTURE, view, PROBLEM) for view in VIEWS[1:])
    assert blank.getcolors() == [(PICTURE.width * PICTURE.height, (255, 255, 255))]
    assert another.tobytes() != PICTURE.tobytes() and viewed(PICTURE, "another", None).tobytes() != PICTURE.tobytes()
    assert viewed(PICTURE, VIEWS[0], PROBLEM) is PICTURE


def test_a_report_card_shows_findings_figures_and_groups(root: Path) -> None:
    do = rewards.Handlers(Session(results=root))
    chosen, shown, names, *shapes = do.start()
    figure, reliability, groups = (shape["value"] for shape in shapes)
    made = card()
    assert chosen.value == "one" and "chosen on no data" in shown and "scripted on charts:test" in shown and "step AUC" in shown
    assert len(names.choices) >= 5 and len(figure.data) and reliability.layout.height == 300
    assert list(groups.data[0].y) == [made["by"]["depth"][key]["auc"] for key in ("1", "2")]
    other = do.card("one", None, names.choices[2][0])
    assert other[1].value == names.choices[2][0] and other[2]["value"] != figure


def test_a_card_of_whoever_is_inert_or_refused(root: Path, tmp_path: Path) -> None:
    do, path = rewards.Handlers(Session(results=root)), tmp_path / "card.json"
    hostile = json.loads(json.dumps(card()).replace("charts", "<a href='javascript:1'>x</a><img src=x>"))
    write(path, "card", [hostile])
    shown, *figures = do.card("", str(path), None)
    assert "<img" not in shown and "<a " not in shown and not any("<a" in figure["value"].to_json() for figure in figures[1:])
    for text in ("", "{}", "[]", "[" * 10**5, '{"schema": "cos.card/1"}', '{"schema": "cos.card/1", "curves": 3, "by": []}'):
        path.write_text(text, "utf-8")
        with pytest.raises(UserError) as said:
            do.card("", str(path), None)
        assert "card.json" in str(said.value) and str(tmp_path) not in str(said.value)
    with pytest.raises(UserError, match="no such folder"):
        do.card("../one", None, None)
    assert rewards.NO_CARD in do.card("", None, None)[0]
