"""The study of label sources: labels made by each source, and the whole study with scripted models in place of trained ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from world_script import world_policy

from cos import rounds
from cos.agreement import agreement
from cos.chain import Labelled
from cos.loading import load_vlm
from cos.study import labels, work
from cos.study.labels import Config, noisy, softened, sources
from cos.study.work import Work

CONFIG = Config(
    problems=9,
    chains=3,
    rollouts=(2, 4),
    noise=(0.0, 0.3),
    policy="scripted",
    set="all:test",
    limit=6,
    n=2,
    card_n=3,
    width=2,
    seeds=(0, 1),
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Work]:
    """Where the study works, with a policy that writes chains of the worlds."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (labels, rounds, work):
            patch.setattr(module, "load_policy", lambda name: world_policy())
        yield Work(tmp_path_factory.mktemp("labels"), 0)


@pytest.fixture(scope="module")
def found(home: Work) -> labels.Labels:
    return sources(CONFIG, home)


def test_every_source_labels_the_same_chains(found: labels.Labels) -> None:
    ids = [one.id for one in found["truth"]]
    assert ids and all([one.id for one in own] == ids for name, own in found.items() if name != "consensus of both")
    kept = {one.id for one in found["consensus of both"]}
    assert kept < set(ids)
    firsts = {name: {one.id: one.labels.first_error() for one in found[name]} for name in ("judge, 30% wrong", "roll-outs 4, hard")}
    assert kept == {id for id in ids if firsts["judge, 30% wrong"][id] == firsts["roll-outs 4, hard"][id]}


def test_soft_labels_are_the_shares_of_the_same_rollouts(found: labels.Labels) -> None:
    for hard, soft in zip(found["roll-outs 4, hard"], found["roll-outs 4, soft"], strict=True):
        assert soft.labels.steps == tuple(right / 4 for right in soft.details["right"]) and soft == softened(hard)
        assert hard.labels.steps == tuple(float(right > 0) for right in hard.details["right"])


def test_a_judge_errs_as_often_as_it_is_said_to(found: labels.Labels) -> None:
    assert [one.labels.steps for one in found["judge, 0% wrong"]] == [one.labels.steps for one in found["truth"]]
    one = found["truth"][0]
    many = [replace(one, id=str(number), labels=replace(one.labels, steps=(1.0, 0.0, None))) for number in range(2000)]
    heard = [noisy(each, 0.3, 0) for each in many]
    same = agreement(zip(heard, many, strict=True))
    assert same is not None and same["same"] == pytest.approx(0.7, abs=0.03)
    assert all(each.labels.steps[2] is None for each in heard)
    assert heard == [noisy(each, 0.3, 0) for each in many] != [noisy(each, 0.3, 1) for each in many]


def test_the_study_goes_from_labels_to_search(home: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int, int]] = []

    def scripted(config: Config, name: str, own: list[Labelled], seed: int, place: Work) -> str:
        asked.append((name, len(own), seed))
        return "scripted"

    monkeypatch.setattr(labels, "_trained", scripted)
    result = labels.run(CONFIG, home)
    names = ["truth", "roll-outs 2, hard", "roll-outs 2, soft", "roll-outs 4, hard", "roll-outs 4, soft", "judge, 0% wrong"]
    names += ["judge, 30% wrong", "consensus of both"]
    assert [(name, seed) for name, _, seed in asked] == [(name, seed) for name in names for seed in (0, 1)]
    quality, card, accuracy = ({(point.series, point.x): point for point in panel.points} for panel in result.panels)
    assert quality["steps labelled as the truth", "truth"].value == quality["same first error", "judge, 0% wrong"].value == 1.0
    own, truth = (sources(CONFIG, home)[name] for name in ("roll-outs 4, hard", "truth"))
    steps = [
        (ours, true) for one, known in zip(own, truth, strict=True) for ours, true in zip(one.labels.steps, known.labels.steps, strict=True)
    ]
    both = np.array([pair for pair in steps if None not in pair])
    assert quality["AUC of the labels", "roll-outs 4, hard"].value == pytest.approx(roc_auc_score(both[:, 1], both[:, 0]))
    assert {x for _, x in accuracy} == set(names) and {x for _, x in card} <= set(names)
    assert all(row.value == 0.0 for row in result.differences if row.theirs == "truth")  # the same model for every source


def test_a_reward_model_learns_from_the_labels_of_one_source(home: Work, found: labels.Labels) -> None:
    """One batch, from the embedded policy; given again it is not trained again."""
    config = replace(CONFIG, start="embedded", steps=1, batch=2)
    folder = labels._trained(config, "truth", found["truth"], 0, home)
    assert load_vlm(folder, "reward").encoder.tag_id is not None
    times = _times(Path(folder).parent)
    assert labels._trained(config, "truth", found["truth"], 0, home) == folder and _times(Path(folder).parent) == times


def _times(folder: Path) -> dict[Any, int]:
    return {file: file.stat().st_mtime_ns for file in folder.rglob("*") if file.is_file()}
