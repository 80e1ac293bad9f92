"""What the archivist asks for over HTTP, and who answers: the desk that `kontaktcenter` has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Protocol

import msgspec

from core.disclosure import Mask
from core.limits import COMMAND_ITEMS_MAX, NAME_CHARS_MAX

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from uuid import UUID

    from core.access import Asker
    from core.disclosure import Choices

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_CHARS_MAX)]
_Names = Annotated[tuple[_Name, ...], msgspec.Meta(max_length=COMMAND_ITEMS_MAX)]


class Erase(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Body of `POST /api/v1/erasures`. `caller` is a telephone number; nothing else names anybody.

    `cases` are ids of closed cases of `authority`.
    """

    authority: _Name
    rule: _Name
    reference: _Name
    purpose: _Name
    cases: _Names = ()
    caller: _Name | None = None


class DecideDue(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Body of `POST /api/v1/retention/{authority}/decide`; without `cases`, all that is due."""

    rule: _Name
    reference: _Name
    purpose: _Name
    cases: _Names | None = None


class Disclose(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Body of `POST /api/v1/cases/{authority}/{case}/disclose`.

    `mask` says why, by what is masked: numbers, words, parts, other_persons, protected. `words` are
    masked wherever they stand; `parts` are texts by their place, such as `3.text`, or `*`.
    """

    purpose: _Name
    recipient: _Name | None = None
    mask: dict[Mask, _Name] = {}
    words: _Names = ()
    parts: _Names = ()


class Shown(Protocol):
    """A file as it goes out; `content` is None where it was erased."""

    @property
    def name(self) -> str | None:
        """What it was called."""
        ...

    @property
    def media_type(self) -> str:
        """What kind it is of."""
        ...

    @property
    def content(self) -> Iterator[bytes] | None:
        """What is in it, piece by piece."""
        ...


class PrivacyHouse(Protocol):
    """What the routes need of the archivist's desk; `kontaktcenter` has the one of the product."""

    def degraded(self) -> list[dict[str, str]]:
        """What of keys and erasures is not as it should be, as `/readyz` tells it; quick."""
        ...

    async def erase(self, asker: Asker, body: Erase, command_id: UUID) -> dict[str, Any]:
        """Decide and carry out; the protocol."""
        ...

    async def protocols(self, asker: Asker) -> list[dict[str, Any]]:
        """The protocols of the asker's rooms."""
        ...

    async def protocol(self, asker: Asker, number: str) -> dict[str, Any]:
        """One protocol."""
        ...

    def page(self, kind: str, found: dict[str, Any]) -> str:
        """A protocol or a disclosure (`kind`) as a page in Swedish."""
        ...

    async def proposed(self, asker: Asker, authority: str) -> list[dict[str, Any]]:
        """What retention rules propose."""
        ...

    async def decide_proposed(
        self, asker: Asker, authority: str, body: DecideDue, command_id: UUID
    ) -> dict[str, Any]:
        """Turn proposals into a decision; the protocol."""
        ...

    async def give_out(  # noqa: PLR0913 -- what a copy is made of
        self,
        asker: Asker,
        place: tuple[str, str],
        choices: Choices,
        purpose: str,
        recipient: str | None,
        command_id: UUID,
    ) -> dict[str, Any]:
        """Make, record and return a copy of a case."""
        ...

    def require_may_add(self, asker: Asker, authority: str, case: str) -> None:
        """Raises: NotAllowed, NoSuchCase; before anything is read of a file."""
        ...

    async def add_file(  # noqa: PLR0913 -- what a file is
        self,
        asker: Asker,
        agent: str,
        place: tuple[str, str],
        name: str,
        media_type: str,
        pieces: AsyncIterator[bytes],
        command_id: UUID,
    ) -> dict[str, Any]:
        """Seal, store and record a file; its address and size."""
        ...

    def require_may_see(self, asker: Asker, authority: str, case: str) -> Sequence[str | None]:
        """The callers of the case, for the read log. Raises: NotAllowed, NoSuchCase."""
        ...

    def files_of(self, authority: str, case: str) -> list[dict[str, Any]]:
        """The files that a case names."""
        ...

    def file(self, authority: str, case: str, address: str) -> Shown:
        """One file. Raises: NotFound."""
        ...
