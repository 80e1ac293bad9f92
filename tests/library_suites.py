"""The library's own published suites, made for a persistence module whose log a subclass names.

They stand here so that no module of tests holds a base that pytest would collect.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any

import pytest
from eventsourcing.persistence import StoredEvent
from eventsourcing.tests import application as application_suites
from eventsourcing.tests import persistence as suites
from eventsourcing.tests import projection as projection_suites
from eventsourcing.utils import Environment

from core.eventlog.recorder.recorder import (
    LogAggregateRecorder,
    LogApplicationRecorder,
    LogFactory,
    LogProcessRecorder,
    LogTrackingRecorder,
)

if TYPE_CHECKING:
    from eventsourcing.persistence import AggregateRecorder, Tracking, TrackingRecorder

MODULE = "core.eventlog.recorder"


class Made:
    """Gives each test a factory that is closed after it."""

    def make_env(self) -> dict[str, str]:
        raise NotImplementedError

    def make_factory(self) -> LogFactory:
        factory = LogFactory(Environment("TestCase", self.make_env()))
        self.addCleanup(factory.close)  # type: ignore[attr-defined]  # a TestCase's
        return factory


class AggregateSuite(Made, suites.AggregateRecorderTestCase):
    def create_recorder(self) -> AggregateRecorder:
        return self.make_factory().aggregate_recorder()


class SnapshotSuite(Made, suites.AggregateRecorderTestCase):
    def create_recorder(self) -> AggregateRecorder:
        return self.make_factory().aggregate_recorder(purpose="snapshots")


class ApplicationSuite(Made, suites.ApplicationRecorderTestCase[LogApplicationRecorder]):
    def create_recorder(self) -> LogApplicationRecorder:
        recorder = self.make_factory().application_recorder()
        assert isinstance(recorder, LogApplicationRecorder)
        return recorder

    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class NonInterleavingSuite(Made, suites.NonInterleavingNotificationIDsBaseCase):
    def create_recorder(self) -> Any:
        return self.make_factory().application_recorder()


class TrackingSuite(Made, suites.TrackingRecorderTestCase):
    def create_recorder(self) -> TrackingRecorder:
        return self.make_factory().tracking_recorder()


class ProcessSuite(Made, suites.ProcessRecorderTestCase):
    def create_recorder(self) -> Any:
        return self.make_factory().process_recorder()


class ProcessAsApplicationSuite(Made, suites.ApplicationRecorderTestCase[LogProcessRecorder]):
    """A process recorder is an application recorder too, so it keeps that contract as well."""

    def create_recorder(self) -> LogProcessRecorder:
        recorder = self.make_factory().process_recorder()
        assert isinstance(recorder, LogProcessRecorder)
        return recorder


class OwnTrackingRecorder(LogTrackingRecorder):
    pass


class FactorySuite(Made, suites.InfrastructureFactoryTestCase[LogFactory]):
    def setUp(self) -> None:
        self.env = Environment("TestCase", self.make_env())
        super().setUp()

    def expected_factory_class(self) -> type[LogFactory]:
        return LogFactory

    def expected_aggregate_recorder_class(self) -> type[LogAggregateRecorder]:
        return LogAggregateRecorder

    def expected_application_recorder_class(self) -> type[LogApplicationRecorder]:
        return LogApplicationRecorder

    def expected_tracking_recorder_class(self) -> type[LogTrackingRecorder]:
        return LogTrackingRecorder

    def tracking_recorder_subclass(self) -> type[LogTrackingRecorder]:
        return OwnTrackingRecorder

    def expected_process_recorder_class(self) -> type[LogProcessRecorder]:
        return LogProcessRecorder


class ExampleSuite(Made, application_suites.ExampleApplicationTestCase):
    expected_factory_topic = "core.eventlog.recorder.recorder:LogFactory"

    @pytest.fixture(autouse=True)
    def _environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The suite hands over no environment: the process's is what the library reads."""
        for name, value in self.make_env().items():
            monkeypatch.setenv(name, value)


class ApplicationCaseSuite(Made, application_suites.ApplicationTestCase):
    """What the library asks of an application, whatever it is recorded with."""

    @pytest.fixture(autouse=True)
    def _environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in self.make_env().items():
            monkeypatch.setenv(name, value)


class LogEventCounters(LogTrackingRecorder, projection_suites.EventCountersView):
    """Its counts are events of its own book, recorded in one commit with the tracking position."""

    def __init__(self, book: Any) -> None:
        super().__init__(book)
        self._lock = Lock()

    def get_created_event_counter(self) -> int:
        return self._count("created")

    def get_subsequent_event_counter(self) -> int:
        return self._count("subsequent")

    def incr_created_event_counter(self, tracking: Tracking) -> None:
        self._increment("created", tracking)

    def incr_subsequent_event_counter(self, tracking: Tracking) -> None:
        self._increment("subsequent", tracking)

    def _count(self, name: str) -> int:
        return self.book.shared.state.heads([name]).get(name, 0)

    def _increment(self, name: str, tracking: Tracking) -> None:
        with self._lock:
            counted = StoredEvent(name, self._count(name) + 1, "counted", b"{}")
            self.record([counted], tracking)


class ViewSuite(Made, projection_suites.EventCountersViewTestCase):
    def construct_event_counters_view(self) -> Any:
        return self.make_factory().tracking_recorder(LogEventCounters)


class ProjectionSuite(Made, projection_suites.AggregateEventCountersProjectionTestCase):
    view_class = LogEventCounters

    def setUp(self) -> None:
        self.env = self.make_env()  # type: ignore[misc]  # a log for each test


class EventSourcedProjectionSuite(Made, projection_suites.EventSourcedProjectionTestCase):
    def setUp(self) -> None:
        self.env = self.make_env()  # type: ignore[misc]  # as above
