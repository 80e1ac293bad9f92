"""The library's own published suites, as they are, on the memory and the SQLite log."""

from __future__ import annotations

import tempfile

import library_suites
from library_suites import MODULE


class OnMemory:
    """Each test on a log in memory of its own."""

    def make_env(self) -> dict[str, str]:
        return {"PERSISTENCE_MODULE": MODULE, "KC_LOG": "memory:"}


class OnSqlite:
    """Each test on a log in a file of its own."""

    def make_env(self) -> dict[str, str]:
        folder = tempfile.TemporaryDirectory(prefix="kontaktcenter-test-")
        self.addCleanup(folder.cleanup)  # type: ignore[attr-defined]  # a TestCase's
        return {"PERSISTENCE_MODULE": MODULE, "KC_LOG": f"sqlite:{folder.name}/log.db"}


class TestAggregateRecorderOnMemory(OnMemory, library_suites.AggregateSuite):
    pass


class TestAggregateRecorderOnSqlite(OnSqlite, library_suites.AggregateSuite):
    pass


class TestSnapshotRecorderBesideMemory(OnMemory, library_suites.SnapshotSuite):
    pass


class TestSnapshotRecorderBesideSqlite(OnSqlite, library_suites.SnapshotSuite):
    pass


class TestApplicationRecorderOnMemory(OnMemory, library_suites.ApplicationSuite):
    pass


class TestApplicationRecorderOnSqlite(OnSqlite, library_suites.ApplicationSuite):
    pass


class TestNonInterleavingOnMemory(OnMemory, library_suites.NonInterleavingSuite):
    pass


class TestNonInterleavingOnSqlite(OnSqlite, library_suites.NonInterleavingSuite):
    pass


class TestTrackingRecorderOnMemory(OnMemory, library_suites.TrackingSuite):
    pass


class TestTrackingRecorderOnSqlite(OnSqlite, library_suites.TrackingSuite):
    pass


class TestProcessRecorderOnMemory(OnMemory, library_suites.ProcessSuite):
    pass


class TestProcessRecorderOnSqlite(OnSqlite, library_suites.ProcessSuite):
    pass


class TestProcessAsApplicationOnSqlite(OnSqlite, library_suites.ProcessAsApplicationSuite):
    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestFactoryOnMemory(OnMemory, library_suites.FactorySuite):
    pass


class TestFactoryOnSqlite(OnSqlite, library_suites.FactorySuite):
    pass


class TestExampleApplicationOnMemory(OnMemory, library_suites.ExampleSuite):
    pass


class TestExampleApplicationOnSqlite(OnSqlite, library_suites.ExampleSuite):
    pass


class TestApplicationOnMemory(OnMemory, library_suites.ApplicationCaseSuite):
    pass


class TestApplicationOnSqlite(OnSqlite, library_suites.ApplicationCaseSuite):
    pass


class TestEventCountersViewOnMemory(OnMemory, library_suites.ViewSuite):
    pass


class TestEventCountersViewOnSqlite(OnSqlite, library_suites.ViewSuite):
    pass


class TestProjectionOnMemory(OnMemory, library_suites.ProjectionSuite):
    pass


class TestProjectionOnSqlite(OnSqlite, library_suites.ProjectionSuite):
    pass


class TestEventSourcedProjectionOnMemory(OnMemory, library_suites.EventSourcedProjectionSuite):
    pass


class TestEventSourcedProjectionOnSqlite(OnSqlite, library_suites.EventSourcedProjectionSuite):
    pass
