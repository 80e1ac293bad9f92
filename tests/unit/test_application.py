"""Load, decide, propose: the path of every command, on a real node with its log in memory."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from eventsourcing.persistence import EventStore
from given import ID, T0, TAXONOMY, city, staff

from core.application import (
    Application,
    GuardedPort,
    IdUsedBefore,
    fact_draft,
)
from core.call_rules import (
    CALLS,
    AnswerCall,
    CallAlreadyAnswered,
    EndCall,
    HoldCall,
    QueueCall,
    ResumeCall,
)
from core.call_state import Phase
from core.calls import CallAnswered, CallQueued
from core.case_commands import AuthorityExcluded, CategoriseCase, CloseCase, RegisterCase
from core.cases import CaseRegistered
from core.commit import Accepted, Duplicate
from core.errors import Invalid
from core.eventlog.directory import DirectoryFollower
from core.eventlog.node import Node, NodeSettings
from core.eventlog.product import product_events
from core.eventlog.recorder.mapper import EventMapper, stored_event
from core.held import HeldMapper, PortRecorder
from core.limits import SNAPSHOT_EVERY_VERSIONS
from core.personal import Personal
from core.shifts import Pause, SignOn
from core.taxonomy import read_taxonomy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

CALL = "call/desk/1"
CALLER = Personal("0700000001", "caller/1")
ASKED: dict[str, Any] = {"now": T0, "call": CALL}
ANSWER_ANNA = AnswerCall(id=UUID(int=11), actor="anna", asker=staff("anna"), agent="anna", **ASKED)
ANSWER_BO = AnswerCall(id=UUID(int=12), actor="bo", asker=staff("bo"), agent="bo", **ASKED)


@dataclass
class House:
    """A node on a log in memory, with an application."""

    node: Node
    application: Application


def in_house(work: Callable[[House], Awaitable[None]], tmp_path: Path) -> None:
    async def run() -> None:
        node = await Node.open(NodeSettings("memory:", tmp_path, clock=lambda: T0))
        try:
            await work(House(node, Application(node, city, product_events(node))))
        finally:
            await node.close()

    asyncio.run(run())


def queue(n: int = 1, stream: str = CALL) -> QueueCall:
    return QueueCall(
        id=UUID(int=n),
        now=T0,
        actor="x",
        asker=staff("x"),
        call=stream,
        queue="trafik",
        caller=CALLER,
        caller_ref="r",
    )


def test_a_command_is_recorded_with_its_version_and_told(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        await house.application.handle(queue())
        answer = await house.application.handle(ANSWER_ANNA)
        assert (CallAnswered("trafik", "anna"),) == answer.recorded
        assert isinstance(answer.verdict, Accepted)
        assert answer.shard == "calls/0"
        first, second = house.node.load(CALL)
        assert CallQueued("trafik", "tnh_trafik", True, CALLER, "r") == first.event
        assert (second.version, second.actor, second.origin) == (2, "anna", "desk")

    in_house(work, tmp_path)


def test_a_repeat_gets_the_first_answer_again_and_records_nothing(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        await house.application.handle(queue())
        first = await house.application.handle(ANSWER_ANNA)
        again = await house.application.handle(replace(ANSWER_ANNA, now=T0.replace(hour=9)))
        assert first.recorded == again.recorded
        assert isinstance(again.verdict, Duplicate)
        assert len(house.node.load(CALL)) == 2

    in_house(work, tmp_path)


def test_a_refusal_says_why_and_is_final_for_its_id(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        await house.application.handle(queue())
        await house.application.handle(ANSWER_ANNA)
        for _ in range(2):
            with pytest.raises(CallAlreadyAnswered, match="anna"):
                await house.application.handle(ANSWER_BO)
        end = EndCall(id=UUID(int=13), actor="anna", asker=staff("anna"), agent="anna", **ASKED)
        await house.application.handle(end)
        with pytest.raises(CallAlreadyAnswered, match="anna"):
            await house.application.handle(ANSWER_BO)

    in_house(work, tmp_path)


def test_nothing_to_do_is_an_answer_without_events(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        await house.application.handle(queue(1))
        answer = await house.application.handle(queue(2))
        assert answer.recorded == ()
        again = await house.application.handle(queue(2))
        assert again.recorded == ()

    in_house(work, tmp_path)


def test_an_id_that_asked_for_something_else_before_is_an_alarm(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        await house.application.handle(queue(1))
        with pytest.raises(IdUsedBefore):
            await house.application.handle(replace(ANSWER_ANNA, id=UUID(int=1)))

    in_house(work, tmp_path)


def test_a_command_that_can_never_be_done_leaves_no_trace(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        title = Personal("Om min mamma", "caller/1")
        register = RegisterCase(
            id=ID,
            now=T0,
            actor="anna",
            asker=staff("anna"),
            authority="SOC",
            case="1",
            agent="anna",
            title=title,
        )
        before = house.node.digests()
        with pytest.raises(AuthorityExcluded):
            await house.application.handle(register)
        with pytest.raises(Invalid):
            await house.application.handle(replace(ANSWER_ANNA, call="shift/x"))
        assert before == house.node.digests()
        assert "cases.SOC/0" not in house.node.shards()

    in_house(work, tmp_path)


def test_a_case_lives_in_its_authoritys_book_from_registration_to_closing(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        asked: dict[str, Any] = {
            "now": T0, "actor": "anna", "asker": staff("anna"), "authority": "TK", "case": "abc",
            "agent": "anna",
        }  # fmt: skip
        title = Personal("Trasig lampa", "caller/1")
        handle = house.application.handle
        answer = await handle(RegisterCase(id=UUID(int=1), contact=CALL, title=title, **asked))
        await handle(CategoriseCase(id=UUID(int=2), case_type="TK-TRP-01", **asked))
        await handle(CloseCase(id=UUID(int=3), outcome="solved", first_contact=True, **asked))
        assert answer.shard == "cases.TK/0"
        stream = house.node.load("case/TK/abc")
        assert len(stream) == 3
        assert isinstance(stream[0].event, CaseRegistered)
        assert title == stream[0].event.title

    in_house(work, tmp_path)


def test_a_shift_is_decided_too(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        asked: dict[str, Any] = {
            "now": T0,
            "actor": "anna",
            "asker": staff("anna"),
            "agent": "anna",
            "on": "2026-11-22",
        }
        await house.application.handle(SignOn(id=UUID(int=1), groups=("tnh_trafik",), **asked))
        answer = await house.application.handle(Pause(id=UUID(int=2), reason="rast", **asked))
        assert (answer.shard, len(answer.recorded)) == ("centre/0", 1)

    in_house(work, tmp_path)


def test_a_long_stream_is_read_from_its_snapshot(tmp_path: Path) -> None:
    class Counting(PortRecorder):
        """The library's recorder, which notes from where it was read."""

        read_after: int | None = None

        def select_events(self, *args: Any, **kwargs: Any) -> Any:
            self.read_after = kwargs.get("gt")
            return super().select_events(*args, **kwargs)

    async def work(house: House) -> None:
        recorder = Counting(house.node)
        application = Application(house.node, city, EventStore(HeldMapper(), recorder))
        await application.handle(queue(1))
        await application.handle(ANSWER_ANNA)
        for n in range(100, 100 + SNAPSHOT_EVERY_VERSIONS):
            kind = HoldCall if n % 2 == 0 else ResumeCall
            asked = {
                "id": UUID(int=n),
                "actor": "anna",
                "asker": staff("anna"),
                "agent": "anna",
                **ASKED,
            }
            await application.handle(kind(**asked))
        loaded = application.load(CALLS, CALL)
        assert recorder.read_after == SNAPSHOT_EVERY_VERSIONS
        assert loaded.version == SNAPSHOT_EVERY_VERSIONS + 2
        assert application.load(CALLS, CALL) == Application(house.node, city).load(CALLS, CALL)
        assert loaded.state.phase == Phase.TALKING

    in_house(work, tmp_path)


def test_stored_events_in_the_form_of_the_log_give_the_same_state(tmp_path: Path) -> None:
    """The library's mapper with our codec.

    What the recorder of the persistence module hands out.
    """

    async def work(house: House) -> None:
        await house.application.handle(queue(1))
        await house.application.handle(ANSWER_ANNA)
        await house.node.settle()
        mapper = EventMapper(house.node.keyring.by_id)
        stored = [
            stored_event(fed.commit, 0, version, fed.shard, fed.position, fed.first_seq)
            for version, fed in enumerate(house.node.read("calls/0", 0, 10), start=1)
        ]
        assert [s.topic for s in stored] == ["call.queued", "call.answered"]
        assert b"0700000001" not in stored[0].state
        assert list(house.node.load(CALL)) == [mapper.to_domain_event(s) for s in stored]

    in_house(work, tmp_path)


def test_excluded_callers_do_not_pass_the_guard(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        guarded = GuardedPort(house.node, city)
        facts = [
            CallQueued("social_vidare", "ext_soc", True, CALLER, "r"),
            CallQueued("trafik", "tnh_trafik", True, CALLER, "r"),
        ]
        drafts = [
            fact_draft(
                id=UUID(int=n), asking=f"fact {n}", actor="ami", origin="telephony:x",
                stream=f"call/x/{n}", events=[fact], occurred_at=T0,
            )
            for n, fact in enumerate(facts)
        ]  # fmt: skip
        await guarded.propose(drafts[0])
        await guarded.propose_many(drafts)
        assert CallQueued("social_vidare", "ext_soc") == guarded.load("call/x/0")[0].event
        assert facts[1] == guarded.load("call/x/1")[0].event

    in_house(work, tmp_path)


def test_the_directory_follows_the_log(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        directory = DirectoryFollower(house.node)
        assert not directory().group_of_queue("avfall").known
        text = TAXONOMY.read_text(encoding="utf-8")
        await house.node.propose_many(read_taxonomy(text, T0))
        await house.node.settle()
        assert city().entries == directory().entries
        assert directory() is directory(), "nothing new, nothing read"
        changed = text.replace('name = "Avfall"', 'name = "Sopor"')
        await house.node.propose_many(read_taxonomy(changed, T0, directory=directory()))
        await house.node.settle()
        assert directory().group_of_queue("avfall").name == "Sopor"

    in_house(work, tmp_path)
