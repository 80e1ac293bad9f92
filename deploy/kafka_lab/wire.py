"""The few words of Kafka's protocol that the lab itself needs, over a plain socket.

So the lab judges a broker by none of the clients that it is there to test.
"""

from __future__ import annotations

import itertools
import socket
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

METADATA: Final = (3, 1)  # API key and version, the newest that still has a plain encoding
_CREATE_TOPICS: Final = (19, 2)
_DELETE_TOPICS: Final = (20, 1)
_ALREADY_EXISTS: Final = 36
_UNKNOWN_TOPIC: Final = 3
_numbers = itertools.count(1)


class WireError(OSError):
    """The broker answered with an error: its number is in the message."""


@dataclass(frozen=True)
class Partition:
    """Who leads a partition (-1: nobody), who holds it, and who of them is in sync."""

    leader: int
    replicas: tuple[int, ...]
    in_sync: tuple[int, ...]


@dataclass(frozen=True)
class Metadata:
    """What one broker says of its cluster; `topics` by name and partition."""

    brokers: Mapping[int, tuple[str, int]]
    controller: int
    topics: Mapping[str, Mapping[int, Partition]] = field(default_factory=dict)


def metadata(
    address: tuple[str, int], topics: Iterable[str] | None = (), timeout_s: float = 2.0
) -> Metadata:
    """Ask a broker; None for all topics. Raises: OSError where it does not answer whole."""
    body = _array(None if topics is None else [_text(topic) for topic in topics])
    answer = _Reader(_ask(address, METADATA, body, timeout_s))
    brokers = {}
    for _ in range(answer.int32()):
        node, host, port = answer.int32(), answer.text() or "", answer.int32()
        answer.text()  # the rack
        brokers[node] = (host, port)
    controller, found = answer.int32(), {}
    for _ in range(answer.int32()):
        error, name = answer.int16(), answer.text() or ""
        answer.take(1)  # internal or not
        partitions = {}
        for _ in range(answer.int32()):
            answer.int16()
            n, leader = answer.int32(), answer.int32()
            partitions[n] = Partition(leader, answer.int32s(), answer.int32s())
        if not error:
            found[name] = partitions
    return Metadata(brokers, controller, found)


def create_topic(
    address: tuple[str, int],
    name: str,
    partitions: int = 1,
    replication: int = 1,
    settings: Mapping[str, str] | None = None,
) -> None:
    """Make a topic; one that is there stays as it is. The controller must be told, or a broker.

    Raises: WireError, OSError.
    """
    pairs = [_text(key) + _text(value) for key, value in (settings or {}).items()]
    topic = _text(name) + struct.pack(">ih", partitions, replication) + _array([]) + _array(pairs)
    body = _array([topic]) + struct.pack(">i?", 20_000, False)
    answer = _Reader(_ask(address, _CREATE_TOPICS, body, 30.0))
    answer.int32()
    for _ in range(answer.int32()):
        answer.text()
        error, told = answer.int16(), answer.text()
        if error not in {0, _ALREADY_EXISTS}:
            raise WireError(f"{name} was not made: error {error} {told or ''}".rstrip())


def delete_topics(address: tuple[str, int], names: Iterable[str]) -> None:
    """Delete topics; one that is gone is none the less gone. Raises: WireError, OSError."""
    body = _array([_text(name) for name in names]) + struct.pack(">i", 20_000)
    answer = _Reader(_ask(address, _DELETE_TOPICS, body, 30.0))
    answer.int32()
    for _ in range(answer.int32()):
        name, error = answer.text(), answer.int16()
        if error not in {0, _UNKNOWN_TOPIC}:
            raise WireError(f"{name} was not deleted: error {error}")


def _ask(address: tuple[str, int], api: tuple[int, int], body: bytes, timeout_s: float) -> bytes:
    number = next(_numbers)
    request = struct.pack(">hhi", *api, number) + _text("lab") + body
    with socket.create_connection(address, timeout=timeout_s) as door:
        door.settimeout(timeout_s)
        door.sendall(struct.pack(">i", len(request)) + request)
        (size,) = struct.unpack(">i", exactly(door, 4))
        answer = exactly(door, size)
    if struct.unpack(">i", answer[:4])[0] != number:
        raise WireError(f"{address}: an answer to another question")
    return answer[4:]


def exactly(door: socket.socket, size: int) -> bytes:
    """So many bytes from a socket. Raises: OSError where it ends before."""
    got = bytearray()
    while len(got) < size:
        piece = door.recv(size - len(got))
        if not piece:
            raise WireError("the connection was closed in the middle of an answer")
        got += piece
    return bytes(got)


def _text(text: str) -> bytes:
    raw = text.encode()
    return struct.pack(">h", len(raw)) + raw


def _array(items: list[bytes] | None) -> bytes:
    return (
        struct.pack(">i", -1) if items is None else struct.pack(">i", len(items)) + b"".join(items)
    )


class _Reader:
    """Takes an answer apart from its beginning."""

    def __init__(self, answer: bytes) -> None:
        self._answer, self._at = answer, 0

    def take(self, size: int) -> bytes:
        if self._at + size > len(self._answer):
            raise WireError("an answer that is too short")
        self._at += size
        return self._answer[self._at - size : self._at]

    def int16(self) -> int:
        return int(struct.unpack(">h", self.take(2))[0])

    def int32(self) -> int:
        return int(struct.unpack(">i", self.take(4))[0])

    def int32s(self) -> tuple[int, ...]:
        return tuple(self.int32() for _ in range(self.int32()))

    def text(self) -> str | None:
        size = self.int16()
        return None if size < 0 else self.take(size).decode()
