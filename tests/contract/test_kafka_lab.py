"""The lab itself: what the tests on Kafka take for granted of their brokers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from project import ROOT

from deploy.kafka_lab import wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from deploy.kafka_lab import Broker, Cluster, SharedBroker, Software

pytestmark = pytest.mark.kafka


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that is dead and not yet reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def until(done: Callable[[], bool], within_s: float = 20) -> bool:
    """Wait for something that has to come; whether it came."""
    end = time.monotonic() + within_s
    while not done() and time.monotonic() < end:
        time.sleep(0.05)
    return done()


def test_a_topic_is_made_and_is_gone_with_its_prefix(
    kafka_broker: SharedBroker, kafka_prefix: str
) -> None:
    kafka_broker.create_topic(f"{kafka_prefix}.calls", 4, retention__ms="-1")
    kafka_broker.create_topic(f"{kafka_prefix}.calls", 4)  # once more: it stays as it is
    assert until(lambda: kafka_broker.topics(kafka_prefix) == [f"{kafka_prefix}.calls"])
    found = wire.metadata(kafka_broker.address, [f"{kafka_prefix}.calls"])
    assert {p: part.leader for p, part in found.topics[f"{kafka_prefix}.calls"].items()} == {
        0: 1, 1: 1, 2: 1, 3: 1,
    }  # fmt: skip
    kafka_broker.delete_topics(kafka_prefix)
    assert until(lambda: kafka_broker.topics(kafka_prefix) == [])


def test_nobody_makes_a_topic_by_asking_for_it(
    kafka_broker: SharedBroker, kafka_prefix: str
) -> None:
    assert wire.metadata(kafka_broker.address, [f"{kafka_prefix}.none"]).topics == {}
    assert kafka_broker.topics(kafka_prefix) == []


def test_a_topic_that_cannot_be_is_refused_with_the_brokers_words(
    kafka_broker: SharedBroker, kafka_prefix: str
) -> None:
    with pytest.raises(wire.WireError, match="replication factor of 3"):
        wire.create_topic(kafka_broker.address, f"{kafka_prefix}.x", replication=3)


def test_a_broker_is_killed_and_paused_and_comes_back_with_what_it_had(
    own_broker: Callable[..., Broker],
) -> None:
    broker = own_broker(properties={"num.partitions": "3"})
    wire.create_topic(broker.address, "kept")
    port, first = broker.port, broker.pid
    broker.kill()
    assert not broker.ready()
    with pytest.raises(RuntimeError, match="does not run; its log"):
        _ = broker.pid
    broker.restore()
    assert broker.pid != first
    assert (broker.port, broker.topics()) == (port, ["kept"])

    broker.pause()
    assert broker.running
    assert not broker.ready()
    broker.restore()
    assert broker.topics() == ["kept"]

    broker.restart()
    assert broker.topics() == ["kept"]
    assert "num.partitions=3" in (broker.folder / "server.properties").read_text(encoding="utf-8")
    assert broker.log.stat().st_size > 10_000  # it is not mute


def test_a_broker_that_cannot_start_tells_its_own_reason_and_where_its_log_is(
    own_broker: Callable[..., Broker],
) -> None:
    with pytest.raises(RuntimeError, match=r"(?s)log\.segment\.bytes.*whole log: .*\.log"):
        own_broker(properties={"log.segment.bytes": "none"})


def test_a_broker_does_not_outlive_a_test_run_that_is_killed(
    kafka_software: Software, tmp_path: Path
) -> None:
    program = (
        "import sys, time, threading, pathlib\n"
        "from deploy.kafka_lab import Broker, Software\n"
        "java, libs, folder = map(pathlib.Path, sys.argv[1:])\n"
        "broker = Broker(Software(java, libs), folder)\n"
        # Its end must not depend on that of the thread that asked for it.
        "asking = threading.Thread(target=broker.start)\n"
        "asking.start(); asking.join()\n"
        "print(broker.pid, flush=True); time.sleep(300)\n"
    )
    run = subprocess.Popen(
        [sys.executable, "-c", program, kafka_software.java, kafka_software.libs, tmp_path / "b"],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert run.stdout is not None
    pid = int(run.stdout.readline())
    time.sleep(0.5)
    assert is_alive(pid)
    run.kill()
    run.wait()
    run.stdout.close()
    assert until(lambda: not is_alive(pid))


def test_workers_share_one_broker_which_ends_after_the_last_of_them_however_it_went(
    kafka_software: Software, tmp_path: Path
) -> None:
    program = (
        "import sys, time, pathlib\n"
        "from deploy.kafka_lab import Software, shared_broker\n"
        "java, libs, room = map(pathlib.Path, sys.argv[1:])\n"
        "with shared_broker(Software(java, libs), room) as broker:\n"
        "    print(broker.port, flush=True); time.sleep(300)\n"
    )
    room = tmp_path / "room"
    software = [str(kafka_software.java), str(kafka_software.libs)]
    command = [sys.executable, "-c", program, *software, str(room)]
    workers = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    ports = {int(worker.stdout.readline()) for worker in workers if worker.stdout}
    assert len(ports) == 1
    (address,) = [("127.0.0.1", port) for port in ports]
    workers[0].kill()
    workers[0].wait()
    assert wire.metadata(address).brokers.keys() == {1}
    workers[1].send_signal(signal.SIGINT)
    workers[1].wait()
    for worker in workers:
        assert worker.stdout is not None
        worker.stdout.close()
    assert until(lambda: not knocks(address))
    assert until(lambda: not (room / "broker").exists())  # nothing failed: nothing is kept


def knocks(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=1).close()
    except OSError:
        return False
    return True


def test_the_cluster_elects_another_leader_and_is_whole_again_afterwards(
    kafka_cluster: Cluster,
) -> None:
    kafka_cluster.create_topic("led", partitions=2)
    before = kafka_cluster.leader_of("led")
    assert kafka_cluster.follower_of("led") is not before
    os.kill(before.pid, signal.SIGKILL)
    after = kafka_cluster.wait_leader("led", other_than=before)
    assert after is not before
    assert before.node_id not in kafka_cluster.metadata("led").topics["led"][0].in_sync
    kafka_cluster.restore()
    assert set(kafka_cluster.metadata("led").topics["led"][0].in_sync) == {1, 2, 3}


def test_every_test_finds_the_cluster_whole(kafka_cluster: Cluster) -> None:
    assert [broker.ready() for broker in kafka_cluster.brokers.values()] == [True, True, True]
    assert len(kafka_cluster.servers.split(",")) == 3
