"""Runs on a lent GPU: a stand-in for the package `spaces` sends calls and what they yield through pickles, as ZeroGPU does."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from cos import loading
from cos.protocols import Prompt
from cos.search.growth import Search
from cos.search.methods import Settings
from cos.search.scheduler import Event, run
from workbench import lent, session
from workbench.limits import LIMITS
from workbench.runs import Run
from workbench.session import Session

ROOT = Path(__file__).parent.parent.parent
VISITOR: ContextVar[str] = ContextVar("VISITOR", default="nobody")


def through_pickle(value: Any) -> Any:
    return ForkingPickler.loads(ForkingPickler.dumps(value))


class Spaces(ModuleType):
    """`asked`: seconds and visitor of each call; `refuse`: what a call is answered, "" where it may begin."""

    def __init__(self) -> None:
        super().__init__("spaces")
        self.asked: list[tuple[int, str]] = []
        self.refuse = ""

    def GPU(self, duration: Callable[..., int]) -> Callable[[Callable[..., Iterator[Any]]], Callable[..., Iterator[Any]]]:
        def mark(task: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
            def handler(*given: Any) -> Iterator[Any]:
                self.asked.append((duration(*given), VISITOR.get()))
                if self.refuse:
                    raise RuntimeError(self.refuse)
                for value in task(*through_pickle(given)):
                    yield through_pickle(value)

            return handler

        return mark


@pytest.fixture
def spaces(monkeypatch: pytest.MonkeyPatch) -> Spaces:
    """A Space with a lent GPU, on which the name `mine` is a model that needs it."""
    found = Spaces()
    monkeypatch.setitem(sys.modules, "spaces", found)
    monkeypatch.setattr(lent, "find_spec", lambda name: object())
    monkeypatch.setattr(lent, "LENT", True)
    scripted = session.policy_of("scripted"), session.scorer_of("scripted")
    monkeypatch.setattr(session, "policy_of", lambda name: scripted[0])
    monkeypatch.setattr(session, "scorer_of", lambda name: scripted[1])
    monkeypatch.setattr(session, "_lent", lent.on_gpu(session._lent))
    return found


def asking(policy: str, reward: str, method: str = "step_beam", n: int = 4) -> Run:
    app = Session((policy,), (reward,))
    run = app.ask("visitor", Prompt("How many?"), [method], [Settings(n=n, width=2)], policy, reward)
    assert run.done.wait(60)
    return run


def test_a_model_of_one_s_own_runs_there_and_the_search_is_the_same(spaces: Spaces) -> None:
    VISITOR.set("me")
    there, here = asking("mine", "mine"), asking("scripted", "scripted")
    assert spaces.asked == [(lent.asked("mine", ["step_beam"], [4], None), "me")]  # once, for whose visitor it is
    assert there.traces[0].ended == "answered" and not there.problem
    assert [node.text for node in there.traces[0].nodes] == [node.text for node in here.traces[0].nodes]


def test_what_the_space_says_is_told(spaces: Spaces) -> None:
    spaces.refuse = "You have exceeded your quota"
    run = asking("mine", "embedded")
    assert run.problem == "No GPU for this run: You have exceeded your quota" and run.traces[0].ended is None


def test_which_models_need_it(spaces: Spaces, monkeypatch: pytest.MonkeyPatch) -> None:
    assert lent.needed("mine", "oracle") and lent.needed("embedded", "judge:mine")
    assert not lent.needed("embedded", "scripted") and not lent.needed("http://127.0.0.1:9/v1#m", "oracle")
    monkeypatch.setattr(loading, "HOW", lent.HOW)
    for name, device in (("embedded", "cpu"), ("mine", None)):
        with lent.placed(name):
            assert lent.HOW.get("device") == device
        assert "device" not in lent.HOW
    monkeypatch.setattr(lent, "LENT", False)
    assert not lent.needed("mine")


def test_how_long_it_is_asked_for() -> None:
    short, long = lent.asked("mine", ["greedy"], [1], 1000.0), lent.asked("mine", ["greedy", "vote"], [1, 8], 1000.0)
    assert lent.START < short < long <= LIMITS.seconds == lent.asked("mine", ["step_beam"], [64], 10.0)
    searches = [Search(Prompt("How many?"), "vote", Settings(n=8))]
    assert lent.seconds("mine", "mine", searches, None, 1000.0) == lent.asked("mine", ["vote"], [8], 1000.0)


def test_a_stop_ends_the_other_process_and_every_trace() -> None:
    policy, scorer = session.policy_of("scripted"), session.scorer_of("scripted")
    searches = [Search(Prompt("How many?"), "step_beam", Settings(n=4, width=2, seed=seed)) for seed in (0, 1)]
    stop, closed, told = threading.Event(), [], list[Event]()

    def there() -> Iterator[Event]:
        try:
            yield from run(searches, policy, scorer)
        finally:
            closed.append(True)

    for event in lent.stopping(there(), stop):  # type: ignore[arg-type]
        told.append(event)
        if len(told) == 5:
            stop.set()
    ends = [event for event in told if event.data["kind"] == "ended"]
    assert closed and {event.search for event in ends} == {event.search for event in told}
    assert all(event.data["ended"] == "stopped" and event.data["meter"] for event in ends)


WATCH = """
import sys
class Watch:
    def find_spec(self, name, *rest):
        if name == "torch":
            sys.exit("spaces" not in sys.modules)
sys.meta_path.insert(0, Watch())
import app
import torch
"""


def test_the_package_comes_before_torch(tmp_path: Path) -> None:
    (tmp_path / "spaces.py").write_text("def GPU(duration): return lambda task: task\n")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    found = subprocess.run([sys.executable, "-c", WATCH], cwd=ROOT, env=environment, capture_output=True, timeout=300, check=False)
    assert found.returncode == 0, found.stderr
