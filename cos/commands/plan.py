"""`cos plan`: memory, token-forwards, FLOPs, time and cost before anything runs, by the meter's formulas (worked examples: docs/plan.md).

    cos plan search    each method of search, for one question and for --count of them
    cos plan label     drawing a chain, and labels by roll-outs, binary search, a judge, a reward model, for --count chains
    cos plan train     sft, prm and dpo with all weights and with adapters, on --count rows

A model is `embedded`, a folder or a Hub id (its configuration alone is read), or sizes: parameters=7.7e9,layers=32,width=4096,kv_heads=8.
Time is told where --flops is given, and money where --price is.

example: cos plan search --policy parameters=7.7e9,layers=32,width=4096,kv_heads=8 --image-tokens 1792 --flops 312e12 --bandwidth 2e12
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cos.commands.options import Outcome
from cos.errors import UserError
from cos.search.methods import METHODS, Settings

if TYPE_CHECKING:
    from cos.plan.tables import Asked

_SETTINGS = {
    "width": "search: live paths of a beam, children of mcts",
    "granularity": "search: steps between two selections",
    "lookahead": "search: steps drawn ahead of each candidate",
    "retraces": "search: times that retrace goes back",
}


def add(parser: argparse.ArgumentParser) -> None:
    """The options. Lengths are those of the cost model's worked example (60 tokens of question, 5 pieces of 80), as in `cos bench`."""
    parser.add_argument("what", nargs="?", default="search", choices=("search", "label", "train"), help="what is planned (search)")
    parser.add_argument("--policy", default="embedded", help="a model, or its sizes (embedded)")
    parser.add_argument("--reward", help="the same of the reward model (as --policy)")
    parser.add_argument("--judge", help="label: the same of the judge (as --policy)")
    parser.add_argument(
        "--dtype", default="bfloat16", choices=("float32", "bfloat16", "float16"), help="of weights, keys, values (bfloat16)"
    )
    parser.add_argument("--bits", type=int, choices=(4, 8), help="weights quantised to so many bits (none; trainings are not)")
    parser.add_argument("--image-tokens", type=int, help="tokens of a picture (one tile of each model)")
    parser.add_argument("--prompt", type=int, default=60, help="tokens of a question and what stands around it (60)")
    parser.add_argument("--look", type=int, default=0, help="tokens that a reward model which looks first writes of a picture (0)")
    parser.add_argument("--steps", type=int, default=5, help="pieces of a chain, the answer among them (5)")
    parser.add_argument("--length", type=int, default=80, help="tokens of a piece (80)")
    parser.add_argument("--count", type=int, default=1, help="questions, chains or rows (1)")
    parser.add_argument("--together", type=int, default=1, help="search, label: how many share a batch (1)")
    parser.add_argument("--methods", default=",".join(METHODS), help="search: some of them, with commas between (all)")
    parser.add_argument("--n", type=int, default=Settings.n, help=f"chains, or candidates a round; label: roll-outs a step ({Settings.n})")
    for name, meaning in _SETTINGS.items():
        parser.add_argument(f"--{name}", type=int, default=getattr(Settings, name), help=f"{meaning} ({getattr(Settings, name)})")
    parser.add_argument("--right", type=float, default=0.0, help="label: share of chains with the right answer (0)")
    parser.add_argument("--epochs", type=float, default=1.0, help="train: times through all rows (1)")
    parser.add_argument("--rank", type=int, default=16, help="train: rank of adapters (16, TRL's)")
    parser.add_argument("--at-once", type=int, default=1, help="train: rows that a device holds at once (1)")
    group = parser.add_argument_group("hardware")
    group.add_argument("--flops", type=float, default=0.0, help="operations a second that a device can do in this arithmetic (no times)")
    group.add_argument("--utilisation", type=float, default=0.4, help="share of them that is reached (0.4)")
    group.add_argument("--bandwidth", type=float, default=0.0, help="bytes a second of a device's memory (drawing waits for none)")
    group.add_argument("--memory", type=float, default=0.0, help="bytes of a device's memory (not compared)")
    group.add_argument("--price", type=float, default=0.0, help="of a device and hour (0)")
    group.add_argument("--devices", type=int, default=1, help="how many work at the same time (1)")


def run(args: argparse.Namespace) -> Outcome:
    """Plan."""
    from cos.plan import tables
    from cos.plan.sizes import size_of

    asked = _asked(args)
    if args.what == "search":
        names = [name.strip() for name in args.methods.split(",")]
        unknown = [name for name in names if name not in METHODS]
        if unknown:
            raise UserError(f"no search method is called {unknown[0]!r}; there are {', '.join(METHODS)}")
        settings = Settings(n=args.n, **{name: getattr(args, name) for name in _SETTINGS})
        rows = tables.search_rows(asked, names, settings)
    elif args.what == "label":
        rows = tables.label_rows(asked, args.n, args.right, size_of(args.judge) if args.judge else asked.policy)
    else:
        rows = tables.training_rows(asked, args.epochs, args.rank, args.at_once)
    return Outcome({"what": args.what, **_told(asked), "rows": rows}, _text(args.what, asked, rows))


def _asked(args: argparse.Namespace) -> Asked:
    from cos.plan.hardware import Hardware
    from cos.plan.searches import Lengths
    from cos.plan.sizes import size_of
    from cos.plan.tables import Asked

    _check(args)
    policy = size_of(args.policy)
    reward = size_of(args.reward or args.policy, "reward")
    pictures = []
    for size in (policy, reward):
        if args.image_tokens is None and not size.image_tokens:
            raise UserError("--image-tokens is missing: how many tokens a picture takes depends on its size in this family of models")
        pictures.append(float(size.image_tokens if args.image_tokens is None else args.image_tokens))
    lengths = Lengths(pictures[0] + args.prompt, pictures[1] + args.prompt + args.look, args.length, args.steps)
    if not args.flops and (args.price or args.bandwidth):
        raise UserError("--flops is missing: with --price or --bandwidth say how many operations a second a device can do")
    hardware = Hardware(args.flops, args.bandwidth, args.memory, args.price, args.devices, args.utilisation)
    weights = {4: "int4", 8: "int8", None: args.dtype}[args.bits]
    return Asked(policy, reward, lengths, (pictures[0], pictures[1]), hardware, args.dtype, weights, args.count, args.together)


def _check(args: argparse.Namespace) -> None:
    for name in ("length", "steps", "count", "together", "n", "rank", "at_once", "devices"):
        if getattr(args, name) < 1:
            raise UserError(f"--{name.replace('_', '-')} is {getattr(args, name)}; it must be 1 or more")
    for name in ("prompt", "look", "image_tokens", "bandwidth", "memory", "price", "flops"):
        if (getattr(args, name) or 0) < 0:
            raise UserError(f"--{name.replace('_', '-')} is {getattr(args, name)}; it must not be negative")
    if not 0 <= args.right <= 1 or not 0 < args.utilisation <= 1 or not args.epochs > 0:
        raise UserError("--right must lie between 0 and 1, --utilisation in (0, 1], and --epochs above 0")


def _told(asked: Asked) -> dict[str, Any]:
    """What the plan was made for."""
    from cos.plan.sizes import BYTES

    models = {}
    for name, size, picture in (("policy", asked.policy, asked.pictures[0]), ("reward", asked.reward, asked.pictures[1])):
        weights = {dtype: size.weight_bytes(dtype) for dtype in BYTES}
        costs = size.costs(picture, asked.dtype)
        each = {key: getattr(costs, key) for key in ("flops_per_token", "flops_per_image", "kv_bytes_per_token")}
        models[name] = {**asdict(size), "picture_tokens": picture, "weight_bytes": weights, **each}
    return models | {"lengths": asdict(asked.lengths), "count": asked.count, "together": asked.together, "hardware": asdict(asked.hardware)}


def _text(what: str, asked: Asked, rows: list[dict[str, Any]]) -> str:
    names = ("parameters", f"weights, {asked.weights}", "keys and values, a token")
    lines = [f"{'model':<16}" + "".join(f"{name:>26}" for name in names)]
    for name, size in (("policy", asked.policy), ("reward model", asked.reward)):
        held = size.costs(0.0, asked.dtype).kv_bytes_per_token
        weights = _bytes(size.weight_bytes(asked.weights))
        lines.append(f"{name:<16}{_short(size.parameters + size.vision):>26}{weights:>26}{_bytes(held):>26}")
    heads = {"search": "method", "label": "source", "train": "stage"}
    timed, priced = bool(asked.hardware.flops), bool(asked.hardware.price)
    columns = ["tokens", "FLOPs", "memory"] + ["all hours"] * timed + ["price"] * priced
    lines.append(f"{heads[what]:<16}" + "".join(f"{name:>12}" for name in columns))
    for row in rows:
        adapters = f" rank {row['rank']}" if row.get("rank") else ""
        cells = [_short(row["tokens"]), _short(row["flops"]), _bytes(row["memory_bytes"]) + ("" if row.get("fits", True) else " !")]
        cells += [_short(row[key]) for key, told in (("hours", timed), ("price", priced)) if told]
        lines.append(f"{row['name'] + adapters:<16}" + "".join(f"{cell:>12}" for cell in cells))
    return "\n".join([*lines, *_notes(what, asked, rows)])


def _notes(what: str, asked: Asked, rows: list[dict[str, Any]]) -> list[str]:
    each = "tokens and FLOPs of all rows; memory of a device" if what == "train" else "tokens and FLOPs of one; memory of a device"
    together = f", {asked.together} at once" if asked.together > 1 and what != "train" else ""
    notes = [f"{each}{together}; {asked.count:,} in all"]
    if what == "search":
        most = max(rows, key=lambda row: float(row["kv_unshared_bytes"]))
        shared, apart = (_bytes(most[key]) for key in ("kv_peak_bytes", "kv_unshared_bytes"))
        notes.append(f"{most['name']}: keys and values {shared} in the prefix tree, {apart} with a copy of the prompt a path")
    if any(not row.get("fits", True) for row in rows):
        notes.append(f"! does not fit into {_bytes(asked.hardware.memory)}")
    return notes


def _short(number: float) -> str:
    """Three figures and a power of a thousand."""
    for power, sign in ((18, "E"), (15, "P"), (12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if abs(number) >= 10**power:
            return f"{number / 10**power:.3g}{sign}"
    return f"{number:.3g}"


def _bytes(number: float) -> str:
    return f"{_short(number)}B"
