"""Who has signed in, as screens and `GET /api/v1/me` tell it."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from core.access import NOBODY, PURPOSES, RIGHTS, Asker, Place, Reach, Verdict, rooms, verdict
from core.personal import Personal
from webdesk.sessions import token_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from core.accounts import Account
    from webdesk.authentication import SignedIn
    from webdesk.services import Services

_NAMES_KEPT_MAX: Final = 2_000


@dataclass(frozen=True, slots=True)
class Who:
    """For the header of a page. `token` goes into its forms."""

    account: str
    name: str
    token: str


class WhoIs:
    """Gives names; opened from the log once for each account as it stands."""

    def __init__(self, services: Services, load: Callable[[str], Account]) -> None:
        self._services, self._load = services, load
        self._names: OrderedDict[str, tuple[Account, str]] = OrderedDict()

    def name_of(self, account: str) -> str:
        """The name on the account; its id where there is none, or it was erased."""
        standing = self._services.accounts().by_id.get(account)
        if standing is None:
            return account
        known = self._names.get(account)
        if known is None or known[0] != standing:
            name = self._load(account).name
            known = (standing, name.value if isinstance(name, Personal) else account)
            self._names[account] = known
            while len(self._names) > _NAMES_KEPT_MAX:
                self._names.popitem(last=False)
        return known[1]

    def of(self, request: Request) -> Who | None:
        """Who signed in; None for nobody, for a program, and while the session is locked."""
        signed_in: SignedIn | None = getattr(request.state, "signed_in", None)
        if signed_in is None or signed_in.session.locked:
            return None
        account = signed_in.session.account
        return Who(account, self.name_of(account), token_of(signed_in.cookie))

    def me(self, request: Request) -> dict[str, Any]:
        """The answer to `GET /api/v1/me`: who, rights, rooms by deed, purposes, token."""
        asker: Asker = getattr(request.state, "asker", NOBODY)
        signed_in: SignedIn | None = getattr(request.state, "signed_in", None)
        directory = self._services.directory()
        here = Place(person=asker.id)
        allowed = [d for d in RIGHTS if verdict(asker, d, here, directory) is Verdict.ALLOWED]
        in_rooms = [d for d in allowed if {Reach.ROOM, Reach.REGISTERED} & set(RIGHTS[d].values())]
        purposes = {p for grant in asker.grants for p in PURPOSES[grant.role]}
        return {
            "account": asker.id,
            "name": self.name_of(asker.id),
            "grants": [
                {
                    "role": grant.role.value,
                    "authority": grant.authority,
                    "groups": list(grant.groups),
                    "approves": grant.approves,
                    "protected": grant.protected,
                }
                for grant in asker.grants
            ],
            "closed_to": sorted(asker.closed_to),
            "scopes": sorted(asker.scopes),
            "deeds": [deed.value for deed in allowed],
            "rooms": {d.value: sorted(rooms(asker, d, directory)) for d in in_rooms},
            "purposes": sorted(purpose.value for purpose in purposes),
            "method": signed_in.session.method if signed_in else "token",
            "token": token_of(signed_in.cookie) if signed_in else None,
        }
