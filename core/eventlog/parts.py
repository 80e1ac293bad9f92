"""The parts that a node is opened with: log, secret, keys, and the files of its index."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from core.errors import KontaktcenterError, Refused, Unavailable
from core.eventlog.index.clean_close import CLOSED
from core.eventlog.index.index import DISTRUSTED
from core.eventlog.keys import KeyBook, MemoryKeys, SqliteKeys
from core.eventlog.locks import hold
from core.eventlog.memory_log import MemoryStore
from core.eventlog.secret import load_protected, load_secret
from core.eventlog.sqlite_log import SqliteStore
from core.eventlog.trial import trial_secret
from core.personal import CitySecret, ProtectedSecret, unwrap

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from core.eventlog.log import LogStore
    from core.eventlog.settings import NodeSettings

PROTECTED_KEY = "protected.key"
_RETRY_S = 60
_INDEX_SUFFIXES = ("", "-wal", "-shm", DISTRUSTED, CLOSED)


def hold_index(settings: NodeSettings) -> int:
    """Take the folder of the index for this process; the lock goes with what is given back.

    Two logs on one data folder would write into one index. Raises: Refused, before anything is
    made in a folder that nobody meant; InUse, Unavailable.
    """
    kind_of_log(settings.log)
    return hold(settings.data / "index" / "lock", f"the data folder {settings.data}")


def kind_of_log(log: str) -> tuple[str, str]:
    """`memory`, `sqlite` or `kafka`, and what follows the colon. Raises: Refused."""
    kind, _, rest = log.partition(":")
    if (kind, bool(rest)) not in {("memory", False), ("sqlite", True), ("kafka", True)}:
        raise Refused(f"KC_LOG={log} is not a log: use memory:, sqlite:PATH or kafka://HOST:PORT")
    return kind, rest


async def open_parts(settings: NodeSettings) -> tuple[LogStore, CitySecret, KeyBook]:
    """The log that `settings` name, the city's secret and the book of keys; made where they may.

    Raises: Refused (a URL or setting), InUse, Corrupt, NeedsUpgrade, Unavailable; nothing is held
    then.
    """
    kind, rest = kind_of_log(settings.log)
    if kind == "memory":
        secret = settings.secret or CitySecret(settings.entropy(32))
        memory = settings.store or MemoryStore()
        keys = memory.keys if isinstance(memory, MemoryStore) else MemoryKeys()
        return memory, secret, keys
    if kind == "kafka":
        return await _open_kafka(settings)
    path, synchronous = sqlite_path(rest)
    store = SqliteStore(path, synchronous=synchronous)
    try:
        fresh = not store.books_now()  # a genesis needs both, so there was no log without them
        secret_file = settings.secret_file or settings.data / "city.key"
        secret = settings.secret or load_secret(
            secret_file, may_make=fresh, entropy=settings.entropy(32)
        )
        return store, secret, SqliteKeys(path.with_name("keys.db"), may_make=fresh)
    except BaseException:
        store.close_now()
        raise


async def _open_kafka(settings: NodeSettings) -> tuple[LogStore, CitySecret, KeyBook]:
    from core.eventlog.kafka_log.keys import open_keys  # noqa: PLC0415 -- a town on SQLite never loads Kafka's clients
    from core.eventlog.kafka_log.store import KafkaStore  # noqa: PLC0415

    assert settings.kafka is not None, "kafka:// needs the settings of Kafka"
    store = KafkaStore(settings.kafka)
    try:
        secret = settings.secret or _given_secret(settings)
        if secret is None:
            secret = await trial_secret(store, settings)
        return store, secret, open_keys(settings.kafka, settings.data)
    except BaseException:
        await store.close()
        raise


def _given_secret(settings: NodeSettings) -> CitySecret | None:
    """The city secret of the configuration, or of the data folder; None where there is none."""
    path = settings.secret_file or settings.data / "city.key"
    if settings.secret_file is None and not path.exists():
        return None
    return load_secret(path, may_make=False, entropy=b"")


def protected_of(
    settings: NodeSettings, city: CitySecret, keys: KeyBook
) -> Callable[[], ProtectedSecret]:
    """What gives the secret of protected identities; it is looked for now, and told when needed.

    A node works without it: only what is about protected identities is Unavailable then. It is made
    where no key needs it yet.
    """
    if kind_of_log(settings.log)[0] == "memory":
        return partial(ProtectedSecret.of_memory, city)
    path = settings.protected_file or settings.data / PROTECTED_KEY
    try:
        one = keys.one_protected()
        # Each of many nodes would make its own: there somebody has to put the same in each place.
        may_make = one is None and kind_of_log(settings.log)[0] == "sqlite"
        secret = load_protected(path, may_make=may_make, entropy=settings.entropy(32))
        if one is not None:
            unwrap(*one, secret)
    except KontaktcenterError as e:
        return partial(_lacking, e.message)
    except ValueError:
        return partial(_lacking, f"{path} is not the secret that keys were wrapped with")
    return lambda: secret


def _lacking(why: str) -> ProtectedSecret:
    raise Unavailable(why, neighbour="protected_key", retry_after_s=_RETRY_S)


def sqlite_path(rest: str) -> tuple[Path, str]:
    """Path and wanted durability of what follows `sqlite:`; `?synchronous=` may only say FULL."""
    path, _, query = rest.partition("?")
    synchronous = "FULL"
    for pair in filter(None, query.split("&")):
        name, _, value = pair.partition("=")
        if name != "synchronous":
            msg = f"KC_LOG has the unknown option {name}: only synchronous=FULL is known"
            raise Refused(msg)
        synchronous = value
    return Path(path), synchronous


def index_path(data: Path, shard: str) -> Path:
    """The index of a shard in a data folder; the book may be any application's name."""
    book, _, number = shard.rpartition("/")
    return data / "index" / f"{quote(book, safe='')}-{number}.db"


def drop_index(path: Path) -> None:
    """Remove an index's file and what belongs to it; the log is read again."""
    for suffix in _INDEX_SUFFIXES:
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def set_aside(path: Path, now: datetime) -> Path:
    """Move a damaged index away, whole, under a name that is free; its new path."""
    name = f"{path.name}.damaged-{now:%Y%m%dT%H%M%S}"
    aside, n = path.with_name(name), 1
    while aside.exists():
        n += 1
        aside = path.with_name(f"{name}-{n}")
    for suffix in _INDEX_SUFFIXES:
        part = path.with_name(path.name + suffix)
        if suffix == DISTRUSTED:
            part.unlink(missing_ok=True)
        elif part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside
