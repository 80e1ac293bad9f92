"""Cases over HTTP: a route for every command about a case, and the case as it stands.

What somebody may not open does not exist for him or her: the answer is that of a case that never
was, byte for byte. Whoever may write to a case and not read it (it was registered for the other
side of a conflict) is told what was done and nothing else.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from starlette.requests import Request  # noqa: TC002 -- FastAPI reads annotations
from starlette.responses import Response  # noqa: TC002 -- FastAPI reads annotations

from core.access import Deed, NoSuchCase, NotAllowed, Place, Verdict, require, rooms, verdict
from core.application import ChangedSince
from core.case_commands import LinkCases
from core.case_rules import CASES
from core.commit import attempt_id
from core.errors import Invalid, Refused
from core.limits import DECISION_ATTEMPTS_MAX
from core.looks import Seen
from core.personal import PROTECTED
from core.vocabulary import case_stream
from webdesk import answers
from webdesk.case_answers import case_answer, events_answer, shown_to
from webdesk.case_bodies import REGISTER, VERBS, Verb
from webdesk.desk import documented, expected_version

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from uuid import UUID

    import msgspec

    from core.access import Asker
    from core.case_commands import CaseCommand
    from core.case_state import CaseState
    from core.commit import Recorded
    from core.taxonomy import Directory
    from webdesk.desk import CommandsDesk
    from webdesk.services import Services

_CASE_ID_CHARS = 16  # of the hexadecimal id: 64 bits, so that no two of a room's cases meet


class CasesDesk:
    """What the routes of cases do."""

    def __init__(self, services: Services, desk: CommandsDesk) -> None:
        self._services, self._desk, self._gate = services, desk, desk.gate

    # --- commands -----------------------------------------------------------------------------
    async def register(self, request: Request) -> Response:
        """Open a case, with an id made of who asks and the key."""
        body, common = await self._desk.asked(request, REGISTER.body)
        case = common["id"].hex[:_CASE_ID_CHARS]
        command = self._command(REGISTER, body, common, body.authority, case)
        return await self._done(command, case=case, authority=body.authority)

    async def ask(self, request: Request, verb: Verb, authority: str, case: str) -> Response:
        """Ask for the verb's command about a case."""
        body, common = await self._desk.asked(request, verb.body)
        common["expected_version"] = expected_version(request)
        command = self._command(verb, body, common, authority, case)
        if isinstance(command, LinkCases) and not self._known(command.stream, command.id):
            self._require_both(command, case_stream(authority, command.other))
        return await self._done(command)

    def _command(
        self, verb: Verb, body: msgspec.Struct, common: dict[str, Any], authority: str, case: str
    ) -> CaseCommand:
        given = {name: getattr(body, name) for name in body.__struct_fields__}
        agent = self._desk.agent_of(common["asker"], given.pop("agent"))
        given.pop("authority", None)
        if "caller" in given:
            given["caller_ref"] = self._desk.caller_ref(given.pop("caller"))
        stream = case_stream(authority, case)
        clear = [n for n in verb.clear if given.get(n) is not None]
        protected = given.get("protected") is True or (clear and self._state(stream).protected)
        for name in clear:
            subject = f"{PROTECTED}{stream}" if protected else stream
            given[name] = self._desk.sealed(given[name], subject)
        return verb.command(**common, authority=authority, case=case, agent=agent, **given)

    async def _done(self, command: CaseCommand, **told: object) -> Response:
        """Handle `command`; to whoever may not read the case, neither its state nor its place."""
        opens = command.authority in rooms(command.asker, Deed.READ_CASE, self._directory())
        try:
            return await self._desk.done(command, tell_position=opens, **told)
        except (NotAllowed, NoSuchCase, Invalid, ChangedSince):
            raise
        except Refused as refused:
            if self._opens(command.asker, command.stream):
                raise
            raise type(refused) from None

    def _require_both(self, command: LinkCases, other: str) -> None:
        """A link tells that there is another case: to those alone who may open that one too."""
        for deed, stream in ((command.DEED, command.stream), (Deed.READ_CASE, other)):
            state = self._state(stream)
            require(command.asker, deed, _place(stream, state), self._directory())
            if state.number is None:
                raise NoSuchCase

    def _known(self, stream: str, first: UUID) -> bool:
        """Whether this command was recorded before: then the first answer stands."""
        ids = {first, *(attempt_id(first, n) for n in range(1, DECISION_ATTEMPTS_MAX))}
        return any(recorded.commit_id in ids for recorded in self._services.node.load(stream))

    # --- looking ------------------------------------------------------------------------------
    async def case(self, request: Request, authority: str, case: str) -> Response:
        """One case, opened; the look is recorded first."""
        asker, recorded, state = await self._seen(request, case_stream(authority, case))
        opens = partial(self._opens, asker)
        answer = case_answer(state, recorded, self._directory(), asker.id, opens)
        return answers.json_answer(answer, ETag=f'"{recorded[-1].version}"')

    async def events(self, request: Request, authority: str, case: str) -> Response:
        """What happened to one case."""
        asker, recorded, _ = await self._seen(request, case_stream(authority, case))
        answer = {
            "authority": authority,
            "case": case,
            "version": recorded[-1].version,
            "events": events_answer(shown_to(asker.id, recorded, partial(self._opens, asker))),
        }
        return answers.json_answer(answer, ETag=f'"{recorded[-1].version}"')

    async def _seen(
        self, request: Request, stream: str
    ) -> tuple[Asker, Sequence[Recorded], CaseState]:
        """A case's events and state, for whoever may open it, with the look in the read log."""
        recorded = self._services.node.load(stream)
        state = _folded(recorded)
        asker = self._gate.require(request, Deed.READ_CASE, _place(stream, state))
        if state.number is None:
            raise NoSuchCase
        persons = {ref for one in recorded if (ref := getattr(one.event, "caller_ref", None))}
        await self._gate.look(
            request, Deed.READ_CASE, [Seen(stream, person) for person in sorted(persons) or [None]]
        )
        if state.protected:
            recorded = self._services.node.load(stream, protected=True)
        return asker, recorded, state

    def _opens(self, asker: Asker, stream: str) -> bool:
        place = _place(stream, self._state(stream))
        return verdict(asker, Deed.READ_CASE, place, self._directory()) is Verdict.ALLOWED

    def _state(self, stream: str) -> CaseState:
        return self._desk.application.load(CASES, stream).state

    def _directory(self) -> Directory:
        return self._services.directory()


def _place(stream: str, state: CaseState) -> Place:
    """Where a case is; one that is not there is in the room that its address names."""
    return state.place if state.number is not None else Place(authority=stream.split("/")[1])


def _folded(recorded: Sequence[Recorded]) -> CaseState:
    state = CASES.initial
    for one in recorded:
        state = CASES.evolve(state, one)
    return state


def router(services: Services, desk: CommandsDesk) -> APIRouter:
    """The routes of cases."""
    routes = APIRouter(prefix="/api/v1/cases", tags=["cases"])
    cases = CasesDesk(services, desk)
    made = "A case was opened, or was so already; `case` is its id."

    @routes.post(
        "",
        summary=REGISTER.summary,
        operation_id="register_case",
        description=made,
        response_model=answers.RegisteredAnswer,
        openapi_extra=documented(REGISTER.body),
    )
    async def register(request: Request) -> Response:
        return await cases.register(request)

    for verb in VERBS:
        routes.post(
            f"/{{authority}}/{{case}}/{verb.name}",
            summary=verb.summary,
            operation_id=f"case_{verb.name.replace('-', '_')}",
            description=_first_line(verb),
            response_model=answers.CommandAnswer,
            openapi_extra=documented(verb.body, if_match=True),
        )(_asking(cases, verb))

    @routes.get(
        "/{authority}/{case}",
        summary="One case",
        response_model=answers.Case,
        openapi_extra=answers.LOOKED_AT,
    )
    async def case(request: Request, authority: str, case: str) -> Response:
        return await cases.case(request, authority, case)

    @routes.get(
        "/{authority}/{case}/events",
        summary="What happened to a case, who did it and when",
        response_model=answers.CaseEvents,
        openapi_extra=answers.LOOKED_AT,
    )
    async def events(request: Request, authority: str, case: str) -> Response:
        return await cases.events(request, authority, case)

    return routes


def _asking(cases: CasesDesk, verb: Verb) -> Callable[..., Awaitable[Response]]:
    async def ask(request: Request, authority: str, case: str) -> Response:
        return await cases.ask(request, verb, authority, case)

    return ask


def _first_line(verb: Verb) -> str:
    return (verb.command.__doc__ or "").strip()
