"""What goes wrong in a search, or is stopped, leaves a reason in its trace and nothing open."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from cos.errors import UserError
from cos.models.scripted import ScriptedPolicy, ScriptedScorer
from cos.protocols import Piece, Prompt
from cos.search.asking import Settings
from cos.search.growth import Search
from cos.search.scheduler import run, solve
from cos.search.trace import SearchTrace

PROMPT = Prompt("how many dots are there")


def finish(*searches: Search, policy: Any = None, scorer: Any = None, **options: Any) -> list[SearchTrace]:
    for _ in run(searches, policy or ScriptedPolicy(), scorer or ScriptedScorer(), **options):
        pass
    return [search.trace for search in searches]


def as_bytes(trace: SearchTrace) -> str:
    return json.dumps(trace.to_json(times=False))


class Touchy(ScriptedPolicy):
    """Fails while drawing for one question."""

    def draw(self, requests: Any) -> list[list[Piece]]:
        if any("bad" in self.tree.places[request.parent].prompt.question for request in requests):
            raise RuntimeError("no kernel for this picture")
        return super().draw(requests)


def test_one_bad_question_ends_only_its_own_search(tmp_path: Any) -> None:
    searches = [
        Search(PROMPT, "step_beam"),
        Search(Prompt("bad one"), "vote"),
        Search(Prompt("where", str(tmp_path / "none.png")), "vote"),
        Search(PROMPT, "best_of_n"),
    ]
    policy, scorer = Touchy(), ScriptedScorer()
    good, bad, missing, fine = finish(*searches, policy=policy, scorer=scorer)
    assert (bad.ended, bad.ended_why) == ("failed", "RuntimeError: no kernel for this picture")
    assert missing.ended == "failed" and "none.png: no such picture" in missing.ended_why
    assert as_bytes(good) == as_bytes(finish(Search(PROMPT, "step_beam"))[0])
    assert as_bytes(fine) == as_bytes(finish(Search(PROMPT, "best_of_n"))[0])
    assert not policy.tree.places and not scorer.tree.places


def test_rewards_that_are_none_fail_with_a_reason() -> None:
    (trace,) = finish(Search(PROMPT, "best_of_n"), scorer=ScriptedScorer(lambda p, t: float("nan")))
    assert trace.ended == "failed" and "between 0 and 1" in trace.ended_why
    for _ in run([search := Search(PROMPT, "best_of_n")], ScriptedPolicy()):
        pass
    assert search.trace.ended_why == "best_of_n needs a reward model, and none was given"
    with pytest.raises(UserError, match="needs a reward model"):
        solve(PROMPT, ScriptedPolicy(), None, "step_beam")


def test_stop_ends_all_searches_and_closes_all_roots() -> None:
    stop, policy, scorer = threading.Event(), ScriptedPolicy(), ScriptedScorer()
    searches = [Search(PROMPT, "step_beam", Settings(n=4)) for _ in range(3)]
    for event in run(searches, policy, scorer, rows=4, stop=stop):
        if event.data["kind"] == "expanded":
            stop.set()
    assert [search.trace.ended for search in searches] == ["stopped"] * 3
    assert not policy.tree.places and not scorer.tree.places


def test_roots_are_closed_when_the_reader_goes_away() -> None:
    policy, scorer = ScriptedPolicy(), ScriptedScorer()
    events = run([Search(PROMPT, "step_beam")], policy, scorer)
    while next(events).data["kind"] != "scored":
        pass
    events.close()
    assert not policy.tree.places and not scorer.tree.places
