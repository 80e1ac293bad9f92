"""Those who handle cases, by name: the directory of officers, agents and registrars (R16).

Names are sealed in the log and opened with the node's keys, so this file holds clear text: what is
erased goes out, in whatever order the erasure and the account are read, and leaves no byte behind.
"""

from __future__ import annotations

import json
import unicodedata
from typing import TYPE_CHECKING, Final

from sqlite_utils.migrations import Migrations

from core.accounts import (
    AccountClosed,
    AccountKind,
    AccountOpened,
    GrantGiven,
    GrantWithdrawn,
)
from core.erasure import ErasureDecided
from core.eventlog.codec import KeyOf, decode_event, open_event
from core.personal import Personal
from core.vocabulary import CENTRE, kind_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlite_utils import Database

    from core.commit import Event
    from projections.base import Fed

NAME: Final = "handlers"
_ACCOUNT: Final = "account"
_SQL_ERASED: Final = "SELECT 1 FROM erased WHERE account = ?"
_migrations = Migrations(NAME)


@_migrations()
def m001_accounts(db: Database) -> None:
    """Accounts of people with their names, their roles, and whose names must never come in."""
    db.table("accounts").create({"account": str, "name": str, "closed": int}, pk="account")
    db.table("roles").create(
        {"account": str, "role": str, "authority": str, "groups": str},
        pk=("account", "role", "authority"),
    )
    db.table("erased").create({"account": str}, pk="account")
    db.table("removals").create({"account": str}, pk="account")


class Handlers:
    """The projection of those who handle cases. See `docs/reference/read-models.md`."""

    name = NAME
    version = 1
    topics = frozenset(
        e.TOPIC for e in (AccountOpened, AccountClosed, GrantGiven, GrantWithdrawn, ErasureDecided)
    )
    migrations = _migrations

    def __init__(self, key_of: KeyOf | None = None) -> None:
        self._key_of = key_of

    def follows(self, shard: str) -> bool:
        """Accounts are in the centre's book."""
        return shard.partition("/")[0] == CENTRE

    def fresh(self) -> Handlers:
        """Another one, for another file."""
        return Handlers(self._key_of)

    def forget(self) -> None:
        """Nothing is kept beside the file."""

    def handle(self, db: Database, events: Sequence[Fed]) -> None:
        """Write what each event changes, in the order of the book."""
        for fed in events:
            event = decode_event(fed.event.type, fed.event.schema, fed.event.data)
            assert event is not None, "a topic that is followed is in the catalogue"
            if isinstance(event, AccountOpened) and self._key_of is not None:
                event = open_event(event, fed.commit.id, fed.nth, self._key_of)
            _write(db, event)

    def removed(self, db: Database) -> bool:
        """Whether a name was taken out whose bytes may still be in the file."""
        return bool(db.execute("SELECT 1 FROM removals LIMIT 1").fetchone())

    def scrub(self, db: Database) -> None:
        """Write the file anew where a name was taken out. Raises: sqlite3.Error."""
        if self.removed(db):
            db.execute("VACUUM")
            with db.atomic():
                db.execute("DELETE FROM removals")


def _write(db: Database, event: Event) -> None:
    match event:
        case AccountOpened() if event.kind == AccountKind.PERSON:
            erased = db.execute(_SQL_ERASED, [event.account]).fetchone()
            name = event.name.value if isinstance(event.name, Personal) and not erased else None
            kept = None if name is None else unicodedata.normalize("NFC", name)
            db.execute(
                "INSERT INTO accounts VALUES (?, ?, 0) ON CONFLICT DO NOTHING",
                [event.account, kept],
            )
        case AccountClosed():
            db.execute("UPDATE accounts SET closed = 1 WHERE account = ?", [event.account])
        case GrantGiven():
            db.execute(
                "INSERT OR REPLACE INTO roles VALUES (?, ?, ?, ?)",
                [event.account, event.role, event.authority, json.dumps(event.groups)],
            )
        case GrantWithdrawn():
            db.execute(
                "DELETE FROM roles WHERE account = ? AND role = ? AND authority = ?",
                [event.account, event.role, event.authority],
            )
        case ErasureDecided() if kind_of(event.subject) == _ACCOUNT:
            _erase(db, event.subject.partition("/")[2])
        case _:
            pass


def _erase(db: Database, account: str) -> None:
    db.execute("INSERT OR IGNORE INTO erased VALUES (?)", [account])
    sql = "UPDATE accounts SET name = NULL WHERE account = ? AND name IS NOT NULL"
    if db.execute(sql, [account]).rowcount:
        db.execute("INSERT OR IGNORE INTO removals VALUES (?)", [account])
