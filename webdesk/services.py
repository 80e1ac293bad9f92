"""What the web house is given by the composition root: it makes nothing of this itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any, Protocol
from zoneinfo import ZoneInfo

from eventsourcing.persistence import EventStore

from core.accounts import Accounts
from core.commit import Clock, Port
from core.errors import Unavailable
from core.looks import ReadLog, Seen
from core.taxonomy import Directory
from projections.read_models import ReadModels
from webdesk.passwords import Passwords
from webdesk.privacy_house import PrivacyHouse
from webdesk.sessions import Sessions

if TYPE_CHECKING:
    from core.access import Asker, Purpose
    from core.eventlog.lag import ShardLag
    from projections.statistics import StatisticsQuery

_STOCKHOLM = ZoneInfo("Europe/Stockholm")
DirectoryOf = Callable[[], Directory]
AccountsOf = Callable[[], Accounts]


class IslandState(Protocol):
    """What people are told of a node that is cut off from the log. Safe from any thread."""

    @property
    def cut_off(self) -> bool:
        """Whether the log of some shard cannot be reached."""
        ...

    @property
    def kept(self) -> int:
        """How many commits wait on this node."""
        ...

    def notice(self) -> IslandNotice | None:
        """What is to be told; None where there is nothing, or it was a moment only."""
        ...

    def faults(self) -> list[str]:
        """What somebody has to look at: a damaged journal, commits that were put aside."""
        ...


class IslandNotice(Protocol):
    """Since when a node is an island, and how much it keeps."""

    @property
    def since(self) -> datetime:
        """When the log went away."""
        ...

    @property
    def cut_off(self) -> bool:
        """False where the log is back, and what was kept is on its way."""
        ...

    @property
    def kept(self) -> int:
        """How many commits wait on this node."""
        ...

    @property
    def shards(self) -> Sequence[str]:
        """The shards that they wait for."""
        ...


class FeedNode(Port, Protocol):
    """The node as the web house needs it: the port, and how far each shard has come."""

    def positions(self) -> dict[str, int]:
        """The last position of each shard in the index; safe from any thread."""
        ...

    def judged(self) -> dict[str, int]:
        """The last position of each shard that was judged; safe from any thread."""
        ...

    def shard_name(self, stream: str) -> str:
        """The shard that a stream is in, such as `calls/3`."""
        ...

    @property
    def island(self) -> IslandState | None:
        """How it stands with a log that may be away; None where it is on this machine."""
        ...


class Figures(Protocol):
    """The read models, asked in a worker thread; every answer is JSON-ready.

    `webdesk.figures.ReadFigures` is the one of the product.
    """

    def queues(self, now: datetime) -> Mapping[str, Any]:
        """The queues as they stand: `projections.live.queues_now(...).as_json()`."""
        ...

    def statistics(self, asked: StatisticsQuery) -> Mapping[str, Any]:
        """The figures, in the shape that the command line gives."""
        ...

    def positions(self) -> dict[str, int]:
        """How far the read models have come in each shard: the one that is furthest behind."""
        ...

    def parked(self) -> dict[str, int]:
        """How many events each read model has set aside because it could not handle them."""
        ...

    def subscribe(self, changed: Callable[[], None]) -> None:
        """Call `changed`, from any thread, whenever a read model has moved."""
        ...


class LogLag(Protocol):
    """How far this node is behind its logs: `core.eventlog.lag.Lags`."""

    def now(self) -> Mapping[str, ShardLag]:
        """How each shard stands, by name; on the node's loop."""
        ...


@dataclass(frozen=True, slots=True)
class Target:
    """What a city aims for. Units: shares are 0-1.

    A group is in alarm where somebody has waited longer than `wait_s_alarm`, or less than
    `share_alarm` of the last hour's calls were answered within `answer_within_s`; it is watched
    where that is less than `share`.
    """

    share: float = 0.8
    answer_within_s: float = 20.0
    short_abandon_s: float = 5.0
    share_alarm: float = 0.6
    wait_s_alarm: float = 120.0


@dataclass(frozen=True, slots=True)
class DemoPerson:
    """Somebody of the demo, who may be signed in as with one click. `role` groups them."""

    account: str
    name: str
    role: str


@dataclass(frozen=True, slots=True)
class SignOnSettings:
    """An OpenID Connect provider. `name` stands on its button; `ca_file` holds its own CA."""

    issuer: str
    client_id: str
    secret: str | None = field(repr=False)
    name: str
    ca_file: str | None = None


class NoReadLog:
    """No read log was wired: nothing about a person can be shown."""

    async def record(
        self,
        asker: Asker,  # noqa: ARG002 -- the protocol's signature
        deed: str,  # noqa: ARG002
        purpose: Purpose,  # noqa: ARG002
        seen: Sequence[Seen],  # noqa: ARG002
    ) -> None:
        """Raises: Unavailable, always."""
        raise Unavailable("there is no read log", neighbour="read_log")


class Receipts(Protocol):
    """What waits for a receipt, in number; safe from any thread."""

    @property
    def waiting(self) -> int:
        """How many hand-overs and complaints wait for their receipt."""
        ...

    @property
    def silent(self) -> int:
        """How many of them should have had it."""
        ...


@dataclass(frozen=True)
class Services:
    """Everything that `create_app` needs.

    `directory` gives the catalogue as it stands. Without `facts_token` nothing can be recorded over
    HTTP. `events` is the library's event store on our persistence module, from which every decision
    loads its stream. `hosts` are further names under which the server may be asked, beside those of
    loopback. `demo_note` is shown on the page where the calls are not real. `public_board` opens
    the board, a wall screen's, to whoever asks.
    """

    node: FeedNode
    figures: Figures
    directory: DirectoryOf
    events: EventStore[str]
    clock: Clock
    version: str
    accounts: AccountsOf
    sessions: Sessions
    facts_token: str | None = field(default=None, repr=False)
    language: str = "sv"
    demo_note: str | None = None
    target: Target = Target()
    zone: tzinfo = _STOCKHOLM
    hosts: tuple[str, ...] = ()
    public_board: bool = False
    trusted_proxies: tuple[str, ...] = ()
    entropy: Callable[[int], bytes] = field(default=os.urandom, repr=False)
    passwords: Passwords | None = field(default=None, repr=False)
    sign_on: SignOnSettings | None = field(default=None, repr=False)
    demo_people: tuple[DemoPerson, ...] = ()
    read_log: ReadLog = field(default_factory=NoReadLog)
    privacy: PrivacyHouse | None = None
    models: ReadModels | None = None
    receipts: Receipts | None = None
    lags: LogLag | None = None

    @property
    def read_models(self) -> ReadModels:
        """The read models, for queries in a worker thread. Raises: Unavailable."""
        if self.models is None:
            raise Unavailable("there are no read models", neighbour="read_models")
        return self.models
