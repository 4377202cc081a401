"""`cos study`: a controlled study: what it costs is said first, then a table with intervals, a figure, and a record of all of it.

  selectors  vote, best of N and weighted vote on one pool, and the bound pass@N
  search     step search against best of N at equal FLOPs; where they cross; how long a right prefix survives
  labels     sources of step labels: how good they are, and what a reward model trained on them is worth
  weights    the weight of steps against the answer, and every aggregator
  rewards    what DPO learns from: the outcome, the answer's reward alone, steps and answer; several seeds
  length     how long chains become, by round and reward (the runs of `rewards`)
  sizes      reward models smaller and larger than the policy
  shift      pictures of styles that no training has seen

--quick takes sizes that end within 5 minutes on two cores: to see that all works, not to learn from. A recipe (--config with one of
recipes/study_*.yaml) holds fields of the study's own Config. A killed study goes on where it was; what two studies need is made once.

example: cos study weights --quick
example: cos study search --limit 300 --out runs/study
"""

from __future__ import annotations

import argparse
import contextlib
import shlex
import sys
import time
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from cos.commands.options import REWARDS, Outcome, Progress, need
from cos.commands.recipe import apply_recipe, build
from cos.errors import UserError

QUESTIONS = {
    "selectors": "What do selectors win on one pool, and what does pass@N leave to win?",
    "search": "Is step search better than best of N at equal FLOPs, and what becomes of right prefixes?",
    "labels": "How good are step labels from each source, and what is a reward model worth that learned from them?",
    "weights": "How should the steps weigh against the answer, and which aggregator is best?",
    "rewards": "Does a policy learn more by DPO from step rewards than from outcomes?",
    "length": "Do chains grow over rounds of DPO, and does the reward decide it?",
    "sizes": "How large must a reward model be, next to its policy?",
    "shift": "What is left of policy, rewards and search where pictures look as none did in training?",
}
"""Every study (`cos.study.studies.STUDIES`) and what it asks."""
_MODELS = ("policy", "reward")

apply_file = apply_recipe


def add(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("name", nargs="?", metavar="NAME", help=", ".join(QUESTIONS))
    parser.add_argument("--quick", action="store_true", help="small sizes, minutes instead of hours")
    parser.add_argument("--limit", type=int, help="number of problems, of each set where there are several (the study's own)")
    parser.add_argument("--policy", help="embedded, a folder or a Hub id (embedded)")
    parser.add_argument("--reward", help=f"where a study has one reward: {REWARDS}")
    parser.add_argument("--out", metavar="DIR", default="runs/study", help="where all studies are kept (runs/study)")
    parser.add_argument("--cost", action="store_true", help="say what it would cost, and stop")
    parser.set_defaults(recipe={}, file="")


def run(args: argparse.Namespace) -> Outcome:
    """Say the cost, do the study, write table, figure and record."""
    need(args, name="NAME")
    if args.name not in QUESTIONS:
        raise UserError(f"no study is called {args.name!r}; there are {', '.join(QUESTIONS)}")
    from cos.study.results import table
    from cos.study.studies import STUDIES
    from cos.study.work import Work

    study = STUDIES[args.name]
    config = _config(args, study)
    cost = study.cost(config)
    sys.stderr.write(f"cos study {args.name}: {cost}; what is there already is not made again\n")
    if args.cost:
        return Outcome({"study": args.name, **asdict(cost), "minutes": cost.minutes}, str(cost))
    work, began = Work(Path(args.out), args.seed, Progress), time.monotonic()
    folder = work.folder(args.name, config=asdict(config), quick=args.quick)
    result = study.run(config, work)
    text = "\n".join([QUESTIONS[args.name], *(["QUICK: sizes to try it out, not to learn from"] if args.quick else []), "", table(result)])
    head = {"study": args.name, "question": QUESTIONS[args.name], "quick": args.quick, "config": asdict(config), "seed": args.seed}
    record = head | {"command": shlex.join(["cos", *sys.argv[1:]]), **_made(), "seconds": round(time.monotonic() - began, 1)}
    record |= {"cost": asdict(cost) | {"minutes": round(cost.minutes, 1)}, **result.to_json()}
    _save(folder, record, text)
    return Outcome(record | {"out": str(folder)}, f"{text}\n{folder}")


def _config(args: argparse.Namespace, study: Any) -> Any:
    """The study's settings: quick ones, or the recipe's over the full ones; flags go before both."""
    if args.quick and args.recipe:
        raise UserError(f"{args.file}: a recipe says the sizes of the full study; leave out --quick or --config")
    recipe = {key: value for key, value in args.recipe.items() if key not in ("study", "seed")}
    config = study.quick if args.quick else build(type(study.full), recipe, args.file or "the recipe", study.full)
    names = {one.name for one in fields(config)}
    given = {key: value for key in ("limit", *_MODELS) if (value := getattr(args, key)) is not None}
    if wrong := next((key for key in given if key not in names), None):
        raise UserError(f"the study {args.name} takes no --{wrong}; its settings are {', '.join(sorted(names))} (in a recipe)")
    if given.get("limit", 1) < 1:
        raise UserError(f"--limit is {given['limit']}; it must be 1 or more")
    config = replace(config, **given)
    for one in fields(config):
        if getattr(config, one.name) == ():
            raise UserError(f"the study {args.name}: {one.name} is an empty list; at least one value is needed")
    return config


def _made() -> dict[str, Any]:
    from cos.runs import git_revision, versions

    return {"git": git_revision(), "versions": versions()}


def _save(folder: Path, record: dict[str, Any], text: str) -> None:
    """`study.json`, `table.txt`, `figure.html`, and `figure.png` where kaleido and a Chrome are there to draw it."""
    from cos.store import write
    from workbench.measured import measured

    write(folder / "study.json", "study", [record])
    (folder / "table.txt").write_text(text + "\n", "utf-8")
    figure = measured(record["panels"]).update_layout(paper_bgcolor="white")
    figure.write_html(folder / "figure.html", include_plotlyjs=True)
    with contextlib.suppress(ImportError, RuntimeError, ValueError):
        figure.write_image(folder / "figure.png", width=900, scale=2)
