"""The report card: the truth passes, what says nothing or peeks is exposed, and figures agree with independent ones."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from card_worlds import Known, by_depth, by_length, constant
from sklearn import metrics as sk

from cos.__main__ import main
from cos.card import judging
from cos.card.cases import Worlds, edits
from cos.card.findings import findings, table
from cos.card.report import calibrate, report
from cos.card.steps import best_thresholds, chains_of, rollouts_of, steps_of
from cos.errors import UserError
from cos.metrics import first_error_f1, macro_f1
from cos.models.scripted import ScriptedPolicy, ScriptedScorer
from cos.problems import check, problems
from cos.protocols import Scorer, ToScore
from cos.rewards.calibrate import Calibration
from cos.sample import Sampling

SETS = ("charts:test", "digits:test", "scenes:test")
Records = list[dict[str, Any]]


@pytest.fixture(scope="module")
def known() -> Known:
    return Known(*SETS)


def source(known: Known) -> Worlds:
    return Worlds("some", known.problems, known.policy(), Sampling(n=6), 0)


def judged(known: Known, scorer: Scorer | None, folder: Path) -> Records:
    return judging.judge(source(known), scorer, folder / "records.jsonl")


def card_of(records: Records) -> dict[str, Any]:
    """The card of every other question of each world, its calibration from the others."""
    return report(records[::2], calibrate(records[1::2], {}))


@pytest.fixture(scope="module")
def looking(known: Known, tmp_path_factory: pytest.TempPathFactory) -> Records:
    """A reward that judges by the picture it is shown."""
    return judged(known, known.scorer(known.seen), tmp_path_factory.mktemp("looking"))


def test_the_oracle_gets_full_marks(known: Known, tmp_path: Path) -> None:
    card = card_of(judged(known, None, tmp_path))
    full = ("auc", "auc_by_question", "first_error_f1", "macro_f1", "see_auc", "compute_auc", "answer_auc")
    assert [card[key] for key in full] == [1.0] * len(full)
    assert card["ece_calibrated"] == pytest.approx(0, abs=1e-6) and card["brier"] == 0 and set(card["tpr_at_fpr"].values()) == {1.0}
    best = card["best_of_n"]
    assert best["aggregators"]["answer"]["accuracy"] == pytest.approx(best["pass_at_n"])
    assert card["see_auc_swapped"] is None and card["edits"]["filler"]["accepted_after"] == 1.0
    assert not [text for text in findings(card) if "judges" in text or "chance" in text or "hold" in text]


def test_a_reward_that_looks_is_told_from_one_that_judges_the_text(known: Known, looking: Records, tmp_path: Path) -> None:
    sees = card_of(looking)
    assert sees["auc"] == sees["see_auc"] == 1.0 and sees["see_auc_blank"] == 0.5 and sees["see_auc_swapped"] < 0.7
    assert sees["moved_swapped"] > 0.1 and not [text for text in findings(sees) if "does not look" in text]
    reads = card_of(judged(known, known.scorer(known.asked), tmp_path))
    assert reads["see_auc"] == reads["see_auc_swapped"] == reads["see_auc_blank"] and reads["moved_blank"] == 0
    found = findings(reads)
    assert any("judges the text" in text for text in found) and sum("does not look" in text for text in found) == 2


def test_a_constant_reward_is_not_flattered(known: Known, tmp_path: Path) -> None:
    card = card_of(judged(known, ScriptedScorer(constant), tmp_path))
    assert card["auc"] == card["see_auc"] == card["answer_auc"] == card["auc_by_question"] == 0.5
    assert card["first_error_f1"] == 0 and card["macro_f1"] <= 0.5 and card["tpr_at_fpr"]["0.1"] == 0
    best = card["best_of_n"]
    assert best["aggregators"]["cos"]["ties"] == 1.0 and best["aggregators"]["cos"]["harmful"] > 0.5
    found = findings(card)
    assert any("can't be told from chance" in text for text in found) and any("shared by different answers" in text for text in found)


@pytest.mark.parametrize(("rule", "name"), [(by_depth, "depth"), (by_length, "length")])
def test_a_reward_that_peeks_is_exposed(known: Known, tmp_path: Path, rule: Any, name: str) -> None:
    card = card_of(judged(known, ScriptedScorer(rule), tmp_path))
    assert card["peeks"][name]["rank_correlation"] == pytest.approx(-1.0, abs=0.02) and 0.35 < card["peeks"][name]["auc_within"] < 0.65
    found = findings(card)
    assert any(f"rewards follow the {name}" in text for text in found) and any("does not look" in text for text in found)
    if name == "depth":
        assert card["lowest_is_last"] == 1.0 and any("lowest reward is the last" in text for text in found)
        assert {row["auc"] for row in card["by"]["depth"].values()} <= {0.5, None}


def noisy(records: Records, seed: int = 0) -> Records:
    """The same records with rewards of every strength, so that no two figures agree by luck."""
    rng, copy = random.Random(seed), json.loads(json.dumps(records))
    for node in (node for row in copy for node in row["nodes"]):
        node["reward"] = round(min(1.0, max(0.0, 0.25 * (node["label"] or 0) + rng.random() * 0.75)), 3)
    return copy


def test_figures_agree_with_scikit_learn(looking: Records) -> None:
    records = noisy(looking)
    card = report(records, calibrate(noisy(looking, 1), {}))
    nodes = [node for row in records for node in row["nodes"] if node["kind"] != "answer" and node["label"] is not None]
    rewards, labels = np.array([node["reward"] for node in nodes]), np.array([node["label"] for node in nodes])
    kept = rewards >= card["thresholds"]["macro_f1"]
    assert card["steps"] == len(nodes) and card["right_share"] == pytest.approx(labels.mean())
    assert card["auc"] == pytest.approx(sk.roc_auc_score(labels, rewards)) and card["brier"] == pytest.approx(
        np.mean((rewards - labels) ** 2)
    )
    assert card["f1_right"] == pytest.approx(sk.f1_score(labels, kept)) and card["macro_f1"] == pytest.approx(
        sk.f1_score(labels, kept, average="macro")
    )
    assert card["curves"]["reliability"] and sum(card["curves"]["rewards_right"]) == labels.sum()
    for depth, row in card["by"]["depth"].items():
        part = [at for at, node in enumerate(nodes) if node["depth"] == int(depth)]
        if row["auc"] is not None:
            assert row["auc"] == pytest.approx(sk.roc_auc_score(labels[part], rewards[part]))
    low, high = card["auc_ci95"]
    assert low < card["auc"] < high


def test_thresholds_are_the_best_there_are(looking: Records) -> None:
    records = noisy(looking)
    steps, chains = steps_of(records), chains_of(records)
    found = best_thresholds(steps, chains)

    def macro(threshold: float) -> float:
        return macro_f1([bool(reward >= threshold) for reward in steps.reward], steps.label.tolist()).macro

    def first(threshold: float) -> float:
        return first_error_f1([chain.predicted(threshold) for chain in chains], [chain.first_error for chain in chains]).f1

    everywhere = [0.0, *sorted({*steps.reward.tolist()} | {reward + 1e-9 for reward in steps.reward})]
    assert macro(found["macro_f1"]) == pytest.approx(max(map(macro, everywhere)))
    assert first(found["first_error_f1"]) == pytest.approx(max(map(first, everywhere)))


def test_what_became_of_shared_prefixes_are_roll_outs() -> None:
    nodes = [{"depth": 1 + bool(at), "kind": ("see", "see", "answer")[at], "reward": 0.6 - 0.2 * at, "rollouts": None} for at in range(3)]
    chains = [
        {"path": [0, 1], "count": 3, "right": 0.0},
        {"path": [0, 2], "count": 2, "right": 1.0},
        {"path": [0], "count": 9, "right": None},
    ]
    found = rollouts_of([{"nodes": nodes, "chains": chains}])
    assert (found.rewards, found.shares, found.counts) == ([0.6], [0.4], [5])
    nodes[1]["rollouts"] = [16, 4]  # tried on purpose: that counts
    found = rollouts_of([{"nodes": nodes, "chains": chains}])
    assert (found.shares, found.counts) == ([0.4, 0.25], [5, 16])


def test_edits_keep_every_step_right() -> None:
    seen = set()
    for problem in problems("all:validation", 24):
        made = edits(problem, 0)
        for name, edit in made.items():
            seen.add(name)
            assert name == "right" or edit.chain.steps != made["right"].chain.steps
            labels = [check(problem, step).label for step in edit.chain.steps]
            assert 0 not in labels and (edit.added is None or labels[edit.added] is None) and edit.chain.answer == problem.answer
    assert seen == {"right", "filler", "reworded", "reordered"}


def test_a_killed_run_ends_with_the_same_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = Known("digits:test", count=9)
    monkeypatch.setattr(judging, "BLOCK", 4)
    whole = known.scorer(known.seen)
    (tmp_path / "a").mkdir()
    expected = judged(known, whole, tmp_path / "a")
    dying, left = known.scorer(known.seen), [7]
    score = dying.score

    def limited(requests: list[ToScore]) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return score(requests)

    monkeypatch.setattr(dying, "score", limited)
    with pytest.raises(KeyboardInterrupt):
        judged(known, dying, tmp_path)
    half = (tmp_path / "records.jsonl").read_bytes()
    (tmp_path / "records.jsonl").write_bytes(half[:-9])  # as if killed while it wrote
    assert 0 < half.count(b"\n") < len(known.problems)
    assert judged(known, whole, tmp_path) == expected
    assert (tmp_path / "records.jsonl").read_bytes() == (tmp_path / "a" / "records.jsonl").read_bytes()


def test_the_verb_writes_card_page_and_calibration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    known = Known("charts:test", "charts:validation", count=6)
    monkeypatch.setattr("cos.loading.load_policy", lambda name: known.policy())
    words = ["card", "--reward", "oracle", "--policy", "scripted", "--set", "charts:test", "--limit", "6", "--n", "5"]
    for _ in range(2):  # the second time all is there
        assert main([*words, "--out", str(tmp_path), "--json"]) == 0
        card = json.loads(capsys.readouterr().out)
        assert card["auc"] == card["first_error_f1"] == 1.0 and card["threshold_from"] == "charts:validation"
    assert main([*words, "--out", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "step AUC" in shown and "best of" in shown
    page = (tmp_path / "card.html").read_text("utf-8")
    assert page.count('id="figure-') == 7 and "http://" not in page.split("<h2>")[0] and "oracle on charts:test" in page
    assert {"card.json", "calibration.json", "records.jsonl", "validation.jsonl", "config.json"} <= {
        file.name for file in tmp_path.iterdir()
    }


def test_calibrate_fits_on_validation_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    known = Known("charts:validation", count=4)
    monkeypatch.setattr("cos.loading.load_policy", lambda name: known.policy())
    words = ["calibrate", "--reward", "oracle", "--policy", "scripted", "--limit", "4", "--out", str(tmp_path / "run"), "--json"]
    file = tmp_path / "calibration.json"
    assert main([*words, "--set", "charts:validation", "--to", str(file)]) == 0
    assert json.loads(capsys.readouterr().out)["about"]["set"] == "charts:validation"
    assert Calibration.load(file).probability(1.0) > 0.99 > 0.01 > Calibration.load(file).probability(0.0)
    assert (
        main([*words, "--set", "charts:test", "--to", str(file)]) == 2 and "never chosen on problems of a test" in capsys.readouterr().err
    )
    assert main([*words, "--set", "charts:validation"]) == 2 and "name a file with --to" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([], "one of --set and --file"),
        (["--set", "charts:validation"], "can't be chosen on charts:validation itself"),
        (["--set", "charts:nowhere"], "no split"),
        (["--file", "/no/such.jsonl"], "no such file"),
        (["--set", "charts:test", "--n", "0"], "1 or more"),
    ],
)
def test_bad_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], reason: str) -> None:
    assert main(["card", *words, "--policy", "scripted", "--reward", "scripted", "--out", str(tmp_path / "out")]) == 2
    assert reason in capsys.readouterr().err


def test_nothing_labelled_to_calibrate_on(looking: Records) -> None:
    empty = [row | {"nodes": [], "chains": []} for row in looking]
    with pytest.raises(ValueError, match="no labelled steps"):
        calibrate(empty, {})
    card = report(empty, None)
    assert card["auc"] is None and card["best_of_n"] is None and "0 labelled steps" in table(card | {"left_out": 0})
    assert any("not defined" in text for text in findings(card))


def test_the_oracle_needs_worlds(known: Known, tmp_path: Path) -> None:
    some = Worlds("files", [type(known.problems[0])("x", "How many?")], known.policy(), Sampling(n=1), 0)
    with pytest.raises(UserError, match="the oracle knows"):
        judging.judge(some, None, tmp_path / "r.jsonl")


def test_what_is_no_chain_is_a_wrong_answer(known: Known, tmp_path: Path) -> None:
    """Three draws in four are no step at all: they stay in the denominators."""
    script = known.policy().script

    def junk(prompt: Any, texts: tuple[str, ...], rng: random.Random) -> str:
        return "no step" if not texts and rng.random() < 0.75 else str(script(prompt, texts, rng))

    drawn = Worlds("some", known.problems, ScriptedPolicy(junk), Sampling(n=8), 0)
    records = judging.judge(drawn, known.scorer(known.seen), tmp_path / "records.jsonl")
    right = [sum(chain["count"] for chain in record["chains"] if chain["right"]) for record in records]
    found = report(records, None)["best_of_n"]
    assert (found["questions"], found["n"]) == (len(known.problems), 8) and 0 < sum(right) < 4 * len(right)
    assert found["pass_at_1"] == pytest.approx(sum(right) / (8 * len(right)))
    assert found["pass_at_n"] == pytest.approx(sum(map(bool, right)) / len(right))
