"""What a node is opened with, and what it feeds to those who read."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from core.commit import Clock
from core.eventlog.kafka_log import KafkaSettings
from core.eventlog.log import LogStore
from core.limits import ISLAND_AFTER_S
from core.personal import CitySecret
from core.vocabulary import CALLS, CENTRE

if TYPE_CHECKING:
    from core.eventlog.envelope import LoggedCommit


class FeedCommit(NamedTuple):
    """One accepted commit with events, as projections read it."""

    shard: str
    position: int
    first_seq: int
    commit: LoggedCommit


@dataclass(frozen=True)
class NodeSettings:
    """What a node needs to know.

    `log` is `memory:`, `sqlite:PATH` or `kafka://…`, which needs `kafka` too; `data` the folder of
    index and secret.
    """

    log: str
    data: Path
    clock: Clock
    secret: CitySecret | None = None
    secret_file: Path | None = None
    protected_file: Path | None = None
    entropy: Callable[[int], bytes] = os.urandom
    store: LogStore | None = None  # one that several nodes share, in tests
    books: tuple[str, ...] = (CALLS, CENTRE)
    kafka: KafkaSettings | None = None
    name: str = ""  # of the node, for people
    island: bool = False  # a log in memory that tests take away
    island_after_s: float = ISLAND_AFTER_S
    fresh_index: bool = False  # drop the index and read the log from its beginning

    @property
    def has_island(self) -> bool:
        """Whether facts are kept on this node while the log is away: not where it is on it.

        The library's own applications have no facts, and no centre's book.
        """
        return self.island or (self.log.startswith("kafka:") and CENTRE in self.books)
