"""What goes up to the Hub: every file by its place there, looked at before anything is sent.

    parcel = model_parcel("runs/prm/model", "reward", "owner/cos-prm")
    sent = send(parcel)                            # anybody's load_scorer(f"owner/cos-prm@{sent.commit}") is this model

Problems and other data are packed by `cos/publish/data.py`, cards written by `cos/publish/page.py`.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Literal

from safetensors import SafetensorError, safe_open

from cos.errors import UserError
from cos.loading import EMBEDDED, Role, calibration_file, load_calibration
from cos.models.hub import PLAIN_FILES, WEIGHT_FILES, asking, split
from cos.publish.page import front_matter, model_page

CARD = "README.md"
_HOW_TO_SAVE = "give the folder that a training has saved (runs/NAME/model), or embedded"


@dataclass(frozen=True)
class Parcel:
    """Files for one repository: path there -> file here, or content."""

    repo: str
    kind: Literal["model", "dataset", "space"]
    files: Mapping[str, Path | bytes]
    left_out: tuple[str, ...] = ()
    """What lies beside them and does not go up."""
    notes: tuple[str, ...] = ()
    """What the sender should know."""

    def __post_init__(self) -> None:
        if (split(self.repo) or ("", "a revision"))[1] is not None:
            raise UserError(f"{self.repo}: no name for a repository; those are owner/name, of letters, digits, '-', '_' and '.'")

    def sizes(self) -> dict[str, int]:
        """Bytes of each file."""
        return {path: len(file) if isinstance(file, bytes) else file.stat().st_size for path, file in self.files.items()}

    def replaces(self, path: str) -> bool:
        """Whether a file that the repository has and the parcel has not goes: what is left of an earlier model, or of an earlier app. A
        data set keeps its other splits, and what else people have put there stays."""
        if self.kind == "model":
            return _is_of_a_model(path)
        return self.kind == "space" and path != ".gitattributes"


@dataclass(frozen=True)
class Sent:
    """Where a parcel has come to: the commit (40 hexadecimal digits) and the address of its page."""

    commit: str
    url: str


def model_parcel(name: str, role: Role, repo: str) -> Parcel:
    """A model's folder, or `embedded`: weights as safetensors, configuration, tokenizer, notes, for a reward model its calibration and
    thresholds too. Raises UserError where it is no whole model."""
    folder = EMBEDDED / role if name == "embedded" else Path(name)
    if not folder.is_dir():
        raise UserError(f"{role} {name}: no such folder; {_HOW_TO_SAVE}")
    found = {file.name: file for file in sorted(folder.iterdir()) if file.is_file() and _is_of_a_model(file.name)}
    _check_model(folder, found)
    notes: list[str] = []
    calibration = load_calibration(name) if role == "reward" else None
    kept = calibration_file(name)
    if calibration is None and kept is not None:
        if found.pop(kept.name, None):
            notes.append(f"{kept.name} was fitted on other weights and stays here; run cos calibrate again")
        elif role == "reward":
            notes.append("there is no calibration.json beside it, so it goes up without thresholds; cos calibrate makes one")
    own = found[CARD].read_text("utf-8") if CARD in found else None
    card = model_page(own, str(folder / CARD), role, repo, calibration)
    left = tuple(sorted(file.name + ("/" if file.is_dir() else "") for file in folder.iterdir() if file.name not in found))
    return Parcel(repo, "model", {**found, CARD: card.encode()}, left, tuple(notes))


def _is_of_a_model(path: str) -> bool:
    return "/" not in path and any(fnmatch(path, pattern) for pattern in (*PLAIN_FILES, *WEIGHT_FILES))


def _check_model(folder: Path, found: Mapping[str, Path]) -> None:
    weights = [name for name in found if name.endswith(".safetensors")]
    if not weights or "config.json" not in found:
        raise UserError(f"{folder}: no model.safetensors with a config.json in it; {_HOW_TO_SAVE}")
    if not {"tokenizer.json", "tokenizer_config.json"} & set(found):
        raise UserError(f"{folder}: the tokenizer is missing; save the model with its tokenizer")
    if (index := found.get("model.safetensors.index.json")) is not None:
        try:
            missing = sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()) - set(weights))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise UserError(f"{index}: no index of weights; save the model again") from None
        if missing:
            raise UserError(f"{folder}: {missing[0]} is missing; save the model again")
    for name in weights:
        try:
            with safe_open(found[name], framework="numpy") as tensors:
                tensors.keys()
        except (SafetensorError, OSError) as problem:
            raise UserError(f"{found[name]}: not a safetensors file ({problem}); save the model again") from None


def space_parcel(folder: str | Path, repo: str) -> Parcel:
    """The app as a Space: all files of a checkout that git tracks, as they are now. Raises UserError where there is none, or where its
    README.md does not say how it starts."""
    root, notes = Path(folder), list[str]()
    names = [name for name in _git(root, "ls-files", "-z").split("\0") if name and (root / name).is_file()]
    card = root / CARD
    head, _ = front_matter(card.read_text("utf-8") if card.is_file() else "", str(card))
    if head.get("sdk") != "gradio" or head.get("app_file") not in names:
        raise UserError(f"{card}: its front matter must say sdk: gradio and app_file, a file that git tracks")
    if _git(root, "status", "--porcelain", "--untracked-files=no"):
        notes.append("files that are changed and not committed go up as they are now")
    return Parcel(repo, "space", {name: root / name for name in names}, (), tuple(notes))


def _git(folder: Path, *words: str) -> str:
    try:
        return subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):
        raise UserError(f"{folder}: not a git checkout; clone the repository, and give that folder") from None


def send(parcel: Parcel, *, private: bool = False) -> Sent:
    """Make the repository where there is none (`private`: for its owner alone) and put everything into one commit; what is there already
    is not sent again. Raises UserError with what the Hub has to say."""
    from huggingface_hub import CommitOperationAdd, CommitOperationCopy, CommitOperationDelete, HfApi, get_token

    if get_token() is None:
        raise UserError("there is no token for the Hub: log in with hf auth login, or set HF_TOKEN to one that may write")
    api, kind = HfApi(), parcel.kind
    with asking(f"push to {parcel.repo}"):
        sdk = "gradio" if kind == "space" else None
        url = api.create_repo(parcel.repo, repo_type=kind, private=private or None, exist_ok=True, space_sdk=sdk)
        there = api.list_repo_files(parcel.repo, repo_type=kind)
        gone = [path for path in there if path not in parcel.files and parcel.replaces(path)]
        operations: list[CommitOperationAdd | CommitOperationCopy | CommitOperationDelete] = [*map(CommitOperationDelete, gone)]
        operations += [CommitOperationAdd(path, file if isinstance(file, bytes) else str(file)) for path, file in parcel.files.items()]
        done = api.create_commit(parcel.repo, operations, commit_message="cos push", repo_type=kind)
    return Sent(done.oid, str(url))
