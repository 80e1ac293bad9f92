"""A network of a test's own, joined to ours by one cable that can be cut and mended.

A node runs inside, the brokers outside, at `namespace.outside`; they need a listener there:

    broker = own_broker(listeners=[Listener("CABLE", host=namespace.outside)])
    with namespace.inside():            # this thread; what it starts stays inside
        node = subprocess.Popen(…)
    namespace.cut()
    with namespace.inside():            # the node's own loopback is still there
        httpx.get("http://127.0.0.1:8080/readyz")
    namespace.mend()
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

_CLONE_NEWNET = 0x40000000
_NAMED = Path("/run/netns")
_counted = itertools.count(1)


class Namespace:
    """One network namespace, made at the beginning of a context and gone at its end.

    `outside` is our end's address, `address` that of the end inside.
    """

    def __init__(self) -> None:
        n = next(_counted)
        self.name = f"kc-{os.getpid()}-{n}"
        self._ours, self._theirs = f"kc{os.getpid()}o{n}", f"kc{os.getpid()}i{n}"
        net = f"10.{random.randrange(200, 250)}.{random.randrange(256)}"
        last = 4 * random.randrange(64)
        self.outside, self.address = f"{net}.{last + 1}", f"{net}.{last + 2}"

    def __enter__(self) -> Namespace:
        _remove_left_over()
        _ip("netns", "add", self.name)
        try:
            pair = ("link", "add", self._ours, "type", "veth", "peer", "name", self._theirs)
            _ip(*pair, "netns", self.name)
            _ip("addr", "add", f"{self.outside}/30", "dev", self._ours)
            _ip("-n", self.name, "addr", "add", f"{self.address}/30", "dev", self._theirs)
            _ip("-n", self.name, "link", "set", "lo", "up")
            _ip("-n", self.name, "link", "set", self._theirs, "up")
            self.mend()
        except BaseException:
            _ip("netns", "del", self.name)
            raise
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None
    ) -> None:
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _ip("link", "del", self._ours)  # with its namespace it would go by and by
        _ip("netns", "del", self.name)

    def cut(self) -> None:
        """Pull the cable: what is sent from inside is lost without a word."""
        _ip("link", "set", self._ours, "down")

    def mend(self) -> None:
        """Put it back, and wait until the ends see each other."""
        _ip("link", "set", self._ours, "up")
        until = time.monotonic() + 10
        carrier = Path(f"/sys/class/net/{self._ours}/operstate")
        while carrier.read_text(encoding="ascii").strip() != "up" and time.monotonic() < until:
            time.sleep(0.02)

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """This thread is inside: the sockets that it opens and the programs that it starts."""
        with Path("/proc/thread-self/ns/net").open("rb") as ours:
            with (_NAMED / self.name).open("rb") as theirs:
                _enter(theirs.fileno())
            try:
                yield
            finally:
                _enter(ours.fileno())

    def pids(self) -> list[int]:
        """The processes inside."""
        return [int(pid) for pid in _ip("netns", "pids", self.name).split()]


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    """A network of the test's own; the test is marked `root`."""
    if (reason := why_not()) is not None:
        pytest.skip(reason)
    with Namespace() as made:
        yield made


def why_not() -> str | None:
    """Why this machine can make no network namespace; None where it can."""
    if os.geteuid() != 0:
        return "needs root: run it as root or in CI"
    if shutil.which("ip") is None:
        return "no ip here: apt-get install iproute2"
    probe = f"kc-{os.getpid()}-0"
    try:
        _ip("netns", "add", probe)
        _ip("netns", "del", probe)
    except RuntimeError as e:
        return f"no network namespaces here: {e}"
    return None


def _remove_left_over() -> None:
    """Those of test runs that were killed."""
    for found in _NAMED.glob("kc-*-*"):
        pid = found.name.split("-")[1]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            with contextlib.suppress(RuntimeError):
                _ip("netns", "del", found.name)


def _enter(number: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(number, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def _ip(*args: str) -> str:
    done = subprocess.run(["ip", *args], capture_output=True, text=True, check=False, timeout=30)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(args)}: {done.stderr.strip()}")
    return done.stdout
