"""Recorders of the persistence module for tests, on a log of the test's own."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from eventsourcing.persistence import StoredEvent
from eventsourcing.utils import Environment
from kafka_kinds import KAFKA_KINDS, kafka_settings

from core.eventlog.kafka_log.store import KafkaStore
from core.eventlog.recorder.recorder import LogApplicationRecorder, LogFactory, LogProcessRecorder
from core.eventlog.secret import load_secret

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from core.eventlog.kafka_log import KafkaSettings

A, B = UUID(int=1), UUID(int=2)


@pytest.fixture(name="make")
def make_factory(tmp_path: Path) -> Iterator[Callable[..., LogFactory]]:
    """Factories on the log of the test's folder; closed after it."""
    made: list[LogFactory] = []

    def factory(name: str = "Bank", **env: str) -> LogFactory:
        made.append(
            LogFactory(Environment(name, {"KC_LOG": f"sqlite:{tmp_path}/data/log.db", **env}))
        )
        return made[-1]

    yield factory
    for one in made:
        one.close()


@dataclass(frozen=True)
class LogOfTest:
    """A log of one test: what the library's environment says of it, and what stands in it."""

    env: dict[str, str]
    bodies: Callable[[], list[bytes]]


@pytest.fixture(params=["sqlite", *KAFKA_KINDS])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> LogOfTest:
    """The log of the test, of each kind that processes may share."""
    if request.param == "sqlite":
        path = tmp_path / "data" / "log.db"
        return LogOfTest({"KC_LOG": f"sqlite:{path}"}, partial(_in_file, path))
    settings = kafka_settings(request, request.param)
    load_secret(tmp_path / "city.key", may_make=True, entropy=bytes(range(32)))
    env = {
        "KC_LOG": str(settings.address),
        "KC_LOG_CREATE": "unsafe",
        "KC_DATA": str(tmp_path / "data"),
        "KC_MASTER_KEY_FILE": str(tmp_path / "city.key"),
    }
    return LogOfTest(env, partial(_in_topic, settings))


def _in_file(path: Path) -> list[bytes]:
    with sqlite3.connect(path) as conn:
        return [body for (body,) in conn.execute("SELECT body FROM record_1 ORDER BY offset")]


def _in_topic(settings: KafkaSettings) -> list[bytes]:
    async def read() -> list[bytes]:
        store = KafkaStore(settings)
        try:
            return [r.body for r in await (await store.open_shard("Bank", 0)).read(0, 100, 0)]
        finally:
            await store.close()

    return asyncio.run(read())


@pytest.fixture(name="make")
def make_on_any(log: LogOfTest) -> Iterator[Callable[..., LogFactory]]:
    """Factories on the log of the test; closed after it."""
    made: list[LogFactory] = []

    def factory(name: str = "Bank", **env: str) -> LogFactory:
        made.append(LogFactory(Environment(name, {**log.env, **env})))
        return made[-1]

    yield factory
    for one in made:
        one.close()


def application(factory: LogFactory) -> LogApplicationRecorder:
    """Its application recorder."""
    recorder = factory.application_recorder()
    assert isinstance(recorder, LogApplicationRecorder)
    return recorder


def process(factory: LogFactory) -> LogProcessRecorder:
    """Its process recorder."""
    recorder = factory.process_recorder()
    assert isinstance(recorder, LogProcessRecorder)
    return recorder


def event(
    version: int = 1, state: bytes = b'{"n":1}', originator: UUID | str = A, topic: str = "made"
) -> StoredEvent:
    """A stored event."""
    return StoredEvent(originator, version, topic, state)
