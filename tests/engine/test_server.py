"""A server that drops, stalls, babbles, dies and comes back: all answers come, in order, once; and a clear line where they can't."""

from __future__ import annotations

import random
import signal
import socket
import threading
import time
from typing import Any

import pytest
from loopback import serving

from cos.engine.server import Refused, Server
from cos.errors import Away, UserError
from cos.models.scripted import ScriptedPolicy, ScriptedScorer
from cos.protocols import Prompt
from cos.search.asking import Settings
from cos.search.growth import Search
from cos.search.scheduler import run

BODIES = [{"model": "m", "number": number} for number in range(40)]
EXPECTED = [number * 2 for number in range(40)]


def double(path: str, body: dict[str, Any]) -> dict[str, Any] | None:
    return {"doubled": body["number"] * 2} if path == "/v1/double" else None


def read(reply: Any) -> int:
    return int(reply["doubled"])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize("fault", ["drop", "slow", "malformed", "no json", "busy"])
def test_every_tenth_request_fails_and_all_answers_come_in_order(fault: str) -> None:
    with serving(double, fault=lambda number, path: fault if number % 10 == 0 else "") as server:
        client = Server(server.name, first_wait=0.01)
        assert client.ask("double", BODIES, read) == EXPECTED
        client.close()
        failed = 0 if fault == "slow" else server.count // 10
        assert server.count == len(BODIES) + failed and failed in (0, 4)


def test_a_server_that_dies_and_comes_back_is_waited_for() -> None:
    port, got = free_port(), list[int]()
    with serving(double, port) as server:
        client = Server(server.name, first_wait=0.05)
        assert client.ask("double", BODIES[:3], read) == EXPECTED[:3]
    asking = threading.Thread(target=lambda: got.extend(client.ask("double", BODIES, read)))
    asking.start()
    time.sleep(0.2)  # some tries meet a closed port
    with serving(double, port):
        asking.join(30)
        client.close()
    assert got == EXPECTED


def test_patience_ends_with_one_clear_line() -> None:
    with serving(double, fault=lambda number, path: "busy") as server:
        client = Server(server.name, patience=0.1, first_wait=0.02)
        with pytest.raises(UserError, match=rf"^{server.name[:-2]}: the server has failed for .*\(status 503\); .*$"):
            client.ask("double", BODIES[:2], read)
        client.close()


def test_what_has_come_is_kept_and_not_asked_for_again() -> None:
    with serving(double, fault=lambda number, path: "refuse: too long" if server.seen[-1][1]["number"] == 7 else "") as server:
        client = Server(server.name)
        with pytest.raises(Refused, match="too long"):
            client.ask("double", BODIES[:10], read)
        assert server.count == 10
        del server.seen[:]
        assert client.ask("double", [body for body in BODIES[:10] if body["number"] != 7], read) == EXPECTED[:7] + EXPECTED[8:10]
        assert server.seen == []  # all kept
        assert client.ask("double", BODIES[:1], read) == EXPECTED[:1] and len(server.seen) == 1  # once given, kept no more
        client.close()


def test_an_interrupt_breaks_off_what_is_on_the_way() -> None:
    main = threading.main_thread().ident
    assert main is not None
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a run in the background of a shell starts with it ignored

    def interrupt() -> None:
        while not server.seen:
            time.sleep(0.01)
        signal.pthread_kill(main, signal.SIGINT)

    with serving(double, fault=lambda number, path: "hang") as server:
        client = Server(server.name)
        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            client.ask("double", BODIES[:1], read)
        assert server.broken_off.wait(20)  # the server sees the line closed
        client.close()
    signal.signal(signal.SIGINT, before)


def test_one_clear_line_where_there_is_no_server_or_no_such_model() -> None:
    with pytest.raises(UserError, match=r"^http://127.0.0.1:\d+/v1: no server answers there \(.+\); start it, or mend the address$"):
        Server(f"http://127.0.0.1:{free_port()}/v1#m")
    with pytest.raises(UserError, match="no server answers there"):
        Server("http://#m")
    with serving(double) as server:
        with pytest.raises(UserError, match=r"no model 'other' there; write .*#MODEL, where it serves m$"):
            Server(server.name[:-1] + "other")
        client = Server(server.name[:-2])  # the only one there
        assert (client.model, client.longest, client.tokens(["a"])) == ("m", 2048, None)
        client.close()


def test_a_server_that_stays_away_ends_the_work_and_blames_no_problem() -> None:
    with serving(double) as server:
        client = Server(server.name, patience=0.1, first_wait=0.02)
    with pytest.raises(Away, match="the server has failed for"):
        client.ask("double", BODIES[:1], read)
    client.close()


def test_searches_end_with_the_server() -> None:
    def gone(prompt: Prompt, texts: tuple[str, ...], rng: random.Random) -> str:
        raise Away("gone")

    two = [Search(Prompt(question), "best_of_n", Settings(n=2)) for question in ("How many?", "Which?")]
    with pytest.raises(Away):
        list(run(two, ScriptedPolicy(gone), ScriptedScorer()))
    assert not any(search.trace.ended for search in two)
