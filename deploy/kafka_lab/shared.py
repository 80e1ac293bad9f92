"""One broker for all processes of a test run: the first to ask starts it, none has to stop it.

A keeper holds it, a process of its own that ends when the last of its users has let go of a lock;
the kernel lets go for a user that was killed, so nothing has to be told and nothing is left.
"""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from deploy.kafka_lab import wire
from deploy.kafka_lab.broker import READY_S, Broker
from deploy.kafka_lab.fetch import Software

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT: Final = Path(__file__).resolve().parents[2]
_TOLD, _KEEP = "broker.json", "keep"
_START, _USERS, _KEEPER = "start.lock", "users.lock", "keeper.lock"


@dataclass(frozen=True)
class SharedBroker:
    """Where it is; it is everybody's, so nobody pauses or ends it."""

    host: str
    port: int
    log: str

    @property
    def servers(self) -> str:
        """What a client is given, `HOST:PORT`."""
        return f"{self.host}:{self.port}"

    @property
    def address(self) -> tuple[str, int]:
        """The same for a socket."""
        return self.host, self.port

    def topics(self, prefix: str = "") -> list[str]:
        """The topics whose names begin so. Raises: OSError."""
        found = wire.metadata(self.address, None).topics
        return sorted(name for name in found if name.startswith(prefix))

    def create_topic(self, name: str, partitions: int = 1, **settings: str) -> None:
        """Make a topic; a setting's dots are written `__`. Raises: OSError."""
        named = {key.replace("__", "."): value for key, value in settings.items()}
        wire.create_topic(self.address, name, partitions, settings=named)

    def delete_topics(self, prefix: str) -> None:
        """Delete the topics whose names begin so. Raises: OSError."""
        if names := self.topics(prefix):
            wire.delete_topics(self.address, names)


@contextmanager
def shared_broker(software: Software, room: Path) -> Iterator[SharedBroker]:
    """The broker of `room`, a folder that all its users know.

    Raises: RuntimeError where it does not come up.
    """
    room.mkdir(parents=True, exist_ok=True)
    # Held while we use it. It is not inherited by programs that we start.
    with (room / _START).open("w") as starting, (room / _USERS).open("w") as users:
        fcntl.flock(starting, fcntl.LOCK_EX)
        fcntl.flock(users, fcntl.LOCK_SH)  # waits for a keeper that is just ending
        told = room / _TOLD
        if not (told.exists() and _is_kept(room)):
            told.unlink(missing_ok=True)
            _start_keeper(software, room)
        found = SharedBroker(**json.loads(told.read_text(encoding="utf-8")))
        fcntl.flock(starting, fcntl.LOCK_UN)
        yield found


def keep_log(room: Path) -> None:
    """Let the broker's log stay when it ends: something failed that it may explain."""
    (room / _KEEP).touch()


def _is_kept(room: Path) -> bool:
    """Whether the keeper lives: one that was killed took its broker with it."""
    with (room / _KEEPER).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _start_keeper(software: Software, room: Path) -> None:
    command = [sys.executable, "-m", __name__, str(room), str(software.java), str(software.libs)]
    with (room / "keeper.log").open("ab") as out:
        keeper = subprocess.Popen(
            command, cwd=_ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            start_new_session=True,
        )  # fmt: skip
    until = time.monotonic() + READY_S
    while not (room / _TOLD).exists():
        if keeper.poll() is not None or time.monotonic() > until:
            said = (room / "keeper.log").read_text(encoding="utf-8", errors="replace")
            raise RuntimeError(f"no shared broker; its keeper said:\n{said[-4_000:]}")
        time.sleep(0.05)


def _keep(room: Path, software: Software) -> None:
    with (room / _KEEPER).open("w") as alive:
        fcntl.flock(alive, fcntl.LOCK_EX)
        _keep_broker(room, software)


def _keep_broker(room: Path, software: Software) -> None:
    broker = Broker(software, room / "broker")
    told = room / _TOLD
    try:
        broker.start()
        mine = SharedBroker("127.0.0.1", broker.port, str(broker.log))
        fresh = told.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(mine)), encoding="utf-8")
        fresh.replace(told)
        with (room / _USERS).open("w") as users:
            fcntl.flock(users, fcntl.LOCK_EX)  # when nobody uses it any more
            told.unlink()
            broker.close(keep_log=(room / _KEEP).exists())
    finally:
        if broker.running:
            broker.close(keep_log=True)


if __name__ == "__main__":
    _keep(Path(sys.argv[1]), Software(Path(sys.argv[2]), Path(sys.argv[3])))
