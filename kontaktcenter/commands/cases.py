"""`case show|find|history`: what somebody's rights open, each look recorded before it is shown.

Whoever sits at the machine acts with the rights of the account that `--as` names, and in its name.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from core.access import (
    Deed,
    NoSuchCase,
    NotAllowed,
    Place,
    Purpose,
    Verdict,
    purpose_of,
    require,
    sight,
    verdict,
)
from core.case_rules import CASES
from core.looks import Seen
from core.persons import ways_to_write
from core.vocabulary import case_stream
from kontaktcenter.words import _
from projections.case_history_queries import history_of
from projections.case_search_queries import search_cases
from projections.case_work_queries import find_case
from projections.look_queries import cases_named
from webdesk.case_answers import case_answer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.access import Asker
    from core.case_state import CaseState
    from core.commit import Recorded
    from kontaktcenter.out import Out
    from kontaktcenter.wiring import House


async def show(house: House, args: Mapping[str, object], _out: Out) -> dict[str, object]:
    """One case, by its number, registry number, or as TK/id. Raises: NotAllowed, NoSuchCase."""
    asker = await _begun(house, args)
    named = str(args["case"]).strip()
    if verdict(asker, Deed.READ_CASE, Place(""), house.directory()) is Verdict.DENIED:
        raise NotAllowed(deed=Deed.READ_CASE.value)  # whether there is such a case or not
    for stream in await _streams(house, asker, named):
        recorded = await asyncio.to_thread(house.node.load, stream)
        state = _folded(recorded)
        if not _opens(house, asker, state):
            continue
        persons = {ref for one in recorded if (ref := getattr(one.event, "caller_ref", None))}
        seen = [Seen(stream, person) for person in sorted(persons) or [None]]
        await _look(house, asker, Deed.READ_CASE, args, seen)
        if state.protected:
            recorded = await asyncio.to_thread(house.node.load, stream, protected=True)

        def opens(other: str) -> bool:
            return _opens(house, asker, _folded(house.node.load(other)))

        return case_answer(state, recorded, house.directory(), asker.id, opens)
    raise NoSuchCase(
        _("there is no case {case}; kontaktcenter case find searches").format(case=named)
    )


async def _streams(house: House, asker: Asker, named: str) -> Sequence[str]:
    """The cases that `named` may mean; who may open which is judged for each."""
    authority, slash, case = named.partition("/")
    if slash and "/" not in case and house.directory().authority(authority) is not None:
        return [case_stream(authority, case)]
    models = house.read_models
    seen = sight(asker, Deed.READ_CASE, house.directory())
    found = await asyncio.to_thread(find_case, models, seen, named)
    if found is not None:
        return [found.stream]
    return await asyncio.to_thread(cases_named, models, named)


async def find(house: House, args: Mapping[str, Any], _out: Out) -> dict[str, object]:
    """Cases by number, words and parts of words. Raises: NotAllowed, Invalid."""
    asker = await _begun(house, args)
    require(asker, Deed.SEARCH_CASES, Place(), house.directory())
    seen = sight(asker, Deed.SEARCH_CASES, house.directory())
    found = await asyncio.to_thread(
        search_cases, house.read_models, seen, str(args["text"]), most=int(args["limit"]),
        texts=True,
    )  # fmt: skip
    looks = [Seen(hit.row.stream) for hit in found.hits]
    await _look(house, asker, Deed.SEARCH_CASES, args, looks)
    return {"rows": [hit.as_json() for hit in found.hits], "more": found.more}


async def history(house: House, args: Mapping[str, Any], _out: Out) -> dict[str, object]:
    """What is known of whoever has a telephone number. Raises: NotAllowed, Invalid."""
    asker = await _begun(house, args)
    require(asker, Deed.READ_HISTORY, Place(), house.directory())
    seen = sight(asker, Deed.READ_HISTORY, house.directory())
    callers = [house.node.caller_ref(way) for way in ways_to_write(str(args["number"]))]
    found = await asyncio.to_thread(history_of, house.read_models, seen, callers)
    looks = [Seen(row.stream, callers[0]) for row in found.cases] or [Seen(None, callers[0])]
    await _look(house, asker, Deed.READ_HISTORY, args, looks)
    return found.as_json()


async def _begun(house: House, args: Mapping[str, object]) -> Asker:
    """Who asks; the read models have reached the log's end."""
    asker = house.asker(str(args["as"]))
    await house.node.settle()
    await asyncio.to_thread(house.catch_up)
    return asker


async def _look(
    house: House, asker: Asker, deed: Deed, args: Mapping[str, object], seen: Sequence[Seen]
) -> None:
    """Record looks; nothing is shown before the log has them. Raises: NotAllowed, Unavailable."""
    said = args.get("purpose")
    purpose: Purpose = purpose_of(asker, deed, None if said is None else str(said))
    if seen:
        await house.read_log.record(asker, deed.value, purpose, seen)


def _opens(house: House, asker: Asker, state: CaseState) -> bool:
    if state.number is None:
        return False
    return verdict(asker, Deed.READ_CASE, state.place, house.directory()) is Verdict.ALLOWED


def _folded(recorded: Sequence[Recorded]) -> CaseState:
    state: CaseState = CASES.initial
    for one in recorded:
        state = CASES.evolve(state, one)
    return state
