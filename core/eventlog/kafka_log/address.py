"""Where a log on Kafka is, how it is reached, and which topic holds which book.

Imports no client of Kafka: whoever reads the configuration may import this.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal, get_args

from core.errors import Refused

SCHEME: Final = "kafka:"
TOPIC_CHARS_MAX = 249  # Kafka's own bound

ClientName = Literal["", "kafka-python", "aiokafka"]
Create = Literal["", "safe", "unsafe"]
Profile = Literal["trial", "production"]
Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Void = tuple[str, int, int]
Mechanism = Literal["", "SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"]

_FORM: Final = "kafka://HOST:PORT[,HOST:PORT…][/PREFIX][?client=kafka-python|aiokafka]"
_VOID: Final = re.compile(r"([^/:,\s]+)/([0-9]{1,4}):([0-9]{1,18})")
_SERVER: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")
_PREFIX: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_PORT_MAX = 65_535
_PLAIN: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")
_CASES: Final = "cases."  # the one kind of book whose name has a dot that a person should see
_ESCAPED: Final = re.compile(r"(?:[A-Za-z0-9-]|_[0-9A-F]{2})*")


@dataclass(frozen=True)
class KafkaAddress:
    """Brokers to begin with (`HOST:PORT`), the prefix of the topics ("" for none), the client.

    `client` is "" where the address leaves it open: then aiokafka where it is installed.
    """

    servers: tuple[str, ...]
    prefix: str = ""
    client: ClientName = ""

    def __str__(self) -> str:
        """As `KC_LOG` has it."""
        prefix = f"/{self.prefix}" if self.prefix else ""
        client = f"?client={self.client}" if self.client else ""
        return f"kafka://{','.join(self.servers)}{prefix}{client}"


@dataclass(frozen=True)
class KafkaSecurity:
    """How the brokers are spoken to. The files are PEM; `cert_file` and `key_file` are for mTLS.

    Without `ca_file` the system's authorities are trusted. The host name is always checked.
    """

    protocol: Protocol = "PLAINTEXT"
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    mechanism: Mechanism = ""
    username: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True)
class KafkaSettings:
    """All that a log on Kafka is opened with.

    `create` says whether a missing topic may be made ("": never). The profile is checked where the
    configuration is read. `void` are offsets that an operator has found to hold no record: book,
    shard, offset.
    """

    address: KafkaAddress
    security: KafkaSecurity = field(default_factory=KafkaSecurity)
    create: Create = ""
    profile: Profile = "trial"
    void: frozenset[Void] = frozenset()


def parse_address(text: str) -> KafkaAddress:
    """The address that `KC_LOG` holds. Raises: Refused, saying what it should be."""
    rest = text.removeprefix(SCHEME)
    if rest == text or not rest.startswith("//"):
        raise _not_an_address(text, "it does not begin with kafka://")
    if "@" in rest:  # said without the text: it may hold a password
        raise _not_an_address("…", "a name and password do not stand in it (kafka_username)")
    place, _, query = rest[2:].partition("?")
    listed, _, prefix = place.partition("/")
    servers = tuple(listed.split(","))
    for server in servers:
        found = _SERVER.fullmatch(server)
        if found is None or not 0 < int(found[1]) <= _PORT_MAX:
            raise _not_an_address(text, f"'{server}' is not HOST:PORT")
    if prefix:
        _check_prefix(text, prefix)
    return KafkaAddress(servers, prefix, _client_in(text, query))


def _check_prefix(text: str, prefix: str) -> None:
    if _PREFIX.fullmatch(prefix) is None:
        raise _not_an_address(
            text, f"the prefix '{prefix}' may hold letters, digits, '.', '_' and '-', at most 100"
        )
    if f".{prefix}".endswith(".cases"):  # PREFIX.calls would be a book of somebody else's prefix
        raise _not_an_address(text, "a prefix must not end in 'cases': books are named so")


def _client_in(text: str, query: str) -> ClientName:
    client: ClientName = ""
    for pair in filter(None, query.split("&")):
        name, _, value = pair.partition("=")
        if name != "client":
            raise _not_an_address(text, f"the option '{name}' is unknown")
        known = [c for c in get_args(ClientName) if c and c == value]
        if not known:
            raise _not_an_address(text, f"the client '{value}' is unknown")
        client = known[0]
    return client


def fast_is_there() -> bool:
    """Whether the extra `fast` is installed: aiokafka, and what packs its records."""
    return find_spec("aiokafka") is not None and find_spec("cramjam") is not None


def client_name(address: KafkaAddress) -> ClientName:
    """The client that the address names, else aiokafka where it is installed."""
    return address.client or ("aiokafka" if fast_is_there() else "kafka-python")


def _not_an_address(text: str, why: str) -> Refused:
    return Refused(f"KC_LOG={text} is not a log on Kafka: {why}. Write it as {_FORM}")


def parse_void(text: str) -> frozenset[Void]:
    """`BOOK/SHARD:OFFSET`, with commas between several. Raises: ValueError."""
    found = [_VOID.fullmatch(one.strip()) for one in text.split(",")]
    if None in found:
        raise ValueError(text)
    return frozenset((one[1], int(one[2]), int(one[3])) for one in found if one is not None)


def topic_of(prefix: str, book: str) -> str:
    """The topic that holds a book. Raises: Refused where the name is too long for Kafka.

    What a topic's name may not hold, `_`, and dots other than that of `cases.` become `_XX`, so
    that no book of one prefix is ever a book of another.
    """
    kind, rest = (_CASES, book[len(_CASES) :]) if book.startswith(_CASES) else ("", book)
    escaped = "".join(
        c if c in _PLAIN else "".join(f"_{byte:02X}" for byte in c.encode()) for c in rest
    )
    topic = f"{prefix}.{kind}{escaped}" if prefix else f"{kind}{escaped}"
    if not book or len(topic) > TOPIC_CHARS_MAX:
        raise Refused(
            f"the book '{book}' makes a topic's name of {len(topic)} characters, and Kafka takes "
            f"1 to {TOPIC_CHARS_MAX}: give it a shorter name"
        )
    return topic


def book_of_topic(prefix: str, topic: str) -> str | None:
    """The book that a topic holds; None where it is none of this prefix's."""
    own = f"{prefix}." if prefix else ""
    if not topic.startswith(own):
        return None
    rest = topic[len(own) :]
    kind = _CASES if rest.startswith(_CASES) else ""
    escaped = rest[len(kind) :]
    if not rest or _ESCAPED.fullmatch(escaped) is None:
        return None
    try:
        name = re.sub(
            r"(?:_[0-9A-F]{2})+",
            lambda run: bytes.fromhex(run[0].replace("_", "")).decode(),
            escaped,
        )
        book = f"{kind}{name}"
        return book if topic_of(prefix, book) == topic else None  # `_41` is nobody's way to say A
    except (UnicodeDecodeError, Refused):
        return None
