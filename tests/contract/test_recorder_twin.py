"""Whatever is asked of it in whatever order, the recorder answers as the library's own does."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from eventsourcing.persistence import IntegrityError, StoredEvent, Tracking
from eventsourcing.popo import POPOProcessRecorder
from eventsourcing.utils import Environment
from hypothesis import given, settings
from hypothesis import strategies as st

from core.eventlog.recorder.recorder import LogFactory

IDS: list[UUID | str] = [UUID(int=1), UUID(int=2), "text", "aggregate/x"]
TOPICS = ["made", "moved"]
STATES = [b"{}", b"\x00", b'{"$base64":"AA=="}']

# A version is told as its distance from what follows the head: 0 is right, less is too old. The
# library would take a gap; ours does not, so none is asked for.
WRITES = st.tuples(
    st.lists(
        st.tuples(
            st.sampled_from(IDS),
            st.integers(-2, 0),
            st.sampled_from(TOPICS),
            st.sampled_from(STATES),
        ),
        max_size=4,
    ),
    st.none() | st.tuples(st.sampled_from(["up", "down"]), st.integers(0, 6)),
)
READS = st.one_of(
    st.fixed_dictionaries(
        {
            "originator_id": st.sampled_from(IDS),
            "gt": st.none() | st.integers(-1, 5),
            "lte": st.none() | st.integers(0, 8),
            "desc": st.booleans(),
            "limit": st.none() | st.integers(1, 4),
        }
    ),
    st.fixed_dictionaries(
        {
            "start": st.none() | st.integers(0, 12),
            "limit": st.integers(1, 6),
            "stop": st.none() | st.integers(1, 12),
            "topics": st.lists(st.sampled_from(TOPICS), max_size=2, unique=True),
            "inclusive_of_start": st.booleans(),
        }
    ),
)


def outcome(work: Any) -> Any:
    try:
        return work()
    except IntegrityError:
        return IntegrityError


@settings(max_examples=60)
@given(st.lists(st.one_of(WRITES, READS), max_size=25))
def test_the_recorder_answers_as_the_librarys_own(steps: list[Any]) -> None:
    factory = LogFactory(Environment("Twin", {"KC_LOG": "memory:"}))
    try:
        ours: Any = factory.process_recorder()
        theirs = POPOProcessRecorder()
        for step in steps:
            if isinstance(step, tuple):
                write(ours, theirs, *step)
            else:
                read = "select_events" if "originator_id" in step else "select_notifications"
                assert list(getattr(ours, read)(**step)) == list(getattr(theirs, read)(**step))
            assert ours.max_notification_id() == theirs.max_notification_id()
            for name in ("up", "down"):
                assert ours.max_tracking_id(name) == theirs.max_tracking_id(name)
    finally:
        factory.close()


def write(ours: Any, theirs: Any, told: Any, tracked: Any) -> None:
    heads: dict[UUID | str, int] = {}
    events = []
    for originator, distance, topic, state in told:
        if originator not in heads:
            heads[originator] = max(
                (e.originator_version for e in theirs.select_events(originator)), default=-1
            )
        version = max(0, heads[originator] + 1 + distance)
        heads[originator] = max(version, heads[originator])
        events.append(StoredEvent(originator, version, topic, state))
    tracking = Tracking(*tracked) if tracked else None
    expected = outcome(lambda: theirs.insert_events(events, tracking=tracking))
    assert outcome(lambda: ours.insert_events(events, tracking=tracking)) == expected
