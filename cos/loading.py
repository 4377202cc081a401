"""Names to models: what `--policy` and `--reward` may say. Torch is loaded only for a model that has weights.

    policy, scorer = load_policy("embedded"), load_scorer("embedded")

| name | policy | reward |
|---|---|---|
| embedded | the small policy that ships with the package | its reward model |
| scripted | a script without weights | a rule without weights |
| a folder, or a Hub id `owner/name` or `owner/name@REVISION` | any model; one without the format tokens is prompted | a step-tag one |
| prompted:MODEL | the model asked in its prompt for steps in plain text, whatever it was trained on | |
| confidence, confidence:MODEL | | how likely the embedded policy, or MODEL, finds each step |
| certainty, certainty:MODEL | | how far its next-token probabilities are from even (self-certainty) |
| visualprm:MODEL | | a reward model of VisualPRM's form, "+" or "-" after each step |
| judge:MODEL | | any vision-language model, asked whether the step is right; P(yes) |
| outcome:REWARD | | another reward at the answer alone |
| blend:0.5*REWARD+0.5*REWARD | | the weighted mean of others |
| http://host:port/v1#MODEL | a model with the format tokens on an OpenAI-compatible server (vLLM) | a step-tag reward model there |
| look:http://host:port/v1#MODEL | | the same, where it describes the picture first, as the embedded one does |
| judge:http://host:port/v1#MODEL | | any chat model on a server, asked yes or no |

What each score means is said by its class in `cos.rewards`. The reward `oracle`, the truth of a world, needs the problems; `cos.evaluate`
and `cos.card` make it where they have them.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakValueDictionary

from cos.errors import UserError
from cos.models import hub
from cos.models.scripted import ScriptedPolicy, ScriptedScorer
from cos.protocols import Policy, Scorer
from cos.rewards import calibrate
from cos.rewards.calibrate import Calibration
from cos.rewards.mixed import BlendScorer, OutcomeScorer, parse_blend

if TYPE_CHECKING:
    from cos.models.vlm import VLM
    from cos.rewards.reading import ReadingScorer

Role = Literal["policy", "reward"]
_PROMPTED = "prompted:"
_log = logging.getLogger(__name__)
EMBEDDED = Path(str(files("cos"))) / "assets"
_READ_ANOTHER_WAY: dict[str, Role] = {"confidence": "policy", "certainty": "policy", "judge": "policy", "visualprm": "reward"}
"""Rewards `KIND:MODEL`, and which of the embedded models `embedded` means there."""
HOW: dict[str, Any] = {}
"""How this process loads models: arguments of `cos.models.vlm.load`, which `cos` takes from --device, --dtype, --attention, --bits and
--trust-remote-code."""
_READING: WeakValueDictionary[tuple[str, str, str], VLM] = WeakValueDictionary()
_PIECES, _PIECE = 1024, 2**14
"""Pieces of each weight file that a fingerprint reads, and their bytes: evenly spaced, since adapters leave the embedding at the head as it
was, and not all, since 16 GB take minutes. A file of 16 MiB or less is read whole."""


def load_policy(name: str) -> Policy:
    """The policy of this name. Raises UserError where there is none."""
    if name == "scripted":
        return ScriptedPolicy()
    if is_server(name):
        from cos.engine.remote import RemotePolicy
        from cos.engine.server import Server

        return RemotePolicy(Server(name))
    vlm = _shared(name.removeprefix(_PROMPTED), "policy")
    if name.startswith(_PROMPTED) or not vlm.encoder.knows_chains:
        from cos.engine.prompted import PromptedPolicy

        return PromptedPolicy(vlm)
    from cos.engine.torch_engine import TorchPolicy

    return TorchPolicy(vlm)


def load_scorer(name: str) -> Scorer:
    """The reward model of this name. Raises UserError where there is none."""
    if name == "scripted":
        return ScriptedScorer()
    if name == "oracle":
        raise UserError(
            "the reward oracle knows the worlds' own problems only: use it with cos eval or cos card --set charts:test, or take embedded"
        )
    kind, _, rest = name.partition(":")
    if kind in REWARDS:
        return REWARDS[kind](rest)
    if is_server(name) or is_server(rest):
        return _remote_scorer("" if is_server(name) else kind, name if is_server(name) else rest)
    scorer = _read_scorer(kind, rest) if kind in _READ_ANOTHER_WAY else _read_scorer("", name)
    scorer.calibration = load_calibration(name)
    return scorer


REWARDS: dict[str, Callable[[str], Scorer]] = {
    "outcome": lambda rest: OutcomeScorer(load_scorer(rest or "embedded")),
    "blend": lambda rest: BlendScorer([(weight, load_scorer(part)) for weight, part in parse_blend(rest)]),
}
"""Rewards that are no model's by themselves: KIND -> what makes one of the REST of `KIND:REST`. One of your own is one more entry
(docs/extending.md)."""


def _read_scorer(kind: str, model: str) -> ReadingScorer:
    """A model and the way its rewards are read; `kind` empty: a reward model with tags."""
    if kind in ("judge", "visualprm") and not model:
        raise UserError(f"reward {kind}: which model? Name it, as in {kind}:owner/name")
    vlm = _shared(model or "embedded", _READ_ANOTHER_WAY.get(kind, "reward"))
    from cos.rewards import confidence, judge, step_tag, visualprm

    scorers: dict[str, Callable[[VLM], ReadingScorer]] = {
        "": step_tag.StepTagScorer,
        "confidence": confidence.ConfidenceScorer,
        "certainty": confidence.CertaintyScorer,
        "visualprm": visualprm.VisualPRMScorer,
        "judge": judge.JudgeScorer,
    }
    return scorers[kind](vlm)


def is_server(name: str) -> bool:
    """Whether a name is a server's address, with or without `#MODEL`."""
    return name.startswith(("http://", "https://"))


def _remote_scorer(kind: str, address: str) -> Scorer:
    if kind not in ("", "look", "judge"):
        raise UserError(
            f"reward {kind}:{address}: a server's model can be a step-tag reward model, look: or judge: one; for {kind} load it here"
        )
    from cos.engine.server import Server
    from cos.rewards.remote import LOOK, RemoteJudge, RemoteTagScorer

    server = Server(address)
    return RemoteJudge(server) if kind == "judge" else RemoteTagScorer(server, LOOK if kind == "look" else None)


def _shared(name: str, role: Role) -> VLM:
    """`load_vlm` for models that are only read: while somebody holds one, its weights serve all, such as a policy and its judge."""
    key = (fingerprint(name, role), role if name == "embedded" else "", repr(sorted(HOW.items())))
    vlm = _READING.get(key)
    if vlm is None:
        vlm = _READING[key] = load_vlm(name, role)
    return vlm


def load_vlm(name: str, role: Role) -> VLM:
    """The weights behind a name, for either role. Raises UserError where there are none."""
    if is_server(name):
        raise UserError(f"{role} {name}: weights are needed here, and a server keeps its own; take embedded, a folder or a Hub id")
    source: str | Path = name
    if name == "embedded":
        source = EMBEDDED / role
        if not source.is_dir():
            raise UserError(f"the embedded {role} model is missing ({source}); make models trains it, or take scripted")
    elif not Path(name).is_dir() and not hub.split(name):
        raise UserError(f"{role} {name}: no such folder, and no name known here; take embedded, scripted, a folder or a Hub id owner/name")
    from transformers.utils import logging

    from cos.models.vlm import load

    logging.disable_progress_bar()
    return load(source, **HOW)


def home(name: str, role: Role) -> Path | None:
    """The folder with the weights of a model: the embedded one's, its own, or that of the Hub's cache, where it is fetched to; None for a
    name of another kind. Raises UserError for what the Hub does not give."""
    if name == "embedded":
        return EMBEDDED / role
    if Path(name).is_dir():
        return Path(name)
    return hub.fetch_model(name, code=bool(HOW.get("trust_remote_code"))) if hub.split(name) else None


def fingerprint(name: str, role: Role) -> str:
    """A name that changes with the weights, so that results of two trainings are not taken for one: the name and, where it has a folder
    (`home`), a hash."""
    kind, _, rest = name.partition(":")
    if kind == "blend":
        return " + ".join(f"{weight:g} x {fingerprint(part, role)}" for weight, part in parse_blend(rest))
    if kind == "outcome" or kind in _READ_ANOTHER_WAY:
        return f"{kind} of {fingerprint(rest or 'embedded', _READ_ANOTHER_WAY.get(kind, role))}"
    if kind == "prompted":
        return f"{kind} {fingerprint(rest, role)}"
    folder = None if name in ("scripted", "oracle") else home(name, role)
    if folder is None or not folder.is_dir():
        return name
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*.safetensors")):
        size = file.stat().st_size
        digest.update(f"{file.name} {size} ".encode())
        with file.open("rb") as weights:
            for start in range(0, size, max(_PIECE, size // _PIECES)):
                weights.seek(start)
                digest.update(weights.read(_PIECE))
    return f"{name} {digest.hexdigest()[:12]}"


def calibration_file(reward: str) -> Path | None:
    """Where the calibration of a reward model is kept: beside its weights. None for a reward that has no folder of its own here."""
    name = reward.removeprefix("visualprm:")
    folder = EMBEDDED / "reward" if name == "embedded" else Path(name)
    return folder / calibrate.FILE if folder.is_dir() else None


def load_calibration(reward: str) -> Calibration | None:
    """The calibration beside a reward model; None where there is none, or one of other weights (a warning says so)."""
    folder = home(reward.removeprefix("visualprm:"), "reward")
    file = None if folder is None else folder / calibrate.FILE
    if file is None or not file.is_file():
        return None
    found = Calibration.load(file)
    fitted, now = (str(name).rpartition(" ")[2] for name in (found.about.get("reward"), fingerprint(reward, "reward")))
    if fitted != now:
        _log.warning("%s was fitted on other weights (%s, now %s) and is not used; run cos calibrate again", file, fitted, now)
        return None
    return found
