"""The servers of the bench: one broker for all contenders, topics, and a PostgreSQL of its own."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from kafka import KafkaAdminClient
from kafka.admin import NewTopic

if TYPE_CHECKING:
    from collections.abc import Iterator

POSTGRES = Path("/usr/lib/postgresql/15/bin")
TOPIC = {"retention.ms": "-1", "retention.bytes": "-1", "max.message.bytes": "8388608"}
# The lab's brokers save on compiling, for they live for minutes; this one is measured.
JVM = ("-Xmx1g", "-XX:-UseSerialGC", "-XX:+UseG1GC", "-XX:TieredStopAtLevel=4")
_START_S = 30.0


@dataclass
class Brokers:
    """Where the brokers are, how to say so in a table, and whose processor time is theirs."""

    address: str
    words: str
    pids: list[int] = field(default_factory=list)

    def make_topics(self, names: list[str], *, flushed: bool, replicas: int = 1) -> None:
        """Topics of one partition; `flushed` ones are flushed before each acknowledgement."""
        settings = TOPIC | ({"flush.messages": "1"} if flushed else {})
        admin = KafkaAdminClient(bootstrap_servers=self.address)
        try:
            admin.create_topics(
                [NewTopic(name, 1, replicas, topic_configs=settings) for name in names]
            )
        finally:
            admin.close()

    def drop_topics(self, prefix: str) -> None:
        """Delete what begins with `prefix`, so that the disk stays free."""
        admin = KafkaAdminClient(bootstrap_servers=self.address)
        try:
            names = [name for name in admin.list_topics() if name.startswith(prefix)]
            if names:
                admin.delete_topics(names)
        finally:
            admin.close()


@contextlib.contextmanager
def brokers() -> Iterator[Brokers]:
    """One broker of the lab, started for the bench; BENCH_KAFKA=HOST:PORT names another."""
    given = os.environ.get("BENCH_KAFKA")
    if given:
        pid = os.environ.get("BENCH_KAFKA_PID", "")
        yield Brokers(given, f"the broker at {given}", [int(pid)] if pid else [])
        return
    from deploy.kafka_lab import Broker, software

    folder = Path(tempfile.mkdtemp(prefix="bench-kafka-"))
    broker = Broker(software(print), folder, jvm=JVM)
    broker.start()
    try:
        yield Brokers(broker.servers, "one broker of its own", [broker.pid])
    finally:
        broker.close()
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Postgres:
    """A server that listens on loopback, and its first process."""

    port: str
    process: subprocess.Popen[bytes]


@contextlib.contextmanager
def postgres() -> Iterator[Postgres | str]:
    """PostgreSQL 15 with Debian's own settings in a folder of its own; or why it cannot be had."""
    missing = _have_postgres()
    if missing:
        yield missing
        return
    folder = Path(tempfile.mkdtemp(prefix="bench-postgres-"))
    user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    as_user = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    prefix = as_user if os.geteuid() == 0 else []
    if prefix:
        shutil.chown(folder, user)
    port = _free_port()
    data, log = folder / "data", folder / "log"
    made = subprocess.run(
        [*prefix, POSTGRES / "initdb", "-D", data, "-U", "bench", "--auth=trust", "-E", "UTF8"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if made.returncode:
        yield f"initdb said: {made.stderr.strip().splitlines()[-1]}"
        return
    with log.open("wb") as said:
        server = subprocess.Popen(
            [*prefix, POSTGRES / "postgres", "-D", data, "-p", port, "-k", folder,
             "-c", "listen_addresses=127.0.0.1"],
            cwd=folder, stdout=said, stderr=said,
        )  # fmt: skip
    try:
        _wait_for(port, server)
        yield Postgres(port, server)
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(_START_S)
        shutil.rmtree(folder, ignore_errors=True)


def _have_postgres() -> str | None:
    """Install it where that may be; None where it is there, else why not."""
    if not (POSTGRES / "postgres").exists() and os.geteuid() == 0:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (("update", "-qq"), ("install", "-qqy", "postgresql-15")):
            subprocess.run(["apt-get", *command], env=environment, capture_output=True, check=False)
    if not (POSTGRES / "postgres").exists():
        return "no PostgreSQL 15 here: apt-get install postgresql-15"
    try:
        import psycopg  # noqa: F401
    except ImportError as e:
        return f"no psycopg here: {e}"
    return None


def _free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def _wait_for(port: str, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _START_S
    while time.monotonic() < until and server.poll() is None:
        ready = subprocess.run(
            [POSTGRES / "pg_isready", "-q", "-h", "127.0.0.1", "-p", port], check=False
        )
        if ready.returncode == 0:
            return
        time.sleep(0.2)
    raise RuntimeError("PostgreSQL did not start")
