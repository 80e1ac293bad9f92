"""Files of cases: taken in, shown, and swept away where no case names them any more."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from core.access import Deed, NoSuchCase, Place, require
from core.application import IdUsedBefore
from core.case_commands import AddAttachment
from core.case_rules import CASES
from core.cases import AttachmentAdded
from core.commit import Answer, attempt_id
from core.erasure import case_of_subject
from core.errors import Corrupt, Invalid, NotFound, Refused, Stale
from core.eventlog.attachments import subject_of_head
from core.limits import (
    ATTACHMENT_ORPHAN_S,
    ATTACHMENTS_PER_CASE_MAX,
    DECISION_ATTEMPTS_MAX,
    NAME_CHARS_MAX,
)
from core.personal import PROTECTED, Personal
from core.vocabulary import case_stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from uuid import UUID

    from core.access import Asker
    from core.application import Application
    from core.case_state import CaseState
    from core.commit import Clock
    from core.eventlog.attachments import Attachments, Incoming, Stored
    from core.eventlog.node import Node
    from core.taxonomy import Directory

# What may be kept, with what such a file begins with; b"" where nothing is certain.
MEDIA_TYPES: Final[dict[str, tuple[bytes, ...]]] = {
    "application/pdf": (b"%PDF-",),
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/tiff": (b"II*\x00", b"MM\x00*"),
    "text/plain": (b"",),
    "message/rfc822": (b"",),
    "application/vnd.oasis.opendocument.text": (b"PK\x03\x04",),
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": (b"PK\x03\x04",),
}
_BEGINNING_BYTES: Final = max(len(b) for begins in MEDIA_TYPES.values() for b in begins)


class NoSuchAttachment(NotFound):
    """There is no such file."""


class MediaTypeRefused(Invalid):
    """Files of this kind are not kept."""


class TooManyAttachments(Refused):
    """The case has as many files as a case may have."""


@dataclass(frozen=True)
class Shown:
    """A file as it goes out: `content` piece by piece; nothing where it was erased."""

    name: str | None
    media_type: str
    size_bytes: int
    content: Iterator[bytes] | None


@dataclass(frozen=True)
class Added:
    """A file that a case has got. `answer` is None where it had it already: an honest repeat."""

    address: str
    size_bytes: int
    answer: Answer | None


class CaseFiles:
    """Takes files in, shows and sweeps them. On the node's loop; files are touched in threads."""

    def __init__(
        self,
        node: Node,
        application: Application,
        directory: Callable[[], Directory],
        clock: Clock,
        files: Attachments,
    ) -> None:
        self._node, self._application, self._directory = node, application, directory
        self._clock, self._files = clock, files

    # --- taking in ----------------------------------------------------------------------------
    def require_may_add(self, asker: Asker, authority: str, case: str) -> CaseState:
        """The case, where the asker may add to it: asked before anything is read of the file.

        Raises: NotAllowed, NoSuchCase, TooManyAttachments.
        """
        state = self._application.load(CASES, case_stream(authority, case)).state
        require(asker, Deed.WORK_CASE, _place(state, authority), self._directory())
        if state.number is None:
            raise NoSuchCase
        if len(state.attachments) >= ATTACHMENTS_PER_CASE_MAX:
            raise TooManyAttachments(limit=ATTACHMENTS_PER_CASE_MAX)
        return state

    async def add(  # noqa: PLR0913 -- what a file is
        self,
        asker: Asker,
        agent: str,
        place: tuple[str, str],
        name: str,
        media_type: str,
        pieces: AsyncIterator[bytes],
        command_id: UUID,
    ) -> Added:
        """Seal and store a file, then record it; nothing is left where it is refused.

        `place` is the authority and the case. Raises: as `require_may_add`, MediaTypeRefused,
        AttachmentTooLarge, Invalid, Unavailable.
        """
        authority, case = place
        state = self.require_may_add(asker, authority, case)
        _check_name(name)
        if media_type not in MEDIA_TYPES:
            raise MediaTypeRefused(allowed=sorted(MEDIA_TYPES), field="Content-Type")
        stream = case_stream(authority, case)
        before = self._recorded(stream, command_id)
        if before is not None:
            return await self._again(before, (name, media_type), pieces)
        subject = f"{PROTECTED}{stream}" if state.protected else stream
        stored = await self._store(subject, media_type, pieces)
        command = AddAttachment(
            id=command_id, now=self._clock(), actor=asker.id, asker=asker, authority=authority,
            case=case, agent=agent, address=stored.address, key=stored.key,
            size_bytes=stored.size_bytes, media_type=media_type, name=Personal(name, subject),
        )  # fmt: skip
        try:
            answer = await self._application.handle(command)
        except (Refused, Stale, IdUsedBefore):  # final: it will never be named
            await asyncio.to_thread(self._files.remove, stored.address)
            raise
        return Added(stored.address, stored.size_bytes, answer)

    def _recorded(self, stream: str, first: UUID) -> AttachmentAdded | None:
        """What was recorded under this id before."""
        ids = {first, *(attempt_id(first, n) for n in range(1, DECISION_ATTEMPTS_MAX))}
        for recorded in self._node.load(stream, protected=True):
            if recorded.commit_id in ids and isinstance(recorded.event, AttachmentAdded):
                return recorded.event
        return None

    async def _again(
        self, before: AttachmentAdded, told: tuple[str, str], pieces: AsyncIterator[bytes]
    ) -> Added:
        """The first answer, where the very same file came again. Raises: IdUsedBefore."""
        digest, wanted = hashlib.sha256(), hashlib.sha256()
        async for piece in pieces:
            digest.update(piece)
        for piece in self._files.chunks(before.address, self._node.keyring.by_id_protected):
            wanted.update(piece)
        name = before.name.value if isinstance(before.name, Personal) else None
        if (name, before.media_type) != told or digest.digest() != wanted.digest():
            raise IdUsedBefore
        return Added(before.address, before.size_bytes, None)

    async def _store(self, subject: str, media_type: str, pieces: AsyncIterator[bytes]) -> Stored:
        ring = self._node.keyring
        await asyncio.to_thread(ring.ensure, [subject])
        incoming = await asyncio.to_thread(self._files.begin, ring.for_subject(subject))
        try:
            await _take_in(incoming, media_type, pieces)
            return await asyncio.to_thread(incoming.finish)
        finally:
            await asyncio.to_thread(incoming.give_up)

    # --- showing ------------------------------------------------------------------------------
    def require_may_see(self, asker: Asker, authority: str, case: str) -> CaseState:
        """The case, where the asker may open it. Raises: NotAllowed, NoSuchCase."""
        state = self._application.load(CASES, case_stream(authority, case)).state
        require(asker, Deed.READ_CASE, _place(state, authority), self._directory())
        if state.number is None:
            raise NoSuchCase
        return state

    def of_case(self, authority: str, case: str) -> list[dict[str, Any]]:
        """The files that a case names, in their order; rights were asked before."""
        return [
            {
                "address": event.address,
                "media_type": event.media_type,
                "size_bytes": event.size_bytes,
                "name": event.name.value if isinstance(event.name, Personal) else None,
                "erased": self._node.keyring.is_erased(event.key),
            }
            for event in self._named(authority, case)
        ]

    def shown(self, authority: str, case: str, address: str) -> Shown:
        """One file of a case. Raises: NoSuchAttachment where this case does not name it.

        Its content is None where it was erased.
        """
        event = next((e for e in self._named(authority, case) if e.address == address), None)
        if event is None:
            raise NoSuchAttachment
        name = event.name.value if isinstance(event.name, Personal) else None
        if self._node.keyring.is_erased(event.key):
            return Shown(None, event.media_type, event.size_bytes, None)
        self._files.head(address)  # a file that was lost is told before an answer begins
        content = self._files.chunks(address, self._node.keyring.by_id_protected)
        return Shown(name, event.media_type, event.size_bytes, content)

    def _named(self, authority: str, case: str) -> list[AttachmentAdded]:
        events = (r.event for r in self._node.load(case_stream(authority, case), protected=True))
        return [event for event in events if isinstance(event, AttachmentAdded)]

    # --- sweeping -----------------------------------------------------------------------------
    async def sweep(self) -> int:
        """Remove files that no case names, once they are a day old, and those that were erased.

        The log itself is asked, never a read model, which may be behind: a file that a case names
        stays. How many went. Raises: Unavailable.
        """
        await self._node.settle()
        gone = 0
        for address in await asyncio.to_thread(lambda: list(self._files.addresses())):
            if await asyncio.to_thread(self._is_waste, address):
                gone += await asyncio.to_thread(self._files.remove, address)
        return gone

    def _is_waste(self, address: str) -> bool:
        try:
            head = self._files.head(address)
            if self._node.keyring.is_erased(head.key):
                return True
        except Corrupt:  # nobody knows whose it is: `doctor` and a backup tell of it
            return False
        if self._files.age_s(address, self._clock().timestamp()) < ATTACHMENT_ORPHAN_S:
            return False
        stream = case_of_subject(subject_of_head(head))
        if stream is None:
            return False
        _kind, authority, case = stream.split("/", 2)
        return all(event.address != address for event in self._named(authority, case))


async def _take_in(incoming: Incoming, media_type: str, pieces: AsyncIterator[bytes]) -> None:
    """Raises: MediaTypeRefused where the file begins as none of its kind does."""
    beginning = b""
    looked = False
    async for piece in pieces:
        if not looked:
            beginning += piece[:_BEGINNING_BYTES]
            looked = len(beginning) >= _BEGINNING_BYTES
            if looked:
                _require_begins(beginning, media_type)
        if piece:
            await asyncio.to_thread(incoming.write, piece)
    if not beginning:
        raise Invalid("the file is empty", field="body")
    _require_begins(beginning, media_type)


def _require_begins(beginning: bytes, media_type: str) -> None:
    if not beginning.startswith(MEDIA_TYPES[media_type]):
        raise MediaTypeRefused("The file is of another kind than it says.", field="Content-Type")


def _check_name(name: str) -> None:
    if not name.strip() or len(name) > NAME_CHARS_MAX or not name.isprintable():
        raise Invalid(
            f"the file's name is 1 to {NAME_CHARS_MAX} printable characters", field="name"
        )


def _place(state: CaseState, authority: str) -> Place:
    return state.place if state.number is not None else Place(authority)
