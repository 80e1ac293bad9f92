"""The archivist's desk as the web house knows it (`webdesk.privacy_house.PrivacyHouse`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.disclosure import caller_of
from core.vocabulary import case_stream
from kontaktcenter.erasures import Wanted
from kontaktcenter.privacy_desk import as_document, proposal_row

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from uuid import UUID

    from core.access import Asker
    from core.disclosure import Choices
    from kontaktcenter.case_files import Shown
    from kontaktcenter.privacy_desk import PrivacyDesk
    from webdesk.privacy_house import DecideDue, Erase


class WebPrivacy:
    """Hands what the routes were asked to the desk. Errors are the desk's own."""

    def __init__(self, desk: PrivacyDesk) -> None:
        self._desk = desk

    def degraded(self) -> list[dict[str, str]]:
        """The keys' trouble now, and erasures that were not complete everywhere after a day."""
        found = []
        if self._desk.around.node.keyring.fault() is not None:
            detail = "the topic of keys cannot be used now: see kontaktcenter doctor"
            found.append({"part": "keys", "detail": detail})
        late = len(self._desk.erasures.everywhere.late)
        if late:
            detail = f"{late} are not complete on every node after a day: see kontaktcenter doctor"
            found.append({"part": "erasures", "detail": detail})
        return found

    async def erase(self, asker: Asker, body: Erase, command_id: UUID) -> dict[str, Any]:
        """Decide and carry out; the protocol."""
        wanted = Wanted(
            body.authority, body.rule, body.reference, body.purpose, body.cases, body.caller
        )
        return await self._desk.erasures.decide(asker, wanted, command_id)

    async def protocols(self, asker: Asker) -> list[dict[str, Any]]:
        """The protocols of the asker's rooms."""
        return await self._desk.erasures.protocols(asker)

    async def protocol(self, asker: Asker, number: str) -> dict[str, Any]:
        """One protocol."""
        return await self._desk.erasures.protocol(asker, number)

    def page(self, kind: str, found: dict[str, Any]) -> str:
        """A protocol or a disclosure as a page in Swedish."""
        return as_document(kind, found, "html")

    async def proposed(self, asker: Asker, authority: str) -> list[dict[str, Any]]:
        """What retention rules propose."""
        return [proposal_row(each) for each in await self._desk.due(asker, authority)]

    async def decide_proposed(
        self, asker: Asker, authority: str, body: DecideDue, command_id: UUID
    ) -> dict[str, Any]:
        """Turn proposals into a decision; the protocol."""
        return await self._desk.decide_due(
            asker, authority, body.rule, body.reference, body.purpose, body.cases, command_id
        )

    async def give_out(  # noqa: PLR0913 -- as the protocol has it
        self,
        asker: Asker,
        place: tuple[str, str],
        choices: Choices,
        purpose: str,
        recipient: str | None,
        command_id: UUID,
    ) -> dict[str, Any]:
        """Make, record and return a copy of a case."""
        return await self._desk.disclose(asker, place, choices, purpose, recipient, command_id)

    def require_may_add(self, asker: Asker, authority: str, case: str) -> None:
        """Raises: NotAllowed, NoSuchCase."""
        self._desk.files.require_may_add(asker, authority, case)

    async def add_file(  # noqa: PLR0913 -- as the protocol has it
        self,
        asker: Asker,
        agent: str,
        place: tuple[str, str],
        name: str,
        media_type: str,
        pieces: AsyncIterator[bytes],
        command_id: UUID,
    ) -> dict[str, Any]:
        """Seal, store and record a file."""
        added = await self._desk.files.add(
            asker, agent, place, name, media_type, pieces, command_id
        )
        already = added.answer is None
        return {"address": added.address, "size_bytes": added.size_bytes, "already": already}

    def require_may_see(self, asker: Asker, authority: str, case: str) -> Sequence[str | None]:
        """The caller of the case, for the read log. Raises: NotAllowed, NoSuchCase."""
        self._desk.files.require_may_see(asker, authority, case)
        return [caller_of(self._desk.around.node.load(case_stream(authority, case)))]

    def files_of(self, authority: str, case: str) -> list[dict[str, Any]]:
        """The files that a case names."""
        return self._desk.files.of_case(authority, case)

    def file(self, authority: str, case: str, address: str) -> Shown:
        """One file."""
        return self._desk.files.shown(authority, case, address)
