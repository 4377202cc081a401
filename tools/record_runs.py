"""Record the runs that the Replay page shows: `python tools/record_runs.py [FOLDER]`, after the embedded models were trained anew.

For each entry puzzles are tried by seed, in one place after another, until a search comes out as wanted; what was chosen is printed. One
that never does is left out, and said; but without a search that fails, without a reward that is fooled, or with fewer than FEWEST runs in
all, the gallery stays as it was. The embedded models need some minutes.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cos.answers import match
from cos.chain import REFUSAL, Problem
from cos.loading import load_policy, load_scorer
from cos.problems import draw
from cos.protocols import Policy, Prompt, Scorer
from cos.rewards.oracle import OracleScorer
from cos.search.growth import Search
from cos.search.methods import Settings
from cos.search.scheduler import run
from cos.search.trace import SearchTrace
from workbench.inputs import new_puzzle
from workbench.recordings import FOLDER, write
from workbench.runs import Asked

TRIES = 30
"""Puzzles tried for an entry in each of its places."""
FEWEST = 12
NEEDED = {"09-fooled", "10-failed"}
"""What the gallery can't be without."""


def right(trace: SearchTrace) -> bool:
    """It found the answer."""
    return match(trace.answer, trace.gold)


def rescued(trace: SearchTrace) -> bool:
    """It found the answer, and most chains had another."""
    pool = trace.pool()
    return right(trace) and sum(match(leaf.answer, trace.gold) * leaf.count for leaf in pool) * 2 < sum(leaf.count for leaf in pool)


def fooled(trace: SearchTrace) -> bool:
    """The reward model liked a wrong chain best, though a right one was there."""
    liked = (trace.answer_reward or 0.0) >= 0.5
    return trace.answer is not None and not right(trace) and liked and any(match(leaf.answer, trace.gold) for leaf in trace.pool())


def no_answer(trace: SearchTrace) -> bool:
    """No path came to an answer."""
    return trace.ended == "no_answer"


def refused(trace: SearchTrace) -> bool:
    """It said that the picture can't answer the question."""
    return trace.answer == REFUSAL and trace.gold == REFUSAL


def ends(trace: SearchTrace) -> bool:
    """It came to some answer."""
    return trace.answer is not None


@dataclass(frozen=True)
class Entry:
    """A recording that is wanted. `places`: (world, level) where puzzles are tried, the first before the second and so on."""

    name: str
    title: str
    note: str
    places: tuple[tuple[str, int], ...]
    method: str
    wanted: Callable[[SearchTrace], bool] = right
    settings: dict[str, Any] = field(default_factory=dict)
    oracle: bool = False


ANYWHERE = tuple((world, level) for level in (2, 3, 1) for world in ("scenes", "charts", "digits"))
ENTRIES = (
    Entry("01-greedy", "One chain", "No search at all: the likeliest step each time.", (("charts", 1),), "greedy"),
    Entry("02-vote", "Ask sixteen times, count", "Self-consistency: no rewards, the most frequent answer.", (("charts", 2),), "vote"),
    Entry("03-best-of-n", "The best of sixteen", "Whole chains, each step scored; the best aggregate wins.", (("scenes", 1),), "best_of_n"),
    Entry(
        "04-rescued", "Outvoted, yet found", "Most chains are wrong; the rewards pick one that is right.", ANYWHERE, "best_of_n", rescued
    ),
    Entry("05-step-beam", "A beam of four", "Sixteen candidates a round, the four best paths go on.", (("charts", 2),), "step_beam"),
    Entry("06-hard", "Level 3 by beam", "A question of level 3, the hardest of its world.", (("digits", 3), ("charts", 3)), "step_beam"),
    Entry(
        "07-step-greedy", "The paper's step search", "Sixteen candidates, one is kept, again and again.", (("digits", 1),), "step_greedy"
    ),
    Entry("08-weighted-vote", "A vote with weights", "Answers weigh as much as their chains' rewards.", (("scenes", 3),), "weighted_vote"),
    Entry(
        "09-fooled",
        "The reward is fooled",
        "A wrong chain gets the best rewards, though a right one was drawn.",
        ANYWHERE,
        "best_of_n",
        fooled,
    ),
    Entry(
        "10-failed",
        "A search that fails",
        "Chains cut after two steps: no path comes to an answer.",
        ANYWHERE,
        "step_beam",
        no_answer,
        {"max_steps": 2},
    ),
    Entry(
        "11-oracle",
        "With perfect rewards",
        "The truth itself judges: what any reward model could give at best.",
        (("charts", 3),),
        "step_beam",
        oracle=True,
    ),
    Entry(
        "12-refused",
        "A picture that can't answer",
        "Nothing of what is asked is in the picture; the model says so.",
        (("refusals", 1), ("refusals", 2)),
        "best_of_n",
        refused,
    ),
    Entry(
        "13-wrong",
        "The truth says where",
        "The answer is wrong; the first wrong step is marked by the world's own checker.",
        ANYWHERE[::-1],
        "vote",
        lambda trace: ends(trace) and not right(trace),
    ),
)


@dataclass(frozen=True)
class Models:
    """The models, by name and loaded."""

    policy_name: str
    reward_name: str
    policy: Policy
    scorer: Scorer


def record(entry: Entry, models: Models, folder: Path) -> str | None:
    """Write the first run that comes out as wanted, and say what it is; None where none does."""
    for at, (world, level) in enumerate(entry.places):
        for seed in range(TRIES):
            problem = new_puzzle(world, level, seed=1000 + random.Random(f"{entry.name} {world} {level} {seed}").randrange(10**6))
            trace, settings = attempt(entry, problem, models, seed)
            if entry.wanted(trace):
                reward = "oracle" if entry.oracle else models.reward_name
                asked = Asked(problem.question, (entry.method,), (asdict(settings),), models.policy_name, reward, problem)
                write(folder / f"{entry.name}.json", entry.title, entry.note, asked, draw(problem), trace)
                liked = "" if trace.answer_reward is None else f", answer's reward {trace.answer_reward:.2f}"
                answer = "no answer" if trace.answer is None else f"{trace.answer!r}{liked}"
                return f"{problem.id} by {entry.method}: {answer}, truth {trace.gold!r}, after {at * TRIES + seed + 1} tries"
    return None


def attempt(entry: Entry, problem: Problem, models: Models, seed: int) -> tuple[SearchTrace, Settings]:
    """One search."""
    prompt = Prompt(problem.question, draw(problem))
    settings = Settings(**{"n": 16, "width": 4, "seed": seed, **entry.settings})
    judge: Scorer = OracleScorer([(prompt, problem)]) if entry.oracle else models.scorer
    search = Search(prompt, entry.method, settings, problem.id, problem.answer, score_all=True)
    for _ in run([search], models.policy, judge):
        pass
    return search.trace, settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Record every entry, then put the new gallery in the place of the old one."""
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("folder", nargs="?", default=str(FOLDER), help="where they go (workbench/recorded)")
    ask.add_argument("--policy", default="embedded")
    ask.add_argument("--reward", default="embedded")
    given = ask.parse_args(arguments)
    folder, missing = Path(given.folder), list[str]()
    models = Models(given.policy, given.reward, load_policy(given.policy), load_scorer(given.reward))
    with tempfile.TemporaryDirectory(prefix="cos-recorded-") as draft:
        for entry in ENTRIES:
            told = record(entry, models, Path(draft))
            missing += [entry.name] if told is None else []
            print(f"{entry.name}: {told or f'never came out so in {TRIES * len(entry.places)} tries'}", flush=True)
        made = sorted(Path(draft).glob("*.json"))
        if NEEDED & {*missing} or len(made) < FEWEST:
            print(f"record_runs: {', '.join(missing)} missing, {len(made)} runs: the gallery stays as it was", file=sys.stderr)
            return 1
        folder.mkdir(parents=True, exist_ok=True)
        for file in made:
            shutil.copyfile(file, folder / file.name)
        for stale in folder.glob("*.json"):
            if stale.name not in {file.name for file in made}:
                stale.unlink()
    print(f"{len(made)} runs in {folder}" + (f", without {', '.join(missing)}" if missing else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
