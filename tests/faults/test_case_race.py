"""Two people on one case at the same moment, and texts of every kind, over real connections."""

from __future__ import annotations

import json
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from case_server import Person, Server, Worker, open_account
from cli_process import kc
from faults.test_case_kill import a_free_port
from log_world import sqlite_settings

from core.case_rules import CASES
from core.eventlog.recorder.blocking import BlockingNode
from core.limits import TEXT_CHARS_MAX

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

pytestmark = [pytest.mark.fault, pytest.mark.slow, pytest.mark.timeout(600)]

OWN = {
    "markup": "<script>alert('hemligt')</script> & <b>fet</b>",
    "right to left": "\u202eגורל \u200f مرحبا",
    "combined": "Z\u0351\u036balgo e\u0301 \u00e9 \u1e69 \u0000"[:-1],
    "emoji": "👩\u200d👩\u200d👧 🏴\U000e0067\U000e0062 🦐",
    "lines": "rad 1\nrad 2\r\n\trad 3\u2028\u2029",
    "control": "\x01\x07\x1b[31mröd\x7f",
    "quotes": "'; DROP TABLE cases; -- \" \\ %s {0} ${x} `y`",
    "formula": "=HYPERLINK(\"http://example.test\",\"klicka\")",
    "swedish": "Räksmörgås på Västerlånggatan, é, ü, ø",
    "private": "\ue000\uf8ff\U0010ffff\ufffe",
    "long": "å" * TEXT_CHARS_MAX,
}  # fmt: skip
REFUSED = {
    "too long": "x" * (TEXT_CHARS_MAX + 1),
    "far too long": "<p>" * 34_000,
    "nothing": "",
    "blank": " \t\n ",
}


class World:
    """A server with an agent and two officers of one authority."""

    def __init__(self, home: Path) -> None:
        self.home, self.data = home, home / "data"
        port = a_free_port()
        self.server = Server(home, self.data, port)
        open_account(home, self.data, "root", "--role", "administrator")
        officer = ("--role", "case_officer", "--authority", "TK", "--as", "root")
        agent = ("--role", "agent_1", "--group", "tnh_avfall", "--as", "root")
        for name, rights in (("anna", agent), ("olle", officer), ("ove", officer)):
            open_account(home, self.data, name, *rights)
        self.anna, self.olle, self.ove = (Person(name, port) for name in ("anna", "olle", "ove"))

    def opened(self, key: str, **more: Any) -> str:
        """A new case's path, with a type."""
        told = self.anna.did("", {"authority": "TK", **more}, f"{key}/1")
        path = f"/TK/{told['case']}"
        self.anna.did(f"{path}/categorise", {"case_type": "TK-AVF-02"}, f"{key}/2")
        return path


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    found = World(tmp_path_factory.mktemp("race"))
    yield found
    found.server.stop()


def at_once(*asked: Any) -> list[httpx.Response]:
    """What each was answered, where all asked at the same moment."""
    gate = threading.Barrier(len(asked))
    answers: list[httpx.Response | None] = [None] * len(asked)

    def one(n: int) -> None:
        gate.wait()
        answers[n] = asked[n]()

    workers = [Worker(partial(one, n)) for n in range(len(asked))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.done(60)
    return [answer for answer in answers if answer is not None]


@pytest.mark.requirement("R16")
def test_of_two_officers_who_take_a_case_at_once_one_has_it(world: World, whole: bool) -> None:
    winners = set()
    for n in range(60 if whole else 8):
        path = world.opened(f"take {n}")
        mine, yours = at_once(
            partial(world.olle.asks, f"{path}/take", {}, f"o{n}"),
            partial(world.ove.asks, f"{path}/take", {}, f"v{n}"),
        )
        assert sorted((mine.status_code, yours.status_code)) == [200, 409]
        lost, loser = (mine, world.olle) if mine.status_code == 409 else (yours, world.ove)
        winners.add(world.ove.account if loser is world.olle else world.olle.account)
        problem = lost.json()
        assert problem["type"].endswith("case-is-taken")
        assert "has the case" in problem["detail"]
        again = loser.asks(f"{path}/take", {}, f"{'o' if loser is world.olle else 'v'}{n}")
        assert (again.status_code, again.json()["type"]) == (409, problem["type"])
        assert world.olle.sees(path)["officer"] in {"olle", "ove"}
    assert winners


def test_of_two_endings_at_once_one_stands(world: World, whole: bool) -> None:
    for n in range(40 if whole else 5):
        path = world.opened(f"end {n}")
        world.olle.did(f"{path}/take", {}, f"end {n}/3")
        asked = [
            (person, f"end {n}/{person.account}", {"outcome": outcome})
            for person, outcome in ((world.olle, "solved"), (world.ove, "not_city"))
        ]
        answers = at_once(*(partial(who.asks, f"{path}/close", b, k) for who, k, b in asked))
        assert sorted(answer.status_code for answer in answers) == [200, 409]
        kept = [a for a, answer in zip(asked, answers, strict=True) if answer.status_code == 200]
        assert world.olle.sees(path)["outcome"] == kept[0][2]["outcome"]


def test_the_same_asking_on_two_lines_at_once_is_done_once(world: World) -> None:
    for n in range(5):
        path = world.opened(f"same {n}")
        ask = partial(world.anna.asks, f"{path}/note", {"text": f"antecknat {n}"}, f"same {n}/3")
        one, other = at_once(ask, ask)
        assert (one.status_code, other.status_code) == (200, 200)
        assert one.json()["position"] == other.json()["position"]
        assert world.olle.asks(f"{path}/events").json()["version"] == 3


@pytest.mark.parametrize("name", OWN)
def test_a_text_of_any_kind_comes_back_as_it_was_written(world: World, name: str) -> None:
    text = OWN[name]
    path = world.opened(f"text {name}", text=text, title=text[:100])
    world.anna.did(f"{path}/note", {"text": text}, f"text {name}/3")
    told = world.olle.asks(f"{path}/events").json()["events"]
    noted = [event for event in told if event["type"] == "case.noted"]
    assert [event["data"]["text"] for event in noted] == [text]


@pytest.mark.parametrize("name", REFUSED)
def test_a_text_that_cannot_be_kept_is_refused_and_leaves_no_trace(world: World, name: str) -> None:
    path = world.opened(f"refused {name}")
    answer = world.anna.asks(f"{path}/note", {"text": REFUSED[name]}, f"refused {name}/3")
    assert 400 <= answer.status_code < 500
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert "Traceback" not in answer.text
    assert world.olle.asks(f"{path}/events").json()["version"] == 2


def test_afterwards_every_case_makes_sense_and_no_text_is_in_clear(world: World) -> None:
    """Last in this file: it looks at all that the others did."""
    world.opened("last", text="en helt egen mening som ingen annan skriver")
    export = world.home / "export.jsonl"
    kc(world.home, "log", "export", export, "--data", world.data)
    text = export.read_text(encoding="utf-8")
    assert "en helt egen mening" not in text
    assert "hemligt" not in text
    streams = {
        event["stream"]
        for line in text.splitlines()
        for event in json.loads(line)["events"]
        if event["stream"].startswith("case/")
    }
    world.server.killed()  # what it had acknowledged is on disk
    world.server.stop()
    with BlockingNode(sqlite_settings(world.data)) as node:
        for stream in streams:
            state = CASES.initial
            for recorded in node.load(stream):
                state = CASES.evolve(state, recorded)
            assert state.contradictions == (), stream
    world.server = Server(world.home, world.data, world.anna.port)
