"""Names to models: what `--policy` and `--reward` may say. Torch is loaded only for a model that has weights.

    policy, scorer = load_policy("embedded"), load_scorer("embedded")

| name | policy | reward |
|---|---|---|
| embedded | the small policy that ships with the package | its reward model |
| scripted | a script without weights | a rule without weights |
| a folder, or a Hub id `owner/name` | any vision-language model with the format tokens | a step-tag reward model |
| confidence, confidence:MODEL | | how likely the embedded policy, or MODEL, finds each step |

The reward `oracle`, the truth of a world, needs the problems; `cos.evaluate` makes it where it has them.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cos.errors import UserError
from cos.models.scripted import ScriptedPolicy, ScriptedScorer
from cos.protocols import Policy, Scorer

if TYPE_CHECKING:
    from cos.models.vlm import VLM

Role = Literal["policy", "reward"]
EMBEDDED = Path(str(files("cos"))) / "assets"
_HEAD = 2**22  # bytes of each weight file that a fingerprint reads: training changes all of them, and 16 GB take minutes


def load_policy(name: str) -> Policy:
    """The policy of this name. Raises UserError where there is none."""
    if name == "scripted":
        return ScriptedPolicy()
    vlm = load_vlm(name, "policy")
    if not vlm.encoder.knows_chains:
        raise UserError(f"policy {name}: its tokenizer lacks the format tokens, so its steps would never end; train it with cos train sft")
    from cos.engine.torch_engine import TorchPolicy

    return TorchPolicy(vlm)


def load_scorer(name: str) -> Scorer:
    """The reward model of this name. Raises UserError where there is none."""
    if name == "scripted":
        return ScriptedScorer()
    if name == "oracle":
        raise UserError("the reward oracle knows the worlds' own problems only: use it with cos eval --set charts:test, or take embedded")
    kind, _, model = name.partition(":")
    if kind == "confidence":
        vlm = load_vlm(model or "embedded", "policy")
        from cos.rewards.confidence import ConfidenceScorer

        return ConfidenceScorer(vlm)
    vlm = load_vlm(name, "reward")
    from cos.rewards.step_tag import StepTagScorer

    return StepTagScorer(vlm)


def load_vlm(name: str, role: Role) -> VLM:
    """The weights behind a name, for either role. Raises UserError where there are none."""
    if name.startswith(("http://", "https://", "judge:")):
        raise UserError(f"{role} {name}: servers and judges are not in this version; take embedded, scripted, a folder or a Hub id")
    source: str | Path = name
    if name == "embedded":
        source = EMBEDDED / role
        if not source.is_dir():
            raise UserError(f"the embedded {role} model is missing ({source}); make models trains it, or take scripted")
    elif not Path(name).is_dir() and (name.count("/") != 1 or name.startswith((".", "/", "~"))):
        raise UserError(f"{role} {name}: no such folder, and no name known here; take embedded, scripted, a folder or a Hub id owner/name")
    from transformers.utils import logging

    from cos.models.vlm import load

    logging.disable_progress_bar()
    return load(source)


def fingerprint(name: str, role: Role) -> str:
    """A name that changes with the weights, so that results of two trainings are not taken for one: the name and, for a folder, a hash."""
    if name.partition(":")[0] == "confidence":
        return f"confidence of {fingerprint(name.partition(':')[2] or 'embedded', 'policy')}"
    folder = EMBEDDED / role if name == "embedded" else Path(name)
    if name in ("scripted", "oracle") or not folder.is_dir():
        return name
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*.safetensors")):
        with file.open("rb") as weights:
            digest.update(f"{file.name} {file.stat().st_size} ".encode() + weights.read(_HEAD))
    return f"{name} {digest.hexdigest()[:12]}"
