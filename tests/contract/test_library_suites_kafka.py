"""The library's own published suites, as they are, on a real Kafka through both clients."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import library_suites
import pytest
from library_suites import MODULE

from core.eventlog.secret import load_secret

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from deploy.kafka_lab import SharedBroker

pytestmark = pytest.mark.kafka


class OnKafka:
    """Each test on a log of its own, and an index in a folder of its own."""

    client: str

    @pytest.fixture(autouse=True)
    def _a_kafka(self, kafka_broker: SharedBroker, kafka_prefix: str, tmp_path: Path) -> None:
        self._folder = tmp_path
        self._address = f"kafka://{kafka_broker.servers}/{kafka_prefix}"
        self._numbers: Iterator[int] = count()
        load_secret(tmp_path / "city.key", may_make=True, entropy=bytes(range(32)))

    def make_env(self) -> dict[str, str]:
        number = next(self._numbers)
        return {
            "PERSISTENCE_MODULE": MODULE,
            "KC_LOG": f"{self._address}-{number}?client={self.client}",
            "KC_LOG_CREATE": "unsafe",
            "KC_DATA": str(self._folder / str(number)),
            "KC_MASTER_KEY_FILE": str(self._folder / "city.key"),
        }


class OnClassic(OnKafka):
    client = "kafka-python"


class OnFast(OnKafka):
    client = "aiokafka"


class TestAggregateRecorderOnClassic(OnClassic, library_suites.AggregateSuite):
    pass


class TestAggregateRecorderOnFast(OnFast, library_suites.AggregateSuite):
    pass


class TestSnapshotRecorderBesideClassic(OnClassic, library_suites.SnapshotSuite):
    pass


class TestSnapshotRecorderBesideFast(OnFast, library_suites.SnapshotSuite):
    pass


class TestApplicationRecorderOnClassic(OnClassic, library_suites.ApplicationSuite):
    pass


class TestApplicationRecorderOnFast(OnFast, library_suites.ApplicationSuite):
    pass


class TestNonInterleavingOnClassic(OnClassic, library_suites.NonInterleavingSuite):
    pass


class TestNonInterleavingOnFast(OnFast, library_suites.NonInterleavingSuite):
    pass


class TestTrackingRecorderOnClassic(OnClassic, library_suites.TrackingSuite):
    pass


class TestTrackingRecorderOnFast(OnFast, library_suites.TrackingSuite):
    pass


class TestProcessRecorderOnClassic(OnClassic, library_suites.ProcessSuite):
    pass


class TestProcessRecorderOnFast(OnFast, library_suites.ProcessSuite):
    pass


class TestProcessAsApplicationOnClassic(OnClassic, library_suites.ProcessAsApplicationSuite):
    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestProcessAsApplicationOnFast(OnFast, library_suites.ProcessAsApplicationSuite):
    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestFactoryOnClassic(OnClassic, library_suites.FactorySuite):
    pass


class TestFactoryOnFast(OnFast, library_suites.FactorySuite):
    pass


class TestExampleApplicationOnClassic(OnClassic, library_suites.ExampleSuite):
    pass


class TestExampleApplicationOnFast(OnFast, library_suites.ExampleSuite):
    pass


class TestApplicationOnClassic(OnClassic, library_suites.ApplicationCaseSuite):
    pass


class TestApplicationOnFast(OnFast, library_suites.ApplicationCaseSuite):
    pass


class TestEventCountersViewOnClassic(OnClassic, library_suites.ViewSuite):
    pass


class TestEventCountersViewOnFast(OnFast, library_suites.ViewSuite):
    pass


class TestProjectionOnClassic(OnClassic, library_suites.ProjectionSuite):
    pass


class TestProjectionOnFast(OnFast, library_suites.ProjectionSuite):
    pass


class TestEventSourcedProjectionOnClassic(OnClassic, library_suites.EventSourcedProjectionSuite):
    pass


class TestEventSourcedProjectionOnFast(OnFast, library_suites.EventSourcedProjectionSuite):
    pass
