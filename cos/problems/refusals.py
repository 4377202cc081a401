"""Pictures that a model must refuse: noise, patterns, photographs, empty pages, and pictures of another world than the question's.

The answer to all of them is `cos.chain.REFUSAL`. The sentences of a refusal are checked here for every world.
"""

from __future__ import annotations

import random
import re
from typing import Any

from PIL import Image

import cos.problems.charts as charts
import cos.problems.digits as digits
import cos.problems.scenes as scenes
import cos.problems.textures as textures
from cos.chain import REFUSAL, Chain, Problem, Step
from cos.problems.world import Truth, Verdict, World, home

NAME = "refusals"
WORLDS: dict[str, World] = {"charts": charts, "scenes": scenes, "digits": digits}
"""The worlds whose questions are asked and whose pictures are shown."""

_THINGS = {"charts": "bar chart", "scenes": "coloured shapes", "digits": "handwritten digits"}
_LOOKS = (
    {"noise": "noise", "pattern": "a pattern", "photograph": "a photograph", "blank": "an empty page"} | _THINGS | {"charts": "a bar chart"}
)
_SHOWN = ("noise", "noise", "pattern", "pattern", "photograph", "blank", "other", "other", "other")

_NO_THING = re.compile(
    r"\b(?:shows?|has|have|holds?|contains?|is|are|see) no "
    r"(?:(?:bar )?(charts?)|(?:colou?red )?(shapes?)|(?:handwritten )?(digits?|handwriting))\b"
)
_LOOKS_LIKE = re.compile(
    r"\blooks like (?:an? )?(noise|pattern|photograph|photo|empty page|bar chart|coloured shapes|handwritten digits)\b"
)
_NO_ANSWER = re.compile(r"\b(?:can'?t|can ?not|can’t) be answered|\bno answer can be given")
_KIND_OF = {
    "photo": "photograph",
    "empty page": "blank",
    "bar chart": "charts",
    "coloured shapes": "scenes",
    "handwritten digits": "digits",
}


def sample(rng: random.Random, split: str, level: int) -> dict[str, Any]:
    """A question of one world, at this level, and a picture that can't answer it. `kind` is what the picture shows."""
    asked = rng.choice(list(WORLDS))
    question = _drawn(rng, asked, split, level)
    shown = rng.choice(_SHOWN)
    if shown == "other":
        others = [name for name in WORLDS if name != asked]
        shown = rng.choice(others or ["noise"])
    if shown in WORLDS:
        content = {"picture": shown, "truth": _drawn(rng, shown, split, level)["truth"]}
    else:
        content = {"picture": shown, "form": rng.choice(textures.forms(shown, split)), "seed": rng.randrange(10**9)}
    ask = {"world": asked, "answer": question["answer"], "truth": question["truth"]}
    truth = {"content": content, "style": {}, "ask": ask}
    return {"question": question["question"], "answer": REFUSAL, "kind": shown, "truth": truth}


def draw(truth: Truth) -> Image.Image:
    """The picture, RGB."""
    content = truth["content"]
    if content["picture"] in WORLDS:
        return WORLDS[content["picture"]].draw(content["truth"])
    return textures.draw(content["picture"], content["form"], content["seed"])


def describe(truth: Truth) -> str:
    """What the picture shows: "noise.", "a pattern.", "a photograph.", "an empty page.", or a world's own description."""
    content = truth["content"]
    if content["picture"] in WORLDS:
        return WORLDS[content["picture"]].describe(content["truth"])
    return _LOOKS[content["picture"]] + "."


def chain(problem: Problem, rng: random.Random) -> Chain:
    """Two steps: what the picture does not show, and that the question can't be answered."""
    return _refuse(problem.truth["ask"]["world"], problem.truth["content"]["picture"])


def refuse_wrongly(problem: Problem, rng: random.Random) -> Chain:
    """A refusal of a good picture: wrong in every step."""
    return _refuse(problem.world, rng.choice([kind for kind in _LOOKS if kind != problem.world]))


def corrupt(problem: Problem, right: Chain, rng: random.Random) -> Chain:
    """A plausible wrong chain: an answer made up from nothing, or a wrong word on what the picture looks like."""
    ask, shown = problem.truth["ask"], problem.truth["content"]["picture"]
    if rng.random() < 0.7:
        made_up = Problem(problem.id, problem.question, ask["answer"], world=ask["world"], truth=ask["truth"])
        return WORLDS[ask["world"]].chain(made_up, rng)
    return _refuse(ask["world"], rng.choice([kind for kind in _LOOKS if kind not in (shown, ask["world"])]))


def check(problem: Problem, step: Step) -> Verdict:
    """Right or wrong by what the picture shows; claims about the things asked about are wrong, since there are none. Never raises."""
    content, ask = problem.truth["content"], problem.truth["ask"]
    verdict = check_refusal(content["picture"], refused=True, step=step)
    if verdict.label == 0:
        return verdict
    asked = Problem(problem.id, problem.question, ask["answer"], world=ask["world"], truth=ask["truth"])
    claims = WORLDS[ask["world"]].check(asked, step)
    if claims.label is not None:
        return Verdict(0, f"the picture shows no {_THINGS[ask['world']]}", claims.kind)
    if content["picture"] in WORLDS and verdict.label is None:
        return WORLDS[content["picture"]].check(
            Problem(problem.id, problem.question, world=content["picture"], truth=content["truth"]), step
        )
    return verdict


def check_refusal(shown: str, *, refused: bool, step: Step) -> Verdict:
    """The verdict on the sentences of a refusal alone. `shown`: kind of picture or its world; `refused`: a refusal is right."""
    text = " ".join(f"{step.thought} | {step.reflection}".lower().split())
    faults = []
    for match in _NO_THING.finditer(text):
        world = "charts" if match[1] else "scenes" if match[2] else "digits"
        faults.append(f"the picture shows {_LOOKS[shown]}" if world == shown else "")
    for match in _LOOKS_LIKE.finditer(text):
        faults.append("" if _KIND_OF.get(match[1], match[1]) == shown else f"the picture shows {_LOOKS[shown]}")
    seen = bool(faults)
    if _NO_ANSWER.search(text):
        faults.append("" if refused else "the question can be answered")
    if not faults:
        return Verdict(None, "it claims nothing that can be checked")
    wrong = [fault for fault in faults if fault]
    return Verdict(0 if wrong else 1, wrong[0] if wrong else "all its claims are true", "see" if seen else "compute")


def _drawn(rng: random.Random, world: str, split: str, level: int) -> dict[str, Any]:
    """A problem of a world whose content belongs to the split."""
    while True:
        drawn = WORLDS[world].sample(rng, split, level)
        if home(drawn["truth"]["content"]) == ("test" if split == "shift" else split):
            return drawn


def _refuse(asked: str, looks: str) -> Chain:
    look = Step("look", f"The picture shows no {_THINGS[asked]}.", f"It looks like {_LOOKS[looks]}.")
    return Chain((look, Step("decide", "The question can't be answered.", "This follows from the first step.")), REFUSAL)
