"""What a projection is: it takes events in batches and writes rows in the runner's transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlite_utils import Database
    from sqlite_utils.migrations import Migrations

    from core.eventlog.envelope import LoggedCommit, LoggedEvent
    from core.eventlog.node import FeedCommit


class Fed(NamedTuple):
    """One event of the feed with its surroundings; `seq` is its dense number in the shard."""

    shard: str
    position: int
    seq: int
    nth: int
    commit: LoggedCommit
    event: LoggedEvent


class Feed(Protocol):
    """Where commits come from: a node, or a part of one. Any thread may call these."""

    def shards(self) -> list[str]:
        """The shards that there are."""
        ...

    def positions(self) -> Mapping[str, int]:
        """The last position of each shard that can be read."""
        ...

    def read(self, shard: str, after: int, limit: int) -> list[FeedCommit]:
        """Accepted commits beyond `after`, ascending, at most `limit`."""
        ...


class Projection(Protocol):
    """One read model. Its rows must be the same in whatever order facts arrive.

    `name` is the file's name, `version` grows with each change of schema or meaning (the file is
    then built anew), `topics` are the event types that it wants and `migrations` its schema,
    through sqlite-utils.
    """

    name: str
    version: int
    topics: frozenset[str]
    migrations: Migrations

    def follows(self, shard: str) -> bool:
        """Whether the shard may hold anything that this projection wants."""
        ...

    def handle(self, db: Database, events: Sequence[Fed]) -> None:
        """Write what `events` change, inside the runner's transaction.

        Raises: anything, where an event cannot be handled; the runner then rolls back, calls
        `forget` and goes on one event at a time.
        """
        ...

    def fresh(self) -> Projection:
        """The same projection with nothing cached, for a file that is built beside."""
        ...

    def forget(self) -> None:
        """Drop whatever is cached of the file: it was rolled back, or is another."""
        ...


@runtime_checkable
class HoldsClearText(Protocol):
    """A projection whose file holds personal text: what is taken out leaves no byte behind."""

    def removed(self, db: Database) -> bool:
        """Whether something was taken out that may still be somewhere in the file."""
        ...

    def scrub(self, db: Database) -> None:
        """Leave nothing of it in the file; cheap where nothing was taken out.

        Outside of any transaction; the write-ahead log is emptied afterwards. Raises: sqlite3.Error
        where it cannot be done now.
        """
        ...
