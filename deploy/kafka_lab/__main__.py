"""`make run-kafka`: one broker, two nodes that serve it, and a recorded crisis played into it.

`python -m deploy.kafka_lab`, with the Python that Kontaktcenter is installed in. Everything is in a
folder that is removed at the end; Ctrl-C ends everything, and so does the end of this program.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import socket
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

from deploy.kafka_lab.broker import Broker
from deploy.kafka_lab.fetch import VERSION, Absent, software
from deploy.kafka_lab.program import Program

if TYPE_CHECKING:
    from collections.abc import Sequence

_PREFIX: Final = "demo"
_SPEED: Final = 30  # until the crisis has caught up with the world; then its own pace
_AGAIN_S: Final = 20.0  # a killed node stays away so long, for people to see the other go on
_LOOK_S: Final = 0.2
_READY_S: Final = 90.0
_NODES: Final = ("a", "b")


class Stopped(Exception):
    """A signal asked us to end."""


def main(args: Sequence[str] | None = None) -> int:
    """Run until a signal comes; 130 after Ctrl-C, 0 after SIGTERM, 1 where it could not begin."""
    asked = _asked(args)
    stop: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda got, _frame: stop.append(got))
    with ExitStack() as ending:
        folder = Path(tempfile.mkdtemp(prefix="kontaktcenter-kafka-"))
        ending.callback(shutil.rmtree, folder, ignore_errors=True)
        try:
            _run(folder, asked, stop, ending)
        except Stopped:
            say("· stopping")
        except (Absent, RuntimeError, OSError) as e:
            print(f"Error: {e}", file=sys.stderr)
            return 1
    return 130 if signal.SIGINT in stop else 0


def _asked(args: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.kafka_lab", description=__doc__)
    parser.add_argument("--port", type=int, default=8080, help="of the first board; 8080")
    parser.add_argument("--again", type=float, default=_AGAIN_S, metavar="SECONDS",
                        help="after which a node that was killed starts again; 20")  # fmt: skip
    return parser.parse_args(args)


def _run(folder: Path, asked: argparse.Namespace, stop: list[int], ending: ExitStack) -> None:
    kafka = software(lambda line: say(f"· {line}"))
    _unless(stop)
    say(f"· starting Apache Kafka {VERSION}")
    broker = Broker(kafka, folder / "kafka")
    ending.callback(broker.close)
    broker.start()
    _unless(stop)
    log = f"kafka://{broker.servers}/{_PREFIX}"
    say(f"· {log} (process {broker.pid})")

    ports = _free_ports(asked.port, len(_NODES) + 1)
    exchange = Program(
        "the exchange", folder / "exchange",
        ("demo", "--log", log, "--speed", str(_SPEED), "--port", str(ports[-1])),
    )  # fmt: skip
    nodes = [
        Program(
            f"node {name}", folder / name, ("serve", "--port", str(port)),
            KC_LOG=log, KC_LOG_CREATE="unsafe", KC_NODE_NAME=name, KC_PUBLIC_BOARD="true",
        )
        for name, port in zip(_NODES, ports, strict=False)
    ]  # fmt: skip
    say("· starting the exchange: a recorded crisis and its people, who take the calls")
    for program in (exchange, *nodes):
        ending.callback(program.stop)
    exchange.start()
    _wait_ready(exchange, stop)  # it makes the topics; nobody need race for that
    say(f"· starting {' and '.join(node.name for node in nodes)}")
    for node in nodes:
        node.start()
    for node in nodes:
        _wait_ready(node, stop)
    _tell(nodes, broker.pid)
    _watch([exchange, *nodes], broker, stop, asked.again)


def _tell(nodes: list[Program], broker: int) -> None:
    say("")
    for node in nodes:
        say(f"The board of {node.name}: {node.address} (process {node.pid})")
    say("")
    say("Both show the same log. Look at one board and kill the other's node, with kill -9 and its")
    say("process: the calls go on. It starts again by itself, and catches up.")
    say(
        f"With kill -STOP {broker} the nodes lose the log, and with kill -CONT {broker} it is back."
    )
    say("Stop with Ctrl-C.")


def _watch(programs: list[Program], broker: Broker, stop: list[int], again_s: float) -> None:
    """Start again what ends, until a signal comes. Raises: Stopped, RuntimeError."""
    due: dict[str, float] = {}
    while True:
        _unless(stop)
        if not broker.running:
            raise RuntimeError(f"the broker has ended:\n{broker.tail()}")
        for program in programs:
            if program.running:
                if program.name in due and program.address is not None:
                    del due[program.name]
                    say(f"· {program.name} is back: {program.address} (process {program.pid})")
            elif program.name not in due:
                due[program.name] = time.monotonic() + again_s
                how = f"{program.name} has ended ({program.ended()})"
                say(f"· {how}; it starts again in {again_s:g} s")
            elif time.monotonic() > due[program.name]:
                program.start()
                due[program.name] = float("inf")
        time.sleep(_LOOK_S)


def _wait_ready(program: Program, stop: list[int]) -> None:
    until = time.monotonic() + _READY_S
    while program.address is None:
        _unless(stop)
        if not program.running or time.monotonic() > until:
            raise RuntimeError(f"{program.name} did not start:\n{program.said()}")
        time.sleep(_LOOK_S)


def _unless(stop: list[int]) -> None:
    if stop:
        raise Stopped


def say(text: str) -> None:
    """A line for a person, at once."""
    print(text, flush=True)


def _free_ports(first: int, n: int) -> list[int]:
    """The first ports from `first` on that nobody listens on; 0 for any. Raises: OSError."""
    if first == 0:
        return [0] * n
    found = []
    for port in range(first, min(first + 100, 65_536)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == n:
            return found
    raise OSError(f"no {n} free ports from {first} on")


if __name__ == "__main__":
    sys.exit(main())
