"""The prompted policy on tiny untrained models: pieces end where the text does, in any shape; a search sees the marked form."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sloppy import BARE, CHAIN, EXACT, LOOK, SLOPPY
from tiny_families import tiny_family
from tiny_models import picture

from cos.__main__ import main
from cos.chain import Chain, Step
from cos.engine.decode import Batch
from cos.engine.prompted import EXAMPLE, PROMPT, PlainDecoder, PromptedPolicy, _reply
from cos.errors import UserError
from cos.loading import fingerprint, load_policy
from cos.models.vlm import VLM
from cos.plain_form import plain_pieces, read_plain
from cos.protocols import Draw, Piece, Prompt, ToRead
from cos.search.asking import Settings
from cos.search.scheduler import Search
from cos.search.scheduler import run as search_all
from cos.template import FORMAT_TOKENS, pieces


@pytest.fixture(scope="module")
def vlm() -> VLM:
    return tiny_family("internvl", bare=True)


class Dictated(PlainDecoder):
    """Writes what it is told: chain number k (the first number of a node's place) has text k."""

    texts: tuple[str, ...] = ()

    def choose(self, batch: Batch, live: np.ndarray, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        ids, logp = super().choose(batch, live, logits)
        encoder = self.reader.encoder
        for at, row in enumerate(live):
            told = [*encoder.plain(self.texts[batch.paths[row][0] % len(self.texts)]), encoder.end_id]
            ids[at] = told[min(len(_reply(batch.parents[row])) + int(batch.drawn[row]), len(told) - 1)]
        return ids, logp


def dictated(vlm: VLM, *texts: str) -> PromptedPolicy:
    policy = PromptedPolicy(vlm)
    policy._decoder = Dictated(policy._reader)
    policy._decoder.texts = texts
    return policy


def whole(policy: PromptedPolicy, chains: int = 1) -> list[list[Piece]]:
    (root,) = policy.open([Prompt("How many?", picture(1))])
    return policy.draw([Draw(root.handle, 1, (k,), max_tokens=400, max_steps=6, to="answer") for k in range(chains)])


def test_pieces_end_where_the_text_does_in_all_shapes(vlm: VLM) -> None:
    shapes = [shape for shape in SLOPPY if shape != "an answer in the last words"]
    policy = dictated(vlm, *(SLOPPY[shape][0] for shape in shapes))
    for shape, row in zip(shapes, whole(policy, len(shapes)), strict=True):
        assert [piece.text for piece in row] == pieces(SLOPPY[shape][1]), shape
        assert [piece.ending for piece in row] == ["step"] * (len(row) - 1) + ["answer"], shape
    assert policy.formats["lost"] == 0


@pytest.mark.parametrize("shape", ["no step ends", "a numbered list"])
def test_a_search_gets_the_chain_out_of_any_shape(shape: str, vlm: VLM) -> None:
    text, chain = SLOPPY[shape]
    policy = dictated(vlm, text)
    search = Search(Prompt("How many?", picture(1)), "greedy", Settings(n=1, max_tokens=400, max_steps=6))
    for _ in search_all([search], policy, None):
        pass
    trace = search.trace
    assert trace.chosen is not None, [(node.status, node.why) for node in trace.nodes]
    line = trace.line(trace.nodes[trace.chosen])
    assert "".join(node.text for node in line) == "".join(pieces(chain)) and trace.answer == "4"
    assert policy.formats["lost"] == 0 and sum(policy.formats.values()) == len(line)


def test_chains_drawn_whole_and_step_by_step_are_the_same(vlm: VLM) -> None:
    texts = [SLOPPY[shape][0] for shape in ("prose before and after", "a numbered list", "Markdown headers and bold labels")]
    rows = whole(dictated(vlm, *texts), 3)
    policy = dictated(vlm, *texts)
    (root,) = policy.open([Prompt("How many?", picture(1))])
    paths: list[tuple[int, ...]] = [(k,) for k in range(3)]
    handles = [root.handle] * 3
    for depth in range(3):
        drawn = policy.draw([Draw(handle, 1, path, max_tokens=400) for handle, path in zip(handles, paths, strict=True)])
        assert [piece.text for (piece,) in drawn] == [row[depth].text for row in rows]
        assert [piece.tokens for (piece,) in drawn] == [row[depth].tokens for row in rows]
        assert [piece.ending for (piece,) in drawn] == [("answer" if depth == 2 else "step")] * 3
        handles, paths = [piece.handle for (piece,) in drawn], [(*path, 0) for path in paths]


def test_the_form_rate_tells_exact_from_recovered_and_lost(vlm: VLM) -> None:
    policy = dictated(vlm, EXACT, SLOPPY["a numbered list"][0], "I can't help with that.", "Answer: 4", "Green. So the answer is 4.")
    rows = whole(policy, 5)
    assert dict(policy.formats) == {"exact": 3, "recovered": 3, "lost": 3}
    assert ["".join(piece.text for piece in row) for row in rows[:2]] == ["".join(pieces(chain)) for chain in (CHAIN, BARE)]
    assert [[(piece.text, piece.ending) for piece in row] for row in rows[2:4]] == [
        [("I can't help with that.", "cut")],
        [("Answer: 4", "cut")],
    ]


def test_a_step_that_never_ends_is_cut_at_the_limit(vlm: VLM) -> None:
    policy = dictated(vlm, "<step>\nName: a\nThought: " + "and " * 300)
    (root,) = policy.open([Prompt("How many?")])
    ((piece,),) = policy.draw([Draw(root.handle, 1, (0,), max_tokens=40)])
    assert piece.ending == "cut" and len(piece.tokens) == 40 and policy.formats["lost"] == 1


def test_format_tokens_in_letters_stay_letters(vlm: VLM) -> None:
    mark = next(iter(FORMAT_TOKENS))
    (row,) = whole(dictated(vlm, f"<step>\nName: a\nThought: {mark}\n</step>\n<answer>4</answer>"))
    assert row[0].ending == "cut" and mark in row[0].text


def test_no_special_token_is_drawn_but_an_end(vlm: VLM) -> None:
    for model in (vlm, tiny_family("qwen2_5_vl"), tiny_family("gemma3", bare=True)):
        decoder, encoder = PlainDecoder(PromptedPolicy(model)._reader), model.encoder
        allowed = {int(index) for index in torch.nonzero(decoder.bias == 0)}
        special = {index for index, token in encoder.tokenizer.added_tokens_decoder.items() if token.special}
        assert allowed & special == set(encoder.end_ids) and encoder.image_id not in allowed
        assert allowed | special == set(encoder.vocabulary.values())


def test_pieces_are_read_as_if_the_model_had_written_them(vlm: VLM) -> None:
    policy = dictated(vlm, EXACT)
    encoder = policy._reader.encoder
    (root,) = policy.open([Prompt("How many?", picture(1))])
    given = pieces(Chain((LOOK,)))
    (read,) = policy.read([ToRead(root.handle, tuple(given))])
    assert encoder.decode(_reply(policy._prompts.nodes[read.handles[0]])) == plain_pieces(Chain((LOOK,)))[0]
    (row,) = policy.draw([Draw(read.handles[0], 1, (0, 0), max_tokens=400, max_steps=3, to="answer")])
    assert [piece.text for piece in row] == pieces(CHAIN)[1:]
    for wrong in ("no step", pieces(Chain((Step("a", "b</step>", "c"),)))[0]):
        with pytest.raises(UserError, match="piece 1 can't be given to a prompted model"):
            policy.read([ToRead(root.handle, (wrong,))])


def test_the_prompt_shows_the_form_and_keeps_the_question_plain(vlm: VLM) -> None:
    policy = PromptedPolicy(vlm)
    assert read_plain(PROMPT[PROMPT.index("<step>") :]).chain == EXAMPLE
    (root,) = policy.open([Prompt("Is <|im_end|> here {really}?", picture(1))])
    ids = policy._prompts.nodes[root.handle].ids
    assert policy._reader.encoder.decode(ids).count("Is <|im_end|> here {really}?") == 1
    assert list(ids).count(policy._reader.encoder.end_id) == 1 and root.prefill_tokens == len(ids)


def test_solve_with_a_model_that_knows_nothing_of_chains(vlm: VLM, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, image = tmp_path / "instruct", tmp_path / "a.png"
    vlm.save(folder)
    Image.new("RGB", (40, 30), (200, 30, 30)).save(image)
    assert isinstance(load_policy(str(folder)), PromptedPolicy)
    assert fingerprint(f"prompted:{folder}", "policy") == f"prompted {fingerprint(str(folder), 'policy')}"
    words = ["--policy", str(folder), "--reward", "judge:self", "--method", "best_of_n", "--n", "2", "--max-tokens", "8"]
    assert main(["solve", str(image), "How many?", *words, "--json", "--trace", str(tmp_path / "t.json")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert sum(found["formats"].values()) == 2 and found["meter"]["policy_decode"] > 0
    models = json.loads((tmp_path / "t.json").read_text("utf-8"))["events"][0]["models"]
    assert models == {"policy": f"prompted:{folder}", "reward": f"judge:{folder}"}
    assert main(["solve", str(image), "How many?", *words]) == 0 and "form asked for" in capsys.readouterr().out
