"""What the persistence module promises beyond the suites: waiting, sharing, settings, snapshots."""

from __future__ import annotations

import inspect
import sqlite3
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from eventsourcing.persistence import (
    InfrastructureFactory,
    InfrastructureFactoryError,
    IntegrityError,
    InterfaceError,
    Tracking,
    WaitInterruptedError,
)
from eventsourcing.utils import Environment
from project import ROOT
from recorder_kit import A, B, application, event, make_factory

from core.eventlog.recorder import recorder as module
from core.eventlog.recorder.recorder import LogFactory, LogProcessRecorder, LogTrackingRecorder

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["make_factory"]  # the fixture


# --- waiting --------------------------------------------------------------------------------------
def test_a_subscription_is_woken_at_once(make: Any) -> None:
    """Sooner than the index is written, and far sooner than anything that polls."""
    recorder = application(make())
    waits_s = []
    with recorder.subscribe() as subscription:
        for n in range(1, 31):
            recorder.insert_events([event(n)])
            started = time.perf_counter()
            assert next(subscription).id == n
            waits_s.append(time.perf_counter() - started)
    assert sorted(waits_s)[10] < 0.015, waits_s


def test_a_subscription_misses_nothing_while_others_write(make: Any) -> None:
    recorder = application(make())

    def write(originator: UUID) -> None:
        for n in range(100):
            recorder.insert_events([event(n, originator=originator, topic=f"t{n % 2}")])

    writers = [threading.Thread(target=write, args=(UUID(int=n),)) for n in range(8)]
    for writer in writers[:4]:
        writer.start()
    with recorder.subscribe() as every, recorder.subscribe(topics=["t1"]) as odd:
        for writer in writers[4:]:
            writer.start()
        assert [next(every).id for _ in range(800)] == list(range(1, 801))
        numbers = [next(odd).id for _ in range(400)]
    assert numbers == sorted(set(numbers))
    for writer in writers:
        writer.join()


def test_a_closed_factory_stops_its_subscriptions(make: Any) -> None:
    factory = make()
    subscription = application(factory).subscribe()
    seen: list[Any] = []
    reader = threading.Thread(target=lambda: seen.extend(subscription))
    reader.start()
    factory.close()
    reader.join(5)
    assert not reader.is_alive()
    subscription._pull_thread.join(5)
    assert not subscription._pull_thread.is_alive()
    assert seen == []


def test_a_wait_ends_when_the_position_is_recorded(make: Any) -> None:
    recorder = make().tracking_recorder()
    timer = threading.Timer(0.05, recorder.insert_tracking, [Tracking("up", 7)])
    timer.start()
    started = time.perf_counter()
    recorder.wait("up", 7, timeout=30)
    assert time.perf_counter() - started < 5
    timer.join()


def test_a_wait_ends_when_it_is_interrupted(make: Any) -> None:
    recorder = make().tracking_recorder()
    interrupt = threading.Event()
    timer = threading.Timer(0.05, interrupt.set)
    timer.start()
    started = time.perf_counter()
    with pytest.raises(WaitInterruptedError):
        recorder.wait("up", 7, timeout=30, interrupt=interrupt)
    assert time.perf_counter() - started < 5
    timer.join()


def test_many_waits_with_one_interrupt_share_one_thread(make: Any) -> None:
    recorder = make().tracking_recorder()
    interrupt = threading.Event()
    for n in range(1, 30):
        timer = threading.Timer(0.001, recorder.insert_tracking, [Tracking("up", n)])
        timer.start()
        recorder.wait("up", n, timeout=60, interrupt=interrupt)
    watching = [t for t in threading.enumerate() if t.name == "interrupt"]
    interrupt.set()
    assert len(watching) <= 1


# --- one node for one log -------------------------------------------------------------------------
def test_two_factories_share_one_node_and_the_last_closes_it(make: Any, tmp_path: Path) -> None:
    first, second = make(), make()
    mine, theirs = application(first), application(second)
    mine.insert_events([event(1)])
    assert [n.id for n in theirs.select_notifications(1, 10)] == [1]
    with pytest.raises(IntegrityError):
        theirs.insert_events([event(1)])
    first.close()
    first.close()
    assert theirs.insert_events([event(2)]) == [2]
    with pytest.raises(InterfaceError):
        mine.insert_events([event(3)])
    with pytest.raises(InterfaceError):
        mine.select_events(A)
    assert tries_from_another_process(tmp_path) == "in use"
    second.close()
    assert tries_from_another_process(tmp_path) == "open"


def tries_from_another_process(folder: Path) -> str:
    """What another process sees of the log."""
    code = (
        "import sys\n"
        "from eventsourcing.persistence import InfrastructureFactoryError\n"
        "from core.eventlog.recorder.recorder import LogFactory\n"
        "try:\n"
        "    LogFactory({'KC_LOG': sys.argv[1]}).close()\n"
        "    print('open')\n"
        "except InfrastructureFactoryError as e:\n"
        "    assert 'in use' in str(e), e\n"
        "    print('in use')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, f"sqlite:{folder}/data/log.db"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_factory_that_nobody_holds_lets_go_of_the_log(make: Any, tmp_path: Path) -> None:
    application(make_and_forget(tmp_path)).insert_events([event(1)])
    until = time.monotonic() + 10
    while tries_from_another_process(tmp_path) != "open":
        assert time.monotonic() < until


def make_and_forget(folder: Path) -> LogFactory:
    return LogFactory({"KC_LOG": f"sqlite:{folder}/data/log.db"})


def test_nobody_waits_for_ever_on_a_factory_that_is_closed(make: Any) -> None:
    for _ in range(5):
        factory = make()
        recorder = application(factory)
        before = recorder.max_notification_id() or 0
        recorded: list[int] = []
        told: list[Exception] = []

        def write(
            originator: UUID, recorder: Any = recorder, recorded: Any = recorded, told: Any = told
        ) -> None:
            try:
                for version in range(100_000):
                    recorded.extend(recorder.insert_events([event(version, originator=originator)]))
            except InterfaceError as e:
                told.append(e)

        threads = [threading.Thread(target=write, args=(uuid4(),)) for _ in range(8)]
        for thread in threads:
            thread.start()
        while len(recorded) < 50:
            time.sleep(0.001)
        factory.close()
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive()
        assert len(told) == 8
        anew = make()
        numbers = [n.id for n in application(anew).select_notifications(before + 1, 10**6)]
        anew.close()
        assert set(recorded) <= set(numbers)  # acknowledged is there


def test_a_recorder_on_the_nodes_own_loop_would_wait_for_itself(make: Any) -> None:
    recorder = application(make())

    async def insert() -> None:
        recorder.insert_events([event(1)])

    with pytest.raises(AssertionError, match="wait for itself"):
        recorder.book.shared.node.call(insert())


def test_applications_have_books_of_their_own(make: Any) -> None:
    bank, shop = application(make("Bank")), application(make("Shop"))
    assert bank.insert_events([event(1)]) == [1]
    assert shop.insert_events([event(1)]) == [1]


def test_memory_is_each_factorys_own_unless_it_has_a_name() -> None:
    made = [LogFactory({"KC_LOG": log}) for log in ("memory:", "memory:", "memory:x", "memory:x")]
    try:
        recorders = [application(factory) for factory in made]
        assert [r.insert_events([event(1)]) for r in recorders[:3]] == [[1], [1], [1]]
        assert [r.max_notification_id() for r in recorders] == [1, 1, 1, 1]
        folder = made[0].lease.folder
        assert folder.is_dir()
    finally:
        for factory in made:
            factory.close()
    assert not folder.exists()


# --- settings -------------------------------------------------------------------------------------
def test_the_module_holds_exactly_one_factory() -> None:
    factories = {
        member
        for _, member in inspect.getmembers(module, inspect.isclass)
        if issubclass(member, InfrastructureFactory) and not getattr(member, "__parameters__", ())
    }
    assert factories == {LogFactory}


def test_settings_may_carry_the_applications_name(tmp_path: Path) -> None:
    env = {"KC_LOG": "kafka://nowhere/x", "BANK_KC_LOG": "memory:"}
    LogFactory(Environment("Bank", env)).close()


def test_without_settings_the_log_is_the_command_lines_own(tmp_path: Path) -> None:
    factory = LogFactory({"XDG_STATE_HOME": str(tmp_path)})
    application(factory).insert_events([event(1)])
    factory.close()
    assert (tmp_path / "kontaktcenter" / "log.db").is_file()
    assert (tmp_path / "kontaktcenter" / "index").is_dir()


def test_a_data_folder_alone_means_the_log_in_it(tmp_path: Path) -> None:
    LogFactory({"KC_DATA": str(tmp_path / "d")}).close()
    assert (tmp_path / "d" / "log.db").is_file()


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"KC_LOG": "kafka:b:9092/kc"}, "Write it as kafka://HOST:PORT"),
        ({"KC_LOG": "kafka://b:9092", "KC_LOG_CREATE": "yes"}, "KC_LOG_CREATE=yes: it may be safe"),
        ({"KC_LOG": "kafka://b:9092", "KC_PROFILE": "production"}, "set it to SASL_SSL"),
        ({"KC_LOG": "kafka://b:9092", "KC_KAFKA_PASSWORD_FILE": "/nowhere"}, "cannot be read"),
        ({"KC_LOG": "postgres:x"}, "memory:, sqlite:PATH or kafka"),
        ({"KC_LOG": "sqlite:"}, "memory:, sqlite:PATH or kafka"),
        ({"KC_LOG": "sqlite:/proc/nowhere/log.db"}, "/proc/nowhere"),
    ],
)
def test_a_log_that_cannot_be_is_refused_in_words(env: dict[str, str], said: str) -> None:
    with pytest.raises(InfrastructureFactoryError, match=said):
        LogFactory(env)


def test_two_index_folders_for_one_log_are_refused(make: Any, tmp_path: Path) -> None:
    make()
    with pytest.raises(InfrastructureFactoryError, match="KC_DATA"):
        make(KC_DATA=str(tmp_path / "elsewhere"))


@pytest.mark.parametrize("name", ["calls", "centre", "keys", "cases.TK"])
def test_an_application_cannot_write_to_our_own_books(make: Any, name: str) -> None:
    with pytest.raises(InfrastructureFactoryError, match="another name"):
        make(name).application_recorder()


def test_a_recorder_of_another_kind_is_refused(make: Any) -> None:
    topic = "core.eventlog.recorder:LogTrackingRecorder"
    with pytest.raises(InfrastructureFactoryError, match="is not a LogApplicationRecorder"):
        make(APPLICATION_RECORDER_TOPIC=topic).application_recorder()
    assert isinstance(make().tracking_recorder(LogProcessRecorder), LogTrackingRecorder)


# --- snapshots ------------------------------------------------------------------------------------
def test_snapshots_are_no_part_of_the_log(make: Any, tmp_path: Path) -> None:
    factory = make()
    application(factory)
    snapshots = factory.aggregate_recorder(purpose="snapshots")
    snapshots.insert_events([event(50)])
    snapshots.insert_events([event(20, originator=B), event(70)])
    assert [s.originator_version for s in snapshots.select_events(A, desc=True)] == [70, 50]
    with sqlite3.connect(tmp_path / "data" / "log.db") as conn:
        (records,) = conn.execute("SELECT count(*) FROM record_1").fetchone()
    assert records == 1  # the genesis
    factory.close()
    assert len(make().aggregate_recorder(purpose="snapshots").select_events(A)) == 2


def test_damaged_snapshots_are_made_anew(make: Any, tmp_path: Path) -> None:
    factory = make()
    before = factory.aggregate_recorder(purpose="snapshots")
    before.insert_events([event(50)])
    factory.close()
    (path,) = (tmp_path / "data" / "index").glob("*.snapshots.db")
    path.write_bytes(b"no database" * 1_000)
    anew = make().aggregate_recorder(purpose="snapshots")
    assert anew.select_events(A) == []
    anew.insert_events([event(50)])
