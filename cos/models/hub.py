"""Models and data sets of the Hugging Face Hub by name: `owner/name`, or `owner/name@REVISION` (a branch, a tag or a commit).

    fetch_model("owner/cos-prm@4f1c2ab")         # its files, in the Hub's cache: a folder that `cos.models.vlm.load` reads

Only what is read here is fetched: safetensors, configuration, tokenizer, notes, calibration, card; no pickled weights, and no code unless
asked for. What is in the cache serves without a network. The variables of huggingface_hub (HF_TOKEN, HF_HOME, HF_ENDPOINT,
HF_HUB_OFFLINE) mean what they mean there. Sending is in `cos/publish.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import SimpleNamespace

from cos.errors import UserError

NOTES = "cos.json"
"""A small file beside the weights: what the workbench must know of a model that its configuration does not say."""
_NAME = re.compile(r"(\w[\w.-]{0,95}/\w[\w.-]{0,95})(?:@(\w[\w./-]{0,199}))?")
PLAIN_FILES = ("*.json", "*.jinja", "*.txt", "*.model", "*.md")
WEIGHT_FILES = ("model*.safetensors",)
"""What a model's folder has at its top, by transformers' names (`save_pretrained`); nothing below it is read."""


def split(name: str) -> tuple[str, str | None] | None:
    """(repository, revision or None) of a name; None for what can't be one. Whether there is such a repository is not asked."""
    found = _NAME.fullmatch(name)
    return (found[1], found[2]) if found else None


@cache
def fetch_model(name: str, *, code: bool = False) -> Path:
    """The folder of a model, fetched where it is not here yet; in one process a name means one commit. `code`: its Python files too.

    Raises UserError where it can't be had, and, before any weights come, for a family that is not supported.
    """
    from cos.models.families import family_of

    plain = [*PLAIN_FILES, *(["*.py"] if code else [])]
    folder = _fetch(f"model {name}: no such folder here", name, "model", plain)
    try:
        kind = json.loads((folder / "config.json").read_text("utf-8"))["model_type"]
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"model {name}: has no config.json with a model_type; is it a model that save_pretrained wrote?") from None
    try:
        family_of(SimpleNamespace(model_type=kind))
    except UserError as problem:
        raise UserError(f"model {name}: {problem}") from None
    return _fetch(f"model {name}", f"{name.partition('@')[0]}@{folder.name}", "model", [*plain, *WEIGHT_FILES])


def fetch_data(name: str) -> Path:
    """The folder that has a data set's `data/*.parquet`, fetched where it is not here yet. Raises UserError where it can't be had."""
    return _fetch(f"data set {name}", name, "dataset", ["data/*.parquet"])


def _fetch(what: str, name: str, kind: str, patterns: Sequence[str]) -> Path:
    from huggingface_hub import snapshot_download

    found = split(name)
    if found is None:
        raise UserError(f"{what}: no name on the Hub; those are owner/name or owner/name@revision")
    repo, revision = found
    below = ["*/*"] if kind == "model" else None
    with asking(what):
        return Path(snapshot_download(repo, repo_type=kind, revision=revision, allow_patterns=list(patterns), ignore_patterns=below))


@contextmanager
def asking(what: str) -> Iterator[None]:
    """For calls to the Hub alone: whatever goes wrong there is a UserError with one line. No token is ever part of it."""
    try:
        yield
    except Exception as problem:  # the client's errors of connection belong to one of several libraries, by its version
        raise UserError(f"{what}: {_reason(problem)}") from None


def _reason(problem: Exception) -> str:
    from huggingface_hub import errors

    status = getattr(getattr(problem, "response", None), "status_code", None)
    if isinstance(problem, errors.RevisionNotFoundError):
        return "the Hub has no such revision of it; give a branch, a tag or a commit after @"
    if isinstance(problem, errors.GatedRepoError):
        return "its owner gives it to those who ask on its page, and then log in (hf auth login, or HF_TOKEN)"
    if isinstance(problem, errors.RepositoryNotFoundError):
        return "not on the Hub, or private: then log in (hf auth login, or HF_TOKEN)"
    if status in (401, 403):
        return f"the Hub refuses ({status}): the token (hf auth login, or HF_TOKEN) is unknown there or may not do this"
    if isinstance(problem, errors.LocalEntryNotFoundError):
        return "not in the cache here, and the Hub can't be reached"
    said = (str(problem).strip() or type(problem).__name__).splitlines()[0]
    return f"the Hub can't be reached or refuses ({type(problem).__name__}: {said})"
