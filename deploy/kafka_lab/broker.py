"""One broker: started, killed, paused, brought back, and stopped, by process id."""

from __future__ import annotations

import base64
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from deploy.kafka_lab import ports, warming, wire

if TYPE_CHECKING:
    from types import TracebackType

    from deploy.kafka_lab.fetch import Software

READY_S: Final = 90.0  # a busy machine of two cores takes five to twenty
_STOP_S: Final = 20.0
_LOOK_S: Final = 0.1
_TAIL_BYTES: Final = 3_000
_LAUNCH: Final = Path(__file__).with_name("launch.py")
_HEAP: Final = ("-Xms96m", "-Xmx384m")
# A lab's broker lives for minutes: the second compiler and the parallel collector never pay.
_QUICK: Final = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_LOGGING: Final = (
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=info",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    # or each start tells all defaults
    "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.common.config.AbstractConfig=warn",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
    "--enable-native-access=ALL-UNNAMED",
)
_PROPERTIES: Final = {
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "BROKERS",
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": "0",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.num.partitions": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "background.threads": "2",
    "log.cleaner.dedupe.buffer.size": "8388608",  # by default a third of our heap
    "log.cleaner.backoff.ms": "1000",
    "file.delete.delay.ms": "1000",
    # Quicker failover and return than anybody should have in production.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    "replica.lag.time.max.ms": "4000",
}

# The kernel kills a broker when the *thread* that started it ends: this one lasts as we do.
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="kafka-lab")


@dataclass(frozen=True)
class Listener:
    """One more door of a broker, beside the plain one on loopback that the lab itself uses.

    `name` is upper-case letters. `advertised` is what the broker tells clients to use instead of
    its own address, as when a proxy stands in front. `settings` are for this listener alone, such
    as `ssl.keystore.location` or `scram-sha-256.sasl.jaas.config`.
    """

    name: str
    protocol: str = "PLAINTEXT"
    host: str = "127.0.0.1"
    advertised: tuple[str, int] | None = None
    settings: Mapping[str, str] = field(default_factory=dict)


def cluster_id() -> str:
    """A new one; Kafka's own tools take one that begins with a dash for an option."""
    while True:
        made = base64.urlsafe_b64encode(secrets.token_bytes(16)).rstrip(b"=").decode()
        if not made.startswith("-"):
            return made


class Broker:
    """A Kafka broker in a process of its own, with its data in `folder`, which it owns.

    As a context it is started, and stopped at the end; its logs are kept if an error went through,
    and the error tells where. `properties` are added to server.properties, over ours;
    `advertised_port` is what clients of the plain door are told to use; `format_args` are added to
    Kafka's formatting, such as `--add-scram`; `jvm` are more options of Java.

    A broker does not outlive the process that started it, however that ends.
    """

    def __init__(  # noqa: PLR0913 -- each is a door for one kind of test
        self,
        software: Software,
        folder: Path,
        *,
        node_id: int = 1,
        properties: Mapping[str, str] | None = None,
        listeners: Sequence[Listener] = (),
        advertised_port: int | None = None,
        jvm: Sequence[str] = (),
        format_args: Sequence[str] = (),
        cluster: str | None = None,
    ) -> None:
        self.folder, self.node_id = folder, node_id
        self._software = software
        self._more = dict(properties or {})
        self._listeners = tuple(listeners)
        self._advertised_port = advertised_port
        self._jvm, self._format_args = tuple(jvm), tuple(format_args)
        self._cluster = cluster or cluster_id()
        folder.mkdir(parents=True, exist_ok=True)
        self._ports = {
            name: ports.claim(host)
            for name, host in (
                ("CLIENTS", "127.0.0.1"),
                ("BROKERS", "127.0.0.1"),
                ("CONTROLLER", "127.0.0.1"),
                *((door.name, door.host) for door in self._listeners),
            )
        }
        self.quorum = {node_id: self.voter}
        self._process: subprocess.Popen[bytes] | None = None
        self._paused = False

    # --- where it is ------------------------------------------------------------------------------

    @property
    def port(self) -> int:
        """The port of the plain door on loopback; it stays over every restart."""
        return self._ports["CLIENTS"].number

    @property
    def address(self) -> tuple[str, int]:
        """The plain door on loopback, for the lab's own questions."""
        return "127.0.0.1", self.port

    @property
    def servers(self) -> str:
        """What a client is given, `HOST:PORT`: where clients are told to go, be it a proxy."""
        return f"127.0.0.1:{self._advertised_port or self.port}"

    def servers_of(self, listener: str) -> str:
        """What a client of another door is given, `HOST:PORT`."""
        door = next(door for door in self._listeners if door.name == listener)
        host, port = door.advertised or (door.host, self._ports[listener].number)
        return f"{host}:{port}"

    def port_of(self, listener: str) -> int:
        """The port on which a door listens, whatever it tells clients."""
        return self._ports[listener].number

    @property
    def voter(self) -> str:
        """This node as a cluster's others find it."""
        return f"{self.node_id}@127.0.0.1:{self._ports['CONTROLLER'].number}"

    @property
    def log(self) -> Path:
        """What the broker says, through all its lives."""
        return self.folder / "server.log"

    @property
    def data(self) -> Path:
        """Where its records are."""
        return self.folder / "data"

    @property
    def pid(self) -> int:
        """Its process. Raises: RuntimeError where it does not run."""
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError(f"broker {self.node_id} does not run; its log: {self.log}")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has a process, paused or not."""
        return self._process is not None and self._process.poll() is None

    # --- what is done to it -----------------------------------------------------------------------

    def start(self, *, wait: bool = True) -> None:
        """Start it, on the data that it had. Raises: RuntimeError where it does not come up."""
        if self.running:
            return
        config = self.folder / "server.properties"
        config.write_text(self._configuration(), encoding="utf-8")
        if not (self.data / "meta.properties").exists():
            self._format(config)
        command = self._software.command(
            "kafka.Kafka",
            config,
            jvm=(*_HEAP, *_QUICK, *warming.options(self._software), *_LOGGING, *self._jvm),
        )
        self._process = _starter.submit(self._launch, command).result()
        self._paused = False
        if wait:
            self.wait_ready()

    def wait_ready(self, within_s: float = READY_S) -> None:
        """Wait until it answers and counts itself among its cluster's living brokers.

        Raises: RuntimeError with the end of its log.
        """
        until = time.monotonic() + within_s
        while time.monotonic() < until:
            if not self.running:
                raise RuntimeError(f"broker {self.node_id} ended:\n{self.tail()}")
            if self.ready():
                return
            time.sleep(_LOOK_S)
        raise RuntimeError(
            f"broker {self.node_id} did not answer in {within_s:.0f} s:\n{self.tail()}"
        )

    def ready(self) -> bool:
        """Whether it answers now, and counts itself among the living."""
        try:
            found = self.metadata()
        except OSError:
            return False
        return self.node_id in found.brokers and found.controller >= 0

    def kill(self) -> None:
        """As a power cut to its process: kill -9."""
        self._signal(signal.SIGKILL)
        self._reap()

    def terminate(self, within_s: float = _STOP_S) -> None:
        """As an operator does: SIGTERM, and kill -9 where it does not end."""
        self.resume()
        self._signal(signal.SIGTERM)
        self._reap(within_s)

    def pause(self) -> None:
        """Stop it in the middle of whatever it does; its connections stay open."""
        self._signal(signal.SIGSTOP)
        self._paused = True

    def resume(self) -> None:
        """Let a paused one go on."""
        if self._paused and self.running:
            self._signal(signal.SIGCONT)
        self._paused = False

    def restart(self, *, wait: bool = True) -> None:
        """SIGTERM, and start again."""
        self.terminate()
        self.start(wait=wait)

    def restore(self) -> None:
        """Whatever was done to it: it runs and answers afterwards."""
        self.resume()
        self.start(wait=False)
        self.wait_ready()

    def close(self, *, keep_log: bool = False) -> None:
        """End it and remove its data; its log and configuration stay where they are wanted."""
        if self.running:
            self.resume()
            self._signal(signal.SIGKILL)
            self._reap()
        for port in self._ports.values():
            port.give_back()
        shutil.rmtree(self.data if keep_log else self.folder, ignore_errors=True)

    def __enter__(self) -> Broker:
        try:
            self.start()
        except BaseException:
            self.close(keep_log=True)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _t: TracebackType | None,
    ) -> None:
        self.close(keep_log=kind is not None)
        if error is not None:
            error.add_note(f"the broker's log: {self.log}")

    # --- what it knows ----------------------------------------------------------------------------

    def metadata(self, *topics: str, timeout_s: float = 2.0) -> wire.Metadata:
        """What it says of its cluster and of these topics. Raises: OSError."""
        return wire.metadata(self.address, topics, timeout_s)

    def topics(self) -> list[str]:
        """All topics' names. Raises: OSError."""
        return sorted(wire.metadata(self.address, None).topics)

    def tail(self) -> str:
        """The end of its log, and where the whole of it is."""
        said = self.log.read_bytes()[-_TAIL_BYTES:] if self.log.exists() else b""
        return f"{said.decode(errors='replace')}\nthe whole log: {self.log}"

    # --- how --------------------------------------------------------------------------------------

    def _configuration(self) -> str:
        doors = {"CLIENTS": "PLAINTEXT", "BROKERS": "PLAINTEXT", "CONTROLLER": "PLAINTEXT"}
        hosts = dict.fromkeys(doors, "127.0.0.1")
        doors |= {door.name: door.protocol for door in self._listeners}
        hosts |= {door.name: door.host for door in self._listeners}
        listens = {name: (hosts[name], self._ports[name].number) for name in doors}
        told = dict(listens)
        del told["CONTROLLER"]
        told["CLIENTS"] = ("127.0.0.1", self._advertised_port or self.port)
        told |= {door.name: door.advertised for door in self._listeners if door.advertised}
        own = {
            f"listener.name.{door.name.lower()}.{key}": value
            for door in self._listeners
            for key, value in door.settings.items()
        }
        n = str(min(3, len(self.quorum)))
        quorum = {
            "process.roles": "broker,controller",
            "node.id": str(self.node_id),
            "controller.quorum.voters": ",".join(self.quorum.values()),
            "listeners": _addresses(listens),
            "advertised.listeners": _addresses(told),
            "listener.security.protocol.map": ",".join(f"{k}:{v}" for k, v in doors.items()),
            "log.dirs": str(self.data),
            "offsets.topic.replication.factor": n,
            "transaction.state.log.replication.factor": n,
            "transaction.state.log.min.isr": str(max(1, int(n) - 1)),
            "share.coordinator.state.topic.replication.factor": n,
            "share.coordinator.state.topic.min.isr": str(max(1, int(n) - 1)),
        }
        whole = {**_PROPERTIES, **quorum, **own, **self._more}
        return "".join(f"{key}={value}\n" for key, value in whole.items())

    def _format(self, config: Path) -> None:
        command = self._software.command(
            "kafka.tools.StorageTool", "format", "-t", self._cluster, "-c", config,
            *self._format_args, jvm=("-Xmx128m", *_QUICK),
        )  # fmt: skip
        with self.log.open("ab") as out:
            done = subprocess.run(
                command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, check=False,
                timeout=READY_S,
            )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"no data folder for broker {self.node_id}:\n{self.tail()}")

    def _launch(self, command: list[str]) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as out:
            return subprocess.Popen(
                [sys.executable, "-I", "-S", str(_LAUNCH), str(os.getpid()), *command],
                stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=self.folder,
                start_new_session=True,
            )  # fmt: skip

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def _reap(self, within_s: float = _STOP_S) -> None:
        if self._process is None:
            return
        try:
            self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(_STOP_S)


def _addresses(doors: Mapping[str, tuple[str, int]]) -> str:
    return ",".join(f"{name}://{host}:{port}" for name, (host, port) in doors.items())
