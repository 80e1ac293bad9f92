"""From drafts to verdicts: keys, sealing, the way to each shard, and the island beside it."""

from __future__ import annotations

import asyncio
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from core.cases import CaseProtected, CaseRegistered
from core.commit import Answer, Kept
from core.errors import KontaktcenterError, Refused, Unavailable
from core.eventlog.codec import personal_fields, seal_event, subjects_of
from core.eventlog.envelope import (
    Claim,
    ClaimEvent,
    LoggedCommit,
    LoggedEvent,
    LoggedTracking,
    encode_commit,
)
from core.eventlog.protecting import close_keys
from core.vocabulary import book_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from core.commit import Draft, Event, Happened, Verdict
    from core.eventlog.books import Books
    from core.eventlog.island.island import Island
    from core.eventlog.keyring import Keyring
    from core.eventlog.settings import NodeSettings
    from core.personal import CitySecret, DataKey


class _Made(NamedTuple):
    """One draft on its way: its place among the drafts, its bytes and claim."""

    place: int
    raw: bytes
    claim: Claim
    may_be_kept: bool


class Proposing:
    """What a node does with drafts. On its loop; `island` is set where the log may be away."""

    def __init__(
        self, settings: NodeSettings, secret: CitySecret, keyring: Keyring, books: Books
    ) -> None:
        self.island: Island | None = None
        self._settings, self._secret, self._keyring = settings, secret, keyring
        self._books = books
        self._wanted: set[str] = set()  # subjects whose keys somebody waits for
        self._ensuring: asyncio.Task[None] | None = None

    async def one(self, draft: Draft) -> Answer:
        """As `many`, of one draft; the short way where its events need no keys and close none."""
        shard = self._books.opened(stream_of(draft))
        plain = shard is not None
        for happened in draft.events:
            plain = plain and _is_plain(type(happened.event))
        if shard is None or not plain:
            return (await self.many((draft,)))[0]
        raw, claim = self.encode(draft)
        if self.island is None:
            return Answer((await shard.propose((raw,), (claim,)))[0], shard.name)
        verdicts = await self.island.propose(shard, (raw,), (claim,), may_be_kept=draft.may_be_kept)
        return _answer(verdicts[0], shard.name)

    async def many(self, drafts: Sequence[Draft]) -> Sequence[Answer]:
        """Record many at once, each by itself; answers in their order."""
        keep = await self._keys(drafts)
        for book in {book_of(stream_of(draft)) for draft in drafts}:
            await self._books.open(book)
        by_shard: dict[str, list[_Made]] = {}
        for place, draft in enumerate(drafts):
            made = _Made(place, *self.encode(draft), draft.may_be_kept)
            by_shard.setdefault(self._books.name_of(stream_of(draft)), []).append(made)
        answers: list[Answer | None] = [None] * len(drafts)
        if self.island is None:
            await self._to_log(by_shard, answers)
        else:
            await self._to_island(self.island, by_shard, answers, keep=keep)
        await close_keys(self._keyring, drafts, answers)
        return answers  # type: ignore[return-value]  # every place was filled

    async def _to_log(self, by_shard: dict[str, list[_Made]], answers: list[Answer | None]) -> None:
        waiting = []
        for name, made in by_shard.items():
            shard = self._books.shards[name]
            waiting.append((name, made, shard.propose(*_parts(made))))
        for name, made, future in waiting:
            _fill(answers, name, made, await future)

    async def _to_island(
        self,
        island: Island,
        by_shard: dict[str, list[_Made]],
        answers: list[Answer | None],
        *,
        keep: bool,
    ) -> None:
        runs = [
            (name, list(run), may)
            for name, made in by_shard.items()
            for may, run in groupby(made, key=lambda one: one.may_be_kept)
        ]
        asking = [
            island.propose(self._books.shards[name], *_parts(run), may_be_kept=may, keep=keep)
            for name, run, may in runs
        ]
        if len(asking) == 1:
            found = [await asking[0]]
        else:  # they begin in this order, and each is heard whatever became of the others
            told = await asyncio.gather(*asking, return_exceptions=True)
            for one in told:
                if isinstance(one, BaseException):
                    raise one
            found = told  # type: ignore[assignment]  # no error is among them
        for (name, run, _), verdicts in zip(runs, found, strict=True):
            _fill(answers, name, run, verdicts)

    # --- keys -------------------------------------------------------------------------------------
    async def _keys(self, drafts: Sequence[Draft]) -> bool:
        """Have the keys that sealing needs; whether what is sealed has to wait for them here.

        Raises: Unavailable, Corrupt.
        """
        subjects = {s for d in drafts for h in d.events for s in subjects_of(h.event)}
        if not subjects:
            return False
        island = self.island
        may_be_kept = all(draft.may_be_kept for draft in drafts)
        while self._keyring.missing(
            subjects
        ):  # an erasure may come between having a key and using it
            if island is None or not may_be_kept:
                await self._ensure(subjects)
            else:
                await self._ensure_soon(island, subjects)
        if island is not None and island.returning.owed:
            if may_be_kept:
                return island.cut_off or not await island.returning.paid(island.after_s)
            await island.returning.pay()
        return False

    async def _ensure(self, subjects: set[str]) -> None:
        """Have keys; all who ask meanwhile are served together, next."""
        while self._keyring.missing(subjects):
            self._wanted |= subjects  # once more where an erasure took them meanwhile
            if self._ensuring is None:
                self._ensuring = asyncio.ensure_future(self._ensure_wanted())
            try:
                await asyncio.shield(self._ensuring)
            except KontaktcenterError:  # of somebody else's subject, it may be
                await self._have(subjects)

    async def _ensure_wanted(self) -> None:
        wanted, self._wanted = self._wanted, set()
        try:
            await self._have(wanted)
        finally:
            self._ensuring = None

    async def _have(self, subjects: set[str]) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self._keyring.ensure, subjects)

    async def _ensure_soon(self, island: Island, subjects: set[str]) -> None:
        """As `_ensure`; where the book of keys does not answer in time, new ones stay here."""
        if not island.cut_off:
            having = asyncio.ensure_future(self._ensure(subjects))
            having.add_done_callback(_heard)
            try:
                await asyncio.wait_for(asyncio.shield(having), island.after_s)
            except (TimeoutError, Unavailable):
                pass
            else:
                return
        await island.returning.add_here(subjects)

    # --- encoding ---------------------------------------------------------------------------------
    def encode(self, draft: Draft) -> tuple[bytes, Claim]:
        """The draft sealed, as the log will hold it; its keys are there. Raises: Refused."""
        streams = {happened.stream for happened in draft.events}
        if len(streams) > 1 and len(shards := {self._books.name_of(s) for s in streams}) > 1:
            msg = f"a commit is of one shard; this one touches {', '.join(sorted(shards))}"
            raise Refused(msg)
        nonce = self._keyring.nonce
        events = [
            LoggedEvent(
                h.stream,
                h.event.TOPIC,
                h.event.SCHEMA,
                h.occurred_at,
                msgspec.Raw(seal_event(h.event, draft.id, nth, self._key_for(h), nonce)),
                h.version,
            )
            for nth, h in enumerate(draft.events)
        ]
        commit = LoggedCommit(
            draft.id, self._secret.intent(draft.asking), self._settings.clock(), draft.actor,
            draft.origin, events, draft.cause, draft.correlation,
        )  # fmt: skip
        return encode_commit(commit), claim_of(commit)

    def _key_for(self, happened: Happened) -> Callable[[str], DataKey]:
        return partial(self._keyring.for_subject, occurred_at=happened.occurred_at)


def _parts(made: Sequence[_Made]) -> tuple[list[bytes], list[Claim]]:
    return [one.raw for one in made], [one.claim for one in made]


def _fill(
    answers: list[Answer | None],
    name: str,
    made: Sequence[_Made],
    verdicts: Sequence[Verdict] | Sequence[Verdict | Kept],
) -> None:
    for one, verdict in zip(made, verdicts, strict=True):
        answers[one.place] = _answer(verdict, name)


def _answer(verdict: Verdict | Kept, shard: str) -> Answer:
    return Answer(verdict, shard, "local" if isinstance(verdict, Kept) else "log")


_plain: dict[type[Event], bool] = {}


def _is_plain(event_class: type[Event]) -> bool:
    """Whether recording such events neither needs keys nor closes any; worked out once."""
    plain = _plain.get(event_class)
    if plain is None:
        personal = personal_fields(event_class)
        plain = not personal and not issubclass(event_class, CaseProtected | CaseRegistered)
        _plain[event_class] = plain
    return plain


def _heard(having: asyncio.Future[None]) -> None:
    """What became of keys that nobody waits for any more is found out when they are needed."""
    if not having.cancelled():
        having.exception()


def claim_of(commit: LoggedCommit) -> Claim:
    """What judging needs of a commit that is in hand."""
    tracking = commit.tracking
    return Claim(
        str(commit.id), commit.intent, [ClaimEvent(e.stream, e.version) for e in commit.events],
        LoggedTracking(tracking.name, tracking.position) if tracking else None,
        commit.raises_format,
    )  # fmt: skip


def stream_of(draft: Draft) -> str:
    """The stream that fixes a draft's shard. Raises: Refused."""
    if draft.events:
        return draft.events[0].stream
    if draft.about is None:
        msg = "a commit without events must say which stream it is about"
        raise Refused(msg)
    return draft.about
