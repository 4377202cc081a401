"""To the Hub and back: policies, reward models with their calibration, the app; against a Hub on the loopback."""

from __future__ import annotations

import logging
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from fake_hub import TOKEN, FakeHub, pushed
from huggingface_hub import ModelCard, constants
from PIL import Image

from cos.__main__ import main
from cos.errors import UserError
from cos.loading import fingerprint, load_calibration, load_policy, load_scorer, load_vlm
from cos.models import hub
from cos.models.embedded import Shape, build, make_tokenizer
from cos.models.vlm import LOOK
from cos.problems import describe, problems
from cos.protocols import Prompt, ToScore
from cos.publish.page import front_matter, page
from cos.publish.parcel import CARD, Parcel, model_parcel, space_parcel
from cos.rewards.calibrate import Rollouts, fit
from cos.rewards.reading import ReadingScorer

TINY = Shape(pixels=32, merge=2, vision_width=16, vision_layers=1, width=16, layers=1, heads=2)
STEP = "<|reasoning_step_start|>\n<|reasoning_step_name_start|>a<|reasoning_step_name_end|>\n<|reasoning_step_end|>\n"


def saved(folder: Path, seed: int = 0, look: str | None = None) -> Path:
    texts = [text for problem in problems("all:train", 6) for text in (problem.question, describe(problem))]
    build(TINY, make_tokenizer(texts, 300), seed=seed, look=look).save(folder)
    return folder


def calibrated(folder: Path) -> Path:
    about = {"reward": fingerprint(str(folder), "reward"), "set": "all:validation"}
    fit([0.1, 0.4, 0.6, 0.9], [0, 0, 1, 1], Rollouts(), {"first_error_f1": 0.625}, about).save(folder / "calibration.json")
    return folder


def test_a_reward_model_goes_up_and_comes_back_whole(tmp_path: Path, server: FakeHub, capsys: pytest.CaptureFixture[str]) -> None:
    folder = calibrated(saved(tmp_path / "prm", look=LOOK))
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    (folder / "notes").mkdir()
    said = pushed(capsys, "reward", str(folder), "--to", "me/prm", "--private")
    there = server.repo("me/prm")
    assert there.private and set(said["files"]) == set(there.files) - {".gitattributes"}
    assert said["left_out"] == ["notes/", "pytorch_model.bin"] and said["commit"] == there.refs["main"]
    assert all(there.files[name] == (folder / name).read_bytes() for name in said["files"] if name != CARD)
    card = ModelCard(there.files[CARD].decode())
    assert card.data.library_name == "transformers" and card.data.tags == ["chain-of-step", "process-reward-model"]
    assert "--reward me/prm" in card.text and "| first_error_f1 | 0.6250 |" in card.text

    mine, theirs = load_scorer(str(folder)), load_scorer(f"me/prm@{said['commit']}")
    assert isinstance(mine, ReadingScorer) and isinstance(theirs, ReadingScorer)
    assert theirs.calibration == mine.calibration and theirs.calibration is not None
    assert load_vlm("me/prm", "reward").look == LOOK and theirs.name == f"me/prm@{said['commit']}"
    prompt = Prompt("How many?", Image.new("RGB", (32, 32), "red"))
    rewards = []
    for scorer in (mine, theirs):
        (opened,) = scorer.open([prompt])
        rewards.append(scorer.score([ToScore(opened.handle, (STEP,))])[0].rewards)
    assert rewards[0] == rewards[1]


def test_a_pinned_revision_stays_and_a_second_push_replaces(tmp_path: Path, server: FakeHub, capsys: pytest.CaptureFixture[str]) -> None:
    first = pushed(capsys, "policy", str(saved(tmp_path / "one")), "--to", "me/policy")["commit"]
    repo = server.repo("me/policy")
    repo.commits["f" * 40] = {**repo.files, "model-00001-of-00002.safetensors": b"of an older push", "picture.png": b"theirs"}
    repo.refs["main"] = "f" * 40
    again = pushed(capsys, "policy", str(saved(tmp_path / "two", seed=1)), "--to", "me/policy")["commit"]
    assert again != first and "picture.png" in repo.files and "model-00001-of-00002.safetensors" not in repo.files
    hash_of = {name: fingerprint(name, "policy").rpartition(" ")[2] for name in (f"me/policy@{first}", "me/policy")}
    for folder, name in (("one", f"me/policy@{first}"), ("two", "me/policy")):
        assert hash_of[name] == fingerprint(str(tmp_path / folder), "policy").rpartition(" ")[2]
    assert pushed(capsys, "policy", str(tmp_path / "two"), "--to", "me/policy")["commit"] == again  # nothing is new: no commit
    assert load_policy("me/policy").name == "me/policy"


def test_what_is_in_the_cache_serves_without_the_hub(
    tmp_path: Path, server: FakeHub, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed(capsys, "policy", str(saved(tmp_path / "one")), "--to", "me/policy")
    here = hub.fetch_model("me/policy")
    asked = len(server.asked)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    hub.fetch_model.cache_clear()
    assert hub.fetch_model("me/policy") == here and len(server.asked) == asked
    with pytest.raises(UserError, match="not in the cache here, and the Hub can't be reached"):
        load_policy("me/other")


def test_a_dry_run_asks_nothing_of_the_hub(tmp_path: Path, server: FakeHub, capsys: pytest.CaptureFixture[str]) -> None:
    folder = saved(tmp_path / "prm")
    before = sorted((file.name, file.read_bytes()) for file in folder.iterdir())
    said = pushed(capsys, "reward", str(folder), "--to", "me/prm", "--dry-run")
    assert said["commit"] is None and said["files"]["model.safetensors"] == (folder / "model.safetensors").stat().st_size
    assert "no calibration.json" in said["notes"][0] and not server.asked
    assert sorted((file.name, file.read_bytes()) for file in folder.iterdir()) == before
    assert main(["push", "reward", str(folder), "--to", "me/prm", "--dry-run"]) == 0
    assert "would go to me/prm; nothing was sent" in capsys.readouterr().out


def test_a_calibration_of_other_weights_stays(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = calibrated(saved(tmp_path / "prm"))
    saved(folder, seed=1)
    with caplog.at_level(logging.ERROR):
        parcel = model_parcel(str(folder), "reward", "me/prm")
    assert "calibration.json" not in parcel.files and "other weights" in parcel.notes[0] and "calibration.json" in parcel.left_out


@pytest.mark.parametrize(
    ("breaks", "reason"),
    [
        (lambda folder: (folder / "model.safetensors").unlink(), "no model.safetensors with a config.json"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"\0" * 40), "not a safetensors file"),
        (lambda folder: [(folder / name).unlink() for name in ("tokenizer.json", "tokenizer_config.json")], "tokenizer is missing"),
        (lambda folder: (folder / CARD).write_text("---\n- a list\n---\n"), "front matter is no YAML"),
        (
            lambda folder: (folder / "model.safetensors.index.json").write_text('{"weight_map": {"w": "model-2.safetensors"}}'),
            "model-2.safetensors is missing",
        ),
    ],
)
def test_what_is_no_whole_model_does_not_go(tmp_path: Path, breaks: Any, reason: str) -> None:
    folder = saved(tmp_path / "model")
    breaks(folder)
    with pytest.raises(UserError, match=reason):
        model_parcel(str(folder), "policy", "me/policy")


def test_mistakes_are_one_line_and_never_show_the_token(
    tmp_path: Path, server: FakeHub, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = str(saved(tmp_path / "one"))

    capsys.readouterr()

    def refused(*words: str) -> str:
        assert main(["push", *words]) == 2
        said = capsys.readouterr()
        assert said.err.count("\n") == said.err.count("cos: ") == 1 and "Traceback" not in said.err and TOKEN not in said.out + said.err
        return said.err

    assert "--to is missing" in refused("policy", folder)
    assert "those are owner/name" in refused("policy", folder, "--to", "nobody")
    assert "those are owner/name" in refused("policy", folder, "--to", "me/policy@main")
    assert "no such folder" in refused("policy", "nowhere", "--to", "me/policy")
    server.fault = 403
    assert "the Hub refuses (403)" in refused("policy", folder, "--to", "me/policy")
    server.fault = None
    pushed(capsys, "policy", folder, "--to", "me/policy")
    for name, reason in (("me/none", "not on the Hub"), ("me/policy@v9", "no such revision")):
        with pytest.raises(UserError, match=reason) as caught:
            load_policy(name)
        assert "\n" not in str(caught.value)
    server.repo("me/policy").files["config.json"] = b'{"model_type": "internvl_chat"}'
    asked = len(server.asked)
    with pytest.raises(UserError, match="model me/policy: model family 'internvl_chat' is not supported"):
        load_policy("me/policy")
    assert not [path for path in server.asked[asked:] if path.endswith(".safetensors")]  # known before any weights come
    monkeypatch.setenv("HF_TOKEN", "")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    assert "there is no token" in refused("policy", folder, "--to", "me/policy")


def test_the_owner_s_card_keeps_its_words() -> None:
    own = "---\nlicense: mit\ntags: [mine, chain-of-step]\n---\n# My model\n\nWords.\n\n## Use\n\nAs I say.\n"
    text = page(
        own, "README.md", {"library_name": "transformers", "license": "x", "tags": ["chain-of-step", "more"]}, "t", {"Use": "!", "New": "?"}
    )
    head, body = front_matter(text, "README.md")
    assert head == {"library_name": "transformers", "license": "mit", "tags": ["mine", "chain-of-step", "more"]}
    assert body.strip() == "# My model\n\nWords.\n\n## Use\n\nAs I say.\n\n## New\n\n?"
    assert page(text, "README.md", {"tags": ["more"]}, "t", {"New": "other"}) == text  # again: nothing to add
    assert yaml.safe_load(page(None, "", {"a": 1}, "name", {}).split("---")[1]) == {"a": 1}


def test_the_app_goes_as_git_has_it(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=tmp_path, check=True, capture_output=True)

    with pytest.raises(UserError, match="not a git checkout"):
        space_parcel(tmp_path / "none", "me/app")
    git("init", "-q")
    for name, text in (("README.md", "---\nsdk: gradio\napp_file: app.py\n---\n"), ("app.py", "1"), ("secret.env", "x")):
        (tmp_path / name).write_text(text)
    git("add", "README.md")
    with pytest.raises(UserError, match="app_file, a file that git tracks"):
        space_parcel(tmp_path, "me/app")
    git("add", "app.py")
    git("commit", "-qm", "one")
    parcel = space_parcel(tmp_path, "me/app")
    assert set(parcel.files) == {"README.md", "app.py"} and not parcel.notes
    assert parcel.replaces("old.py") and not parcel.replaces(".gitattributes")
    (tmp_path / "app.py").write_text("2")
    assert "not committed" in space_parcel(tmp_path, "me/app").notes[0]


def test_names_on_the_hub() -> None:
    assert hub.split("me/model") == ("me/model", None)
    assert hub.split("me/model@refs/pr/1") == ("me/model", "refs/pr/1")
    for name in (
        "model",
        "/me/model",
        "./me/model",
        "me/model@",
        "a/b/c",
        "judge:me/model",
        "~/x",
        "http://a/b",
        "me/ model",
        "me/mo\ndel",
    ):
        assert hub.split(name) is None
    assert Parcel("me/model", "model", {}).replaces("calibration.json") and not Parcel("me/d", "dataset", {}).replaces("data/a.parquet")
    assert load_calibration("scripted") is None
