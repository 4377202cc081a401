"""The Label page: votes become labels that a training reads; reward and truth show only after the vote."""

from __future__ import annotations

import asyncio
import base64
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import SHAPE, TEXTS

from cos.chain import Chain, Problem, Step
from cos.errors import UserError
from cos.models.embedded import build, make_tokenizer
from cos.problems import chain, corrupt
from cos.problems.records import read_labelled
from cos.protocols import Prompt
from cos.search.methods import Settings
from cos.search.trace import SearchTrace
from cos.train.files import read_rows
from workbench import label, votes
from workbench.inputs import examples
from workbench.render.votes import Row
from workbench.render.votes import votes as drawn_rows
from workbench.runs import Archive, Run
from workbench.session import Session
from workbench.votes import Candidate, Task, task_of

PROBLEM, PICTURE = examples()[0]


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(archive=Archive(tmp_path / "app"))


@pytest.fixture
def run(session: Session) -> Run:
    """Four chains for the first example, ended."""
    settings = Settings(n=4)
    made = session.ask("me", Prompt(PROBLEM.question, PICTURE), ["best_of_n"], [settings], "scripted", "scripted", PROBLEM)
    assert made.done.wait(60)
    return made


def made(*chains: Chain, problem: Problem = PROBLEM, rewards: float | None = 0.9) -> Task:
    """A task of these chains, every step with the same reward."""
    found = tuple(Candidate(one, (rewards,) * (len(one.steps) + (one.answer is not None))) for one in chains)
    return Task(problem, "", found).turn(0)


def truthful() -> tuple[Chain, Chain]:
    """A chain that is right in every step, and a wrong one made from it."""
    import random

    right = chain(PROBLEM, random.Random(0))
    return right, corrupt(PROBLEM, right, random.Random(1))


def event(task: Task, *words: Any, **more: Any) -> Any:
    return gr.EventData(None, {"votes": list(words), "chain": task.id, **more})


def test_nothing_is_told_before_the_vote(session: Session, run: Run) -> None:
    do = label.Handlers(session)
    task, status, about, chains, rows, link = do.run(run.id, None)
    assert "reward" not in rows and "truth" not in rows and "badge" not in rows and link == "" and "0 of" in status
    assert f"runs/{run.id}/picture.png" in about and all("reward" not in name and "✓" not in name for name, _ in chains.choices)
    task, rows, status = do.vote(task, True, event(task, "right"))
    shown = rows.split("<li ")
    assert "reward:" in shown[1] and "truth:" in shown[1] and not any("reward:" in row or "truth:" in row for row in shown[2:])
    assert "votes as the reward" in status


def test_labels_are_saved_as_voted_and_read_as_rows_of_a_training(session: Session, run: Run) -> None:
    do = label.Handlers(session)
    task, *_ = do.run(run.id, None)
    count = len(task.open.texts)
    task, *_ = do.vote(task, True, event(task, "right", "neutral", *["right"] * (count - 3), "wrong"))
    first = task.open.chain
    task, status, *_, link, token = do.save(task)
    assert token == task.token and "Saved: 1 chain" in status and task.at == 1 and task.said == (None,) * len(task.open.texts)
    task, *_ = do.save(do.vote(task, True, event(task, "wrong"))[0])
    (file,) = (session.archive.folder / "labels").glob("*.jsonl")
    rows = list(read_labelled(file))
    assert [row.labels.source for row in rows] == ["human"] * 2 and rows[0].chain == first and rows[0].problem == PROBLEM
    assert rows[0].labels.steps[:2] == (1.0, None) and set(rows[1].labels.steps[1:]) == {None} and rows[1].labels.steps[0] == 0.0
    assert [row.labels for row in read_rows(file, file.parent, "prm", build(SHAPE, make_tokenizer(TEXTS, size=320)).encoder, 2048)] == [
        row.labels for row in rows
    ]
    held = base64.b64decode(re.findall(r"base64,([^\"]+)", do.turn(task, 0)[-1])[0]).decode()
    assert held == file.read_text("utf-8") and "cos.labels/1" in held and link


def test_labelling_a_chain_again_replaces_its_labels(session: Session, run: Run) -> None:
    do = label.Handlers(session)
    task, *_ = do.run(run.id, None)
    task, *_ = do.save(do.vote(task, True, event(task, "wrong"))[0])
    task = do.turn(task, 0)[0]
    task, *_ = do.save(do.vote(task, True, event(task, "right"))[0])
    (file,) = (session.archive.folder / "labels").glob("*.jsonl")
    (row,) = read_labelled(file)
    assert row.labels.steps[0] == 1.0
    again, *_ = do.run(run.id, task)
    assert again.token == task.token and again.saved == task.saved


def test_a_page_that_is_loaded_again_goes_on_with_the_same_file(session: Session, run: Run) -> None:
    do = label.Handlers(session)
    *_, token = do.save(do.vote(task := do.run(run.id, None)[0], True, event(task, "wrong"))[0])
    again, *_ = do.run(run.id, None, token)
    assert again.token == token and [one.id for one in again.saved] == [task.id]
    beside = do.turn(do.run(run.id, None, token)[0], 1)[0]  # another page of the same visitor, opened before the next vote
    do.save(do.vote(again := do.turn(again, 2)[0], True, event(again, "right"))[0])
    *_, same = do.save(do.vote(beside, True, event(beside, "right"))[0])
    (file,) = (session.archive.folder / "labels").glob("*.jsonl")
    assert same == token and len(list(read_labelled(file))) == 3, "neither page writes over the other's labels"


@pytest.mark.parametrize("token", ["", "0" * 24, "../../etc/passwd", "x" * 24, None, ["0" * 24]])
def test_a_token_that_names_no_file_begins_a_new_one(session: Session, run: Run, token: Any) -> None:
    task, *_ = label.Handlers(session).run(run.id, None, token)
    assert task.token != token and votes.TOKEN.fullmatch(task.token) and task.saved == ()


def test_agreement_counts_first_votes_against_reward_and_truth() -> None:
    right, wrong = truthful()
    task = made(right)
    task = task.voted(["right"] * len(right.steps) + ["wrong"], stops=False)
    count = len(right.steps) + 1
    said = task.agreement()
    assert f"{count - 1} of {count} votes as the reward" in said
    neutral = sum(word == "neutral" for word, _ in task.truths())
    assert f"{count - 1 - neutral} of {count} as the truth" in said
    assert task.voted(["right"] * count, stops=False).agreement() == said, (
        "a vote that is changed after the reward was shown does not count"
    )
    assert "wrong" in [word for word, _ in made(wrong).truths()] and made(right).truths()[0][0] in ("right", "neutral")


def test_what_comes_after_the_first_error_is_left_out() -> None:
    right, _ = truthful()
    task = made(right).voted(["wrong", "right"], stops=True)
    assert task.said[:2] == ("wrong", None) and [row.after for row in task.rows()][:2] == [False, True]
    free = made(right).voted(["wrong", "right"], stops=False)
    assert free.said[:2] == ("wrong", "right") and not any(row.after for row in free.rows())
    page = drawn_rows(task.rows(), task.id)
    assert page.count("data-step") == 1 and page.count("disabled") == 3 * (len(task.said) - 1)


def test_an_own_picture_is_kept_beside_the_labels(tmp_path: Path) -> None:
    task = task_of(_trace(), None, "runs/x/picture.png", "abc").voted(["right"], True)
    task.save(tmp_path, PICTURE)
    (row,) = read_labelled(tmp_path / f"{task.token}.jsonl")
    assert row.problem.image == "images/abc.png" and (tmp_path / row.problem.image).is_file() and row.details["truth"][0] is None


def test_a_trace_file_of_a_world_needs_no_picture(session: Session, run: Run, tmp_path: Path) -> None:
    run.traces[0].save(tmp_path / "trace.json")
    task, _, about, *_ = label.Handlers(session).upload(str(tmp_path / "trace.json"), None, None)
    assert task.problem == PROBLEM and "data:image/png" in about


def test_a_trace_of_another_picture_needs_that_picture(session: Session, tmp_path: Path) -> None:
    do, prompt = label.Handlers(session), Prompt("How many?", PICTURE)
    made = session.ask("me", prompt, ["best_of_n"], [Settings(n=2)], "scripted", "scripted")
    assert made.done.wait(60)
    made.traces[0].save(tmp_path / "trace.json")
    PICTURE.save(tmp_path / "own.png")
    examples()[1][1].save(tmp_path / "other.png")
    with pytest.raises(UserError, match="Put in the picture"):
        do.upload(str(tmp_path / "trace.json"), None, None)
    with pytest.raises(UserError, match="not the picture"):
        do.upload(str(tmp_path / "trace.json"), str(tmp_path / "other.png"), None)
    task, *_ = do.upload(str(tmp_path / "trace.json"), str(tmp_path / "own.png"), None)
    task = do.save(do.vote(task, True, event(task, "right"))[0])[0]
    assert task.saved[0].problem.image and (session.archive.folder / "labels" / task.saved[0].problem.image).is_file()


@pytest.mark.parametrize("text", ["", "{}", "[]", "\x00", '{"schema": "cos.trace/1", "events": [1]}', "[" * 10**5])
def test_a_file_that_is_no_trace_is_refused(session: Session, tmp_path: Path, text: str) -> None:
    (tmp_path / "trace.json").write_text(text, "utf-8")
    with pytest.raises(UserError) as said:
        label.Handlers(session).upload(str(tmp_path / "trace.json"), None, None)
    assert str(tmp_path) not in str(said.value)


@pytest.mark.parametrize("query", [{"run": "../../etc/passwd"}, {"run": "0" * 24}, {"trace": "../x"}])
def test_what_is_not_there_is_said(session: Session, query: dict[str, str]) -> None:
    asked = SimpleNamespace(session_hash="me", query_params=query)
    shown = asyncio.run(label.in_words(label.Handlers(session).start)(None, "", asked))
    assert shown[0] is None and "There is no" in shown[1]


def test_votes_that_do_not_belong_are_not_taken(session: Session, run: Run) -> None:
    do = label.Handlers(session)
    task, *_ = do.run(run.id, None)
    assert do.vote(task, True, event(task, "right", chain="other"))[0] == gr.skip()
    assert do.vote(task, True, event(task, votes="right"))[0] == gr.skip() and do.vote(None, True, event(task))[0] == gr.skip()
    for words in (["right"] * 99, ["<b>"], [1]):
        with pytest.raises(UserError, match="do not belong"):
            do.vote(task, True, event(task, *words))
    with pytest.raises(UserError, match="Vote on a step"):
        do.save(task)
    assert do.turn(task, 10**6)[0] == gr.skip() and do.turn(None, 0)[0] == gr.skip()


@given(st.text(max_size=60))
def test_texts_of_a_chain_are_never_markup(text: str) -> None:
    page = drawn_rows([Row(text + "<img src=x onerror=1>", text, text, "wrong", shown=True, truth="wrong", why=text)], text)
    assert "<img" not in page and page.count("<li ") == 1 and page.count("<p") == 1 + bool(text)


def _trace() -> SearchTrace:
    trace = SearchTrace(question="How many?")
    node = {"parent": 0, "path": [0], "depth": 1, "text": "", "name": "Look", "thought": "I see.", "reflection": "", "status": "finished"}
    trace.apply({"kind": "expanded", "round": 1, "nodes": [{"id": 1, **node}], "merged": []})
    return trace


def test_a_trace_without_a_step_is_refused() -> None:
    with pytest.raises(UserError, match="no step"):
        task_of(SearchTrace(), None, "", "x")
    assert votes.task_of(_trace(), None, "", "x").open.chain == Chain((Step("Look", "I see.", ""),))
