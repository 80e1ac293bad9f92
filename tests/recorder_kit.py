"""Recorders of the persistence module for tests, on a log in the test's own folder."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from eventsourcing.persistence import StoredEvent
from eventsourcing.utils import Environment

from core.eventlog.recorder import LogApplicationRecorder, LogFactory, LogProcessRecorder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

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
