"""All about one person, for whoever answers the person's question: the right of access.

Each authority answers for its own room. Cases of other rooms, of the other side of a conflict and
of protected identities are found by those alone who may open them, and nobody is told how many
others there are. Every case that is shown is in the read log first, and what stands there of them
is told as well.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from fastapi import APIRouter
from starlette.requests import Request  # noqa: TC002 -- FastAPI reads annotations
from starlette.responses import Response  # noqa: TC002 -- FastAPI reads annotations

from core.access import Deed, Place, Purpose, Verdict, purpose_of, require, rooms, verdict
from core.case_rules import CASES
from core.errors import Invalid
from core.everything import SCHEMA, Person, about, is_own
from core.limits import NAME_CHARS_MAX
from core.looks import Seen
from core.persons import ways_to_write
from projections.look_queries import ROWS_MAX, LooksQuery, looks_of, streams_of
from webdesk import answers
from webdesk.bodies import decode, read_body
from webdesk.even_time import hold
from webdesk.looks import body_of
from webdesk.people_shapes import Everything

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from core.access import Asker
    from core.case_state import CaseState
    from core.commit import Clock, Port, Recorded
    from core.looks import ReadLog
    from core.taxonomy import Directory
    from projections.read_models import ReadModels
    from webdesk.gate import Gate
    from webdesk.services import Services

WORDS_MAX: Final = 50
LOOKS_MAX: Final = 20_000  # told in one answer; more is not one person's
_DEED: Final = Deed.SUBJECT_ACCESS
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_CHARS_MAX)]


class PersonAsked(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Body of `POST /api/v1/people/everything`.

    `number` is the person's telephone number; `mask` are words that are masked in texts, such as
    the names of others.
    """

    number: _Name
    mask: Annotated[tuple[_Name, ...], msgspec.Meta(max_length=WORDS_MAX)] = ()


class PeopleDesk:
    """Finds and tells all about one person. On the port's loop."""

    def __init__(
        self,
        port: Port,
        read_models: Callable[[], ReadModels],
        read_log: ReadLog,
        directory: Callable[[], Directory],
        clock: Clock,
    ) -> None:
        self._port, self._read_models, self._read_log = port, read_models, read_log
        self._directory, self._clock = directory, clock

    async def everything(self, asker: Asker, number: str, mask: Sequence[str]) -> dict[str, Any]:
        """All that `asker` may tell of whoever has that telephone number.

        Raises: NotAllowed, Invalid, Unavailable; nothing is told before the looks are recorded.
        """
        directory = self._directory()
        require(asker, _DEED, Place(), directory)
        if any(not word.strip() for word in mask):
            raise Invalid("mask holds an empty word", field="mask")
        numbers = ways_to_write(number)
        refs = tuple(map(self._port.caller_ref, numbers))
        person = Person(frozenset(refs), numbers, tuple(mask))
        models = self._read_models()
        streams = await asyncio.to_thread(streams_of, models, refs)
        cases = await asyncio.to_thread(self._cases, asker, streams, directory)
        calls = await asyncio.to_thread(self._calls, asker, streams, directory)
        purpose = purpose_of(asker, _DEED, Purpose.RIGHT_TO_KNOW)
        seen = [Seen(None, refs[0]), *(Seen(stream, refs[0]) for stream in cases)]
        await self._read_log.record(asker, _DEED.value, purpose, seen)
        looks = await asyncio.to_thread(_looks, models, tuple(cases))
        masked: dict[str, int] = {}
        return _whole(
            schema=SCHEMA,
            made_at=self._clock().isoformat(),
            made_by=asker.id,
            number=number.strip(),
            authorities={
                code: found.name
                for code in sorted(rooms(asker, _DEED, directory))
                if (found := directory.authority(code)) is not None
            },
            cases=[
                self._case(stream, *found, person, masked, directory)
                for stream, found in cases.items()
            ],
            calls=[
                {"call": stream, "events": _counted(about(recorded, person), masked)}
                for stream, recorded in calls.items()
            ],
            looks=looks,
            masked=masked,
        )

    def _cases(
        self, asker: Asker, streams: Sequence[str], directory: Directory
    ) -> dict[str, tuple[Sequence[Recorded], CaseState]]:
        """The cases that `asker` may tell of, by stream."""
        found = {}
        for stream in streams:
            if not stream.startswith("case/"):
                continue
            recorded = self._port.load(stream)
            state = CASES.initial
            for each in recorded:
                state = CASES.evolve(state, each)
            if state.number is None:
                continue
            if verdict(asker, _DEED, state.place, directory) is Verdict.ALLOWED:
                if state.protected:
                    recorded = self._port.load(stream, protected=True)
                found[stream] = (recorded, state)
        return found

    def _calls(
        self, asker: Asker, streams: Sequence[str], directory: Directory
    ) -> dict[str, list[Recorded]]:
        """What happened to the person's calls in answer groups of the asker's rooms."""

        def tells(recorded: Recorded) -> bool:
            queue = getattr(recorded.event, "queue", None)
            if queue is None:
                return True
            owners = directory.group_of_queue(queue).partition
            return any(
                verdict(asker, _DEED, Place(code), directory) is Verdict.ALLOWED for code in owners
            )

        found = {}
        for stream in streams:
            if stream.startswith("call/"):
                recorded = [each for each in self._port.load(stream) if tells(each)]
                if any(hasattr(each.event, "queue") for each in recorded):
                    found[stream] = recorded
        return found

    def _case(  # noqa: PLR0913 -- a case is told with what surrounds it
        self,
        stream: str,
        recorded: Sequence[Recorded],
        state: CaseState,
        person: Person,
        masked: dict[str, int],
        directory: Directory,
    ) -> dict[str, Any]:
        own = is_own(recorded, person)
        found = None if state.case_type is None else directory.case_type(state.case_type)
        return {
            "case": stream,
            "number": state.number,
            "authority": state.authority,
            "case_type": state.case_type,
            "case_type_name": found and found.name,
            "status": "open" if state.outcome is None else "closed",
            "outcome": state.outcome,
            "own": own,
            "events": _counted(about(recorded, person, own=own), masked),
        }  # fmt: skip


def _counted(told: Any, masked: dict[str, int]) -> list[dict[str, Any]]:
    for why, times in told.masked.items():
        masked[why] = masked.get(why, 0) + times
    rows: list[dict[str, Any]] = told.rows
    return rows


def _looks(models: ReadModels, cases: tuple[str, ...]) -> list[dict[str, Any]]:
    """Who looked at these cases, the first look first: of other cases nothing is told."""
    found: list[dict[str, Any]] = []
    before: int | None = None
    while cases and len(found) < LOOKS_MAX:
        page = looks_of(models, LooksQuery(cases=cases, before=before, limit=ROWS_MAX))
        found += page["looks"]
        before = page["next"]
        if before is None:
            break
    return found[::-1]


def _whole(**told: Any) -> dict[str, Any]:
    """What is told, checked against its own schema."""
    return msgspec.to_builtins(msgspec.convert(told, Everything))  # type: ignore[no-any-return]


def router(services: Services, gate: Gate) -> APIRouter:
    """The route of all about one person."""
    routes = APIRouter(prefix="/api/v1/people", tags=["privacy"])
    desk = PeopleDesk(
        services.node, lambda: services.read_models, services.read_log, services.directory,
        services.clock,
    )  # fmt: skip

    @routes.post(
        "/everything",
        summary="All about one person, with who looked at it",
        response_model=dict[str, Any],
        openapi_extra=body_of(PersonAsked),
    )
    async def everything(request: Request) -> Response:
        hold(request)
        asker = gate.require(request, _DEED)
        asked = decode(await read_body(request), PersonAsked)
        return answers.json_answer(await desk.everything(asker, asked.number, asked.mask))

    return routes
