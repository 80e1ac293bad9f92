"""A real Kafka for tests: fixtures that `tests/conftest.py` offers to all of them.

| fixture | gives |
|---|---|
| `kafka_broker` | one broker for the whole run, everybody's: nobody pauses or ends it |
| `kafka_prefix` | a topic prefix of this test's own; its topics are deleted afterwards |
| `own_broker` | makes brokers that the test may break; they end with it |
| `kafka_cluster` | three brokers for a module; whoever breaks it gets it whole again afterwards |

A test that uses one is marked `kafka`. Where Kafka cannot be had it is skipped, with the reason.
"""

from __future__ import annotations

import os
import uuid
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from deploy.kafka_lab import Absent, Broker, Cluster, SharedBroker, Software, shared_broker
from deploy.kafka_lab import software as fetched_software
from deploy.kafka_lab.shared import keep_log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FIXTURES: Final = ("kafka_software", "kafka_broker", "kafka_prefix", "own_broker", "kafka_cluster")
_LOGS: Final = pytest.StashKey[dict[str, str]]()


def mark(items: list[pytest.Item]) -> None:
    """What uses a real Kafka says so; the tests on clusters go to one worker, one after another.

    Raises: pytest.UsageError for a test without its marker.
    """
    for item in items:
        used = set(getattr(item, "fixturenames", ())) & set(FIXTURES)
        if used and item.get_closest_marker("kafka") is None:
            raise pytest.UsageError(f"{item.nodeid}: uses {min(used)}, so it is marked `kafka`")
        if "kafka_cluster" in used:
            item.add_marker(pytest.mark.xdist_group("kafka_cluster"))


def told_logs(item: pytest.Item) -> str:
    """Where the logs of the brokers are that a test used; empty where it used none."""
    logs = item.session.stash.get(_LOGS, {})
    used = set(getattr(item, "fixturenames", ())) & set(FIXTURES)
    return "\n".join(f"{name}: {logs[name]}" for name in sorted(used) if name in logs)


def room_of_run(factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this test run share."""
    base = factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


def _tell(request: pytest.FixtureRequest, name: str, where: Path) -> None:
    request.session.stash.setdefault(_LOGS, {})[name] = str(where)


@pytest.fixture(scope="session")
def kafka_software() -> Software:
    """Kafka and a Java; fetched once."""
    try:
        return fetched_software()
    except Absent as e:
        pytest.skip(str(e))


@pytest.fixture(scope="session")
def kafka_broker(
    kafka_software: Software,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[SharedBroker]:
    """One broker for all tests of the run."""
    room = room_of_run(tmp_path_factory) / "kafka"
    with shared_broker(kafka_software, room) as broker:
        _tell(request, "kafka_broker", Path(broker.log))
        yield broker
        if request.session.testsfailed:
            keep_log(room)


@pytest.fixture
def kafka_prefix(kafka_broker: SharedBroker) -> Iterator[str]:
    """A topic prefix that no other test has; what was made under it is deleted afterwards."""
    prefix = f"t{uuid.uuid4().hex[:12]}"
    yield prefix
    kafka_broker.delete_topics(prefix)


@pytest.fixture
def own_broker(
    kafka_software: Software, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Broker]]:
    """Makes a started broker, with the options of `Broker`, as often as a test asks."""
    _tell(request, "own_broker", tmp_path)
    failed = request.session.testsfailed
    with ExitStack() as ending:

        def make(**options: object) -> Broker:
            folder = tmp_path / f"kafka-{uuid.uuid4().hex[:6]}"
            broker = Broker(kafka_software, folder, **options)  # type: ignore[arg-type]
            ending.callback(lambda: broker.close(keep_log=request.session.testsfailed > failed))
            broker.start()
            return broker

        yield make


@pytest.fixture(scope="module")
def _cluster_of_module(
    kafka_software: Software,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("kafka-cluster")
    failed = request.session.testsfailed
    _tell(request, "kafka_cluster", folder)
    cluster = Cluster(kafka_software, folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.close(keep_log=request.session.testsfailed > failed)


@pytest.fixture
def kafka_cluster(_cluster_of_module: Cluster) -> Iterator[Cluster]:
    """Three brokers, all running and in sync before and after each test."""
    _cluster_of_module.restore()
    yield _cluster_of_module
    _cluster_of_module.restore()
