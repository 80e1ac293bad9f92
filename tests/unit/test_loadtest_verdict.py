from __future__ import annotations

import itertools
import json
import threading
from typing import TYPE_CHECKING

import pytest

from loadtests.ledger import Ledger, Told, read_ledger
from loadtests.surge import WHOLE, Surge, planned
from loadtests.verify import differences, main, read_export

if TYPE_CHECKING:
    from pathlib import Path


def told(*keys: str, unknown: str = "") -> Told:
    result = Told()
    for n, key in enumerate(keys, 1):
        step = {"queued": 1, "answered": 2, "ended": 3}[key.rpartition("/")[2]]
        result.intents[key] = {"intent": key, "step": step}
        if key != unknown:
            result.acks[key] = [{"ack": key, "shard": "calls/0", "position": n}]
    return result


def at(position: int) -> dict[str, object]:
    return {"shard": "calls/0", "position": position, "id": f"id-{position}"}


GOOD = {"1/queued": [at(1)], "1/answered": [at(2)]}


def failing(found: dict[str, list[str]]) -> list[str]:
    return [what.partition(":")[0] for what, keys in found.items() if keys]


def test_a_log_that_holds_each_acknowledged_fact_once_passes() -> None:
    assert failing(differences(told("1/queued", "1/answered"), GOOD)) == []


def test_what_was_never_acknowledged_may_be_there_once_or_not_at_all() -> None:
    half = told("1/queued", "1/answered", unknown="1/answered")
    assert failing(differences(half, GOOD)) == []
    assert failing(differences(half, {"1/queued": [at(1)]})) == []


@pytest.mark.parametrize(
    ("log", "verdict"),
    [
        ({"1/queued": [at(1)]}, ["lost"]),
        ({**GOOD, "1/queued": [at(1), at(7)]}, ["doubled"]),
        ({**GOOD, "2/queued": [at(3)]}, ["unasked for"]),
        ({**GOOD, "1/answered": [at(9)]}, ["elsewhere"]),
    ],
)
def test_every_kind_of_disagreement_is_seen(
    log: dict[str, list[dict[str, object]]], verdict: list[str]
) -> None:
    assert failing(differences(told("1/queued", "1/answered"), log)) == verdict


def test_facts_of_a_call_in_another_order_than_sent_are_seen() -> None:
    turned = told("1/answered", "1/queued")
    log = {"1/answered": [at(1)], "1/queued": [at(2)]}
    assert failing(differences(turned, log)) == ["out of order"]


def test_the_ledger_is_read_back_without_a_torn_last_line(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    ledger = Ledger(path)
    ledger.intend("1/queued", step=1)
    ledger.acknowledge("1/queued", shard="calls/0", position=1)
    ledger.close()
    with path.open("ab") as out:
        out.write(b'{"intent": "2/que')
    again = read_ledger(path)
    assert set(again.intents) == {"1/queued"}
    assert again.acks["1/queued"][0]["position"] == 1


def test_nobody_goes_on_before_a_sync_that_began_after_their_line(tmp_path: Path) -> None:
    synced: list[int] = []
    path = tmp_path / "ledger"

    def apart(work: object) -> None:
        synced.append(len(path.read_bytes().splitlines()))
        assert callable(work)
        work()

    ledger = Ledger(path, apart)
    wrong: list[int] = []

    def write(n: int) -> None:
        ledger.intend(f"{n}/queued", step=1)
        lines = [json.loads(line)["intent"] for line in path.read_bytes().splitlines()]
        if max(synced) < lines.index(f"{n}/queued") + 1:
            wrong.append(n)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ledger.close()
    assert wrong == []
    assert max(synced) == 40


def test_a_surge_is_the_same_for_a_seed_and_another_for_another() -> None:
    surge = Surge(calls_per_s=10, seconds=5, factor=4)
    assert list(planned(surge, 1)) == list(planned(surge, 1))
    assert list(planned(surge, 1)) != list(planned(surge, 2))


@pytest.mark.requirement("R2")
def test_a_surge_is_in_the_order_of_time_and_rises_at_its_height() -> None:
    surge = Surge(calls_per_s=10, seconds=30, factor=10, redial=0)
    facts = list(planned(surge, 3))
    assert all(a.at_s <= b.at_s for a, b in itertools.pairwise(facts))
    calls = [f.at_s for f in facts if f.kind == "queued"]
    early = sum(1 for t in calls if t < 3)
    height = sum(1 for t in calls if 9 <= t < 12)
    assert height > 4 * early


def test_those_who_gave_up_call_again_with_their_own_number() -> None:
    facts = list(planned(Surge(20, 20, answered=0, redial=1), 1))
    numbers = [f.data["caller"] for f in facts if f.kind == "queued"]
    assert len(numbers) > 1.5 * len(set(numbers))
    assert all(n.startswith("07000") for n in numbers)


def test_each_call_tells_its_facts_in_steps() -> None:
    facts = sorted(planned(Surge(10, 5), 1), key=lambda f: (f.call, f.step))
    for _, group in itertools.groupby(facts, key=lambda f: f.call):
        kinds = [f.kind for f in group]
        assert kinds in (["queued", "abandoned"], ["queued", "answered", "ended"])


def test_the_verdict_is_read_from_files_and_told_by_the_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = Ledger(tmp_path / "ledger")
    ledger.intend("1/queued", step=1)
    ledger.acknowledge("1/queued", shard="calls/0", position=1)
    ledger.close()
    event = {"stream": "call/load/1", "type": "call.queued"}
    commit = {"shard": "calls/0", "position": 1, "id": "x", "events": [event]}
    other = {**commit, "position": 2, "events": [{**event, "stream": "call/other/1"}]}
    export = tmp_path / "export"
    export.write_text(f"{json.dumps(commit)}\n{json.dumps(other)}\n", encoding="utf-8")
    assert read_export(export, "load") == {
        "1/queued": [{"shard": "calls/0", "position": 1, "id": "x"}]
    }
    assert main([str(tmp_path / "ledger"), str(export), "load"]) == 0
    assert main([str(tmp_path / "ledger"), str(export), "other"]) == 1
    assert "FAIL elsewhere" in capsys.readouterr().out
    assert main([]) == 2


def test_a_surge_of_whole_calls_sends_six_facts_of_each_in_their_order() -> None:
    facts = list(planned(Surge(calls_per_s=50, seconds=4, whole=True), seed=3))
    assert facts == sorted(facts, key=lambda fact: fact.at_s)
    by_call: dict[int, list[str]] = {}
    for fact in facts:
        by_call.setdefault(fact.call, []).append(fact.kind)
    assert {tuple(kinds) for kinds in by_call.values()} == {WHOLE}
    assert 150 < len(by_call) < 250
