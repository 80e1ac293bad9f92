"""Erasures: decided by a registrar, carried out at once, and made good after whatever came between.

The order is fixed: the decision is in the log; the keys are destroyed; the files that they sealed
are removed; the read models have let go; the log is told that it is done. A process that dies
anywhere on that way finds the decision still open at its next start, and goes on. Where several
nodes have one log, each goes that way by itself (`erased_everywhere`).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.access import Deed, NoSuchCase, Place, require, sight
from core.application import Application, fact_draft
from core.case_rules import CASES
from core.cases import AttachmentAdded
from core.erasure import (
    ERASURES,
    DecideErasure,
    ErasureCarriedOut,
    ErasureOrdered,
    UnderWay,
    carried_out_id,
    case_of_subject,
    erasure_stream,
)
from core.errors import NotFound, Refused
from core.persons import ways_to_write
from core.vocabulary import Origin, case_stream
from kontaktcenter.erased_everywhere import Everywhere
from projections import keeping_queries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from uuid import UUID

    from core.access import Asker, Sight
    from core.commit import Clock
    from core.eventlog.attachments import Attachments
    from core.eventlog.node import Node
    from core.taxonomy import Directory
    from projections.read_models import ReadModels
    from projections.runner import Runner

ACTOR = "erasure"


class CaseStillOpen(Refused):
    """A case that is open is not erased: close it first."""


class NoSuchProtocol(NotFound):
    """There is no such protocol."""


@dataclass(frozen=True)
class Wanted:
    """What somebody wants erased: `cases` are ids, `caller` a telephone number in clear.

    A caller is erased with all the cases that he or she opened with the authority, and with the
    number that calls hold; `callers` are keyed hashes, as a protocol holds them.
    """

    authority: str
    rule: str
    reference: str
    purpose: str
    cases: tuple[str, ...] = ()
    caller: str | None = None
    callers: tuple[str, ...] = ()
    again: str | None = None


class Erasures:
    """Decides, carries out and tells erasures. On the node's loop."""

    def __init__(  # noqa: PLR0913 -- what erasing touches
        self,
        node: Node,
        application: Application,
        directory: Callable[[], Directory],
        clock: Clock,
        files: Attachments,
        reading: tuple[Runner, ReadModels],
    ) -> None:
        self._node, self._application, self._directory = node, application, directory
        self._clock, self._files = clock, files
        self._runner, self._models = reading
        self.everywhere = Everywhere(node, clock, self._models)
        self._one_at_a_time = asyncio.Lock()

    # --- deciding -----------------------------------------------------------------------------
    async def decide(
        self, asker: Asker, wanted: Wanted, command_id: UUID, origin: str = Origin.DESK
    ) -> dict[str, Any]:
        """Decide and carry out; the protocol.

        Raises: NotAllowed, NoSuchCase (also for one that the asker may not open), CaseStillOpen,
        Invalid, Unavailable.
        """
        require(asker, Deed.DECIDE_ERASURE, Place(wanted.authority), self._directory())
        cases, callers = await self._named(asker, wanted)
        command = DecideErasure(
            id=command_id, now=self._clock(), actor=asker.id, asker=asker,
            authority=wanted.authority, rule=wanted.rule, reference=wanted.reference,
            purpose=wanted.purpose, cases=cases, callers=callers, again=wanted.again,
        )  # fmt: skip
        command.check(self._directory())
        for case in cases:
            self._require_closed(asker, wanted, case)
        answer = await self._application.handle(command, origin)
        await self.carry_out((wanted.authority,))
        number = next((e.number for e in answer.recorded if isinstance(e, ErasureOrdered)), None)
        if number is None:
            return {"status": "nothing_to_do", "number": None}
        return {"status": "accepted", **await self.protocol(asker, number)}

    async def _named(self, asker: Asker, wanted: Wanted) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The cases and callers that are meant, those of the named caller included."""
        if wanted.caller is None:
            return wanted.cases, wanted.callers
        refs = [self._node.caller_ref(way) for way in ways_to_write(wanted.caller)]
        await self._read()
        found = [case for ref in refs for case in await self._cases_of(asker, wanted, ref)]
        return tuple(dict.fromkeys((*wanted.cases, *found))), (*wanted.callers, "+".join(refs))

    async def _cases_of(self, asker: Asker, wanted: Wanted, ref: str) -> list[str]:
        seen = self._sight(asker)
        found = await asyncio.to_thread(
            keeping_queries.cases_of_caller, self._models, seen, wanted.authority, ref
        )
        return [case for case, _closed in found]

    def _require_closed(self, asker: Asker, wanted: Wanted, case: str) -> None:
        """The case is there for the asker, and closed; after a restore, as far as it is there."""
        stream = case_stream(wanted.authority, case)
        state = self._application.load(CASES, stream).state
        if state.number is None:
            if wanted.again is not None:
                return
            raise NoSuchCase
        require(asker, Deed.DECIDE_ERASURE, state.place, self._directory())
        if state.outcome is None and wanted.again is None:
            raise CaseStillOpen(f"The case {state.number} is open: close it first.")

    # --- carrying out -------------------------------------------------------------------------
    async def carry_out(self, authorities: Iterable[str] | None = None) -> list[str]:
        """Carry out what was decided and not yet done; the protocols that are done with it.

        Safe to repeat, and to stop anywhere. Raises: Unavailable, Corrupt.
        """
        done = []
        async with self._one_at_a_time:
            await self._node.apply_erasures()
            await self.everywhere.own_part(self._let_go)
            for authority in self._authorities() if authorities is None else authorities:
                state = self._application.load(ERASURES, erasure_stream(authority)).state
                for number, under_way in state.under_way.items():
                    await self._finish(authority, number, under_way)
                    done.append(number)
        return done

    def _authorities(self) -> list[str]:
        return sorted(self._directory().versions.get("authority", ()))

    async def _finish(self, authority: str, number: str, under_way: UnderWay) -> None:
        named = [event for s in under_way.subjects for event in self._files_of(s)]
        files = await asyncio.to_thread(self._remove, named)
        if self.everywhere.here is None:  # else it was done with this node's own part
            await self._scrub()
        keys = await asyncio.to_thread(self._node.keyring.tombstones, under_way.subjects)
        draft = fact_draft(
            id=carried_out_id(number),
            asking=number,
            actor=ACTOR,
            origin=Origin.DESK,
            stream=erasure_stream(authority),
            events=(ErasureCarriedOut(number, keys, files),),
            occurred_at=self._clock(),
        )
        await self._node.propose(draft)

    async def _let_go(self, subjects: list[str]) -> None:
        named = [event for subject in subjects for event in self._files_of(subject)]
        await asyncio.to_thread(self._remove, named)
        await self._scrub()

    async def _scrub(self) -> None:
        await self._read()
        await asyncio.to_thread(self._runner.scrub)

    def _files_of(self, subject: str) -> list[AttachmentAdded]:
        stream = case_of_subject(subject)
        if stream is None or stream != subject:  # both of a case's subjects stand for it: once
            return []
        events = (recorded.event for recorded in self._node.load(stream))
        return [event for event in events if isinstance(event, AttachmentAdded)]

    def _remove(self, named: Iterable[AttachmentAdded]) -> int:
        """Remove the files whose key is gone, how many these are; a later one has another key.

        One that is not there any more counts: a process may have died after it removed it.
        """
        erased = {e.address for e in named if self._node.keyring.is_erased(e.key)}
        for address in sorted(erased):
            self._files.remove(address)
        return len(erased)

    async def _read(self) -> None:
        await self._node.settle()
        await asyncio.to_thread(self._runner.catch_up)

    # --- telling ------------------------------------------------------------------------------
    async def protocol(self, asker: Asker, number: str) -> dict[str, Any]:
        """One protocol as it was, and as it stands. Raises: NoSuchProtocol, NotAllowed."""
        seen = self._sight(asker)
        await self._read()
        found = await asyncio.to_thread(keeping_queries.protocol, self._models, seen, number)
        if found is None:
            raise NoSuchProtocol
        return await self.everywhere.standing(found)

    async def protocols(self, asker: Asker) -> list[dict[str, Any]]:
        """The protocols of the asker's rooms, the latest first. Raises: NotAllowed, Unavailable."""
        seen = self._sight(asker)
        await self._read()
        found = await asyncio.to_thread(keeping_queries.protocols, self._models, seen)
        alone = self.everywhere.here is None
        done = "carried_out_at" if alone else "completed_at"
        return [{**each, "complete": each[done] is not None} for each in found]

    def _sight(self, asker: Asker) -> Sight:
        require(asker, Deed.DECIDE_ERASURE, Place(), self._directory())
        return sight(asker, Deed.DECIDE_ERASURE, self._directory())
