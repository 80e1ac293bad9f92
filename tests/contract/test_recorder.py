"""What the persistence module promises beyond the suites: events, written and read."""

from __future__ import annotations

import json
import shutil
import threading
import time
from typing import Any
from uuid import UUID, uuid4

import pytest
from eventsourcing.persistence import (
    DataError,
    IntegrityError,
    StoredEvent,
    Tracking,
)
from eventsourcing.utils import Environment
from hypothesis import given, settings
from hypothesis import strategies as st
from recorder_kit import A, LogOfTest, application, event, log, make_on_any, process

from core.eventlog.recorder.recorder import LogFactory
from core.eventlog.recorder.stored import originator_of, pack_state, stream_of, unpack_state

__all__ = ["log", "make_on_any"]  # the fixtures


def records(log: LogOfTest) -> list[dict[str, Any]]:
    """Every record of the application's book, as a person would read it."""
    return [json.loads(body) for body in log.bodies()]


# --- what stands in the log -----------------------------------------------------------------------
def test_json_stands_in_the_log_as_it_is(make: Any, log: LogOfTest) -> None:
    application(make()).insert_events([event(3, b'{"name": "R\xc3\xa4ven"}')])
    (commit,) = records(log)[1]["commits"]
    (logged,) = commit["events"]
    assert logged["data"] == {"name": "Räven"}
    assert logged["stream"] == f"aggregate/{A}"
    assert (logged["type"], logged["version"]) == ("made", 3)
    assert logged["occurred_at"] == commit["recorded_at"]
    assert commit["actor"] == "Bank"


def test_what_is_no_json_stands_in_the_log_as_base64(make: Any, log: LogOfTest) -> None:
    application(make()).insert_events([event(1, b"\x00\xff")])
    (commit,) = records(log)[1]["commits"]
    assert commit["events"][0]["data"] == {"$base64": "AP8="}


HARD = st.one_of(
    st.binary(max_size=200),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner),
        max_leaves=10,
    ).map(lambda value: json.dumps(value).encode()),
    st.sampled_from(
        [
            b'{"$base64":"AP8="}', b'{"$base64":"%%"}', b'{ "$base64":"AP8="}', b" {}", b"{}\n",
            b"", b'"\xff"', b'"\\ud800"', b"NaN", b"01", b"1},", b'"a":1', b"[" * 101 + b"]" * 101,
            b"[" * 900 + b"]" * 900, b"[" * 10**5, b'"' + b"[{" * 500 + b'"', b"\xef\xbb\xbf1",
            b"1e999", b'{"a":1,"a":2}', b"123456789012345678901234567890", b"null",
        ]
    ),
)  # fmt: skip


@given(HARD)
def test_any_state_comes_back_byte_for_byte(state: bytes) -> None:
    packed = bytes(pack_state(state))
    json.loads(packed)  # and it is JSON
    assert unpack_state(pack_state(state)) == state


@settings(max_examples=10)
@given(st.lists(HARD, min_size=1, max_size=30))
def test_any_state_survives_a_lost_index(
    tmp_path_factory: pytest.TempPathFactory, states: list[bytes]
) -> None:
    folder = tmp_path_factory.mktemp("house")
    env = Environment("Bank", {"KC_LOG": f"sqlite:{folder}/log.db"})
    with_all = [event(n, state) for n, state in enumerate(states)]
    factory = LogFactory(env)
    application(factory).insert_events(with_all)
    before = factory.lease.digests()
    factory.close()
    shutil.rmtree(folder / "index")
    factory = LogFactory(env)
    try:
        recorder = application(factory)
        assert recorder.select_events(A) == with_all
        assert [n.state for n in recorder.select_notifications(1, 100)] == states
        assert factory.lease.digests() == before
    finally:
        factory.close()


@given(st.one_of(st.uuids(), st.text(max_size=50), st.uuids().map(lambda u: f"aggregate/{u}")))
def test_an_id_comes_back_from_its_stream(originator: UUID | str) -> None:
    assert originator_of(stream_of(originator)) == originator


def test_a_uuid_and_its_text_are_two_aggregates(make: Any) -> None:
    recorder = application(make())
    ids: list[UUID | str] = [A, str(A), f"aggregate/{A}", f"text/{A}", ""]
    for originator in ids:
        recorder.insert_events([event(originator=originator)])
    assert [n.originator_id for n in recorder.select_notifications(1, 10)] == ids
    assert all(len(recorder.select_events(originator)) == 1 for originator in ids)


# --- writing --------------------------------------------------------------------------------------
def test_a_commit_asked_for_again_gives_the_same_numbers(make: Any) -> None:
    recorder = application(make())
    asked = {"commit_id": uuid4(), "intent": "open the account"}
    first = recorder.insert_events([event(1), event(2)], **asked)
    assert recorder.insert_events([event(1), event(2)], **asked) == first == [1, 2]
    assert recorder.max_notification_id() == 2


def test_a_commit_id_used_for_something_else_is_refused(make: Any) -> None:
    recorder = application(make())
    commit_id = uuid4()
    recorder.insert_events([event(1)], commit_id=commit_id)
    with pytest.raises(IntegrityError, match="recorded before with other events"):
        recorder.insert_events([event(2)], commit_id=commit_id)


def test_a_stale_commit_asked_for_again_stays_stale(make: Any) -> None:
    recorder = application(make())
    commit_id = uuid4()
    recorder.insert_events([event(1)])
    with pytest.raises(IntegrityError):
        recorder.insert_events([event(1, b"2")], commit_id=commit_id)
    with pytest.raises(IntegrityError):
        recorder.insert_events([event(1, b"2")], commit_id=commit_id)


def test_versions_leave_no_gap_but_may_begin_anywhere(make: Any) -> None:
    recorder = application(make())
    recorder.insert_events([event(7)])
    with pytest.raises(IntegrityError, match="is at 7 already"):
        recorder.insert_events([event(9)])
    assert recorder.insert_events([event(8)]) == [2]


@pytest.mark.parametrize(
    "bad",
    [
        [event(-1)],
        [event(2**63)],
        [event(1, b'"' + b"x" * 2**20 + b'"')],
        [event(n) for n in range(5_000)],
        [event(1, originator="x" * 401)],
        [event(1, originator="\ud800")],
        [event(1, topic="\ud800")],
    ],
    ids=["negative", "huge", "too large", "too many", "long id", "bad id", "bad topic"],
)
def test_what_no_log_can_hold_is_refused_at_the_door(make: Any, bad: list[StoredEvent]) -> None:
    recorder = application(make())
    with pytest.raises(DataError):
        recorder.insert_events(bad)
    assert recorder.insert_events([event(1)]) == [1]


def test_of_many_who_write_the_same_version_one_succeeds(make: Any) -> None:
    recorder = application(make())
    won: list[int] = []
    start = threading.Barrier(16)

    def write(n: int) -> None:
        start.wait()
        for version in range(20):
            try:
                recorder.insert_events([event(version, str(n).encode())])
                won.append(version)
            except IntegrityError:
                pass

    threads = [threading.Thread(target=write, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    versions = [stored.originator_version for stored in recorder.select_events(A)]
    assert versions == sorted(set(won)) == sorted(won)


# --- reading --------------------------------------------------------------------------------------
def test_one_reads_ones_own_writes_at_once(make: Any) -> None:
    recorder = application(make())
    for n in range(1, 200):
        recorder.insert_events([event(n)])
        assert recorder.max_notification_id() == n
        assert [one.id for one in recorder.select_notifications(n, 5)] == [n]
        assert [s.originator_version for s in recorder.select_events(A, gt=n - 1)] == [n]
        (last,) = recorder.select_events(A, desc=True, limit=1)
        assert last.originator_version == n


def test_notifications_are_the_same_wherever_the_index_has_come_to(make: Any) -> None:
    recorder = application(make())
    topics = ["made", "moved", "closed"]
    version = 0
    for size in (1, 3, 100, 1, 1, 40):
        recorder.insert_events(
            [event(version + n, topic=topics[(version + n) % 3]) for n in range(size)]
        )
        version += size
        for first, limit, stop in ((1, 1_000, None), (3, 2, None), (90, 30, 110), (146, 5, 146)):
            numbers = [n.id for n in recorder.select_notifications(first, limit, stop)]
            last = min(version, stop or version, first + limit - 1)
            assert numbers == list(range(first, last + 1))
            chosen = [n.id for n in recorder.select_notifications(first, limit, stop, ["moved"])]
            last = min(version, stop or version)
            assert chosen == [n for n in range(first, last + 1) if n % 3 == 2][:limit]
        time.sleep(0.03)  # now the index has it; before, it may have had it not


@pytest.mark.parametrize("desc", [False, True])
def test_a_stream_is_read_in_parts(make: Any, desc: bool) -> None:
    recorder = application(make())
    recorder.insert_events([event(n) for n in range(50)])
    for n in range(50, 60):
        recorder.insert_events([event(n)])
    for gt, lte, limit in ((None, None, None), (10, 55, 5), (48, 51, None), (57, None, 1)):
        found = recorder.select_events(A, gt=gt, lte=lte, desc=desc, limit=limit)
        low, high = -1 if gt is None else gt, 99 if lte is None else lte
        expected = [n for n in range(60) if low < n <= high]
        expected = (expected[::-1] if desc else expected)[:limit]
        assert [s.originator_version for s in found] == expected


def test_what_was_recorded_is_there_after_a_restart(make: Any) -> None:
    first = make()
    process(first).insert_events([event(1), event(2)], tracking=Tracking("up", 5))
    first.close()
    recorder = process(make())
    assert [s.originator_version for s in recorder.select_events(A)] == [1, 2]
    assert recorder.max_tracking_id("up") == 5
    assert recorder.insert_events([event(3)]) == [3]
