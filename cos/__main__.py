"""The command line. Its verbs in this order are the pipeline: make problems, train the models, score and search, evaluate, look.

    cos VERB --help        what a verb takes, with an example

Exit code 0: done; 1: `data check` found bad rows; 2: bad usage or bad input, said in one line; 130: stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import sys
from collections.abc import Sequence
from types import ModuleType

from cos.commands.options import Outcome, Parser, add_common, apply_file, take_loading
from cos.errors import UserError
from cos.store import dump

VERBS = {
    "data make": "make puzzles of a world: problems and pictures",
    "data check": "look at every row and picture of a file of CoS rows",
    "data convert": "CoS rows to other forms and back",
    "data fetch": "problems of a data set on the Hub, as a folder",
    "sample": "draw a pool of chains for every problem of a set",
    "label": "a label for every step of a pool's chains",
    "prefer": "preference pairs of scored chains",
    "train see": "first lessons in seeing for an untrained embedded model",
    "train sft": "fine-tune a policy on chains",
    "train prm": "train a reward model on labelled steps",
    "train dpo": "a policy learns from pairs of chains",
    "train rounds": "sample, score, pair, learn from pairs, again and again; the best is kept",
    "calibrate": "what rewards are worth as probabilities, kept beside the model",
    "card": "the report card of a reward model",
    "score": "rewards for given chains",
    "solve": "search one question about one picture",
    "eval": "compare methods over a set of problems",
    "plan": "memory, tokens, time and cost of a search, a labelling, a training, before it runs",
    "bench": "this engine against the way without memory between calls",
    "study": "a controlled study: what it costs, a table with intervals, a figure",
    "trace show": "print a search as a tree",
    "trace bundle": "searches as one HTML file",
    "convert": "a released InternVL or CoS checkpoint to the native format",
    "push": "a model, a data set or the app to the Hub",
    "env": "versions and devices, for reports of faults",
}
MODULES = {"eval": "cos.commands.evaluation"}
"""Where a verb's module has another name than the verb: every other `a b` is in `cos.commands.a_b`."""


def main(words: Sequence[str] | None = None) -> int:
    """Run one verb; the exit code."""
    try:
        args, module = _parse(list(sys.argv[1:] if words is None else words))
        take_loading(args)
        with contextlib.redirect_stdout(sys.stderr):  # whatever a library prints, standard output stays one JSON object
            outcome: Outcome = module.run(args)
        print(dump(outcome.result) if args.json else outcome.text, flush=True)
        return outcome.code
    except UserError as problem:
        sys.stderr.write(f"cos: {' '.join(str(problem).split())}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("\ncos: stopped; long work goes on where it was when the same command is given again\n")
        return 130
    except BrokenPipeError:  # `cos ... | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as problem:  # a folder that can't be written, a full disk
        sys.stderr.write(f"cos: {problem.filename or 'a file'}: {problem.strerror or problem}\n")
        return 2


def _parse(words: list[str]) -> tuple[argparse.Namespace, ModuleType]:
    verb = next((name for name in VERBS if words[: len(name.split())] == name.split()), None)
    if verb is None:
        return _no_verb(words)
    module = importlib.import_module(MODULES.get(verb, "cos.commands." + verb.replace(" ", "_")))
    parser = Parser(prog=f"cos {verb}", description=module.__doc__)
    module.add(parser)
    add_common(parser)
    rest = words[len(verb.split()) :]
    if file := parser.parse_known_args(rest)[0].config:
        getattr(module, "apply_file", apply_file)(parser, file)
    return parser.parse_args(rest), module


def _no_verb(words: list[str]) -> tuple[argparse.Namespace, ModuleType]:
    verbs = "\n".join(f"  {name:<14}{meaning}" for name, meaning in VERBS.items())
    if {"--help", "-h", "help"} & set(words):
        print(f"usage: cos VERB [options]\n\n{verbs}\n\ncos VERB --help says more, with an example")
        raise SystemExit(0)
    under = [name for name in VERBS if words and name.split()[0] == words[0]]
    raise UserError(
        f"no verb {' '.join(words[:2])!r}; there are {', '.join(under or VERBS)}" if words else "a verb is missing; see cos --help"
    )


if __name__ == "__main__":
    sys.exit(main())
