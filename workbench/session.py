"""What the pages share: the models, the limits, the runs of each visitor, puzzles with known truth. No gradio.

A *run* is one press of the button: up to four searches on one picture and question, over one scheduler, with one stop.
"""

from __future__ import annotations

import random
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import lru_cache, partial
from importlib.resources import files
from pathlib import Path

import numpy as np
from PIL import Image

from cos.answers import match
from cos.chain import Problem
from cos.errors import UserError
from cos.loading import load_policy, load_scorer
from cos.problems import draw, problems
from cos.problems.pictures import open_picture
from cos.protocols import Policy, Prompt, Scorer
from cos.rewards.oracle import OracleScorer
from cos.search.growth import Search
from cos.search.methods import METHODS, Settings
from cos.search.scheduler import run
from cos.search.trace import SearchTrace

WORLDS = ("charts", "scenes", "digits", "refusals")
ORACLE = "oracle"


@dataclass(frozen=True)
class Limits:
    """What one visitor may ask of the machine."""

    methods: int = 4
    n: int = 64
    width: int = 16
    seconds: float = 120.0
    question: int = 400
    """Characters."""
    side: int = 2048
    """Pixels; a larger picture is made smaller."""
    runs: int = 200
    """Runs kept in memory, one a visitor; the oldest goes first."""


LIMITS = Limits()


@dataclass
class Run:
    """The searches of one visitor's last press of the button. `picked` and the view are the visitor's, set while it may still run."""

    searches: list[Search]
    policy: Policy
    scorer: Scorer | None
    threshold: float = 0.5
    aggregator: str = "cos"
    picked: dict[int, int] = field(default_factory=dict)
    """Panel -> node whose path it shows."""
    stop: threading.Event = field(default_factory=threading.Event)
    out_of_time: bool = False

    @property
    def traces(self) -> list[SearchTrace]:
        """One a panel."""
        return [search.trace for search in self.searches]

    def changes(self) -> Iterator[int]:
        """Run all searches; say which one has changed. However this iterator ends, the models are let go."""
        until = time.monotonic() + LIMITS.seconds
        try:
            with closing(run(self.searches, self.policy, self.scorer, stop=self.stop)) as events:
                for number, _ in events:
                    if time.monotonic() > until and not self.stop.is_set():
                        self.out_of_time = True
                        self.stop.set()
                    yield number
        finally:
            self.stop.set()

    def is_right(self, number: int) -> Callable[[str], bool] | None:
        """Tells right answers of a search from wrong ones; None where no truth is known."""
        gold = self.searches[number].gold
        return None if gold is None else partial(match, gold=gold)

    def right(self, number: int) -> bool | None:
        """Whether a search has found the right answer; None where no truth is known."""
        search = self.searches[number]
        return None if search.gold is None else match(search.trace.answer, search.gold)


class Runs:
    """The last run of each visitor, by the key of the visitor's page."""

    def __init__(self, most: int = LIMITS.runs) -> None:
        self._most, self._runs, self._lock = most, OrderedDict[str, Run](), threading.Lock()

    def put(self, key: str, run: Run) -> None:
        """Keep a run, in place of the visitor's former one, which is stopped."""
        with self._lock:
            former = self._runs.pop(key, None)
            self._runs[key] = run
            old = [self._runs.popitem(last=False)[1] for _ in range(len(self._runs) - self._most)]
        for gone in [former, *old]:
            if gone is not None:
                gone.stop.set()

    def get(self, key: str) -> Run | None:
        """The visitor's run."""
        return self._runs.get(key)

    def live(self) -> int:
        """How many runs are at work."""
        with self._lock:
            return sum(not run.stop.is_set() for run in self._runs.values())

    def drop(self, key: str) -> None:
        """The visitor has left: stop and forget."""
        with self._lock:
            run = self._runs.pop(key, None)
        if run is not None:
            run.stop.set()


@dataclass
class Session:
    """One running app: the names of the models it offers (the first is the default) and its visitors' runs."""

    policies: Sequence[str] = ("scripted",)
    rewards: Sequence[str] = ("scripted", ORACLE)
    runs: Runs = field(default_factory=Runs)
    given_up: set[str] = field(default_factory=set)
    """Visitors who pressed Stop since they last pressed Run."""

    @classmethod
    def offering(cls, policies: Sequence[str] = (), rewards: Sequence[str] = ()) -> Session:
        """The named models first, then those that are always there."""
        always = [*embedded(), "scripted"]
        return cls(tuple(dict.fromkeys([*policies, *always])), tuple(dict.fromkeys([*rewards, *always, ORACLE])))

    def leave(self, key: str) -> None:
        """A visitor has closed the page."""
        self.runs.drop(key)
        self.given_up.discard(key)

    def warm(self) -> None:
        """Load the models that are offered first, so that the first run does not wait. Raises UserError for a name that is none."""
        policy_of(self.policies[0])
        if self.rewards[0] != ORACLE:
            scorer_of(self.rewards[0])

    def start(
        self, prompt: Prompt, methods: Sequence[str], settings: Settings, policy: str, reward: str, truth: Problem | None = None
    ) -> Run:
        """Check what was asked and make the run; nothing is computed yet. Raises UserError in the visitor's words."""
        if not methods:
            raise UserError("Choose at least one method.")
        if len(methods) > LIMITS.methods:
            raise UserError(f"Choose at most {LIMITS.methods} methods; {len(methods)} are chosen.")
        if settings.n > LIMITS.n or settings.width > LIMITS.width:
            raise UserError(f"N may be at most {LIMITS.n} and the width at most {LIMITS.width} here.")
        if policy not in self.policies or reward not in self.rewards:
            raise UserError("This app does not offer that model.")
        if reward == ORACLE and truth is None:
            raise UserError("The oracle knows puzzles only: press New puzzle, or choose another reward model.")
        scorer = OracleScorer([(prompt, truth)]) if reward == ORACLE and truth else scorer_of(reward)
        problem, gold = (truth.id, truth.answer) if truth else (None, None)
        order = list(METHODS)
        ordered = sorted(methods, key=lambda name: order.index(name) if name in order else len(order))
        searches = [Search(prompt, name, settings, problem, gold, score_all=True) for name in ordered]
        return Run(searches, policy_of(policy), scorer)


@lru_cache(maxsize=4)
def policy_of(name: str) -> Policy:
    """The policy of this name, loaded once."""
    return load_policy(name)


@lru_cache(maxsize=4)
def scorer_of(name: str) -> Scorer:
    """The reward model of this name, loaded once."""
    return load_scorer(name)


def embedded() -> list[str]:
    """`["embedded"]` where the package carries its checkpoints."""
    folders = [files("cos") / "assets" / role for role in ("policy", "reward")]
    return ["embedded"] if all(folder.is_dir() for folder in folders) else []


def read_prompt(picture: str | None, question: str) -> Prompt:
    """The visitor's picture (path of an uploaded file) and question, checked. Raises UserError in one line without the server's paths."""
    question = question.strip()
    if picture is None:
        raise UserError("Put in a picture first: upload or paste one, take an example, or press New puzzle.")
    if not question:
        raise UserError("Write a question about the picture first.")
    if len(question) > LIMITS.question:
        raise UserError(f"The question has {len(question):,} characters; {LIMITS.question} is the most.")
    return Prompt(question, read_picture(picture))


def read_settings(n: float | None, width: float | None, temperature: float | None, seed: float | None) -> Settings:
    """The settings of a search; a field that was emptied is a visitor's mistake."""
    if n is None or width is None or temperature is None or seed is None:
        raise UserError("N, width, temperature and seed each need a number.")
    return Settings(n=int(n), width=int(width), temperature=float(temperature), seed=int(seed))


def read_picture(path: str) -> Image.Image:
    """An uploaded file as an upright RGB picture of at most `LIMITS.side` pixels a side. Raises UserError naming the file alone."""
    file = Path(path)
    image = open_picture(file.name, root=file.parent)
    image.thumbnail((LIMITS.side, LIMITS.side))
    return image


def new_puzzle(world: str, level: int, seed: int | None = None) -> Problem:
    """A puzzle of a world's test split at a level (1 to 3); another one each time, unless a seed is given."""
    if world not in WORLDS or level not in (1, 2, 3):
        raise UserError(f"There are the worlds {', '.join(WORLDS)} and the levels 1 to 3.")
    seed = random.SystemRandom().randrange(10**6) if seed is None else seed
    return problems(f"{world}:test", level, seed)[level - 1]


@lru_cache(maxsize=1)
def examples() -> tuple[tuple[Problem, Image.Image], ...]:
    """A few puzzles to begin with, one of them with a picture that can't answer its question."""
    wanted = (("charts", 2, 7), ("scenes", 2, 3), ("digits", 2, 5), ("charts", 3, 11), ("scenes", 3, 12), ("refusals", 1, 1))
    chosen = [new_puzzle(world, level, seed) for world, level, seed in wanted]
    return tuple((problem, draw(problem)) for problem in chosen)


def truth_of(prompt: Prompt, problem: Problem | None) -> Problem | None:
    """`problem`, if picture and question are still its own; None where the visitor has changed either."""
    if problem is None or prompt.question != problem.question.strip():
        return None
    ours = draw(problem)
    return problem if ours.size == prompt.image.size and np.array_equal(np.asarray(ours), np.asarray(prompt.image)) else None
