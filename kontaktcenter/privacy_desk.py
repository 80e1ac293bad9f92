"""The archivist's and the data protection officer's desk: one for each open house."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Final

import structlog

from core.access import Deed, NoSuchCase, Place, purpose_of, require, sight
from core.application import Application
from core.case_commands import DiscloseCase
from core.case_rules import CASES
from core.cases import CaseDisclosed
from core.commit import Clock, Draft, Happened, attempt_id, process_id
from core.disclosure import Choices, caller_of, copy_of
from core.errors import Invalid, KontaktcenterError, NotFound
from core.eventlog.attachments import Attachments
from core.eventlog.node import Node
from core.limits import COMMAND_ITEMS_MAX, DECISION_ATTEMPTS_MAX
from core.looks import ReadLog, Seen
from core.personal import PROTECTED, Personal
from core.retention import ArchiveExported, proposals, rules
from core.taxonomy import Directory
from core.vocabulary import CASES_PREFIX, Origin, case_stream
from kontaktcenter import archive, documents
from kontaktcenter.case_files import CaseFiles
from kontaktcenter.erasures import Erasures, Wanted
from projections import keeping_queries
from projections.read_models import ReadModels
from projections.runner import Runner

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path
    from uuid import UUID

    from core.access import Asker, Purpose
    from core.retention import Proposal

_LOOKS_AT_ONCE: Final = 200
_LOOK_EVERY_S: Final = 60
_AGAIN_S: Final = 5
_SWEEP_EVERY_S: Final = 24 * 3600
_LOG: Final = structlog.get_logger("kontaktcenter.privacy_desk")


@dataclass(frozen=True)
class Surroundings:
    """What the desk works with; the composition root gives it."""

    node: Node
    application: Application
    directory: Callable[[], Directory]
    clock: Clock
    store: Attachments
    runner: Runner
    read_models: ReadModels
    read_log: ReadLog


class PrivacyDesk:
    """Erasures, retention, files, copies to give out, archives. On the node's loop."""

    def __init__(self, around: Surroundings) -> None:
        self.around = around
        self.erasures = Erasures(
            around.node, around.application, around.directory, around.clock, around.store,
            (around.runner, around.read_models),
        )  # fmt: skip
        self.files = CaseFiles(
            around.node, around.application, around.directory, around.clock, around.store
        )

    async def begin(self) -> None:
        """Make good what an earlier process left: erasures half done, files that nobody names."""
        await self.erasures.carry_out()
        await self.files.sweep()

    async def go_on(self) -> None:
        """Do so now, when another node decides, and from time to time; never ends by itself.

        A decision whose answer was lost on its way here is carried out all the same.
        """
        loop, swept_s = asyncio.get_running_loop(), -float(_SWEEP_EVERY_S)
        while True:
            try:
                await self.erasures.carry_out()
                await self.erasures.everywhere.complete()
                await self.around.node.follow_protections()
                if loop.time() - swept_s >= _SWEEP_EVERY_S:
                    await self.files.sweep()
                    swept_s = loop.time()
            except (KontaktcenterError, OSError) as e:  # in the background nobody awaits it
                _LOG.error("erasures.failed", error=type(e).__name__)
                await asyncio.sleep(_AGAIN_S)
            await self.erasures.everywhere.news(_LOOK_EVERY_S)

    async def look(self, asker: Asker, deed: Deed, purpose: Purpose, seen: Sequence[Seen]) -> None:
        """Record looks before anything is shown. Raises: Unavailable."""
        for start in range(0, len(seen), _LOOKS_AT_ONCE):
            part = seen[start : start + _LOOKS_AT_ONCE]
            await self.around.read_log.record(asker, deed.value, purpose, part)

    # --- retention ----------------------------------------------------------------------------
    async def due(self, asker: Asker, authority: str) -> list[Proposal]:
        """What retention rules propose of an authority's cases now. Raises: NotAllowed, NotFound.

        Cases of protected identities are proposed to those alone who may open them.
        """
        around = self.around
        directory = around.directory()
        require(asker, Deed.DECIDE_ERASURE, Place(authority), directory)
        by = rules(directory, authority)
        await around.node.settle()
        await asyncio.to_thread(around.runner.catch_up)
        seen = sight(asker, Deed.DECIDE_ERASURE, directory)
        kept = await asyncio.to_thread(
            keeping_queries.closed_cases, around.read_models, seen, authority
        )
        types = directory.rows("case_type").items()
        registered = frozenset(code for code, row in types if row.get("registry") is True)
        return proposals(kept, by, around.clock(), registered)

    async def decide_due(  # noqa: PLR0913 -- what a decision is made of
        self,
        asker: Asker,
        authority: str,
        rule: str,
        reference: str,
        purpose: str,
        cases: Sequence[str] | None,
        command_id: UUID,
    ) -> dict[str, Any]:
        """Turn what a rule proposes (all of it, or `cases`) into one decision; its protocol.

        At most as many cases as a decision names; ask again for the rest. Raises: as `due`,
        NotFound where the rule proposes none of them, Invalid for one that it does not propose.
        """
        due = [p for p in await self.due(asker, authority) if p.rule.id == rule and not p.lacks]
        there = {proposal.case.id: proposal for proposal in due}
        wanted = list(there)[:COMMAND_ITEMS_MAX] if cases is None else list(cases)
        missing = [case for case in wanted if case not in there]
        if missing:
            raise Invalid(f"not proposed under {rule}: {', '.join(missing)}", field="cases")
        if not wanted:
            raise NotFound(f"nothing is due under the rule {rule}, or something is lacking first")
        text = f"{rule}: {due[0].rule.rule}"
        asked = Wanted(authority, text, reference, purpose, tuple(wanted))
        return await self.erasures.decide(asker, asked, command_id)

    # --- copies to give out -------------------------------------------------------------------
    async def disclose(  # noqa: PLR0913 -- what a copy is made of
        self,
        asker: Asker,
        place: tuple[str, str],
        choices: Choices,
        purpose: str,
        recipient: str | None,
        command_id: UUID,
    ) -> dict[str, Any]:
        """Make a copy of a case, record it and the look, and give it back, as JSON tells it.

        Raises: NotAllowed, NoSuchCase, Invalid, Unavailable.
        """
        around, (authority, case) = self.around, place
        stream = case_stream(authority, case)
        state = around.application.load(CASES, stream).state
        at = state.place if state.number is not None else Place(authority)
        require(asker, Deed.DISCLOSE_CASE, at, around.directory())
        if state.number is None:
            raise NoSuchCase
        # Asked again: the copy is of what was there when it was asked for first.
        ids = {command_id, *(attempt_id(command_id, n) for n in range(1, DECISION_ATTEMPTS_MAX))}
        events = around.node.load(stream, protected=state.protected)
        recorded = list(takewhile(lambda each: each.commit_id not in ids, events))
        copy = copy_of(recorded, choices, protected=state.protected)
        subject = f"{PROTECTED}{stream}" if state.protected else stream
        command = DiscloseCase(
            id=command_id, now=around.clock(), actor=asker.id, asker=asker, authority=authority,
            case=case, agent=asker.id, purpose=purpose, masked=copy.told,
            recipient=None if recipient is None else Personal(recipient, subject),
        )  # fmt: skip
        said = purpose_of(asker, Deed.DISCLOSE_CASE, "disclosure")
        seen = [Seen(stream, caller_of(recorded))]
        await self.look(asker, Deed.DISCLOSE_CASE, said, seen)
        answer = await around.application.handle(command)
        told = next((e for e in answer.recorded if isinstance(e, CaseDisclosed)), None)
        return {
            "number": f"{state.number}-U{copy.copies_before + 1}",
            "case": state.number,
            "authority": authority,
            "made_at": command.now.isoformat(),
            "registrar": asker.id,
            "purpose": purpose if told is None else told.purpose,
            "recipient": recipient,
            "rows": copy.rows,
            "masked": [
                {"part": m.part, "mask": m.mask.value, "reason": m.reason} for m in copy.masked
            ],
        }

    # --- archives -----------------------------------------------------------------------------
    async def export(  # noqa: PLR0913 -- what an archive is made of
        self,
        asker: Asker,
        authority: str,
        begin: datetime,
        end: datetime,
        to: Path,
        *,
        with_files: bool,
    ) -> dict[str, Any]:
        """Write the archive of the cases that were closed from `begin`, before `end`.

        The looks are recorded first; that it was made is recorded last. Raises: NotAllowed,
        NotFound, Invalid, Refused, Unavailable, Corrupt, OSError.
        """
        around = self.around
        require(asker, Deed.EXPORT_ARCHIVE, Place(authority), around.directory())
        if not begin < end <= around.clock():
            raise Invalid("a period begins before it ends, and has ended", field="to")
        await around.node.settle()
        shard = f"{CASES_PREFIX}{authority}/0"
        position, digest = around.node.digests().get(shard, (0, bytes(32).hex()))
        if position == 0:
            raise NotFound(f"{authority} has no cases")
        period = archive.Period(authority, begin, end, position, digest)
        found = await asyncio.to_thread(archive.chosen, around.node, period)
        said = purpose_of(asker, Deed.EXPORT_ARCHIVE, "registry")
        looks = [Seen(stream, person) for stream, person in found.seen]
        await self.look(asker, Deed.EXPORT_ARCHIVE, said, looks)
        store = around.store if with_files else None
        made = await asyncio.to_thread(archive.export, around.node, store, period, found, to)
        await self._exported(asker, period, made)
        return {**made, "authority": authority, "shard": shard, "position": position}

    async def _exported(self, asker: Asker, period: archive.Period, made: dict[str, Any]) -> None:
        event = ArchiveExported(
            authority=period.authority, begin=period.begin, end=period.end, sha256=made["sha256"],
            cases=made["cases"], registrar=asker.id, position=period.upto,
        )  # fmt: skip
        asking = f"{period.authority}/{made['sha256']}/{asker.id}"
        happened = Happened(f"archive/{period.authority}", event, self.around.clock())
        draft = Draft(process_id("archive", asking), asking, asker.id, Origin.DESK, (happened,))
        await self.around.node.propose(draft)


def as_document(kind: str, found: dict[str, Any], form: str) -> str:
    """A protocol or a copy (`kind`) as `html` or `markdown`."""
    make = {"protocol": documents.protocol, "disclosure": documents.disclosure}[kind]
    document = make(found)
    return documents.as_html(document) if form == "html" else documents.as_markdown(document)


def proposal_row(found: Proposal) -> dict[str, object]:
    """A proposal as it is told."""
    return {
        "case": found.case.id,
        "number": found.case.number,
        "case_type": found.case.case_type,
        "closed_at": found.case.closed_at.isoformat(),
        "due_at": found.due_at.isoformat(),
        "rule": found.rule.id,
        "what": found.rule.what.value,
        "lacks": found.lacks,
    }
