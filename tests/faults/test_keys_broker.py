"""Keys on Kafka when the broker dies, pauses, or its replies are lost."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest
from keys_world import keys_of, keys_settings, records_of, until
from log_world import T0
from tcp_proxy import PRODUCE, Proxy

from core.errors import Unavailable
from core.eventlog.key_book import tombstone_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from core.eventlog.kafka_log.keys import KafkaKeys
    from deploy.kafka_lab import Broker

pytestmark = [pytest.mark.kafka, pytest.mark.fault, pytest.mark.timeout(600)]

A = "caller/a"
ANSWER_S = 20.0  # more than twice what any call may take, whatever the broker does


def within(limit_s: float, work: Callable[[], object]) -> object:
    """What `work` gives; it has to end in time, with an answer or an error."""
    begun = time.monotonic()
    try:
        return work()
    finally:
        assert time.monotonic() - begun < limit_s


def test_a_reply_that_is_lost_makes_no_second_key_and_no_half_erasure(
    own_broker: Callable[..., Broker], tmp_path: Path, whole: bool
) -> None:
    for close in (True, False) if whole else (True,):  # or the connection stays, and is silent
        replies_are_lost(own_broker, tmp_path / str(close), close=close)


def replies_are_lost(own_broker: Callable[..., Broker], tmp_path: Path, *, close: bool) -> None:
    with Proxy() as proxy:
        broker = own_broker(advertised_port=proxy.port)
        proxy.target = broker.address
        where = keys_settings(proxy.servers, "t")
        with keys_of(where, tmp_path / "a") as book, keys_of(where, tmp_path / "b") as other:
            book.add([(f"{A}/0", b"nothing lost yet")])
            proxy.drop_replies(1, of=PRODUCE, close=close)
            book.add([(f"{A}/1", b"one")])
            assert other.wrapped(f"{A}/1") == b"one"
            proxy.drop_replies(1, of=PRODUCE, close=close)
            book.rewrap([(f"{A}/1", b"anew")], None)
            proxy.drop_replies(1, of=PRODUCE, close=close)
            assert book.erase({A: T0}, 1) == 2
            assert proxy.dropped == 3
            until(lambda: other.of_subjects([A]) == {}, "the other node hears of it")
            last = dict(records_of(broker.servers, "t.keys"))
            assert last == {f"{A}/0": None, f"{A}/1": None}


def test_a_broker_that_is_killed_in_the_middle_loses_no_key_and_no_erasure(
    own_broker: Callable[..., Broker], tmp_path: Path, whole: bool
) -> None:
    broker = own_broker()
    where, acked = keys_settings(broker.servers, "t"), list[str]()
    doubtful, erased = set[str](), set[str]()
    over = threading.Event()

    def work(book: KafkaKeys) -> None:
        n = 0
        while not over.is_set():
            n += 1
            key = f"caller/{n}/1"
            try:
                book.add([(key, key.encode())])
                acked.append(key)
                if n % 3 == 0:
                    doubtful.add(key)
                    book.erase({f"caller/{n}": T0}, n)
                    erased.add(key)
            except Unavailable:
                time.sleep(0.05)

    with keys_of(where, tmp_path / "a") as book:
        worker = threading.Thread(target=work, args=[book])
        worker.start()
        for _ in range(5 if whole else 1):
            before = len(acked)
            until(lambda: len(acked) > before + 20, "keys are made", 60)  # noqa: B023 -- waited for here
            broker.kill()
            time.sleep(0.5)
            broker.start()
        before = len(acked)
        until(lambda: len(acked) > before + 20, "it goes on by itself", 60)
        over.set()
        worker.join()
    with keys_of(where, tmp_path / "new") as new:
        for key in acked:
            if key in erased:
                assert new.wrapped(key) is None
            elif key not in doubtful:
                assert new.wrapped(key) == key.encode()


def test_a_broker_that_is_paused_answers_late_and_revives_nothing(
    own_broker: Callable[..., Broker], tmp_path: Path
) -> None:
    """What was written to a paused broker may land when it wakes, long after it was given up."""
    broker = own_broker()
    where = keys_settings(broker.servers, "t")
    with keys_of(where, tmp_path / "a") as book, keys_of(where, tmp_path / "b") as other:
        book.add([(f"{A}/1", b"one")])
        assert other.wrapped(f"{A}/1") == b"one"
        broker.pause()
        with pytest.raises(Unavailable):
            within(ANSWER_S, lambda: book.add([(f"{A}/2", b"two")]))
        with pytest.raises(Unavailable):
            within(ANSWER_S, lambda: other.erase({A: T0}, 1))
        assert book.wrapped(f"{A}/1") == b"one"  # by the copy
        assert within(1.0, lambda: book.wrapped(tombstone_of(A))) is None
        book.add_kept([("caller/b/1", b"kept")])
        broker.resume()
        until(lambda: _erased(other), "the broker answers again")
        until(lambda: book.of_subjects([A]) == {}, "the first node hears of it")
        until(lambda: _sent(book), "what was kept is sent")
        assert other.wrapped("caller/b/1") == b"kept"
        time.sleep(1.0)  # what was on its way has landed
        last = dict(records_of(broker.servers, "t.keys"))
        assert {k: v for k, v in last.items() if v is not None} == {"caller/b/1": b"kept"}


def _erased(book: KafkaKeys) -> bool:
    try:
        book.erase({A: T0}, 1)
    except Unavailable:
        return False
    return True


def _sent(book: KafkaKeys) -> bool:
    try:
        book.send_kept()
    except Unavailable:
        return False
    return book.waiting() == 0
