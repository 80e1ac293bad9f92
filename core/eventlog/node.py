"""A node: its shards, keys and index on one event loop; the product's `Port`."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from core.commit import Answer, Draft, KeptFact, Recorded, Verdict
from core.errors import Corrupt, Unavailable
from core.eventlog.books import Books
from core.eventlog.codec import decode_event, open_event
from core.eventlog.envelope import (
    LoggedCommit,
    decode_commit,
    encode_commit,
)
from core.eventlog.erasing import carry_out
from core.eventlog.index.index import with_commits
from core.eventlog.island.island import Island
from core.eventlog.island.kept import kept_facts
from core.eventlog.keyring import Keyring
from core.eventlog.parts import hold_index, open_parts, protected_of
from core.eventlog.proposing import Proposing, claim_of
from core.eventlog.protecting import follow
from core.eventlog.settings import FeedCommit, NodeSettings
from core.vocabulary import CENTRE, shard_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from core.eventlog.keys import KeyBook
    from core.eventlog.log import LogStore
    from core.eventlog.shard import Shard
    from core.personal import CitySecret

__all__ = ["FeedCommit", "Node", "NodeSettings", "claim_of"]


class Node:
    """Implements `core.commit.Port`, and the feed that projections read. Use from its own loop.

    `positions`, `read`, `load`, `heads` and `digests` may be called from any thread.
    """

    def __init__(
        self,
        settings: NodeSettings,
        store: LogStore,
        secret: CitySecret,
        keys: KeyBook,
        folder: int,
    ) -> None:
        self.settings, self.secret = settings, secret
        protected = protected_of(settings, secret, keys)
        self.keyring = Keyring(keys, secret, settings.entropy, protected)
        self._store, self._keys, self._folder = store, keys, folder
        self._grown = asyncio.Event()
        self.books = Books(settings, store, secret, self._wake)
        self._shards, self._indexes = self.books.shards, self.books.indexes
        self.proposing = Proposing(settings, secret, self.keyring, self.books)
        self._protections: dict[str, int] = {}
        self.behind: asyncio.Task[None] | None = None

    # --- opening and closing ----------------------------------------------------------------------
    @classmethod
    async def open(
        cls,
        settings: NodeSettings,
        progress: Callable[[str, int, int], None] | None = None,
        *,
        wait_for_index: bool = True,
        may_wait: bool = False,
    ) -> Node:
        """Open the log and catch up with it.

        `progress` gets a shard's name, offsets done, offsets in all.

        Without `wait_for_index` a lost index is made in the background: facts are taken at once,
        and what needs the index is answered with Unavailable until `settle` returns. With
        `may_wait` a shared log need not answer: what the index holds is served meanwhile.

        Raises: Refused (a URL or setting), InUse, Corrupt, NeedsUpgrade, Unavailable; each says
        what to do.
        """
        folder = hold_index(settings)
        try:
            store, secret, keys = await open_parts(settings)
        except BaseException:
            os.close(folder)
            raise
        node = cls(settings, store, secret, keys, folder)
        try:
            await node.books.open_all(progress, may_wait=may_wait)
            await node._open_island()
            if wait_for_index:
                await node.settle()
                await node._follow_keys()
            else:
                node.behind = asyncio.ensure_future(node._finish())
        except BaseException:
            await node.close()
            raise
        return node

    @property
    def away(self) -> Unavailable | None:
        """Why the log, or a part of it, has not been reached yet; None where it has."""
        offline = (shard.offline for shard in self._shards.values())
        return next((why for why in offline if why is not None), self.books.away)

    @property
    def island(self) -> Island | None:
        """What keeps facts while the log cannot be reached; None where it is on this machine."""
        return self.proposing.island

    async def _open_island(self) -> None:
        if self.settings.has_island:
            opening = partial(Island.open, self.settings, self.proposing.encode, self.keyring)
            self.proposing.island = await asyncio.to_thread(opening)
            self.proposing.island.begin(self._shards)

    @property
    def building(self) -> bool:
        """Whether a lost index is still being made from the log."""
        return any(index.bulk for index in self._indexes.values())

    async def _finish(self) -> None:
        await self.settle()
        await self._follow_keys()

    async def _follow_keys(self) -> None:
        """Close and destroy keys as the log says; erasing comes last, for it is final."""
        await self.follow_protections()
        await self.apply_erasures()

    async def follow_protections(self) -> int:
        """Close and open keys as the cases say, also for a node that died before it did so itself.

        How many subjects changed. Only what is new since the last time is read.
        """
        return await follow(
            self.keyring, self._keys, self._indexes, self.positions, self._protections
        )

    async def close(self) -> None:
        """Finish what is under way and let go of everything."""
        if self.behind is not None:
            self.behind.cancel()
            await asyncio.gather(self.behind, return_exceptions=True)
        try:
            if self.island is not None:
                self.island.leave()
            await self.books.close()
        finally:  # whatever a shard met: nothing stays locked
            if self.island is not None:
                await self.island.close()
            self._keys.close()
            await self._store.close()
            os.close(self._folder)
            self._wake()

    async def book(self, book: str) -> Shard:
        """The one shard of a book that has one, opened or made at the first call."""
        await self.books.open(book)
        return self.shard(f"{book}/0")

    def shard_name(self, stream: str) -> str:
        """The shard that a stream is in, such as `calls/3`."""
        return self.books.name_of(stream)

    @property
    def set_aside(self) -> list[Path]:
        """Damaged indexes that were moved away when they were opened."""
        return self.books.set_aside

    # --- the port ---------------------------------------------------------------------------------
    async def propose(self, draft: Draft) -> Answer:
        """Record `draft`; answers when this node has judged it."""
        return await self.proposing.one(draft)

    async def propose_many(self, drafts: Sequence[Draft]) -> Sequence[Answer]:
        """Record many at once, each by itself; answers in their order."""
        return await self.proposing.many(drafts)

    def kept(self, stream: str) -> Sequence[KeptFact]:
        """What this node has kept about the stream and the log has not judged, in its order."""
        if self.island is None:
            return []
        return kept_facts(self.island.journal, stream, self.keyring.by_id)

    async def propose_commit(self, book: str, commit: LoggedCommit) -> tuple[Verdict, str]:
        """Record a commit whose events are data already, in one book; the verdict, the shard."""
        await self.books.open(book)
        number = shard_of(commit.events[0].stream, self.books.counts[book]) if commit.events else 0
        shard = self.shard(f"{book}/{number}")
        (verdict,) = await shard.propose([encode_commit(commit)], [claim_of(commit)])
        return verdict, shard.name

    def load(self, stream: str, *, protected: bool = False, after: int = -1) -> Sequence[Recorded]:
        """The stream's events in order of version, personal fields opened; those beyond `after`.

        Those of protected identities only where `protected` asks for it: see `Port.load`.
        """
        key_of = self.keyring.by_id_protected if protected else self.keyring.by_id
        shard = self.books.opened(stream)
        if shard is None:
            return []
        recorded = []
        for row, commit in with_commits(shard.state.stream(stream, after)):
            logged = commit.events[row.nth]
            event = decode_event(logged.type, logged.schema, logged.data)
            if event is None:
                msg = f"{stream} holds the unknown event {logged.type}: upgrade this program"
                raise Corrupt(msg)
            recorded.append(
                Recorded(
                    stream,
                    row.version,
                    shard.name,
                    row.position,
                    row.seq,
                    commit.id,
                    commit.actor,
                    commit.origin,
                    commit.recorded_at,
                    logged.occurred_at,
                    open_event(event, commit.id, row.nth, key_of),
                )
            )
        return recorded

    def heads(self, streams: Iterable[str]) -> Mapping[str, int]:
        """The last version of each of `streams` that has been seen."""
        by_shard: dict[Shard, list[str]] = {}
        for stream in streams:
            shard = self.books.opened(stream)
            if shard is not None:
                by_shard.setdefault(shard, []).append(stream)
        found: dict[str, int] = {}
        for shard, names in by_shard.items():
            found.update(shard.state.heads(names))
        return found

    def caller_ref(self, number: str) -> str:
        """The keyed hash by which a caller's number is looked up and counted."""
        return self.secret.caller_ref(number)

    # --- the feed ---------------------------------------------------------------------------------
    def shards(self) -> list[str]:
        """The shards that are open, such as `calls/0`."""
        return sorted(self._shards)

    def shard(self, name: str) -> Shard:
        """One open shard. Raises: KeyError."""
        return self._shards[name]

    def positions(self) -> dict[str, int]:
        """The last position in the index, for each shard."""
        return {name: shard.state.indexed for name, shard in list(self._shards.items())}

    def judged(self) -> dict[str, int]:
        """The last position that was judged, for each shard; the index may be behind."""
        return {name: shard.state.position for name, shard in list(self._shards.items())}

    def digests(self) -> dict[str, tuple[int, str]]:
        """Position and rolling digest (hex) of each shard, as far as it has been judged."""
        return {
            name: (shard.state.position, shard.state.digest.hex())
            for name, shard in sorted(self._shards.items())
        }

    def read(self, shard: str, after: int, limit: int) -> list[FeedCommit]:
        """Accepted commits with events after a position, ascending, at most `limit`."""
        rows = self._indexes[shard].commits(after, limit)
        return [
            FeedCommit(shard, row.position, row.first_seq, decode_commit(row.raw)) for row in rows
        ]

    async def changed(self, seen: Mapping[str, int], timeout_s: float) -> bool:
        """Wait until some shard's position is beyond `seen`, or the time is over; says which."""
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout_s
        while not any(position > seen.get(name, 0) for name, position in self.positions().items()):
            left_s = until - loop.time()
            if left_s <= 0:
                return False
            try:
                async with asyncio.timeout(left_s):  # wait_for may swallow a cancellation
                    await self._grown.wait()
            except TimeoutError:
                return False
        return True

    async def settle(self) -> None:
        """Return when everything judged so far is in the index. Raises: Unavailable."""
        for shard in list(self._shards.values()):
            await shard.settle()

    def _wake(self) -> None:
        self._grown.set()
        self._grown = asyncio.Event()

    # --- erasure ----------------------------------------------------------------------------------
    async def apply_erasures(self) -> int:
        """Carry out the erasures that were decided and not yet carried out; how many keys went.

        Safe to repeat: the position is kept with the keys. Decisions come from the centre's book.
        """
        name = f"{CENTRE}/0"
        if name not in self._shards:
            return 0
        await self._shards[name].settle()
        ends = self._shards[name].state.indexed
        return await carry_out(self.keyring, self._keys, partial(self.read, name), ends)
