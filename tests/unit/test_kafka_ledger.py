"""The faults' oracle: it comes to the same as every node, and it sees each kind of loss."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from zlib import crc32

import pytest
from golden_log import FOLDER
from kafka_ledger import Judged, Ledger, compare, judge_book, judge_shard, read_ledgers

if TYPE_CHECKING:
    from pathlib import Path

    from kafka_ledger import Records

LOGS = sorted(FOLDER.glob("*.json"))
A, B, C, D = (f"00000000-0000-4000-8000-00000000000{n}" for n in range(1, 5))
NOW = "2026-11-22T08:00:00Z"


def commit(name: str, *events: tuple[str, int | None], intent: str = "i", **more: Any) -> Any:
    told: list[dict[str, Any]] = [
        {"stream": s, "type": "x.y", "schema": 1, "occurred_at": NOW, "data": {}, "version": v}
        for s, v in events
    ]
    frame = {"id": name, "intent": intent, "recorded_at": NOW, "actor": "a", "origin": "desk"}
    return {**frame, "events": told, **more}


def shard(*commits: Any, n: int = 0, shards: int = 1) -> Records:
    genesis = {"book": "calls", "shard": n, "shards": shards, "format": 1, "key_fingerprint": "k"}
    head = {"format": 1, "book": "calls", "shard": n}
    bodies = [{**head, "genesis": genesis}, *({**head, "commits": [one]} for one in commits)]
    return [(at, json.dumps(body).encode()) for at, body in enumerate(bodies)]


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.name)
def test_it_comes_to_the_same_position_digest_and_heads_as_every_node(path: Path) -> None:
    golden = json.loads(path.read_text(encoding="utf-8"))
    judged = judge_shard([(n, text.encode()) for n, text in enumerate(golden["records"])])
    assert (judged.position, judged.digest, judged.heads) == (
        golden["position"],
        golden["digest"],
        golden["heads"],
    )
    assert judged.counts == {"accepted": 4, "stale": 1, "duplicate": 1, "fork": 1}


def test_garbage_is_void_and_what_follows_is_judged() -> None:
    records = shard(
        commit(A, ("call/1", None)),
        {"id": B},
        commit("not-an-id"),
        commit(C, ("call/1", 2), tracking={"name": "p", "position": 4}),
        commit(D, tracking={"name": "p", "position": 4}),
    )
    (last, _body) = records[-1]
    bodies = [b"", b"\xff", b"[]", b"{", records[0][1], b'{"format":2,"book":"calls","shard":0}']
    records += [(last + n, body) for n, body in enumerate(bodies, 1)]
    judged = judge_shard(records)
    assert judged.counts == {"accepted": 2, "stale": 1, "void": 2 + len(bodies)}
    assert {name: first.answer for name, first in judged.first.items()} == {
        A: "accepted", C: "accepted", D: "stale",
    }  # fmt: skip


def test_a_commit_in_a_shard_where_its_stream_does_not_belong_is_void() -> None:
    stream = "call/1"
    right = crc32(stream.encode()) % 2
    book = {n: shard(commit(A, (stream, None)), n=n, shards=2) for n in range(2)}
    judged = judge_book(book)
    assert judged[f"calls/{right}"].counts == {"accepted": 1}
    assert judged[f"calls/{1 - right}"].counts == {"void": 1}


def ledger(folder: Path, *told: tuple[str, str, dict[str, Any]], meant: str = A) -> Any:
    book = Ledger(folder / "one.ledger")
    book.intend(meant)
    for name, answer, where in told:
        book.told(name, answer, **where)
    book.close()
    return read_ledgers([folder / "one.ledger"])


def log(*commits: Any) -> dict[str, Judged]:
    return judge_book({0: shard(*commits)})


AT_1 = {"shard": "calls/0", "position": 1}


@pytest.mark.parametrize(
    ("told", "holds", "fault"),
    [
        (("accepted", AT_1), [commit(A)], None),
        (("accepted", AT_1), [commit(A), commit(A)], None),  # a copy, one effect
        (("accepted", AT_1), [], "told ('accepted', 'calls/0', 1), in the log []"),
        (("accepted", {**AT_1, "position": 2}), [commit(A)], "told ('accepted', 'calls/0', 2)"),
        (("stale", AT_1), [commit(A)], "told ('stale', 'calls/0', 1)"),
        (("accepted", AT_1), [commit(A, ("s", -1))], "told ('accepted', 'calls/0', 1)"),
        (("kept", {}), [commit(A)], None),
        (("kept", {}), [], "kept in a journal, in the log []"),
        (("unavailable", {}), [commit(A)], "told ['unavailable'], in the log [('accepted'"),
        (("unavailable", {}), [commit(A, ("s", -1))], None),
        (("unknown", {}), [commit(A)], None),
        (("unknown", {}), [], None),
    ],
)
def test_what_was_told_must_be_what_the_log_holds(
    tmp_path: Path, told: tuple[str, dict[str, Any]], holds: list[Any], fault: str | None
) -> None:
    found = compare(ledger(tmp_path, (A, *told)), log(*holds))
    if fault is None:
        assert found == []
    else:
        assert len(found) == 1
        assert fault in found[0]


def test_what_nobody_meant_is_seen(tmp_path: Path) -> None:
    lines = ledger(tmp_path)
    assert compare(lines, log(commit(B))) == [f"{B}: accepted at calls/0 1, and nobody meant it"]
    assert compare(lines, log(commit(B)), is_others=lambda one: one["id"] == B) == []
    assert compare(ledger(tmp_path, (B, "unknown", {})), log()) == [f"{B}: told, but never meant"]


def test_an_id_in_two_shards_is_seen(tmp_path: Path) -> None:
    book = judge_book({n: shard(commit(A), n=n, shards=2) for n in range(2)})
    found = compare(ledger(tmp_path, (A, "accepted", AT_1)), book)
    assert found == [
        f"{A}: in more than one shard: [('accepted', 'calls/0', 1), ('accepted', 'calls/1', 1)]"
    ]


def test_what_is_kept_may_wait_until_the_journals_are_empty(tmp_path: Path) -> None:
    assert compare(ledger(tmp_path, (A, "kept", {})), log(), settled=False) == []


def test_a_line_that_a_kill_cut_off_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "one.ledger"
    ledger(tmp_path)
    path.write_bytes(path.read_bytes() + b'{"told": "00')
    assert [line["intent"] for line in read_ledgers([path])] == [A]
