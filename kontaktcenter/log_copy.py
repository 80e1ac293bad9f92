"""A log copied to another kind of store, record by record and byte for byte (`log copy`).

The target's end is where a copy goes on: whatever ended the one before, nothing else has to be
remembered. What the target holds already must be the beginning of the source.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from core.errors import Corrupt, NotFound, Refused, Unavailable, Unknown
from core.eventlog.envelope import Genesis, Unreadable, decode_envelope
from core.eventlog.kafka_log import KafkaSettings, topic_of
from core.eventlog.parts import kind_of_log, sqlite_path
from core.eventlog.reading import check_genesis
from core.eventlog.secret import load_secret
from core.eventlog.sqlite_log import SqliteStore
from core.eventlog.verify import Refold
from core.limits import MIB, READ_RECORDS_MAX
from core.vocabulary import CENTRE, KEYS
from kontaktcenter.key_copy import Erasures
from kontaktcenter.log_parts import kafka_settings
from kontaktcenter.words import _

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from core.eventlog.kafka_log.copier import Copier
    from core.eventlog.log import Log, LogStore, Record
    from kontaktcenter.config import Config

_SQLITE: Final = "sqlite"
_KAFKA: Final = "kafka"
_WAIT_S: Final = 2.0
_WAVE: Final = 64  # records under way to Kafka at once; it keeps their order while none fails
_WAVE_BYTES: Final = 4 * MIB
_SETTLE_S: Final = 6.0  # what was handed over has landed, or never will: an append's limit, and one
_TRIES: Final = 30  # an outage of some minutes; then somebody has to look
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Place:
    """One side of a copy: its address as it was given, and how to open it."""

    address: str
    file: Path | None = None
    kafka: KafkaSettings | None = None

    @property
    def keys_file(self) -> Path | None:
        """Where the keys of a log in a file are."""
        return None if self.file is None else self.file.with_name("keys.db")


def place(config: Config, address: str) -> Place:
    """What an address means; Kafka is reached as the configuration says. Raises: Refused."""
    kind, rest = kind_of_log(address)
    if kind == _SQLITE:
        return Place(address, sqlite_path(rest)[0].expanduser().absolute())
    if kind == _KAFKA:
        return Place(address, kafka=kafka_settings(config, address))
    raise Refused(_("{log}: only a log in a file or on Kafka can be copied").format(log=address))


class _Side:
    """The store of one side, opened when it is needed, and anew after `drop`."""

    def __init__(self, where: Place) -> None:
        self.where = where
        self._store: LogStore | None = None
        self._copier: Copier | None = None

    async def store(self) -> LogStore:
        """The open store. Raises: InUse where a node works with the file, Corrupt, Unavailable."""
        if self._store is None:
            self._store = await self._opened()
        return self._store

    async def _opened(self) -> LogStore:
        if self.where.kafka is not None:
            from core.eventlog.kafka_log.store import KafkaStore  # noqa: PLC0415 -- a town needs none

            return KafkaStore(self.where.kafka)
        assert self.where.file is not None
        self.where.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return await asyncio.to_thread(SqliteStore, self.where.file)

    async def append(self, log: Log, genesis: Genesis, records: Sequence[Record]) -> list[int]:
        """Append records in their order; their offsets. Raises: Unknown, Unavailable."""
        if self.where.kafka is None:
            return [await log.append(record.body) for record in records]
        if self._copier is None:
            from core.eventlog.kafka_log.copier import Copier  # noqa: PLC0415 -- a town needs none

            self._copier = Copier(self.where.kafka)
        topic = topic_of(self.where.kafka.address.prefix, genesis.book)
        bodies = [record.body for record in records]
        return await asyncio.to_thread(self._copier.append, topic, genesis.shard, bodies)

    async def drop(self) -> None:
        """Let go of connections and files."""
        store, self._store = self._store, None
        copier, self._copier = self._copier, None
        if copier is not None:
            await asyncio.to_thread(copier.close)
        if store is not None:
            await store.close()


@contextlib.asynccontextmanager
async def _side(where: Place) -> AsyncIterator[_Side]:
    side = _Side(where)
    try:
        yield side
    finally:
        await side.drop()


async def copy(
    config: Config, source: Place, target: Place, progress: Progress
) -> tuple[dict[str, dict[str, object]], Erasures]:
    """Copy what `source` holds now, and compare both by their digests.

    Position, digest and records by shard; and what erasures the centre's book decided. `progress`
    gets a shard's name, records done and in all.
    Raises: NotFound, InUse, Refused (a target with other content or another number of shards, a
    wrong city secret), Corrupt (a damaged source; copies that differ), Unavailable.
    """
    if source.address == target.address or (source.file and source.file == target.file):
        raise Refused(_("--from and --to are the same log"))
    if source.file is not None and not source.file.is_file():
        raise NotFound(_("there is no log {file}").format(file=source.file))
    done: dict[str, dict[str, object]] = {}
    erasures = Erasures()
    async with _side(source) as from_, _side(target) as to:
        found = await from_.store()
        books = {book: await _shards_of(found, book) for book in await found.books()}
        books = {book: shards for book, shards in books.items() if shards}
        for genesis in [first for shards in books.values() for first in shards][:1]:
            _require_secret(config, genesis)
        await _require_books(to, {book: len(shards) for book, shards in books.items()})
        for book, shards in sorted(books.items()):
            for genesis in shards:
                log = await found.open_shard(book, genesis.shard)
                name = f"{book}/{genesis.shard}"
                copied = _Copying(log, genesis, await log.end(), progress)
                there = await _copied(copied, to)
                here = await _judged(log, genesis, copied.upto, erasures)
                if (here.position, here.digest) != (there.position, there.digest):
                    said = _(
                        "{shard}: the copy's digest differs from the source's: do not use this copy"
                    )
                    raise Corrupt(said.format(shard=name))
                done[name] = {
                    "position": here.position, "digest": here.digest.hex(), "records": copied.upto,
                }  # fmt: skip
    return done, erasures


async def read(
    config: Config, source: Place, progress: Progress
) -> tuple[dict[str, dict[str, object]], Erasures]:
    """Copy nothing; what erasures the centre's book of `source` decided, for its keys.

    Raises: Refused (a wrong city secret), Corrupt, Unavailable.
    """
    erasures = Erasures()
    async with _side(source) as side:
        found = await side.store()
        centre = await _shards_of(found, CENTRE) if CENTRE in await found.books() else []
        for genesis in centre:
            _require_secret(config, genesis)
            log = await found.open_shard(CENTRE, genesis.shard)
            upto = await log.end()
            await _judged(log, genesis, upto, erasures)
            progress(f"{CENTRE}/{genesis.shard}", upto, upto)
    return {}, erasures


async def _shards_of(store: LogStore, book: str) -> list[Genesis]:
    """The genesis of every shard of a book that was begun; none where it never was.

    A topic may have got more partitions since: those that no genesis knows must be empty.
    Raises: Corrupt.
    """
    found = []
    for number in range((await store.books())[book]):
        log = await store.open_shard(book, number)
        end = await log.end()
        if end == 0:
            continue
        first = await log.read(0, 1, _WAIT_S)
        genesis = _genesis(first)
        if genesis is None or (genesis.book, genesis.shard) != (book, number):
            said = _("{shard} does not begin with its genesis: it is not a log of Kontaktcenter")
            raise Corrupt(said.format(shard=f"{book}/{number}"))
        found.append(genesis)
    if found and len(found) < found[0].shards:
        said = _("{book} was begun in {found} of its {wanted} shards only: start a node on it once")
        raise Corrupt(said.format(book=book, found=len(found), wanted=found[0].shards))
    return found


def _genesis(first: Sequence[Record]) -> Genesis | None:
    try:
        return decode_envelope(first[0].body).genesis if first else None
    except Unreadable:
        return None


def _require_secret(config: Config, genesis: Genesis) -> None:
    """Raises: Refused where the city secret that is configured is another log's."""
    file = config.master_key_file or config.data / "city.key"
    if not file.is_file():
        return
    found = load_secret(file, may_make=False, entropy=b"").fingerprint
    if found != genesis.key_fingerprint:
        said = _(
            "the city secret {file} (fingerprint {found}) is not the one that this log was made "
            "with ({wanted}): name the right one with KC_MASTER_KEY_FILE"
        )
        raise Refused(said.format(file=file, found=found, wanted=genesis.key_fingerprint))


async def _require_books(to: _Side, books: dict[str, int]) -> None:
    """The target's books with the source's shards; topics are made where that is allowed.

    Raises: Refused, Unavailable.
    """
    target = to.where
    if target.kafka is not None and target.kafka.create:
        from core.eventlog.kafka_log.admin import ensure_topics  # noqa: PLC0415 -- a town needs none

        await asyncio.to_thread(ensure_topics, target.kafka, {**books, KEYS: 1})
    there = await (await to.store()).books()
    if target.kafka is None:
        there = {**books, **there}
    missing = sorted(set(books) - set(there))
    if missing:
        said = _(
            "there are no topics for {books}: make them first with kontaktcenter log create "
            "--shards calls={calls}"
        )
        raise Refused(said.format(books=", ".join(missing), calls=books.get("calls", 1)))
    for book, shards in sorted(books.items()):
        if there[book] > shards or (target.kafka is not None and there[book] != shards):
            said = _(
                "{book} has {found} shards in the target and {wanted} in the source: make new "
                "topics under another prefix with kontaktcenter log create --shards {book}={wanted}"
            )
            raise Refused(said.format(book=book, found=there[book], wanted=shards))


async def _copied(copying: _Copying, target: _Side) -> Refold:
    """Copy one shard; go on as long as the target comes back. The target, judged anew."""
    genesis = copying.genesis
    for left in reversed(range(_TRIES)):
        try:
            store = await target.store()
            log = await store.open_shard(genesis.book, genesis.shard)
            await copying.verify(log)
            await copying.append(target, log)
            return await _judged(log, genesis, copying.upto, Erasures())
        except (Unknown, Unavailable):
            if left == 0 or target.where.kafka is None:
                raise
            await target.drop()
        # Nobody knows what became of the records under way. A new connection, after whatever was
        # handed over to the old one has landed: the target's end tells.
        await asyncio.sleep(_SETTLE_S)
    raise AssertionError("the last try returns or raises")


async def _judged(log: Log, genesis: Genesis, upto: int, erasures: Erasures) -> Refold:
    """A shard judged anew, with what its centre's book decided. Raises: Corrupt, NeedsUpgrade."""
    (first,) = await _some(log, 0, 1)
    state = Refold(check_genesis(first.body, genesis, None), first.body)
    while state.offset < upto:
        for record in await _some(log, state.offset, upto):
            state.record(record)
        for position, *_row, stale, _head, raw, _crc in state.take_rows().judged:
            if genesis.book == CENTRE and stale is None:
                assert isinstance(position, int)
                assert isinstance(raw, bytes)
                erasures.note(position, raw)
    erasures.upto = state.position if genesis.book == CENTRE else erasures.upto
    return state


class _Copying:
    """One shard on its way: `checked` records of the target are known to be the source's."""

    def __init__(self, source: Log, genesis: Genesis, upto: int, progress: Progress) -> None:
        self.genesis, self.upto, self.checked = genesis, upto, 0
        self._source, self._progress = source, progress
        self._name = f"{genesis.book}/{genesis.shard}"

    async def verify(self, target: Log) -> None:
        """Read what the target holds beyond `checked`, and compare. Raises: Refused, Corrupt."""
        end = await target.end()
        if end > self.upto:
            said = _(
                "{shard}: the target holds {there} records and the source {here}: it is another "
                "log, or a node works on it"
            )
            raise Refused(said.format(shard=self._name, there=end, here=self.upto))
        while self.checked < end:
            ours = await _some(self._source, self.checked, end)
            theirs = await _some(target, self.checked, self.checked + len(ours))
            for mine, other in zip(ours, theirs, strict=False):
                if mine.body != other.body:
                    said = _(
                        "{shard}: the target's record {offset} is another than the source's; "
                        "nothing is written over it. Choose an empty target"
                    )
                    raise Refused(said.format(shard=self._name, offset=mine.offset))
            self.checked += min(len(ours), len(theirs))
            self._progress(self._name, self.checked, self.upto)

    async def append(self, target: _Side, log: Log) -> None:
        """Append the rest, in order. Raises: Corrupt where somebody else appends too."""
        wave = _WAVE if log.shared else 1
        while self.checked < self.upto:
            batch = list(await _some(self._source, self.checked, self.upto))
            while batch:
                taken = _wave(batch, wave)
                del batch[: len(taken)]
                offsets = await _appended(target, log, self.genesis, taken)
                if offsets != [record.offset for record in taken]:
                    said = _(
                        "{shard}: the target's end moved while it was copied to: a node works on "
                        "it, or a record landed twice. Delete the target's topics and begin again"
                    )
                    raise Corrupt(said.format(shard=self._name))
                self.checked += len(taken)
                self._progress(self._name, self.checked, self.upto)


def _wave(batch: list[Record], most: int) -> list[Record]:
    """As many records as go at once: never more bytes than are safe in memory, at least one."""
    size, n = 0, 0
    for record in batch[:most]:
        size += len(record.body)
        if n and size > _WAVE_BYTES:
            break
        n += 1
    return batch[:n]


async def _appended(
    target: _Side, log: Log, genesis: Genesis, records: Sequence[Record]
) -> list[int]:
    """Where tests stand: what happens just before, and just after, records are handed over."""
    return await target.append(log, genesis, records)


async def _some(log: Log, offset: int, upto: int) -> Sequence[Record]:
    records = await log.read(offset, min(READ_RECORDS_MAX, upto - offset), _WAIT_S)
    if not records:
        msg = f"no record came at {offset}, and the log goes on to {upto}"
        raise Unavailable(msg, neighbour="log", retry_after_s=1)
    return records
