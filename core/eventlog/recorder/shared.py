"""One node for one log in a process, however many factories of the library use it.

The library constructs a second application where it runs a projection; both must share the node,
because a log has one (design, small print 8). The last lease that is let go closes it.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol

from core.commit import Clock
from core.errors import Refused, Unavailable
from core.eventlog.kafka_log import KafkaSettings
from core.eventlog.parts import sqlite_path
from core.eventlog.recorder.blocking import BlockingNode
from core.eventlog.settings import NodeSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.commit import Verdict
    from core.eventlog.envelope import Claim
    from core.eventlog.shard import Shard

_OUR_THREADS: Final = ("node", "index-", "log-writer", "log-reader", "asyncio_", "kafka-")


class Closed(Unavailable):
    """The recorder's factory is closed."""


@dataclass(frozen=True)
class LogSettings:
    """Which log, and whose. `log` is `memory:`, `memory:NAME`, `sqlite:PATH` or `kafka://…`.

    `kafka` is what a log on Kafka is opened with. `data` is None only for memory: its index lies in
    a folder that goes with it.
    """

    log: str
    data: Path | None
    secret_file: Path | None
    clock: Clock
    entropy: Callable[[int], bytes]
    kafka: KafkaSettings | None = None


class Proposal:
    """A commit on its way, and the thread that waits for its verdict."""

    __slots__ = ("_done", "_error", "_verdict", "claim", "raw")

    def __init__(self, raw: bytes, claim: Claim) -> None:
        self.raw, self.claim = raw, claim
        self._verdict: Verdict | None = None
        self._error: BaseException | None = None
        self._done = threading.Lock()  # a bare lock wakes a thread in a third of a Future's time
        self._done.acquire()

    def wait(self) -> Verdict:
        """Block until it is judged. Raises: what went wrong."""
        self._done.acquire()
        if self._error is not None:
            raise self._error
        assert self._verdict is not None
        return self._verdict

    def done(self) -> bool:
        """Whether the outcome is known."""
        return self._verdict is not None or self._error is not None

    def set_result(self, verdicts: list[Verdict], /) -> None:
        """It was judged."""
        (self._verdict,) = verdicts
        self._done.release()

    def set_exception(self, error: BaseException, /) -> None:
        """It was not, or it is not known."""
        self._error = error
        self._done.release()


class SharedBook:
    """One book of a shared node, for threads: they propose and wait, or are woken by the log."""

    def __init__(self, node: BlockingNode, shard: Shard) -> None:
        self.shard, self.state = shard, shard.state
        self.judged = 0  # grows whenever something was judged
        self.node = node
        self._inbox: deque[Proposal] = deque()
        self._woken = False
        self._closed = threading.Event()
        self._waiters = 0
        self._changed = threading.Condition()
        self._listeners: tuple[threading.Event, ...] = ()
        self._watched: dict[int, float] = {}
        shard.on_judged = self._on_judged

    # --- proposing --------------------------------------------------------------------------------
    def propose(self, raw: bytes, claim: Claim) -> Verdict:
        """Record a commit; blocks until it is judged. Raises: Unavailable, Unknown, Corrupt."""
        assert not self.node.is_own_thread(), "on the node's loop a recorder would wait for itself"
        if self._closed.is_set():
            raise Closed
        proposal = Proposal(raw, claim)
        self._inbox.append(proposal)
        if not self._woken:  # many callers wake the loop once
            self._woken = True
            with suppress(RuntimeError):  # closed between the first look and now: refused below
                self.node.soon(self._send)
        if self._closed.is_set():
            self._refuse()
        return proposal.wait()

    def _send(self) -> None:
        self._woken = False  # first: who comes from now on wakes the loop again
        if self._closed.is_set():
            self._refuse()
            return
        proposals = self._taken()
        try:
            self.shard.propose_each([(p.raw, p.claim, p) for p in proposals])
        except Exception as e:  # noqa: BLE001 -- the edge of a thread: whoever waits must hear of it
            for proposal in proposals:
                proposal.set_exception(e)

    def _taken(self) -> list[Proposal]:
        """What has come in; another thread may be taking too, when the node is closed."""
        taken = []
        with suppress(IndexError):
            while True:
                taken.append(self._inbox.popleft())
        return taken

    def _refuse(self) -> None:
        for proposal in self._taken():
            proposal.set_exception(Closed())

    # --- listening --------------------------------------------------------------------------------
    def _on_judged(self) -> None:
        self.judged += 1
        for event in self._listeners:
            event.set()
        if self._waiters:
            with self._changed:
                self._changed.notify_all()

    def listen(self, event: threading.Event) -> None:
        """Set `event` whenever something was judged."""
        with self._changed:
            self._listeners = (*self._listeners, event)

    def unlisten(self, event: threading.Event) -> None:
        """Leave `event` alone from now on."""
        with self._changed:
            self._listeners = tuple(known for known in self._listeners if known is not event)

    def wait_until(
        self, reached: Callable[[], bool], until_s: float, interrupt: threading.Event | None
    ) -> bool:
        """Block until `reached()`; False at `until_s` (monotonic) or when interrupted."""

        def stopped() -> bool:
            return self._closed.is_set() or (interrupt is not None and interrupt.is_set())

        while True:
            seen = (
                self.judged
            )  # before looking: what is judged after the look ends the wait at once
            if reached():
                return True
            if interrupt is not None:
                self._watch(interrupt, until_s)
            with self._changed:
                self._waiters += 1
                woken = self._changed.wait_for(
                    lambda seen=seen: self.judged != seen or stopped(),  # type: ignore[misc]
                    max(0.0, until_s - monotonic()),
                )
                self._waiters -= 1
            if not woken or stopped():
                return reached()

    def _watch(self, interrupt: threading.Event, until_s: float) -> None:
        """Have a thread wait for `interrupt`: an event cannot wake a condition by itself."""
        with self._changed:
            known = self._watched.get(id(interrupt))
            self._watched[id(interrupt)] = max(until_s, known or 0.0)
            if known is None:
                threading.Thread(
                    target=self._await, args=(interrupt,), name="interrupt", daemon=True
                ).start()

    def _await(self, interrupt: threading.Event) -> None:
        while True:
            with self._changed:
                left_s = self._watched[id(interrupt)] - monotonic()
                if left_s <= 0 or interrupt.is_set():
                    del self._watched[id(interrupt)]
                    self._changed.notify_all()
                    return
            interrupt.wait(left_s)

    def close(self) -> None:
        """Refuse what still comes and wake who waits. On the loop."""
        self._closed.set()
        self._refuse()
        self._on_judged()


class SharedNode:
    """A node and its books, and how many use them."""

    def __init__(self, key: str, settings: LogSettings) -> None:
        self.key, self.users = key, 0
        self.data = settings.data
        self._folder = (
            TemporaryDirectory(prefix="kontaktcenter-") if settings.data is None else None
        )
        kind, _, _ = settings.log.partition(":")
        self.folder = settings.data or Path(self._folder.name)  # type: ignore[union-attr]  # one is there
        self._books: dict[str, SharedBook] = {}
        self._opening = threading.Lock()
        try:
            self.node = BlockingNode(
                NodeSettings(
                    log="memory:" if kind == "memory" else settings.log,
                    data=self.folder,
                    clock=settings.clock,
                    secret_file=settings.secret_file,
                    entropy=settings.entropy,
                    books=(),
                    kafka=settings.kafka,
                )
            )
        except BaseException:
            self._tidy()
            raise

    def book(self, name: str) -> SharedBook:
        """The book of that name, made at the first call."""
        with self._opening:
            if name not in self._books:
                shard = self.node.call(self._open(name))
                self._books[name] = SharedBook(self.node, shard)
            return self._books[name]

    async def _open(self, name: str) -> Shard:
        shard = await self.node.node.book(name)
        await shard.settle()  # a lost index is made beside; the library cannot wait for it later
        return shard

    def close(self) -> None:
        """Refuse what still comes, and close the node."""
        self.node.call(self._refuse())
        self.node.close()
        for book in self._books.values():
            book.close()
        self._tidy()

    async def _refuse(self) -> None:
        for book in self._books.values():
            book.close()

    def _tidy(self) -> None:
        if self._folder is not None:
            self._folder.cleanup()


class Lease:
    """The use of a shared node by one factory; `close` it, or let it be collected."""

    def __init__(self, shared: SharedNode, release: Callable[[SharedNode], None]) -> None:
        self._shared = shared
        self._release = weakref.finalize(self, release, shared)
        self._release.atexit = False  # the log is safe as it is, and the executors are gone by then
        self._closing: weakref.WeakSet[Stoppable] = weakref.WeakSet()

    @property
    def folder(self) -> Path:
        """The folder of the index."""
        return self._shared.folder

    @property
    def intent(self) -> Callable[[str], str]:
        """The keyed hash of what identifies an asking."""
        return self._shared.node.node.secret.intent

    def digests(self) -> dict[str, tuple[int, str]]:
        """Position and rolling digest (hex) of each shard."""
        return self._shared.node.digests()

    def book(self, name: str) -> SharedBook:
        """One book. Raises: Closed, Corrupt, Unavailable."""
        self.check()
        return self._shared.book(name)

    def check(self) -> None:
        """Raises: Closed."""
        if not self._release.alive:
            raise Closed

    def stop_with_me(self, stoppable: Stoppable) -> None:
        """Stop this when the lease is closed: a thread that is no daemon would hold the process."""
        self._closing.add(stoppable)

    def close(self) -> None:
        """Let go of the node. Safe to repeat."""
        for stoppable in list(self._closing):
            stoppable.stop()
        self._release()


class Stoppable(Protocol):
    """Something with a thread of its own."""

    def stop(self) -> None:
        """Stop it."""
        ...


class SharedNodes:
    """The nodes of this process by log."""

    def __init__(self) -> None:
        self._nodes: dict[str, SharedNode] = {}
        self._lock = threading.Lock()
        self._holder: int | None = None
        self._unnamed = 0

    @contextmanager
    def _held(self) -> Iterator[None]:
        with self._lock:
            self._holder = threading.get_ident()
            try:
                yield
            finally:
                self._holder = None

    def lease(self, settings: LogSettings) -> Lease:
        """The node of a log, opened at the first call. Raises: what `Node.open` raises."""
        with self._held():
            key = self._key(settings)
            shared = self._nodes.get(key)
            if shared is None:
                shared = self._nodes[key] = SharedNode(key, settings)
            elif shared.data != settings.data:
                raise Refused(
                    f"{settings.log} is in use here with KC_DATA={shared.data}: "
                    f"it cannot be {settings.data} too"
                )
            shared.users += 1
            return Lease(shared, self._let_go)

    def _key(self, settings: LogSettings) -> str:
        kind, _, rest = settings.log.partition(":")
        if kind == "memory":
            self._unnamed += not rest
            return settings.log if rest else f"memory: {self._unnamed}"
        if settings.kafka is not None:
            address = settings.kafka.address
            return f"kafka:{','.join(sorted(address.servers))}/{address.prefix}"
        return f"sqlite:{sqlite_path(rest)[0].resolve()}" if kind == "sqlite" else settings.log

    def _let_go(self, shared: SharedNode) -> None:
        """Also the garbage collector's, on any thread at any moment: it never waits for itself."""
        ours = threading.current_thread().name.startswith(_OUR_THREADS)
        closing = threading.Thread(target=self._release, args=(shared,), name="lease")
        closing.start()
        if not ours and self._holder != threading.get_ident():
            closing.join()

    def _release(self, shared: SharedNode) -> None:
        with self._held():
            shared.users -= 1
            if not shared.users:
                del self._nodes[shared.key]
                shared.close()
