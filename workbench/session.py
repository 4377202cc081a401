"""What the pages share: the models, and each visitor's view of the runs. No gradio.

session = Session.offering(["embedded"])
run = session.ask("visitor", prompt, ["greedy", "step_beam"], [settings] * 2, "embedded", "oracle", puzzle)
run.done.wait()
"""

from __future__ import annotations

import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Generator, Sequence
from contextvars import copy_context
from dataclasses import asdict, dataclass, field
from functools import lru_cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from cos.chain import Problem
from cos.errors import UserError
from cos.loading import load_policy, load_scorer
from cos.protocols import Policy, Prompt, Scorer
from cos.rewards.oracle import OracleScorer
from cos.search.growth import Search
from cos.search.methods import METHODS, Settings
from cos.search.scheduler import Event
from cos.search.scheduler import run as schedule
from workbench import lent
from workbench.inputs import check_grammar, check_limits
from workbench.limits import LIMITS, Rate
from workbench.runs import Archive, Asked, Line, Run

ORACLE = "oracle"
EMBEDDED = "embedded"
_LOADED: dict[tuple[str, str], weakref.ref[Any]] = {}


@dataclass
class View:
    """What one visitor looks at, and how."""

    run: Run | None = None
    threshold: float = 0.5
    aggregator: str = "cos"
    picked: dict[int, int] = field(default_factory=dict)
    """Panel -> node whose path it shows."""
    search: int = 0
    """On the Replay page: the search of the run that is replayed."""
    origin: tuple[Run, int, int] | None = None
    """On the What-if page: the run, search and node that the branch goes on from."""


@dataclass
class Session:
    """One running app: the names of the models it offers (the first is the default), its runs, and its visitors' views."""

    policies: Sequence[str] = ("scripted",)
    rewards: Sequence[str] = ("scripted", ORACLE)
    archive: Archive = field(default_factory=Archive)
    line: Line = field(default_factory=Line)
    rate: Rate = field(default_factory=Rate)
    pace: dict[str, float] = field(default_factory=dict)
    """Token-forwards a second in the last run with each policy."""
    results: Path | None = None
    """A folder with evaluations and report cards to look at, each in a folder of its own."""
    may_load: bool = False
    """Whether visitors may have further models loaded."""
    may_ask: bool = False
    """Whether they may name a server to ask: only where they are this machine's own user."""
    _views: OrderedDict[str, View] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def offering(cls, policies: Sequence[str] = (), rewards: Sequence[str] = (), archive: Archive | None = None) -> Session:
        """The named models first, then those that are always there."""
        always = [*embedded(), "scripted"]
        offered = tuple(dict.fromkeys([*policies, *always])), tuple(dict.fromkeys([*rewards, *always, ORACLE]))
        return cls(*offered, archive or Archive())

    def view(self, visitor: str) -> View:
        """The visitor's view; a new one for whoever has none. The oldest are forgotten beyond `LIMITS.visitors`."""
        with self._lock:
            view = self._views.pop(visitor, None) or View()
            self._views[visitor] = view
            while len(self._views) > LIMITS.visitors:
                self._views.popitem(last=False)
        return view

    def leave(self, visitor: str) -> None:
        """A visitor has closed the page. The run goes on for a while (`LIMITS.patience`), for the page may only be loading again."""
        with self._lock:
            self._views.pop(visitor, None)

    def warm(self) -> None:
        """Load the models that are offered first, so that the first run does not wait, and all that a lent GPU will run. Raises UserError
        for a name that is none."""
        for policy in [self.policies[0], *filter(lent.needed, self.policies[1:])]:
            policy_of(policy)
        for reward in [self.rewards[0], *filter(lent.needed, self.rewards[1:])]:
            if reward != ORACLE:
                scorer_of(reward)

    def ask(
        self,
        visitor: str,
        prompt: Prompt,
        methods: Sequence[str],
        settings: Sequence[Settings],
        policy: str,
        reward: str,
        truth: Problem | None = None,
        given: Sequence[str] = (),
        origin: dict[str, Any] | None = None,
    ) -> Run:
        """Check what was asked, keep it, and put it into the line. Raises UserError in the visitor's words."""
        self._check(methods, settings, policy, reward, truth)
        if EMBEDDED in (policy, reward):
            check_grammar(prompt.question)
        self.rate.admit(visitor)
        rows = tuple(asdict(row) for row in settings)
        asked = Asked(prompt.question, tuple(methods), rows, policy, reward, truth, tuple(given), origin, time.time())
        problem, gold = (truth.id, truth.answer) if truth else (None, None)
        searches = [
            Search(prompt, name, row, problem, gold, score_all=True, given=tuple(given))
            for name, row in zip(methods, settings, strict=True)
        ]
        run = self.archive.add(asked, prompt.image)

        def work() -> None:
            pace, began = self.pace.get(policy), time.monotonic()
            if lent.needed(policy, reward):
                events = lent.stopping(_lent(policy, reward, searches, truth, pace), run.stop)
            else:
                events = schedule(searches, policy_of(policy), _scorer(reward, searches, truth), stop=run.stop)
            run.work(events, partial(self.archive.keep, run))
            self.pace[policy] = sum(trace.meter.tokens for trace in run.traces) / max(time.monotonic() - began, 1e-3)

        self.line.put(run, partial(copy_context().run, work))  # whose visitor it is, for the quota of a lent GPU
        return run

    def _check(self, methods: Sequence[str], settings: Sequence[Settings], policy: str, reward: str, truth: Problem | None) -> None:
        if not methods:
            raise UserError("Choose at least one method.")
        if len(methods) > LIMITS.methods:
            raise UserError(f"Choose at most {LIMITS.methods} methods; {len(methods)} are chosen.")
        for row in settings:
            check_limits(row)
        if policy not in self.policies or reward not in self.rewards:
            raise UserError("This app does not offer that model.")
        if reward == ORACLE and truth is None:
            raise UserError("The oracle knows puzzles only: press New puzzle, or choose another reward model.")


@lent.on_gpu
def _lent(policy: str, reward: str, searches: Sequence[Search], truth: Problem | None, pace: float | None) -> Generator[Event, None, None]:
    """The searches where the lent GPU is; the models were loaded before that process began."""
    yield from schedule(searches, policy_of(policy), _scorer(reward, searches, truth))


def _scorer(reward: str, searches: Sequence[Search], truth: Problem | None) -> Scorer:
    return OracleScorer([(searches[0].prompt, truth)]) if reward == ORACLE and truth else scorer_of(reward)


@lru_cache(maxsize=4)
def policy_of(name: str) -> Policy:
    """The policy of this name, loaded once."""
    with lent.placed(name):
        model = load_policy(name)
    _LOADED["policy", name] = weakref.ref(model)
    return model


@lru_cache(maxsize=4)
def scorer_of(name: str) -> Scorer:
    """The reward model of this name, loaded once."""
    with lent.placed(name):
        model = load_scorer(name)
    _LOADED["reward", name] = weakref.ref(model)
    return model


def loaded() -> set[tuple[str, str]]:
    """(role, name) of the models that are in memory."""
    return {key for key, model in _LOADED.items() if model() is not None}


def embedded() -> list[str]:
    """`["embedded"]` where the package carries its checkpoints."""
    folders = [files("cos") / "assets" / role for role in ("policy", "reward")]
    return [EMBEDDED] if all(folder.is_dir() for folder in folders) else []


def in_order(methods: Sequence[str]) -> list[str]:
    """Methods in the order of the library's table, unknown ones last (they are refused where the search is made)."""
    order = list(METHODS)
    return sorted(methods, key=lambda name: order.index(name) if name in order else len(order))
