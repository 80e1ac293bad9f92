"""Keys on Kafka: one truth for all nodes, and what is destroyed stays destroyed everywhere."""

from __future__ import annotations

import asyncio
import contextlib
import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from contract_keys import CONTRACT
from keys_world import (
    keys_of,
    keys_settings,
    quickly_compacted,
    records_of,
    until,
    write_record,
)
from log_world import SECRET, T0

from core.errors import Corrupt, Refused, Unavailable
from core.eventlog.kafka_log.keys_follow import patience_s
from core.eventlog.kafka_log.keys_refill import refill
from core.eventlog.keyring import Keyring

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.eventlog.keys import KeyBook
    from deploy.kafka_lab import SharedBroker

pytestmark = pytest.mark.kafka

A, B = "caller/a", "caller/b"


@pytest.mark.parametrize("holds", CONTRACT)
def test_keys_on_kafka_keep_the_contract_of_all_books(
    kafka_broker: SharedBroker,
    kafka_prefix: str,
    tmp_path: Path,
    holds: Callable[[KeyBook], None],
) -> None:
    with keys_of(keys_settings(kafka_broker.servers, kafka_prefix), tmp_path) as book:
        holds(book)


def test_a_key_that_one_node_made_opens_at_another_at_once(
    kafka_broker: SharedBroker, kafka_prefix: str, tmp_path: Path
) -> None:
    where = keys_settings(kafka_broker.servers, kafka_prefix)
    with keys_of(where, tmp_path / "a") as one, keys_of(where, tmp_path / "b") as other:
        for n in range(20):
            one.add([(f"{A}/{n}", b"wrapped %d" % n)])
            assert other.wrapped(f"{A}/{n}") == b"wrapped %d" % n
        with pytest.raises(Corrupt, match="was not erased"):
            other.wrapped(f"{A}/nobody-made-it")

        async def on_a_loop() -> None:
            """As `Node.load` asks, which must not hold up everything else."""
            assert patience_s(9.0) < 1.0
            for n in range(20, 40):
                await asyncio.to_thread(one.add, [(f"{A}/{n}", b"wrapped %d" % n)])
                assert other.wrapped(f"{A}/{n}") == b"wrapped %d" % n
            with pytest.raises(Corrupt, match="was not erased"):
                other.wrapped(f"{A}/nobody-made-it")

        assert patience_s(9.0) == 9.0
        asyncio.run(on_a_loop())


def test_what_was_never_there_is_lost_only_when_the_topic_was_read_to_its_end(
    tmp_path: Path,
) -> None:
    nowhere = keys_settings("127.0.0.1:9", "t")
    with keys_of(nowhere, tmp_path) as book:
        for _ in range(2):
            with pytest.raises(Unavailable):
                book.wrapped(f"{A}/1")
            with pytest.raises(Unavailable):
                book.add([(f"{A}/1", b"one")])
            with pytest.raises(Unavailable):
                book.erase({A: T0}, 1)
            with pytest.raises(Unavailable):
                book.live([A])
            with pytest.raises(Unavailable):
                book.one_protected()
        assert book.of_subjects([A]) == {}
        assert book.wrapped(f"{A}/none") is None
        assert book.fault() is not None


def test_an_erasure_takes_the_keys_of_all_nodes_from_all_nodes(
    kafka_broker: SharedBroker, kafka_prefix: str, tmp_path: Path
) -> None:
    where = keys_settings(kafka_broker.servers, kafka_prefix)
    with keys_of(where, tmp_path / "a") as one, keys_of(where, tmp_path / "b") as other:
        one.add([(f"{A}/1", b"one"), (f"{B}/1", b"another's")])
        other.add([(f"{A}/2", b"two")])
        assert one.erase({A: T0}, 7) == 2
        until(lambda: other.of_subjects([A]) == {}, "the other node's copy has let go")
        assert [other.wrapped(f"{A}/{n}") for n in (1, 2)] == [None, None]
        assert other.erased_upto() == 0  # it has not carried anything out itself
        assert other.erase({A: T0}, 7) == 0
        assert (other.tombstones([A]), one.tombstones([A])) == (2, 2)
        assert other.wrapped(f"{B}/1") == b"another's"
    with keys_of(where, tmp_path / "c") as new:
        assert new.wrapped(f"{A}/1") is None
        assert new.wrapped(f"{B}/1") == b"another's"


def test_a_key_of_a_node_that_did_not_know_goes_and_one_that_knew_stays(
    kafka_broker: SharedBroker, kafka_prefix: str, tmp_path: Path
) -> None:
    """A was away. What B writes about the subject after the erasure is not A's to destroy."""
    where = keys_settings(kafka_broker.servers, kafka_prefix)
    with keys_of(where, tmp_path / "b") as b:
        b.add([(f"{A}/before", b"before")])
        b.erase({A: T0}, upto=10, places={A: 5})
        b.add([(f"{A}/after", b"after")])
        with keys_of(where, tmp_path / "a") as a:
            a.add([(f"{A}/late", b"late")])
            until(lambda: b.wrapped(f"{A}/late") is None, "B destroys what came too late")
            assert a.erase({A: T0}, upto=20, places={A: 5}) == 0
            assert a.wrapped(f"{A}/late") is None
            assert a.of_subjects([A]) == {A: (f"{A}/after", b"after")}
            assert b.of_subjects([A]) == {A: (f"{A}/after", b"after")}
            again = T0 + timedelta(hours=1)
            assert a.erase({A: again}, upto=30, places={A: 30}) == 1
        until(lambda: b.of_subjects([A]) == {}, "the second decision takes it")


def test_a_log_from_a_backup_tells_of_decisions_at_places_that_were_others(
    kafka_broker: SharedBroker, kafka_prefix: str, tmp_path: Path
) -> None:
    """Positions come again after a restore: a key of before it is none that knew."""
    where = keys_settings(kafka_broker.servers, kafka_prefix)
    with keys_of(where, tmp_path) as book:
        book.erase({"caller/x": T0}, upto=500)
        book.add([(f"{A}/1", b"one")])
        book.erase({}, 0)  # the log is an older copy
        assert book.erase({A: T0 + timedelta(days=1)}, upto=300) == 1


def test_a_record_that_comes_late_revives_nothing_and_opens_nothing(
    kafka_broker: SharedBroker, kafka_prefix: str, tmp_path: Path
) -> None:
    where, servers = keys_settings(kafka_broker.servers, kafka_prefix), kafka_broker.servers
    topic = f"{kafka_prefix}.keys"
    with keys_of(where, tmp_path / "a") as book:
        book.add([(f"{A}/1", b"one"), (f"{B}/1", b"open")])
        book.erase({A: T0}, 1)
        book.rewrap([(f"{B}/1", b"closed")], ("protections", 3))
        assert book.reached("protections") == 3
        write_record(servers, topic, f"{A}/1".encode(), b"one", b"0 0 0")
        write_record(servers, topic, f"{B}/1".encode(), b"open", b"0 0 0")
        write_record(servers, topic, f"{B}/1".encode(), b"forged")

        def last() -> dict[str, bytes | None]:
            return dict(records_of(servers, topic))

        until(lambda: last() == {f"{A}/1": None, f"{B}/1": b"closed"}, "the topic is put right")
        assert book.wrapped(f"{B}/1") == b"closed"
    with keys_of(where, tmp_path / "b") as new:
        assert (new.wrapped(f"{A}/1"), new.wrapped(f"{B}/1")) == (None, b"closed")


def test_garbage_of_a_foreign_producer_is_nobodys_key(
    kafka_broker: SharedBroker, kafka_prefix: str, tmp_path: Path
) -> None:
    where, servers = keys_settings(kafka_broker.servers, kafka_prefix), kafka_broker.servers
    topic = f"{kafka_prefix}.keys"
    with keys_of(where, tmp_path) as book:
        book.add([(f"{A}/1", b"one")])
        for key, value in ((b"\xff\xfe", b"x"), (b"no-slash", b"x"), (b"a/b", b""), (b"/", b"x")):
            write_record(servers, topic, key, value, b"9 99999999999999999999999999 x")
        write_record(servers, topic, f"{B}/1".encode(), b"two", b"7 99999999999999999999999 1")
        assert book.wrapped(f"{B}/1") == b"two"
        assert book.wrapped(f"{A}/1") == b"one"
        with pytest.raises(Corrupt):
            book.wrapped("a/b")


def test_a_lost_or_damaged_copy_is_read_again_from_the_topic(
    kafka_broker: SharedBroker, kafka_prefix: str, tmp_path: Path
) -> None:
    where = keys_settings(kafka_broker.servers, kafka_prefix)
    with keys_of(where, tmp_path) as book:
        book.add([(f"{A}/{n}", b"wrapped" * 8) for n in range(300)])
        book.add([(f"{B}/1", b"two")])
        book.erase({B: T0}, 3)
    path = tmp_path / "keys.db"
    whole = path.read_bytes()
    for bad in (b"x" * 9_000, whole[: len(whole) // 2], whole[:4096] + bytes(4096) + whole[8192:]):
        path.write_bytes(bad)
        with keys_of(where, tmp_path) as book:
            assert book.set_aside
            assert book.wrapped(f"{A}/299") == b"wrapped" * 8
            assert book.wrapped(f"{B}/1") is None
            assert book.erased_upto() == 0  # decisions are carried out once more
    path.unlink()
    with keys_of(where, tmp_path) as book:
        assert book.wrapped(f"{A}/0") == b"wrapped" * 8
    assert not [p.name for p in tmp_path.iterdir() if "damaged" in p.name]


@pytest.mark.parametrize("longer", [False, True])
def test_a_topic_that_was_made_again_stops_the_keys(
    kafka_broker: SharedBroker, kafka_prefix: str, tmp_path: Path, longer: bool
) -> None:
    where = keys_settings(kafka_broker.servers, kafka_prefix)
    with keys_of(where, tmp_path / "a") as book:
        book.add([(f"{A}/1", b"one")])
    kafka_broker.delete_topics(kafka_prefix)
    with keys_of(where, tmp_path / "a") as book:
        with pytest.raises(Corrupt, match="is gone"):
            book.add([(f"{A}/2", b"two")])
        assert book.wrapped(f"{A}/1") == b"one"  # what is here is read
    with keys_of(where, tmp_path / "b") as other:
        other.add([(f"{B}/{n}", b"x") for n in range(9 if longer else 1)])
    with keys_of(where, tmp_path / "a") as book:
        with pytest.raises(Corrupt, match="made again"):
            book.add([(f"{A}/2", b"2")])
        with pytest.raises(Corrupt, match="made again"):
            book.wrapped(f"{B}/0")
        assert book.of_subjects([A]) == {A: (f"{A}/1", b"one")}


def test_a_topic_that_was_deleted_is_filled_from_the_copies_of_all_nodes(
    kafka_broker: SharedBroker, kafka_prefix: str, tmp_path: Path
) -> None:
    """One node was away when the last key was made, and the other has not heard of an erasure."""
    where = keys_settings(kafka_broker.servers, kafka_prefix)
    with keys_of(where, tmp_path / "a") as a, keys_of(where, tmp_path / "b") as b:
        a.add([(f"{A}/1", b"one"), (f"{B}/1", b"two")])
        assert b.wrapped(f"{B}/1") == b"two"
    with keys_of(where, tmp_path / "a") as a:
        a.add_kept([("caller/c/1", b"kept")])
        a.add([("caller/d/1", b"only a has it")])
        a.erase({A: T0}, 4)
    with pytest.raises(Refused, match="on a node that has one"):
        refill(where, tmp_path / "nobody")
    kafka_broker.delete_topics(kafka_prefix)
    until(lambda: kafka_broker.topics(kafka_prefix) == [], "it is gone")
    with pytest.raises(Refused, match="log create"):
        refill(where, tmp_path / "a")
    with keys_of(where, tmp_path / "c") as c:  # makes it
        c.add([("caller/e/1", b"new")])
    assert refill(where, tmp_path / "b") == (2, 0)
    assert refill(where, tmp_path / "a") == (1, 0)
    assert refill(where, tmp_path / "a") == (0, 0)
    with keys_of(where, tmp_path / "a") as a, keys_of(where, tmp_path / "b") as b:
        for book in (a, b):
            until(lambda book=book: book.wrapped(f"{A}/1") is None, "erased stays erased")  # type: ignore[misc]
            assert book.wrapped(f"{B}/1") == b"two"
            assert book.wrapped("caller/d/1") == b"only a has it"
            assert book.wrapped("caller/e/1") == b"new"
        assert a.send_kept() == 1
        assert b.wrapped("caller/c/1") == b"kept"
        assert a.erased_upto() == 4
    last = dict(records_of(kafka_broker.servers, f"{kafka_prefix}.keys"))
    assert last[f"{A}/1"] is None


def test_a_topic_that_forgets_keys_is_not_written_to(
    kafka_broker: SharedBroker, kafka_prefix: str, tmp_path: Path
) -> None:
    kafka_broker.create_topic(f"{kafka_prefix}.keys")
    with (
        keys_of(keys_settings(kafka_broker.servers, kafka_prefix), tmp_path) as book,
        pytest.raises(Unavailable, match=r"cleanup\.policy=compact"),
    ):
        book.add([(f"{A}/1", b"one")])


def test_the_bytes_of_a_destroyed_key_are_told_of_until_compaction_took_them(
    kafka_broker: SharedBroker, kafka_prefix: str, tmp_path: Path
) -> None:
    topic = quickly_compacted(kafka_broker, kafka_prefix)
    where = keys_settings(kafka_broker.servers, kafka_prefix)
    *gone, kept = (f"{kafka_prefix} {n}".encode() for n in ("erased", "too", "later", "kept"))
    with keys_of(where, tmp_path / "a") as book, keys_of(where, tmp_path / "b") as other:
        book.add([(f"{A}/1", gone[0]), (f"{A}/2", gone[1]), (f"{B}/1", kept)])
        book.rewrap([(f"{A}/2", gone[2])], None)
        assert book.remaining([A, B]) == 0  # nothing was destroyed
        book.erase({A: T0}, 1)
        assert book.compaction_s() == 0.5
        until(lambda: book.remaining([A]) == 0, "compaction", within_s=60)
        values = {value for _key, value in records_of(kafka_broker.servers, topic)}
        assert values == {None, kept}
        disk = Path(kafka_broker.log).parent
        until(lambda: not any(on_disk(disk, each) for each in gone), "the files are deleted")
        assert on_disk(disk, kept)
        assert other.remaining([A]) == 0
        assert other.wrapped(f"{B}/1") == kept
    with keys_of(where, tmp_path / "c") as new:  # offsets have gaps now
        assert new.wrapped(f"{B}/1") == kept
        assert new.wrapped(f"{A}/2") is None


def on_disk(folder: Path, text: bytes) -> list[Path]:
    """The files that hold these bytes."""
    found = []
    for inside, _folders, names in os.walk(folder):  # passes over folders that go while we look
        for path in (Path(inside, name) for name in names):
            with contextlib.suppress(FileNotFoundError):
                if text in path.read_bytes():
                    found.append(path)
    return found


def test_a_copy_holds_no_bytes_of_a_key_that_another_node_destroyed(
    kafka_broker: SharedBroker, kafka_prefix: str, tmp_path: Path
) -> None:
    where = keys_settings(kafka_broker.servers, kafka_prefix)
    secret = b"a wrapped key to be erased" * 3
    with keys_of(where, tmp_path / "a") as one, keys_of(where, tmp_path / "b") as other:
        one.add([(f"{A}/1", secret)])
        assert other.wrapped(f"{A}/1") == secret
        one.erase({A: T0}, 1)
        until(lambda: other.wrapped(f"{A}/1") is None, "it hears of it")
        assert on_disk(tmp_path, secret) == []


# --- cut off --------------------------------------------------------------------------------------
def test_keys_that_were_made_while_cut_off_are_sent_when_it_is_over(
    kafka_broker: SharedBroker, kafka_prefix: str, tmp_path: Path
) -> None:
    where = keys_settings(kafka_broker.servers, kafka_prefix)
    away = keys_settings("127.0.0.1:9", kafka_prefix)
    with keys_of(where, tmp_path / "a") as book:
        book.add([(f"{A}/1", b"one")])
    with keys_of(away, tmp_path / "a") as book:
        book.add_kept([(f"{B}/1", b"kept")])
        assert book.of_subjects([A, B]) == {A: (f"{A}/1", b"one"), B: (f"{B}/1", b"kept")}
        with pytest.raises(Unavailable):
            book.send_kept()
        assert book.waiting() == 1
    (tmp_path / "a" / "keys.db").unlink()  # the copy may be lost: what waits is not in it alone
    with keys_of(where, tmp_path / "a") as book, keys_of(where, tmp_path / "b") as other:
        assert book.wrapped(f"{B}/1") == b"kept"
        with pytest.raises(Corrupt):
            other.wrapped(f"{B}/1")
        assert (book.send_kept(), book.send_kept(), book.waiting()) == (1, 0, 0)
        assert other.wrapped(f"{B}/1") == b"kept"
        assert book.wrapped(f"{A}/1") == b"one"


def test_a_subject_whose_keys_wait_to_be_sent_is_erased_all_the_same(
    kafka_broker: SharedBroker, kafka_prefix: str, tmp_path: Path
) -> None:
    where = keys_settings(kafka_broker.servers, kafka_prefix)
    with keys_of(where, tmp_path / "a") as book, keys_of(where, tmp_path / "b") as other:
        book.add_kept([(f"{A}/1", b"a key that was never sent" * 3), (f"{B}/1", b"kept")])
        assert book.erase({A: T0}, 1) == 1
        assert other.wrapped(f"{A}/1") is None
        assert book.send_kept() == 1
        assert (book.wrapped(f"{A}/1"), other.wrapped(f"{B}/1")) == (None, b"kept")
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert [p for p in files if b"never sent" in p.read_bytes()] == []


def test_a_keyring_that_is_cut_off_seals_with_keys_that_it_keeps(tmp_path: Path) -> None:
    with keys_of(keys_settings("127.0.0.1:9", "t"), tmp_path) as book:
        ring = Keyring(book, SECRET)
        with pytest.raises(Unavailable):
            ring.ensure([A])
        ring.ensure([A], cut_off=True)
        key = ring.for_subject(A)
        assert book.waiting() == 1
    with keys_of(keys_settings("127.0.0.1:9", "t"), tmp_path) as book:
        assert Keyring(book, SECRET).by_id(key.id) == key


def test_a_keyring_hears_of_what_another_node_did_to_its_keys(
    kafka_broker: SharedBroker, kafka_prefix: str, tmp_path: Path
) -> None:
    """What was erased or closed elsewhere is not read on from this node's memory."""
    from core.personal import KeyClosed, ProtectedSecret

    where = keys_settings(kafka_broker.servers, kafka_prefix)
    protected = ProtectedSecret(bytes(32))
    with keys_of(where, tmp_path / "a") as one, keys_of(where, tmp_path / "b") as other:
        rings = [Keyring(book, SECRET, protected=lambda: protected) for book in (one, other)]
        rings[0].ensure([A, B])
        keys = [rings[0].for_subject(s) for s in (A, B)]
        assert [rings[1].by_id(key.id) for key in keys] == keys
        rings[1].ensure([A, B])
        rings[0].erase({A: T0}, 1)
        rings[0].protect({B: True})
        until(lambda: rings[1].missing([A, B]) == [A, B], "they are dropped")
        assert rings[1].by_id(keys[0].id) is None
        with pytest.raises(KeyClosed):
            rings[1].by_id(keys[1].id)
        opened = rings[1].by_id_protected(keys[1].id)
        assert opened is not None
        assert opened.secret == keys[1].secret
