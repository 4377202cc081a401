"""What is known of a model by its name, without loading it, and what a visitor may have loaded. No gradio.

A model is a folder of safetensors, or a Hub repository. Its numbers are read from the files' heads.
"""

from __future__ import annotations

import os
import resource
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from huggingface_hub import HfApi, try_to_load_from_cache
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from safetensors import SafetensorError, safe_open

from cos.errors import UserError
from cos.loading import EMBEDDED, HOW, Role, fingerprint, is_server, parse_blend
from cos.models import hub
from cos.models.hub import NOTES

MOST_BYTES = 6_000_000_000
"""Weights that a visitor may have loaded: three thousand million parameters of two bytes. Ours."""
LONGEST_CARD = 20_000
OFFERED = 12
"""Names of one role that the app offers at most; beyond, nothing more is loaded."""
_KINDS: dict[str, Role] = {"confidence": "policy", "certainty": "policy", "judge": "policy", "visualprm": "reward", "outcome": "reward"}
_NO_WEIGHTS = ("scripted", "oracle")


@dataclass(frozen=True)
class Weights:
    """The weights of a folder: how many parameters, of which types, in how many bytes on the disk."""

    parameters: int
    bytes: int
    types: tuple[str, ...]


def base(name: str, role: Role) -> tuple[str, Role]:
    """The model within a reward such as `judge:MODEL`, and which of the embedded ones `embedded` means there."""
    kind, colon, rest = name.partition(":")
    if kind == "blend" and colon:
        return base(parse_blend(rest)[0][1], role)
    return (rest or "embedded", _KINDS[kind]) if kind in _KINDS and not Path(name).is_dir() else (name, role)


def folder(name: str, role: Role) -> Path | None:
    """Where a model lies; None for one without weights, and for one of the Hub that is not here yet."""
    model, role = base(name, role)
    if model == "embedded":
        return EMBEDDED / role
    if Path(model).is_dir():
        return Path(model)
    there = hub.split(model)
    found = try_to_load_from_cache(there[0], "config.json", revision=there[1]) if there else None
    return Path(found).parent if isinstance(found, str) else None


def weights(home: Path) -> Weights:
    """Of all safetensors files of a folder. Raises UserError for one that is damaged."""
    count, size, types = 0, 0, set[str]()
    for file in sorted(home.glob("*.safetensors")):
        size += file.stat().st_size
        try:
            with safe_open(file, framework="numpy") as tensors:
                for key in tensors.keys():  # noqa: SIM118  (it is no mapping)
                    part = tensors.get_slice(key)
                    shape = part.get_shape()
                    count += _product(shape)
                    types.add(str(part.get_dtype()))
        except (SafetensorError, OSError) as problem:
            raise UserError(f"{file.name}: not a safetensors file ({problem})") from None
    return Weights(count, size, tuple(sorted(types)))


def facts(name: str, role: Role, loaded: bool) -> list[tuple[str, str]]:
    """What there is to know of a model, as (name, value)."""
    rows = [("name", name), ("role", "policy: writes steps" if role == "policy" else "reward model: judges them")]
    rows.append(("loaded", "yes" if loaded else "no, at its first use"))
    home = folder(name, role)
    if base(name, role)[0] in _NO_WEIGHTS:
        return [*rows, ("weights", "none: a script" if name == "scripted" else "none: the truth of a world")]
    if is_server(base(name, role)[0]):
        return [*rows, ("weights", "none here: a server answers")]
    if home is None:
        return [*rows, ("weights", "on the Hub, not here yet")]
    found = weights(home)
    rows += [
        ("parameters", f"{found.parameters:,} ({', '.join(found.types)})"),
        ("weights", f"{found.bytes / 1e6:,.1f} MB of safetensors"),
        ("revision", home.name if home.parent.name == "snapshots" else fingerprint(*base(name, role)).rpartition(" ")[2]),
        ("device", device()),
        ("look", "describes the picture first" if '"look": null' not in _text(home / NOTES) and (home / NOTES).is_file() else "no"),
    ]
    return [*rows, ("calibration", "calibration.json is beside it")] if (home / "calibration.json").is_file() else rows


def card(name: str, role: Role) -> str:
    """The model's card as text, empty where it has none."""
    home = folder(name, role)
    text = _text(home / "README.md") if home is not None else ""
    return text if len(text) <= LONGEST_CARD else text[:LONGEST_CARD] + "…"


def device() -> str:
    """Where models are loaded to."""
    if HOW.get("device"):
        return str(HOW["device"])
    torch = sys.modules.get("torch")
    return "cuda" if torch is not None and torch.cuda.is_available() else "cpu"


def memory() -> str:
    """What this process takes: the most so far, and of a GPU what is allocated."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    told = f"{most / 1e6:,.0f} MB at most so far, on {os.cpu_count()} cores"
    torch = sys.modules.get("torch")
    return told + (f"; GPU {torch.cuda.memory_allocated() / 1e6:,.0f} MB" if torch is not None and torch.cuda.is_available() else "")


def usage(policy: str, reward: str) -> list[tuple[str, str]]:
    """The models as command, YAML and Python."""
    python = (
        f"from cos.loading import load_policy, load_scorer\n\npolicy, scorer = load_policy({policy!r}), load_scorer({reward!r})\n"
        "# docs/architecture.md shows what they answer to"
    )
    return [
        ("command", shlex.join(["cos", "solve", "picture.png", "How many?", "--policy", policy, "--reward", reward])),
        ("evaluation", shlex.join(["cos", "eval", "--set", "all:test", "--policy", policy, "--reward", reward])),
        ("YAML", yaml.safe_dump({"policy": policy, "reward": reward}, sort_keys=False)),
        ("Python", python),
        ("this app", shlex.join(["python", "app.py", "--policy", policy, "--reward", reward])),
    ]


def admit(name: str, role: Role, offered: Sequence[str], *, servers: bool) -> str:
    """The name of a model that may be loaded. Raises UserError for what is too large, holds no safetensors, or is no model.

    `servers`: whether it may be a server's. Who names one has this machine send requests there, so only this machine's own user may.
    """
    name = name.strip()
    if not name or name in offered:
        raise UserError("Write a folder or a Hub id owner/name that is not offered yet.")
    if len(offered) >= OFFERED:
        raise UserError(f"{OFFERED} models are offered already; start the app anew to choose others.")
    model, _ = base(name, role)
    if name.startswith("blend:") or model in _NO_WEIGHTS:
        raise UserError("Only a model with weights of its own can be loaded here.")
    if is_server(model):
        if not servers:
            raise UserError("Servers are named where the app is started: app.py --policy http://host:port/v1#MODEL.")
        return name
    if model == "embedded":
        return name
    size = _size_here(Path(model)) if Path(model).is_dir() else _size_there(model)
    if size > MOST_BYTES:
        raise UserError(
            f"{model} has {size / 1e9:.1f} GB of weights; {MOST_BYTES / 1e9:.0f} GB are the most here. Start the app with it instead."
        )
    return name


def _size_here(home: Path) -> int:
    found = sum(file.stat().st_size for file in home.glob("*.safetensors"))
    if not found:
        raise UserError(f"{home.name}: no safetensors in this folder; save the model with save_pretrained.")
    return found


def _size_there(model: str) -> int:
    there = hub.split(model)
    if there is None:
        raise UserError("There is no such folder, and this is no Hub id: those are owner/name or owner/name@revision.")
    try:
        about = HfApi().model_info(there[0], revision=there[1], files_metadata=True, timeout=10)
    except (HfHubHTTPError, HFValidationError, OSError) as problem:
        raise UserError(f"{model}: the Hub does not give it ({type(problem).__name__}).") from None
    except Exception as problem:  # the client's own errors of connection are of several libraries
        raise UserError(f"{model}: the Hub can't be reached ({type(problem).__name__}).") from None
    sizes = [file.size or 0 for file in about.siblings or [] if file.rfilename.endswith(".safetensors")]
    if not sizes:
        raise UserError(f"{model}: no safetensors there; other weights are not loaded.")
    return sum(sizes)


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8", errors="replace")
    except OSError:
        return ""


def _product(shape: Sequence[int]) -> int:
    found = 1
    for side in shape:
        found *= side
    return found
