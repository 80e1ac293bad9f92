"""Two people and one case, through the log: one is first, the other is told, a repeat is known."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from case_facts import ANNA, TEXT, asked
from given import T0, agent, city, officer

from core.access import NoSuchCase
from core.application import Application
from core.case_commands import (
    AnswerCase,
    AuthorityExcluded,
    CaseIsTaken,
    CategoriseCase,
    CloseCase,
    ConnectCaller,
    HandOverCase,
    NoteCase,
    ReceiptAwaited,
    RegisterCase,
    TakeCase,
)
from core.cases import CaseNoted, CaseTaken, HandoverReceiptNoted
from core.commit import Duplicate
from core.eventlog.node import Node, NodeSettings
from core.vocabulary import book_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from core.access import Asker
    from core.case_commands import CaseCommand
    from core.commit import Answer

OLLE, OLGA = officer("TK", "olle"), officer("TK", "olga")
KIM = agent("kim", "tnh_ovrigt")  # whose rooms do not hold TK
Ask = Any


def in_house(work: Callable[[Node, Ask], Awaitable[None]], tmp_path: Path) -> None:
    """Run `work` with a node on a log in memory and a way to ask it for things."""

    async def run() -> None:
        node = await Node.open(NodeSettings("memory:", tmp_path, clock=lambda: T0))
        application = Application(node, city)

        async def ask(kind: type[CaseCommand], n: int, by: Asker = ANNA, **fields: Any) -> Answer:
            return await application.handle(kind(**asked(by, id=UUID(int=n), **fields)))

        try:
            await work(node, ask)
        finally:
            await node.close()

    asyncio.run(run())


async def opened(ask: Ask, by: Asker = ANNA, case_type: str = "TK-AVF-01") -> None:
    await ask(RegisterCase, 1, by, text=TEXT)
    await ask(CategoriseCase, 2, by, case_type=case_type)


def test_of_two_officers_at_once_one_has_the_case_and_the_other_hears_who(tmp_path: Path) -> None:
    async def work(node: Node, ask: Ask) -> None:
        await opened(ask)
        both = await asyncio.gather(
            ask(TakeCase, 3, OLLE), ask(TakeCase, 4, OLGA), return_exceptions=True
        )
        assert [type(answer) for answer in both if isinstance(answer, Exception)] == [CaseIsTaken]
        events = [recorded.event for recorded in node.load("case/TK/5f0e6c1a-0000")]
        assert sum(isinstance(event, CaseTaken) for event in events) == 1

    in_house(work, tmp_path)


def test_taking_a_case_that_was_handed_over_is_one_commit_with_its_receipt(tmp_path: Path) -> None:
    async def work(node: Node, ask: Ask) -> None:
        await opened(ask)
        await ask(HandOverCase, 3)
        with pytest.raises(ReceiptAwaited):
            await ask(CloseCase, 4, outcome="handed_over")
        answer = await ask(TakeCase, 5, OLLE)
        assert [type(event) for event in answer.recorded] == [HandoverReceiptNoted, CaseTaken]
        told = [r.commit_id for r in node.load("case/TK/5f0e6c1a-0000")][-2:]
        assert told == [UUID(int=5)] * 2

    in_house(work, tmp_path)


@pytest.mark.requirement("R53")
def test_who_registered_for_another_room_is_out_when_it_is_worked_on_there(tmp_path: Path) -> None:
    async def work(_node: Node, ask: Ask) -> None:
        await opened(ask, KIM, "ALL-INF-01")
        first = await ask(NoteCase, 3, KIM, text=TEXT)
        assert first.recorded == (CaseNoted("kim", TEXT),)
        await ask(AnswerCase, 4, KIM, text=TEXT)
        await ask(TakeCase, 5, OLLE)
        for n, kind in enumerate((NoteCase, AnswerCase), start=6):
            with pytest.raises(NoSuchCase):
                await ask(kind, n, KIM, text=TEXT)
        again = await ask(NoteCase, 3, KIM, text=TEXT)  # the reply was lost: it is given again
        assert isinstance(again.verdict, Duplicate)
        assert again.recorded == first.recorded

    in_house(work, tmp_path)


@pytest.mark.requirement("R11")
def test_what_is_sent_to_an_excluded_area_leaves_no_trace_in_the_log(tmp_path: Path) -> None:
    async def work(node: Node, ask: Ask) -> None:
        await opened(ask)
        before = node.positions()
        for n, group in enumerate(("ext_soc", "ext_fun")):
            with pytest.raises(AuthorityExcluded):
                await ask(ConnectCaller, 10 + n, group=group, warm=True)
        with pytest.raises(AuthorityExcluded):
            await ask(CategoriseCase, 12, case_type="SOC-UTE-01")
        assert node.positions() == before
        assert not any(book_of("case/SOC/x") in shard for shard in node.positions())

    in_house(work, tmp_path)


def test_a_command_repeated_under_its_id_is_known_whatever_has_happened_since(
    tmp_path: Path,
) -> None:
    async def work(_node: Node, ask: Ask) -> None:
        await opened(ask)
        first = await ask(HandOverCase, 3)
        await ask(TakeCase, 4, OLLE)
        await ask(CloseCase, 5, OLLE, outcome="solved")
        again = await ask(HandOverCase, 3)
        assert again.recorded == first.recorded

    in_house(work, tmp_path)
