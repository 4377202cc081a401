"""The formulas of searches against the meters of real searches by the embedded models, token for token, for every method."""

from __future__ import annotations

import pytest

from cos.bench.cases import Case, Forced, case
from cos.engine.torch_engine import TorchPolicy
from cos.meter import Meter
from cos.models.encode import Turn
from cos.models.vlm import VLM
from cos.plan.searches import UNSCORED, Lengths, search, unshared_bytes
from cos.plan.sizes import size_of
from cos.protocols import Costs, Prompt
from cos.rewards.step_tag import StepTagScorer
from cos.search.growth import Search
from cos.search.methods import METHODS, Settings
from cos.search.scheduler import run

PIECES, LENGTH = 3, 7
OWN = {"adaptive_n": {"certainty": 0.999999}}  # so that it takes all N
ASKED = [(name, Settings(n=4, width=2, max_tokens=LENGTH, max_steps=PIECES, **OWN.get(name, {}))) for name in METHODS]
ASKED += [
    ("retrace", Settings(n=4, width=2, threshold=1.0, retraces=2)),  # no reward reaches 1: it goes back as often as it may
    ("lookahead", Settings(n=3, width=2, lookahead=2)),
    ("lookahead", Settings(n=1)),
    ("step_beam", Settings(n=4, width=3, granularity=2)),
    ("mcts", Settings(n=5, width=3)),
]
ASKED[list(METHODS).index("retrace")] = ("retrace", Settings(n=4, width=2, threshold=0.0))  # never back


@pytest.fixture(scope="module")
def measured() -> tuple[Case, list[Meter]]:
    """Every search of ASKED, on chains of PIECES pieces of LENGTH tokens, in one batch."""
    made = case("embedded")
    policy = TorchPolicy(made.policy, decoder=lambda reader: Forced(reader, PIECES, LENGTH))
    found = [Search(Prompt(made.question, made.image), method, settings) for method, settings in ASKED]
    for _ in run(found, policy, StepTagScorer(made.reward)):
        pass
    return made, [one.trace.meter for one in found]


def read(vlm: VLM, made: Case) -> int:
    """Tokens of the prompt with its picture."""
    stand_in = vlm.encoder.pixels(made.image).stand_in
    return len(vlm.encoder.conversation([Turn("user", made.question, image=True)], stand_in, reply=True).ids)


def test_every_counter_of_every_method_is_as_planned(measured: tuple[Case, list[Meter]]) -> None:
    made, meters = measured
    lengths = Lengths(read(made.policy, made), read(made.reward, made), LENGTH, PIECES)
    sizes = size_of("embedded"), size_of("embedded", "reward")
    costs = [size.costs(size.image_tokens, "float32") for size in sizes]
    for (method, settings), meter in zip(ASKED, meters, strict=True):
        if method == "retrace" and settings.threshold == 0.0:
            settings = Settings(n=4, width=2, retraces=0)
        planned = search(method, settings, lengths, *costs).meter
        planned.seconds = meter.seconds
        assert planned.to_json() == pytest.approx(meter.to_json()), (method, settings)


def test_the_worked_example_of_the_cost_model() -> None:
    """N=16, M=4, S=5, L=80, 60 tokens of question, 256 or 1,500 of picture: figures by hand."""
    for image, beam, ahead in ((256, 13_512, 23_816), (1500, 16_000, 26_304)):
        lengths = Lengths(image + 60, image + 60, 80, 5)
        planned = {name: search(name, Settings(), lengths, Costs(), Costs()).meter.tokens for name in METHODS}
        assert planned["best_of_n"] == planned["step_beam"] == planned["mcts"] == beam and planned["lookahead"] == ahead
        assert planned["vote"] == image + 60 + 6400 and planned["greedy"] == image + 60 + 400
        assert planned["retrace"] == beam + 4 * 16 * (80 + 81)


def test_a_prefix_tree_holds_less_than_copies() -> None:
    """N=16, c=1560: 31,360 tokens in copies and 7,960 shared, of 128 KiB each (32 layers, 8 heads of 128, bfloat16), by hand."""
    held, lengths = Costs(kv_bytes_per_token=128 * 1024), Lengths(1560, 1560, 80, 5)
    assert unshared_bytes("vote", Settings(), lengths, held, held) == 31_360 * 128 * 1024
    assert search("vote", Settings(), lengths, held, held).meter.kv_peak_bytes == 7_960 * 128 * 1024
    assert unshared_bytes("best_of_n", Settings(), lengths, held, held) == (31_360 + 16 * (1560 + 405)) * 128 * 1024
    assert (
        unshared_bytes("greedy", Settings(), lengths, held, held) == search("greedy", Settings(), lengths, held, held).meter.kv_peak_bytes
    )


def test_forwards_are_those_that_wait_for_one_another() -> None:
    lengths = Lengths(300, 300, 80, 5)
    for method, wanted in (("greedy", 400), ("vote", 400), ("step_beam", 400), ("lookahead", 720), ("mcts", 1600), ("adaptive_n", 2000)):
        assert search(method, Settings(), lengths, Costs(), Costs()).forwards == wanted, method
    assert set(METHODS) > UNSCORED
