"""The catalogue over HTTP: what stands, what stood, and changes on their way to their owners.

Everybody of the staff reads it. Whoever may, proposes; the owner approves or refuses (R45); the
centre's own is set. A key may hold a slash, so it is the rest of the path.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from fastapi import APIRouter
from starlette.requests import Request  # noqa: TC002 -- FastAPI reads annotations
from starlette.responses import Response  # noqa: TC002 -- FastAPI reads annotations

from core.access import Deed, NoSuchCase, NotAllowed
from core.changes import (
    ApproveChange,
    ChangeUnknown,
    ProposeChange,
    RefuseChange,
    SetEntry,
    TakeBackChange,
)
from core.errors import NotFound
from core.limits import NAME_CHARS_MAX
from core.sections import SECTIONS, TABLES
from core.vocabulary import catalogue_stream
from webdesk import answers, catalogue_answers
from webdesk.desk import documented, expected_version
from webdesk.paging import moment_of

if TYPE_CHECKING:
    from core.changes import EntryCommand
    from core.directory import Directory
    from webdesk.desk import CommandsDesk
    from webdesk.services import Services

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_CHARS_MAX)]
_Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class SectionUnknown(NotFound):
    """There is no such section in the catalogue."""


class ProposeBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Body of `POST /api/v1/catalogue/changes`: `fields` is the whole row, null to withdraw it."""

    section: _Name
    key: _Name
    fields: dict[str, Any] | None
    effective_from: _Moment | None = None
    decision: _Name | None = None
    note: _Name | None = None


class SetBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Body of `POST /api/v1/catalogue/entries`: as of a proposal, for what is the centre's own."""

    section: _Name
    key: _Name
    fields: dict[str, Any] | None
    effective_from: _Moment | None = None
    decision: _Name | None = None


class ApproveBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Body of `POST /api/v1/catalogue/changes/{change}/approve`."""

    decision: _Name | None = None


class ReasonBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Body of `…/refuse` and `…/take-back`: why."""

    reason: _Name


class CatalogueDesk:
    """What the routes of the catalogue do."""

    def __init__(self, services: Services, desk: CommandsDesk) -> None:
        self._services, self._desk = services, desk

    # --- reading ------------------------------------------------------------------------------
    def sections(self, request: Request, at: str | None) -> Response:
        """How many entries stand in each section."""
        directory = self._read(request, at)
        return answers.json_answer(
            {
                "as_of": directory.as_of.isoformat(),
                "sections": {name: len(directory.rows(name)) for name in (*TABLES, *SECTIONS)},
                "pending": len(directory.pending),
            }
        )

    def section(self, request: Request, section: str, at: str | None) -> Response:
        """The rows of a section."""
        directory = self._read(request, at)
        _known(section)
        return answers.json_answer(
            {
                "section": section,
                "as_of": directory.as_of.isoformat(),
                "rows": directory.rows(section),
            }
        )

    def entry(self, request: Request, section: str, key: str, at: str | None) -> Response:
        """An entry with its versions; the ETag is what `If-Match` of a change compares."""
        directory = self._read(request, at)
        _known(section)
        found = catalogue_answers.versions_of(directory, section, key)
        stream = catalogue_stream(section, key)
        version = self._services.node.heads([stream]).get(stream, 0)
        return answers.json_answer(
            {"section": section, "key": key, "as_of": directory.as_of.isoformat(), **found},
            ETag=f'"{version}"',
        )

    def changes(self, request: Request) -> Response:
        """What waits for its owner, oldest first."""
        directory = self._read(request, None)
        found = sorted(directory.pending.values(), key=lambda change: change.proposed_at)
        shown = [catalogue_answers.change_shown(change, directory) for change in found]
        return answers.json_answer({"changes": shown})

    def _read(self, request: Request, at: str | None) -> Directory:
        self._desk.gate.require(request, Deed.READ_CATALOGUE)
        directory = self._services.directory()
        return directory if at is None else directory.at(moment_of("at", at))

    # --- changing -----------------------------------------------------------------------------
    async def propose(self, request: Request) -> Response:
        """Propose a change to its owner."""
        body, common = await self._desk.asked(request, ProposeBody)
        given = {name: getattr(body, name) for name in body.__struct_fields__}
        command = ProposeChange(**common, **given, expected_version=expected_version(request))
        return await self._desk.done(command, change=str(command.id))

    async def set_entry(self, request: Request) -> Response:
        """Set or withdraw what is the centre's own."""
        body, common = await self._desk.asked(request, SetBody)
        given = {name: getattr(body, name) for name in body.__struct_fields__}
        return await self._desk.done(
            SetEntry(**common, **given, expected_version=expected_version(request))
        )

    async def approve(self, request: Request, change: str) -> Response:
        """Approve a change for its owner."""
        self._desk.gate.require(request, Deed.APPROVE_CHANGE)
        body, common = await self._desk.asked(request, ApproveBody)
        return await self._judged(
            ApproveChange(**common, **self._about(change), decision=body.decision)
        )

    async def refuse(self, request: Request, change: str) -> Response:
        """Refuse a change for its owner."""
        self._desk.gate.require(request, Deed.APPROVE_CHANGE)
        body, common = await self._desk.asked(request, ReasonBody)
        return await self._judged(RefuseChange(**common, **self._about(change), reason=body.reason))

    async def take_back(self, request: Request, change: str) -> Response:
        """Take back what one proposed oneself."""
        self._desk.gate.require(request, Deed.PROPOSE_CHANGE)
        body, common = await self._desk.asked(request, ReasonBody)
        return await self._judged(
            TakeBackChange(**common, **self._about(change), reason=body.reason)
        )

    def _about(self, change: str) -> dict[str, Any]:
        """The entry that a proposal is about, also where it was settled since."""
        found = self._services.directory().proposed.get(change)
        if found is None:
            raise ChangeUnknown
        return {"section": found[0], "key": found[1], "change": change}

    async def _judged(self, command: EntryCommand) -> Response:
        try:
            return await self._desk.done(command)
        except NoSuchCase as e:  # nothing about a proposal is secret: it is another owner's
            raise NotAllowed("You may not speak for the authority that owns this.") from e


def _known(section: str) -> None:
    if section not in SECTIONS and section not in TABLES:
        raise SectionUnknown


def router(services: Services, desk: CommandsDesk) -> APIRouter:
    """The routes of the catalogue."""
    routes = APIRouter(prefix="/api/v1/catalogue", tags=["catalogue"])
    does = CatalogueDesk(services, desk)

    @routes.get("", summary="The sections", response_model=catalogue_answers.Sections)
    async def sections(request: Request, at: str | None = None) -> Response:
        return does.sections(request, at)

    @routes.get(
        "/changes",
        summary="Proposed changes that wait for their owners",
        response_model=catalogue_answers.ProposedChanges,
    )
    async def changes(request: Request) -> Response:
        return does.changes(request)

    @routes.get(
        "/{section}",
        summary="The rows of a section",
        response_model=catalogue_answers.SectionRows,
    )
    async def section(request: Request, section: str, at: str | None = None) -> Response:
        return does.section(request, section, at)

    @routes.get(
        "/{section}/{key:path}",
        summary="An entry with its versions",
        response_model=catalogue_answers.EntryShown,
    )
    async def entry(request: Request, section: str, key: str, at: str | None = None) -> Response:
        return does.entry(request, section, key, at)

    _changing(routes, does)
    return routes


def _changing(routes: APIRouter, does: CatalogueDesk) -> None:
    """The routes that change the catalogue."""

    @routes.post(
        "/changes",
        summary="Propose a change to its owner",
        response_model=answers.CommandAnswer,
        openapi_extra=documented(ProposeBody, if_match=True),
    )
    async def propose(request: Request) -> Response:
        return await does.propose(request)

    @routes.post(
        "/entries",
        summary="Set or withdraw what is the centre's own",
        response_model=answers.CommandAnswer,
        openapi_extra=documented(SetBody, if_match=True),
    )
    async def set_entry(request: Request) -> Response:
        return await does.set_entry(request)

    @routes.post(
        "/changes/{change}/approve",
        summary="Approve a proposed change",
        response_model=answers.CommandAnswer,
        openapi_extra=documented(ApproveBody),
    )
    async def approve(request: Request, change: str) -> Response:
        return await does.approve(request, change)

    @routes.post(
        "/changes/{change}/refuse",
        summary="Refuse a proposed change",
        response_model=answers.CommandAnswer,
        openapi_extra=documented(ReasonBody),
    )
    async def refuse(request: Request, change: str) -> Response:
        return await does.refuse(request, change)

    @routes.post(
        "/changes/{change}/take-back",
        summary="Take back what you proposed yourself",
        response_model=answers.CommandAnswer,
        openapi_extra=documented(ReasonBody),
    )
    async def take_back(request: Request, change: str) -> Response:
        return await does.take_back(request, change)
