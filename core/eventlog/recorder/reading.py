"""Reading for the library's recorders: by number, as it comes, and waiting; nothing is polled."""

from __future__ import annotations

from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Final

from eventsourcing import persistence
from eventsourcing.persistence import ListenNotifySubscription, Notification

from core.errors import Corrupt, Refused, Unavailable
from core.eventlog.recorder.shared import Closed
from core.eventlog.recorder.stored import events_of, notification

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from threading import Event

    from core.eventlog.recorder.recorder import LogApplicationRecorder
    from core.eventlog.recorder.shared import SharedBook
    from core.eventlog.state import ShardState

_FIRST_COMMITS: Final = (
    16  # a commit may hold thousands of events, so the first look is a short one
)
_COMMITS_MAX: Final = 512


def library_error(error: Exception) -> persistence.PersistenceError:
    """Our error as one of the library's, with the same words."""
    match error:
        case Closed():
            return persistence.InterfaceError(str(error))
        case Unavailable():
            return persistence.OperationalError(str(error))
        case Corrupt():
            return persistence.InternalError(str(error))
        case Refused() | UnicodeEncodeError():
            return persistence.DataError(str(error))
        case _:
            return persistence.DatabaseError(str(error))


def scan(
    state: ShardState, first: int, limit: int, stop: int | None, topics: Sequence[str]
) -> tuple[list[Notification], int]:
    """Notifications from number `first` to `stop`, and the last number that was looked at.

    Raises: Corrupt, Unavailable.
    """
    found: list[Notification] = []
    wanted = frozenset(topics)
    seq = max(first, 1)
    commits = _FIRST_COMMITS
    while limit > 0:
        asked = min(commits, limit - len(found))
        rows = state.commits_from(seq, asked)
        for row in rows:
            events = events_of(row.raw)
            for event in events[max(0, seq - row.first_seq) :]:
                if stop is not None and seq > stop:
                    return found, seq - 1
                if not wanted or event.type in wanted:
                    found.append(notification(event, seq))
                seq += 1
                if len(found) == limit:
                    return found, seq - 1
        if len(rows) < asked:
            break
        commits = min(commits * 4, _COMMITS_MAX)
    return found, seq - 1


class LogSubscription(ListenNotifySubscription["LogApplicationRecorder"]):
    """An application's events as they come. The log wakes it; nothing is polled."""

    def __init__(
        self, recorder: LogApplicationRecorder, gt: int | None, topics: Sequence[str]
    ) -> None:
        recorder.book.lease.check()
        super().__init__(recorder=recorder, gt=gt, topics=topics)
        recorder.book.lease.stop_with_me(self)
        recorder.book.shared.listen(self._has_been_notified)
        self._has_been_notified.set()  # for what came between the first look and now
        if self._has_been_stopped:
            recorder.book.shared.unlisten(self._has_been_notified)

    def stop(self) -> None:
        """Stop, also while somebody waits for the next event."""
        super().stop()
        self._recorder.book.shared.unlisten(self._has_been_notified)

    def _pull(self) -> None:
        """As the library's, but what the topics leave out is looked at once."""
        while not self._has_been_stopped:
            self._has_been_notified.clear()
            found, upto = self._recorder.scan(
                (self._last_notification_id or 0) + 1, self._select_limit, None, self._topics
            )
            if found:
                with suppress(persistence.ShutDown):
                    self._notifications_queue.put(found)
            self._last_notification_id = upto
            if len(found) < self._select_limit:
                break


def wait_for_tracking(
    book: SharedBook,
    reached: Callable[[], bool],
    what: str,
    timeout_s: float,
    interrupt: Event | None,
) -> None:
    """Block until `reached()`. Raises: TimeoutError, WaitInterruptedError, InterfaceError."""
    if book.wait_until(reached, monotonic() + timeout_s, interrupt):
        return
    if interrupt is not None and interrupt.is_set():
        raise persistence.WaitInterruptedError
    msg = f"{what} was not reached within {timeout_s} s"
    raise TimeoutError(msg)
