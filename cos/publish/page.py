"""Cards: what a page of the Hub says of a model or a data set. A README.md of one's own stays; only what it lacks is added."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from cos.errors import UserError
from cos.loading import Role
from cos.rewards.calibrate import Calibration

_HEAD = re.compile(r"\A---\s*\n(.*?)\n?---\s*(?:\n|\Z)", re.S)


def front_matter(text: str, where: str) -> tuple[dict[str, Any], str]:
    """(the YAML between the first two `---`, empty where there is none; the rest). Raises UserError for YAML that is no mapping."""
    found = _HEAD.match(text)
    if found is None:
        return {}, text
    try:
        head = yaml.safe_load(found[1]) or {}
    except yaml.YAMLError:
        head = None
    if not isinstance(head, dict):
        raise UserError(f"{where}: its front matter is no YAML of the form `license: apache-2.0`, key and value")
    return head, text[found.end() :]


def page(own: str | None, where: str, head: Mapping[str, Any], title: str, sections: Mapping[str, str]) -> str:
    """A card as text: the owner's, or a new one with `title`, completed by the keys of `head` (lists are joined, else the owner's counts)
    and by the `sections` (heading -> text) whose headings it has not."""
    given, body = front_matter(own or "", where)
    merged = {**given, **{key: value for key, value in head.items() if key not in given}}
    for key, value in head.items():
        if isinstance(value, list) and isinstance(given.get(key), list):
            merged[key] = [*given[key], *(item for item in value if item not in given[key])]
    parts = [body.strip() or f"# {title}"]
    parts += [
        f"## {heading}\n\n{text}" for heading, text in sections.items() if not re.search(rf"^## {re.escape(heading)}\s*$", body, re.M)
    ]
    return f"---\n{yaml.safe_dump(merged, sort_keys=False, allow_unicode=True)}---\n" + "\n\n".join(parts) + "\n"


def model_page(own: str | None, where: str, role: Role, repo: str, calibration: Calibration | None) -> str:
    """The card of a policy or a reward model."""
    tags = ["chain-of-step", *(["process-reward-model"] if role == "reward" else [])]
    head = {"library_name": "transformers", "pipeline_tag": "image-text-to-text", "tags": tags}
    use = (
        f'```sh\ncos solve picture.png "How many?" --{role} {repo}          # or {repo}@COMMIT, which stays the same\n```\n\n'
        f"```python\nfrom cos.loading import load_{'policy' if role == 'policy' else 'scorer'}\n\n"
        f'model = load_{"policy" if role == "policy" else "scorer"}("{repo}")\n```'
    )
    sections = {"Use with the CoS workbench": use}
    if calibration is not None:
        sections["Thresholds and calibration"] = _calibrated(calibration)
    return page(own, where, head, repo.partition("/")[2], sections)


def _calibrated(calibration: Calibration) -> str:
    about = calibration.about
    fitted = f"Fitted on {about.get('labels', '?')} labelled steps of {about.get('set', '?')}; `calibration.json` has the curves."
    rows = "".join(f"| {metric} | {value:.4f} |\n" for metric, value in calibration.thresholds.items())
    means = f"As a probability a reward is read by {calibration.method} (temperature {calibration.temperature:.3f})."
    return f"{fitted} {means}" + (f"\n\n| best for | threshold on the reward |\n|---|---|\n{rows}".rstrip() if rows else "")


def data_page(own: str | None, where: str, repo: str, columns: Sequence[Mapping[str, str]], use: str) -> str:
    """The card of a data set. `columns`: as the Hub's `dataset_info` has them; empty: as the Parquet files say. Which splits there are the
    Hub sees by the names of the files, so a later push adds one."""
    head: dict[str, Any] = {"task_categories": ["visual-question-answering"], "tags": ["chain-of-step"]}
    if columns:
        head["dataset_info"] = {"features": [dict(column) for column in columns]}
    return page(own, where, head, repo.partition("/")[2], {"Use": use})
