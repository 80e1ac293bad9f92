"""The persistence module for the `eventsourcing` library, its `PERSISTENCE_MODULE`.

A recorder of an application is the one shard of a book named after it. `KC_LOG` says which log
(`memory:`, `memory:NAME`, `sqlite:PATH`, `kafka://HOST:PORT/PREFIX`), `KC_DATA` the folder of the
index, `KC_MASTER_KEY_FILE` the city secret; Kafka's are in `recorder_settings`. All come from the
environment that the library hands over, with or without the application's prefix. An unnamed
memory log is its factory's own. Snapshots are no part of the log: they lie beside the index.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from uuid import UUID

from eventsourcing import persistence
from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    DataError,
    Notification,
    ProcessRecorder,
    StoredEvent,
    Tracking,
    TrackingRecorder,
)
from eventsourcing.utils import Environment, EnvType, resolve_topic

from core.commit import Accepted, Fork, first_of
from core.errors import KontaktcenterError
from core.eventlog.envelope import LoggedCommit, LoggedTracking, encode_commit
from core.eventlog.index.index import VERSION_MAX
from core.eventlog.node import claim_of
from core.eventlog.recorder.reading import (
    LogSubscription,
    library_error,
    scan,
    wait_for_tracking,
)
from core.eventlog.recorder.settings import kafka_settings_of
from core.eventlog.recorder.shared import Lease, LogSettings, SharedNodes
from core.eventlog.recorder.snapshots import SnapshotRecorder
from core.eventlog.recorder.stored import logged_events, stored_events, stream_of
from core.vocabulary import CALLS, CASES_PREFIX, CENTRE, KEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from threading import Event

    from core.commit import Clock
    from core.eventlog.recorder.shared import SharedBook

_Class = TypeVar("_Class")
_NODES: Final = SharedNodes()
_UNNAMED: Final = "application"
_FRESH: Final = "new"  # the intent of a commit whose id nobody else can know


class LogBook:
    """What the recorders of one factory share: a book, and what is needed to write to it."""

    def __init__(
        self, name: str, lease: Lease, clock: Clock, entropy: Callable[[int], bytes]
    ) -> None:
        self.name, self.lease = name, lease
        self.clock, self.entropy = clock, entropy
        self.shared: SharedBook = lease.book(name)


class LogRecorder:
    """What all recorders on the log have in common."""

    def __init__(self, book: LogBook) -> None:
        super().__init__()
        self.book = book

    def record(
        self,
        stored_events: Sequence[StoredEvent],
        tracking: Tracking | None = None,
        commit_id: UUID | None = None,
        intent: str | None = None,
    ) -> range:
        """Record one commit: all of it or nothing; the numbers of its events.

        A caller who gives `commit_id` may ask again after an error and gets the first answer;
        `intent` says in words what is asked for, by default the events themselves.
        Raises: the library's errors; IntegrityError where somebody was first.
        """
        book = self.book
        now = book.clock()
        try:
            book.lease.check()
            asked = _FRESH
            if commit_id is not None:
                asked = book.lease.intent(repr(stored_events) if intent is None else intent)
            commit = LoggedCommit(
                commit_id or UUID(bytes=book.entropy(16), version=4),
                asked,
                now,
                book.name,
                f"application:{book.name}",
                logged_events(stored_events, now),
                tracking=None if tracking is None else _logged_tracking(tracking),
            )
            verdict = book.shared.propose(encode_commit(commit), claim_of(commit))
        except (KontaktcenterError, UnicodeEncodeError) as e:
            raise library_error(e) from e
        first = first_of(verdict)
        if isinstance(verdict, Fork):
            msg = f"commit {commit.id} was recorded before with other events"
            raise persistence.IntegrityError(msg)
        if not isinstance(first, Accepted):
            msg = f"{first.stream} is at {first.head} already: somebody was first"
            raise persistence.IntegrityError(msg)
        return first.seqs


def _logged_tracking(tracking: Tracking) -> LoggedTracking:
    if not 0 <= tracking.notification_id <= VERSION_MAX:
        msg = f"{tracking.notification_id} is not a tracking position: 0 to {VERSION_MAX}"
        raise DataError(msg)
    return LoggedTracking(tracking.application_name, tracking.notification_id)


class LogAggregateRecorder(LogRecorder, AggregateRecorder):
    """Events of aggregates, each in its stream. Versions leave no gap; the first may be any."""

    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        """Record these events in one commit. `commit_id=` and `intent=` make a retry safe.

        Raises: IntegrityError where an event is there already or leaves a gap.
        """
        self._insert(stored_events, **kwargs)
        return None

    def _insert(
        self,
        stored_events: Sequence[StoredEvent],
        *,
        commit_id: UUID | None = None,
        intent: str | None = None,
        tracking: Tracking | None = None,  # noqa: ARG002 -- the library hands it to every recorder
        **_: Any,
    ) -> list[int]:
        if not stored_events and commit_id is None:
            return []
        return list(self.record(stored_events, None, commit_id, intent))

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """The events of an aggregate, also those recorded a moment ago."""
        try:
            self.book.lease.check()
            rows = self.book.shared.state.stream(
                stream_of(originator_id),
                -1 if gt is None else gt,
                VERSION_MAX if lte is None else lte,
                desc=desc,
                limit=-1 if limit is None else limit,
            )
            return stored_events(originator_id, rows)
        except KontaktcenterError as e:
            raise library_error(e) from e


class LogApplicationRecorder(LogAggregateRecorder, ApplicationRecorder):
    """Events of an application in the order of their shard, numbered without gaps from 1."""

    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        """As `LogAggregateRecorder.insert_events`; gives the events' numbers."""
        return self._insert(stored_events, **kwargs)

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """Events by number, at most `limit`, also those recorded a moment ago."""
        first = 1 if start is None else start + (not inclusive_of_start)
        return self.scan(first, limit, stop, topics)[0]

    def scan(
        self, first: int, limit: int, stop: int | None, topics: Sequence[str]
    ) -> tuple[list[Notification], int]:
        """Notifications from number `first` on, and the last number that was looked at."""
        try:
            self.book.lease.check()
            return scan(self.book.shared.state, first, limit, stop, topics)
        except KontaktcenterError as e:
            raise library_error(e) from e

    def max_notification_id(self) -> int | None:
        """The last event's number, None where there is none."""
        return self.book.shared.state.seq or None

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> LogSubscription:
        """Events after number `gt` as they come. Stop it, or close the factory."""
        return LogSubscription(self, gt, topics)


class LogTrackingRecorder(LogRecorder, TrackingRecorder):
    """How far others were processed: commits that carry a tracking position."""

    def insert_tracking(self, tracking: Tracking) -> None:
        """Record the position. Raises: IntegrityError where it is not beyond the last."""
        self.record((), tracking)

    def max_tracking_id(self, application_name: str) -> int | None:
        """The last position, None where there is none."""
        try:
            self.book.lease.check()
            return self.book.shared.state.tracked_now(application_name)
        except KontaktcenterError as e:
            raise library_error(e) from e

    def wait(
        self,
        application_name: str,
        notification_id: int | None,
        timeout: float = 1.0,
        interrupt: Event | None = None,
    ) -> None:
        """Block until the position is reached, woken by the log itself; `timeout` in seconds.

        Raises: TimeoutError, WaitInterruptedError.
        """
        wait_for_tracking(
            self.book.shared,
            lambda: self.has_tracking_id(application_name, notification_id),
            f"{application_name} {notification_id}",
            timeout,
            interrupt,
        )


class LogProcessRecorder(LogTrackingRecorder, LogApplicationRecorder, ProcessRecorder):
    """Events and the tracking position that led to them, in one commit."""

    def _insert(
        self,
        stored_events: Sequence[StoredEvent],
        *,
        commit_id: UUID | None = None,
        intent: str | None = None,
        tracking: Tracking | None = None,
        **_: Any,
    ) -> list[int]:
        if not stored_events and tracking is None and commit_id is None:
            return []
        return list(self.record(stored_events, tracking, commit_id, intent))


class LogFactory(persistence.InfrastructureFactory[LogTrackingRecorder]):
    """Makes recorders on the log that `KC_LOG` names.

    Raises: InfrastructureFactoryError, which says what to do.
    """

    KC_LOG = "KC_LOG"
    KC_DATA = "KC_DATA"
    KC_MASTER_KEY_FILE = "KC_MASTER_KEY_FILE"

    # The library constructs the factory, so nobody can hand these in; a subclass may set them.
    clock: Clock = staticmethod(partial(datetime.now, UTC))  # noqa: TID251
    entropy: Callable[[int], bytes] = staticmethod(os.urandom)

    def __init__(self, env: Environment | EnvType | None) -> None:
        super().__init__(env)
        try:
            self.lease = _NODES.lease(self._settings())
        except KontaktcenterError as e:
            raise persistence.InfrastructureFactoryError(e.message) from e

    def _settings(self) -> LogSettings:
        log, data = self.env.get(self.KC_LOG), self.env.get(self.KC_DATA)
        kind, _, rest = (log or "sqlite:").partition(":")
        kafka = kafka_settings_of(str(log), self.env.get) if kind == "kafka" else None
        folder = None
        if kind != "memory":
            named = log and kind == "sqlite"
            beside = Path(rest.partition("?")[0]).parent if named else self._default_data()
            folder = (Path(data).expanduser() if data else beside).absolute()
        secret = self.env.get(self.KC_MASTER_KEY_FILE)
        return LogSettings(
            log or f"sqlite:{folder}/log.db",
            folder,
            Path(secret).expanduser() if secret else None,
            self.clock,
            self.entropy,
            kafka,
        )

    def _default_data(self) -> Path:
        """The command line's own default folder."""
        state = Path(self.env.get("XDG_STATE_HOME", ""))
        home = Path(self.env.get("HOME", "~")).expanduser() / ".local" / "state"
        return (state if state.is_absolute() else home) / "kontaktcenter"

    def recorder_for(self, kind: Callable[[LogBook], _Class], book: str = "") -> _Class:
        """A recorder on a book, by default the one named after the application."""
        name = book or self.env.name or _UNNAMED
        if name in {CALLS, CENTRE, KEYS} or name.startswith(CASES_PREFIX):
            msg = (
                f"{name} is a book of the contact centre itself: give the application another name"
            )
            raise persistence.InfrastructureFactoryError(msg)
        try:
            return kind(LogBook(name, self.lease, self.clock, self.entropy))
        except KontaktcenterError as e:
            raise persistence.InfrastructureFactoryError(e.message) from e

    def aggregate_recorder(self, purpose: str = "events") -> AggregateRecorder:
        """On the application's book, or one of that purpose; `snapshots` lie beside the index."""
        name = self.env.name or _UNNAMED
        if purpose == "snapshots":
            snapshots = SnapshotRecorder(self.lease.folder, name)
            self.lease.stop_with_me(snapshots)
            return snapshots
        return self.recorder_for(
            LogAggregateRecorder, name if purpose == "events" else f"{name}.{purpose}"
        )

    def application_recorder(self) -> ApplicationRecorder:
        """The application's book, `APPLICATION_RECORDER_TOPIC` or `LogApplicationRecorder`."""
        return self.recorder_for(
            self._class(self.APPLICATION_RECORDER_TOPIC, LogApplicationRecorder)
        )

    def tracking_recorder(
        self, tracking_recorder_class: type[LogTrackingRecorder] | None = None
    ) -> LogTrackingRecorder:
        """Of the class given, else `TRACKING_RECORDER_TOPIC`, else `LogTrackingRecorder`."""
        return self.recorder_for(
            tracking_recorder_class
            or self._class(self.TRACKING_RECORDER_TOPIC, LogTrackingRecorder)
        )

    def process_recorder(self) -> ProcessRecorder:
        """The application's book, `PROCESS_RECORDER_TOPIC` or `LogProcessRecorder`."""
        return self.recorder_for(self._class(self.PROCESS_RECORDER_TOPIC, LogProcessRecorder))

    def _class(self, key: str, default: type[_Class]) -> type[_Class]:
        topic = self.env.get(key)
        found: type[_Class] = resolve_topic(topic) if topic else default
        if not issubclass(found, default):
            msg = f"{key}={topic} is not a {default.__name__}"
            raise persistence.InfrastructureFactoryError(msg)
        return found

    def close(self) -> None:
        """Let go of the log; the last one in the process closes it. Safe to repeat."""
        lease: Lease | None = getattr(self, "lease", None)
        if lease is not None:
            lease.close()
