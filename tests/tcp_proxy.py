"""A proxy between clients and a broker that can lose replies, fall silent, refuse or be slow.

Clients go where a broker tells them to, so the broker has to advertise the proxy's port:

    with Proxy() as proxy:
        broker = own_broker(advertised_port=proxy.port)
        proxy.target = broker.address
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

from deploy.kafka_lab import ports, wire

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

PRODUCE = 0  # Kafka's numbers of what is asked for
FETCH = 1
_HEAD = struct.Struct(">hhi")  # of a request: what is asked, its version, its number
_NOW = struct.pack("ii", 1, 0)  # SO_LINGER: a close is a reset


class Proxy:
    """Passes requests and replies on, whole, until it is told otherwise; a context.

    `requests` counts what was asked, by Kafka's number; `dropped` the replies that were lost.
    """

    def __init__(self, target: tuple[str, int] | None = None, host: str = "127.0.0.1") -> None:
        self.target = target
        self._host = host
        self._claim = ports.claim(host)
        self.port = self._claim.number
        self.requests: Counter[int] = Counter()
        self.dropped = 0
        self._lock = threading.Lock()
        self._open = threading.Event()  # cleared: nothing moves
        self._open.set()
        self._slow_s = 0.0
        self._to_drop, self._drop_of, self._then_close = 0, -1, True
        self._links: set[_Link] = set()
        self._door: socket.socket | None = None
        self._ended = False
        self._listen()

    @property
    def servers(self) -> str:
        """What a client is given."""
        return f"{self._host}:{self.port}"

    # --- modes ------------------------------------------------------------------------------------

    def pass_on(self) -> None:
        """As if it were not there; what a black hole held back goes on now."""
        with self._lock:
            self._to_drop, self._slow_s = 0, 0.0
        self._open.set()
        self._listen()

    def drop_replies(self, n: int = 1, *, of: int | None = PRODUCE, close: bool = True) -> None:
        """Lose the next `n` replies, to what is asked by this number, or to anything (None).

        The broker has done what it was asked. The connection breaks, or stays and is silent.
        """
        with self._lock:
            self._to_drop, self._then_close = n, close
            self._drop_of = -1 if of is None else of

    def blackhole(self) -> None:
        """Nothing moves and nothing is told, as when a cable is cut: connections stay open.

        Afterwards what was under way arrives, as TCP would bring it.
        """
        self._open.clear()

    def refuse(self) -> None:
        """Nobody listens, and who was connected is thrown out."""
        with self._lock:
            door, self._door = self._door, None
        if door is not None:
            with contextlib.suppress(OSError):
                door.shutdown(socket.SHUT_RDWR)  # wakes the accepting thread
            door.close()
        self.cut()

    def slow(self, delay_s: float) -> None:
        """Each reply comes so much later."""
        self._slow_s = delay_s

    def cut(self) -> None:
        """Break every connection; new ones are taken as the mode says."""
        with self._lock:
            links = list(self._links)
        for link in links:
            link.close()

    # --- how --------------------------------------------------------------------------------------

    def take_request(self, frame: bytes, asked: dict[int, int]) -> None:
        """Note what a client asks on its connection, so that the reply is known."""
        api, _version, number = _HEAD.unpack_from(frame)
        asked[number] = api
        with self._lock:
            self.requests[api] += 1

    def wants(self, frame: bytes, asked: dict[int, int]) -> str:
        """What becomes of a reply: `pass`, `lose` or `close`."""
        (number,) = struct.unpack_from(">i", frame)
        api = asked.pop(number, -2)
        if self._slow_s:
            time.sleep(self._slow_s)
        with self._lock:
            if self._to_drop and self._drop_of in {-1, api}:
                self._to_drop -= 1
                self.dropped += 1
                return "close" if self._then_close else "lose"
        return "pass"

    def wait_open(self) -> None:
        """Wait while nothing moves."""
        self._open.wait()

    def forget(self, link: _Link) -> None:
        """A connection has ended."""
        with self._lock:
            self._links.discard(link)

    def _listen(self) -> None:
        with self._lock:
            if self._door is not None or self._ended:
                return
            self._door = socket.create_server((self._host, self.port), backlog=128)
            door = self._door
        threading.Thread(target=self._accept, args=(door,), daemon=True).start()

    def _accept(self, door: socket.socket) -> None:
        while True:
            try:
                client, _address = door.accept()
            except OSError:
                return  # closed
            link = _Link(self, client)
            with self._lock:
                self._links.add(link)
            link.start()

    def close(self) -> None:
        """End it with all its connections."""
        self._ended = True
        self._open.set()
        self.refuse()
        self._claim.give_back()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None
    ) -> None:
        self.close()


class _Link:
    """One client's connection, and ours to the broker for it."""

    def __init__(self, proxy: Proxy, client: socket.socket) -> None:
        self._proxy, self._client = proxy, client
        self._server: socket.socket | None = None
        self._asked: dict[int, int] = {}
        self._closed = False

    def start(self) -> None:
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        self._proxy.wait_open()
        try:
            assert self._proxy.target is not None, "the proxy has no target yet"
            self._server = socket.create_connection(self._proxy.target, timeout=10)
            self._server.settimeout(None)
        except OSError:
            self.close()
            return
        if self._closed:
            self.close()
            return
        replies = threading.Thread(
            target=self._pump, args=(self._server, self._client, self._reply), daemon=True
        )
        replies.start()
        self._pump(self._client, self._server, self._request)

    def _pump(
        self, source: socket.socket, sink: socket.socket, taken: Callable[[bytes], bool]
    ) -> None:
        """Carry frames from one side to the other until either ends."""
        with contextlib.suppress(OSError):
            while True:
                size = wire.exactly(source, 4)
                frame = wire.exactly(source, struct.unpack(">i", size)[0])
                self._proxy.wait_open()
                if taken(frame):
                    sink.sendall(size + frame)
        self.close()

    def _request(self, frame: bytes) -> bool:
        self._proxy.take_request(frame, self._asked)
        return True

    def _reply(self, frame: bytes) -> bool:
        what = self._proxy.wants(frame, self._asked)
        if what == "close":
            self.close()
        self._proxy.wait_open()  # a slow one may have met a black hole meanwhile
        return what == "pass"

    def close(self) -> None:
        self._closed = True
        for end in (self._client, self._server):
            if end is not None:
                with contextlib.suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NOW)
                    end.shutdown(socket.SHUT_RDWR)
                with contextlib.suppress(OSError):
                    end.close()
        self._proxy.forget(self)
