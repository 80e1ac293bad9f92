"""The library's projection runner beside an application that is at work already."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.dispatch import singledispatchmethod
from eventsourcing.domain import Aggregate, DomainEventProtocol
from eventsourcing.persistence import Tracking  # noqa: TC002 -- the library looks at it
from eventsourcing.projection import Projection, ProjectionRunner

from core.eventlog.recorder.recorder import LogTrackingRecorder

if TYPE_CHECKING:
    from pathlib import Path


class Seen(LogTrackingRecorder):
    """A view that only keeps its place."""

    versions: ClassVar[list[int]] = []


class SeenProjection(Projection[Seen]):
    name = "seen"

    @singledispatchmethod
    def process_event(self, domain_event: DomainEventProtocol[UUID], tracking: Tracking) -> None:
        Seen.versions.append(domain_event.originator_version)
        self.view.insert_tracking(tracking)


class Account(Aggregate):
    """An aggregate whose id is given."""

    def __init__(self, id: UUID) -> None:  # noqa: A002 -- the library's word
        self._id = id


def save(app: Application[UUID], more: int) -> int:
    aggregate = Aggregate()
    for _ in range(more):
        aggregate.trigger_event(event_class=Aggregate.Event)
    return app.save(aggregate)[-1].notification.id


def test_a_runner_beside_an_application_sees_its_events_once(tmp_path: Path) -> None:
    Seen.versions.clear()
    env = {
        "PERSISTENCE_MODULE": "core.eventlog.recorder",
        "KC_LOG": f"sqlite:{tmp_path}/log.db",
    }
    with Application[UUID](env) as app:
        save(app, 2)
        with ProjectionRunner(
            application_class=Application[UUID],
            projection_class=SeenProjection,
            view_class=Seen,
            env=env,
        ) as runner:
            runner.wait(save(app, 1), timeout=10)
            runner.wait(save(runner.app, 0), timeout=10)
        assert Seen.versions == [1, 2, 3, 1, 2, 1]
        last = save(app, 0)
        with ProjectionRunner(
            application_class=Application[UUID],
            projection_class=SeenProjection,
            view_class=Seen,
            env=env,
        ) as runner:
            runner.wait(last, timeout=10)
        assert Seen.versions == [1, 2, 3, 1, 2, 1, 1]


def test_a_save_with_a_commit_id_may_be_repeated(tmp_path: Path) -> None:
    env = {
        "PERSISTENCE_MODULE": "core.eventlog.recorder",
        "KC_LOG": f"sqlite:{tmp_path}/log.db",
    }
    asked = {"commit_id": UUID(int=7), "intent": "open an account"}
    with Application[UUID](env) as app:
        account = Account(id=UUID(int=1))
        first = app.save(account, **asked)
        again = app.save(Account(id=UUID(int=1)), **asked)  # decided anew, a moment later
        assert [r.notification.id for r in again] == [r.notification.id for r in first] == [1]
        assert len(list(app.events.get(account.id))) == 1
