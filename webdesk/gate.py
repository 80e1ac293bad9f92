"""Who asks, and whether he or she may: what every route goes through before it does anything.

Signing in has put the asker into the request (`request.state.asker`); `core.access` judges; a look
at personal data is in the read log before the answer leaves.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from core.access import NOBODY, Asker, Deed, Place, Sight, purpose_of, require, rooms, sight
from webdesk.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request

    from core.looks import Seen
    from webdesk.services import Services

_EVERYWHERE = Place()


class Gate:
    """Made once for a server; routes ask it."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def asker(self, request: Request) -> Asker:
        """Who asks; `NOBODY` where nobody has signed in."""
        found = getattr(request.state, "asker", NOBODY)
        assert isinstance(found, Asker)
        return found

    def known(self, request: Request) -> Asker:
        """Who asks, where that is somebody. Raises: Problem 401."""
        asker = self.asker(request)
        if asker is NOBODY:
            raise Problem(HTTPStatus.UNAUTHORIZED, "Sign in, or send a token.")
        return asker

    def require(self, request: Request, deed: Deed, place: Place = _EVERYWHERE) -> Asker:
        """Who asks, where he or she may do `deed` at `place`.

        Raises: Problem 401 where nobody signed in; NotAllowed, NoSuchCase.
        """
        asker = self.known(request)
        require(asker, deed, place, self._services.directory())
        return asker

    def watch(self, request: Request) -> None:
        """Return where the queues may be watched: by anybody, if the city opened its board.

        Raises: as `require`.
        """
        if not self._services.public_board or self.asker(request) is not NOBODY:
            self.require(request, Deed.READ_QUEUES)

    def rooms(self, request: Request, deed: Deed) -> frozenset[str]:
        """The authorities whose cases the asker opens for `deed`: lists and counts are of these.

        Raises: as `require`.
        """
        return rooms(self.require(request, deed), deed, self._services.directory())

    def sight(self, request: Request, deed: Deed) -> Sight:
        """What the asker sees for `deed`: what queries of read models are given. Raises: as above.

        A list, a search or a count asks with it; a single case is asked about with `require`.
        """
        return sight(self.require(request, deed), deed, self._services.directory())

    async def look(self, request: Request, deed: Deed, seen: Sequence[Seen]) -> None:
        """Record that data about these persons is shown; `X-Purpose` says why, else the role does.

        Raises: NotAllowed for a purpose that is not the role's; Unavailable.
        """
        asker = self.asker(request)
        purpose = purpose_of(asker, deed, request.headers.get("x-purpose"))
        if seen:
            await self._services.read_log.record(asker, deed.value, purpose, seen)
