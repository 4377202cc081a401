"""Names to models: what has no weights, a folder of a tiny untrained model, and what is neither."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cos.__main__ import main
from cos.errors import UserError
from cos.loading import calibration_file, fingerprint, load_calibration, load_policy, load_scorer, load_vlm
from cos.models.embedded import Shape, build, make_tokenizer
from cos.problems import describe, problems
from cos.rewards.calibrate import Rollouts, fit
from cos.rewards.reading import ReadingScorer
from cos.search.trace import without_times

TINY = Shape(pixels=32, merge=2, vision_width=16, vision_layers=1, width=16, layers=1, heads=2)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    texts = [text for problem in problems("all:train", 6) for text in (problem.question, describe(problem))]
    build(TINY, make_tokenizer(texts, 300)).save(folder)
    return folder


def test_scripted_models_have_no_weights() -> None:
    assert load_policy("scripted").name == load_scorer("scripted").name == "scripted"


@pytest.mark.parametrize(
    "name",
    ["nonsense", "/no/such/folder", "./x/y", "judge:nonsense", "confidence:nonsense", "outcome:nonsense"],
)
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(UserError, match="embedded, scripted, a folder or a Hub id"):
        load_policy(name)
    with pytest.raises(UserError, match="embedded, scripted, a folder or a Hub id"):
        load_scorer(name)


def test_a_server_that_is_not_there_and_what_one_cannot_be() -> None:
    with pytest.raises(UserError, match="no server answers there"):
        load_policy("http://127.0.0.1:9/v1#m")
    for name in ("http://127.0.0.1:9/v1#m", "look:http://127.0.0.1:9/v1#m", "judge:http://127.0.0.1:9/v1#m"):
        with pytest.raises(UserError, match="no server answers there"):
            load_scorer(name)
    with pytest.raises(UserError, match="for confidence load it here"):
        load_scorer("confidence:http://127.0.0.1:9/v1#m")
    assert fingerprint("judge:http://127.0.0.1:9/v1#m", "reward") == "judge of http://127.0.0.1:9/v1#m"


def test_confidence_is_a_model_read_another_way(tiny: Path) -> None:
    scorer = load_scorer(f"confidence:{tiny}")
    assert scorer.name == f"confidence:{tiny}"
    assert fingerprint(f"confidence:{tiny}", "reward") == f"confidence of {fingerprint(str(tiny), 'policy')}"


def test_a_policy_and_its_own_judge_share_their_weights_while_held(tiny: Path) -> None:
    policy, scorer = load_policy(f"prompted:{tiny}"), load_scorer(f"confidence:{tiny}")
    assert policy.name == f"prompted:{tiny}"
    assert policy._reader.vlm is scorer._reader.vlm is not load_vlm(str(tiny), "policy")  # type: ignore[attr-defined]


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="can't be loaded"):
        load_policy(str(tmp_path))


def test_a_model_from_a_folder_searches_the_same_way_twice(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = str(Path(__file__).parent / "data" / "released" / "images" / "a.png")
    texts = []
    for name in ("a.json", "b.json"):
        words = ["--policy", str(tiny), "--reward", str(tiny), "--method", "vote", "--n", "3", "--max-tokens", "6", "--json"]
        assert main(["solve", picture, "How many?", *words, "--trace", str(tmp_path / name)]) == 0
        shown = capsys.readouterr()
        assert json.loads(shown.out)["meter"]["policy_decode"] > 0 and "Loading" not in shown.err
        texts.append(without_times(json.loads((tmp_path / name).read_text("utf-8"))))
    assert texts[0] == texts[1]


def test_a_fingerprint_follows_the_weights(tiny: Path, tmp_path: Path) -> None:
    assert fingerprint("scripted", "policy") == "scripted"
    before = fingerprint(str(tiny), "policy")
    assert before.startswith(str(tiny)) and before == fingerprint(str(tiny), "reward")
    weights = tiny / "model.safetensors"
    kept = weights.read_bytes()
    weights.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
    assert fingerprint(str(tiny), "policy") != before
    weights.write_bytes(kept)


def test_a_fingerprint_of_a_large_file_sees_a_changed_matrix_anywhere(tmp_path: Path) -> None:
    size, width = 48 * 2**20, 2**18
    found = set()
    for start in (None, 0, 6 * 2**20, size // 2 + 12_345, size - width):
        content = bytearray(size)
        if start is not None:
            content[start : start + width] = b"\1" * width
        (tmp_path / "model.safetensors").write_bytes(content)
        found.add(fingerprint(str(tmp_path), "policy"))
    assert len(found) == 5


def test_a_calibration_lies_beside_the_weights_it_was_fitted_on(tiny: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert load_calibration(str(tiny)) is None and calibration_file("scripted") is None and calibration_file("confidence:embedded") is None
    about = {"reward": fingerprint(str(tiny), "reward")}
    fit([0.2, 0.8], [0.0, 1.0], Rollouts(), {}, about).save(tiny / "calibration.json")
    scorer = load_scorer(str(tiny))
    assert isinstance(scorer, ReadingScorer) and scorer.calibration == load_calibration(f"visualprm:{tiny}") is not None
    fit([0.2, 0.8], [0.0, 1.0], Rollouts(), {}, {"reward": "tiny 0123456789ab"}).save(tiny / "calibration.json")
    assert load_calibration(str(tiny)) is None and "fitted on other weights" in caplog.text
    (tiny / "calibration.json").unlink()
