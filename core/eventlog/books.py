"""The books of one node: their shards are opened at the start, and those that others make later.

A log that is away at the start is not waited for: what this node's indexes hold is served, and each
shard connects by itself when the log is back.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import unquote

from core.errors import Corrupt, KontaktcenterError, Unavailable
from core.eventlog.envelope import Genesis, Unreadable, decode_envelope
from core.eventlog.index.index import Index
from core.eventlog.parts import drop_index, index_path, set_aside
from core.eventlog.shard import Shard
from core.limits import BOOKS_LOOK_S, FORMAT, LOG_START_S_MAX
from core.vocabulary import CALLS, book_of, shard_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from core.eventlog.log import Log, LogStore
    from core.eventlog.settings import NodeSettings
    from core.personal import CitySecret


class Books:
    """Opens books and knows which shard a stream is in. On the node's loop."""

    def __init__(
        self,
        settings: NodeSettings,
        store: LogStore,
        secret: CitySecret,
        wake: Callable[[], None],
    ) -> None:
        self.shards: dict[str, Shard] = {}
        self.indexes: dict[str, Index] = {}
        self.set_aside: list[Path] = []
        self.counts: dict[str, int] = {}  # of the shards of each open book
        self._settings, self._store, self._secret, self._wake = settings, store, secret, wake
        self._opening = asyncio.Lock()
        self.away: Unavailable | None = None  # why the log was not there when it was last looked at
        self._looking: asyncio.Task[None] | None = None

    # --- which shard ------------------------------------------------------------------------------
    def name_of(self, stream: str) -> str:
        """The shard that a stream is in, such as `calls/3`."""
        book = book_of(stream)
        return f"{book}/{shard_of(stream, self.counts.get(book, 1))}"

    def opened(self, stream: str) -> Shard | None:
        """The shard that a stream is in; None before all shards of its book are open."""
        book = book_of(stream)
        count = self.counts.get(book)
        if count is None:  # of some shards that are open already it is not known whose they are
            return None
        return self.shards[f"{book}/{shard_of(stream, count)}"]

    def names(self, book: str) -> list[str]:
        """The shards of an open book, in their order."""
        return [f"{book}/{number}" for number in range(self.counts.get(book, 0))]

    async def shard_of(self, stream: str) -> Shard:
        """The shard of a stream, opened or made at the first call. Raises: as `open`."""
        await self.open(book_of(stream))
        return self.shards[self.name_of(stream)]

    # --- opening ----------------------------------------------------------------------------------
    async def open_all(
        self, progress: Callable[[str, int, int], None] | None, *, may_wait: bool
    ) -> None:
        """Open all books that the log has, and those that the settings name.

        With `may_wait` a log that is away is connected to later. Raises: Corrupt, NeedsUpgrade,
        Unavailable.
        """
        wanted = dict.fromkeys(self._settings.books)
        may_wait = may_wait and self._store.shared
        known = known_books(self._settings.data) if may_wait else {}
        try:
            found = await self._asked(LOG_START_S_MAX if known else None)
        except Unavailable as e:
            if not may_wait:
                raise
            self.away = e
            found = known
            wanted = dict.fromkeys(book for book in wanted if book in found)
        for book in (*wanted, *(book for book in found if book not in wanted)):
            await self.open(book, progress, may_wait=may_wait)
        if self._store.shared:
            self._looking = asyncio.ensure_future(self._look())

    async def _asked(self, within_s: float | None) -> Mapping[str, int]:
        """Which books the log has. Raises: Unavailable."""
        try:
            async with asyncio.timeout(within_s):
                return await self._store.books()
        except TimeoutError as e:
            msg = "the log has not answered yet: this node serves what it has, and goes on asking"
            raise Unavailable(msg, neighbour="log", retry_after_s=1) from e

    async def open(
        self,
        book: str,
        progress: Callable[[str, int, int], None] | None = None,
        *,
        may_wait: bool = False,
    ) -> None:
        """Open all shards of a book, made at the first call where the store may make it.

        Raises: Corrupt, NeedsUpgrade, Unavailable.
        """
        if book in self.counts:
            return
        async with self._opening:
            if book in self.counts:
                return
            away = self.away if may_wait else None
            logs = await self._logs(book) if away is None else self._logs_away(book)
            if len(logs) > 1 and book != CALLS:
                raise Corrupt(
                    f"the log has {len(logs)} shards of {book}, and only {CALLS} may have several: "
                    "make it anew with one partition, and copy what it holds"
                )
            for number, log in enumerate(logs):
                await self._open_shard(log, book, number, len(logs), progress, away, may_wait)
            self.counts[book] = len(logs)

    async def _logs(self, book: str) -> list[Log]:
        first = await self._store.open_shard(book, 0)
        count = (await self._store.books()).get(book)
        if count is None:  # a broker that has not heard of it yet
            msg = f"the log does not show {book} yet: try again soon"
            raise Unavailable(msg, neighbour="log", retry_after_s=1)
        return [first, *[await self._store.open_shard(book, n) for n in range(1, count)]]

    def _logs_away(self, book: str) -> list[Log]:
        count = known_books(self._settings.data)[book]
        return [self._store.known_shard(book, number) for number in range(count)]

    async def _open_shard(  # noqa: PLR0913 -- a shard is opened with these
        self,
        log: Log,
        book: str,
        number: int,
        shards: int,
        progress: Callable[[str, int, int], None] | None,
        away: Unavailable | None,
        may_wait: bool,
    ) -> None:
        name = f"{book}/{number}"
        if name in self.shards:  # an earlier attempt at this book went no further
            return
        genesis = Genesis(book, number, shards, FORMAT, self._secret.fingerprint)
        index = self._index(name)
        shard = Shard(log, index, genesis, self._wake)
        try:
            told = partial(progress, name) if progress else None
            await shard.open(told, offline=away, may_wait=may_wait)
        except BaseException:
            await shard.close()
            raise
        self.indexes[name], self.shards[name] = index, shard

    def _index(self, name: str) -> Index:
        """The index of a shard; a damaged one is set aside and built again from the log."""
        path = index_path(self._settings.data, name)
        if self._settings.fresh_index:
            drop_index(path)
        try:
            return Index(path)
        except Corrupt:
            self.set_aside.append(set_aside(path, self._settings.clock()))
            return Index(path)

    async def _look(self) -> None:
        """Open what others make, and what was away at the start."""
        while True:
            await asyncio.sleep(BOOKS_LOOK_S)
            try:
                found = await self._store.books()
                self.away = None
                for book in dict.fromkeys((*self._settings.books, *found)):
                    await self.open(book)
            except Unavailable as e:
                self.away = e
            except KontaktcenterError:
                continue  # told to whoever asks for it; the others go on

    async def close(self) -> None:
        """Let go of all shards, each as far as its log and disk allow."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        for shard in self.shards.values():
            await shard.close()


def known_books(data: Path) -> dict[str, int]:
    """The books that this node has read before, with their number of shards, from its indexes."""
    counts: dict[str, int] = {}
    for path in sorted((data / "index").glob("*-*.db")):
        book, _, _number = path.stem.rpartition("-")
        try:
            genesis = decode_envelope(Index.genesis_in(path) or b"").genesis
        except Unreadable:
            continue
        if genesis is not None and genesis.book == unquote(book):
            counts[genesis.book] = genesis.shards
    return counts
