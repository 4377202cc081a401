"""Runs: what was asked, the searches as they grow, the line they wait in, and the folder they are kept in. No gradio.

A *run* is one press of the button: up to four searches on one picture and question, over one scheduler, with one stop. It is worked on by
the line's thread, whoever is looking; a page follows it by its traces, and any page may open it again by its id.

    archive, line = Archive(folder), Line(most=24)
    run = archive.add(asked, picture)
    line.put(run, lambda: run.work(events, keep))          # the events of its searches, by cos.search.scheduler.run
    with run.lock: draw(run.traces)                        # at any time, while it runs or later
    archive.load(run.id)                                   # after a restart
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import shutil
import tempfile
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from cos.answers import match
from cos.chain import Problem, Step
from cos.errors import UserError
from cos.problems import check
from cos.search.scheduler import Event
from cos.search.trace import Node, SearchTrace, append_event
from workbench.limits import LIMITS

SCHEMA = "cos.asked/1"
ID = re.compile(r"[0-9a-f]{24}")
"""96 random bits: nobody finds another's run by trying."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Asked:
    """What one press of the button asked for; one JSON object."""

    question: str
    methods: tuple[str, ...]
    settings: tuple[Mapping[str, Any], ...]
    """`asdict(Settings)` of each search."""
    policy: str
    reward: str
    """Names as the app offers them."""
    problem: Problem | None = None
    """The puzzle, where picture and question are one's own."""
    given: tuple[str, ...] = ()
    """Pieces that the searches go on from."""
    origin: Mapping[str, Any] | None = None
    """`{run, search, node}` that the pieces were taken from."""
    created: float = 0.0
    """Seconds since 1970."""

    def to_json(self) -> dict[str, Any]:
        """Every field, and the schema."""
        return {"schema": SCHEMA, **asdict(self), "problem": self.problem and self.problem.to_json()}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Asked:
        """The inverse of `to_json`; unknown keys are ignored. Raises UserError for another schema."""
        if row.get("schema") != SCHEMA:
            raise UserError(f"schema {row.get('schema')!r} where {SCHEMA} is needed")
        known = {key: row[key] for key in cls.__dataclass_fields__ if key in row}
        lists = {key: tuple(row[key]) for key in ("methods", "settings", "given")}
        return cls(**{**known, **lists, "problem": Problem.from_json(row["problem"]) if row["problem"] else None})


@dataclass(eq=False)
class Run:
    """The searches of one press of the button. Hold `lock` while reading `traces`: another thread lets them grow."""

    id: str
    asked: Asked
    picture: Image.Image | None
    traces: list[SearchTrace]
    """One a search; each is replayed from the events of the search it belongs to."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    stop: threading.Event = field(default_factory=threading.Event)
    begun: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)
    problem: str = ""
    """Why it could not be worked on, or was ended early, in the visitor's words."""
    seen: float = field(default_factory=time.monotonic)
    """When somebody last looked at it."""

    def work(self, events: Generator[Event, None, None], keep: Callable[[int, dict[str, Any]], None]) -> None:
        """Follow the searches to their ends or to a limit; `keep` gets each event first. However this ends, the models are let go."""
        until = time.monotonic() + LIMITS.seconds
        with closing(events):
            for number, event in events:
                keep(number, event)
                with self.lock:
                    self.traces[number].apply(event)
                    tokens = sum(trace.meter.tokens for trace in self.traces)
                now = time.monotonic()
                if now > until:
                    self.end(f"Stopped after {LIMITS.seconds:.0f} seconds, the most a run may take here. Choose a smaller N.")
                elif tokens > LIMITS.tokens:
                    self.end(f"Stopped after {tokens:,} tokens; {LIMITS.tokens:,} are the most a run may take here. Choose a smaller N.")
                elif now - self.seen > LIMITS.patience:
                    self.end("Stopped: nobody was looking any more.")

    def end(self, why: str) -> None:
        """Stop it, for this reason unless it has one already."""
        if not self.stop.is_set():
            self.problem = why
            self.stop.set()

    def is_right(self, number: int) -> Callable[[str], bool] | None:
        """Tells right answers of a search from wrong ones; None where no truth is known."""
        gold = self.traces[number].gold
        return None if gold is None else lambda answer: match(answer, gold)

    def is_wrong(self, node: Node) -> str | None:
        """Why a step is wrong by the puzzle's truth; None where it is not, or no truth is known."""
        if self.asked.problem is None or not node.is_step:
            return None
        verdict = check(self.asked.problem, Step(node.name or "", node.thought or "", node.reflection or ""))
        return verdict.why if verdict.label == 0 else None

    def right(self, number: int) -> bool | None:
        """Whether a search has found the right answer; None where no truth is known."""
        trace = self.traces[number]
        return None if trace.gold is None else match(trace.answer, trace.gold)


class Line:
    """Where runs wait for the models: one is worked on at a time, first come, first served."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Run, Callable[[], None]]] = deque()
        self._changed = threading.Condition()
        self._worker: threading.Thread | None = None

    def put(self, run: Run, work: Callable[[], None]) -> None:
        """Take a run in. Raises UserError where the line is full."""
        with self._changed:
            if len(self._waiting) >= LIMITS.waiting:
                raise UserError(f"{LIMITS.waiting} runs are waiting already; try again in a minute.")
            self._waiting.append((run, work))
            if self._worker is None:
                self._worker = threading.Thread(target=self._serve, name="runs", daemon=True)
                self._worker.start()
            self._changed.notify()

    def before(self, run: Run) -> int:
        """How many runs are before this one, the one at work included; 0 where it is at work or done."""
        with self._changed:
            places = [waiting for waiting, _ in self._waiting]
        return places.index(run) + 1 if run in places else 0

    def _serve(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._waiting))
                run, work = self._waiting[0]
                run.begun.set()
                self._waiting.popleft()
            try:
                if not run.stop.is_set():
                    work()
            except UserError as problem:
                run.problem = str(problem)
            except Exception:
                _log.exception("run %s failed", run.id)
                run.problem = "Something went wrong in the app; the log says what."
            finally:
                run.stop.set()
                run.done.set()


class Archive:
    """Runs on the disk, a folder each: `asked.json`, `picture.png`, and a journal of events for each search (`0.jsonl`, ...).

    What is older than `days_kept`, or beyond `runs_kept` or `bytes_kept`, is removed when a run is added. Without a folder the runs go
    with the process.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or Path(tempfile.mkdtemp(prefix="cos-runs-"))
        if folder is None:
            weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self._live: dict[str, Run] = {}
        self._lock = threading.Lock()

    def add(self, asked: Asked, picture: Image.Image | None) -> Run:
        """A new run under an id that can't be guessed."""
        self._tidy()
        run = Run(secrets.token_hex(12), asked, picture, [SearchTrace(question=asked.question, method=name) for name in asked.methods])
        home = self.folder / run.id
        home.mkdir(parents=True)
        if picture is not None:
            picture.save(home / "picture.png", compress_level=1)
        (home / "asked.json").write_text(json.dumps(asked.to_json(), ensure_ascii=False), "utf-8")
        with self._lock:
            self._live = {id: live for id, live in self._live.items() if not live.done.is_set()} | {run.id: run}
        return run

    def keep(self, run: Run, number: int, event: dict[str, Any]) -> None:
        """Write one event down."""
        append_event(self.folder / run.id / f"{number}.jsonl", event)

    def find(self, id: object) -> Run | None:
        """A run by its id, at work or from the disk; None for whatever is none."""
        if not isinstance(id, str) or not ID.fullmatch(id):
            return None
        with self._lock:
            live = self._live.get(id)
        return live if live is not None and not live.done.is_set() else self._load(id)

    def live(self) -> int:
        """How many runs are at work or wait."""
        with self._lock:
            return sum(not run.done.is_set() for run in self._live.values())

    def _load(self, id: str) -> Run | None:
        home = self.folder / id
        try:
            asked = Asked.from_json(json.loads((home / "asked.json").read_text("utf-8")))
            picture = Image.open(home / "picture.png", formats=["PNG"]).convert("RGB") if (home / "picture.png").exists() else None
            traces = [_journal(home / f"{number}.jsonl", asked, method) for number, method in enumerate(asked.methods)]
        except (OSError, ValueError, KeyError, TypeError, UserError) as problem:
            if home.exists():
                _log.warning("run %s can't be read: %s", id, problem)
            return None
        run = Run(id, asked, picture, traces)
        for event in (run.stop, run.begun, run.done):
            event.set()
        return run

    def _tidy(self) -> None:
        """Remove old runs, the oldest first."""
        homes = sorted((home for home in self.folder.glob("*/asked.json") if ID.fullmatch(home.parent.name)), key=_age, reverse=True)
        size = 0
        for number, note in enumerate(homes):
            size += sum(file.stat().st_size for file in note.parent.iterdir())
            if number >= LIMITS.runs_kept or size > LIMITS.bytes_kept or time.time() - _age(note) > 86400 * LIMITS.days_kept:
                shutil.rmtree(note.parent, ignore_errors=True)


def _age(file: Path) -> float:
    return file.stat().st_mtime


def _journal(file: Path, asked: Asked, method: str) -> SearchTrace:
    """The trace of a journal; one that was cut off when the app ended says so."""
    trace = SearchTrace.load(file) if file.exists() else SearchTrace(question=asked.question, method=method)
    if trace.ended is None:
        trace.ended, trace.ended_why = "stopped", "the run was cut off"
    return trace
