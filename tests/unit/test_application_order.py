"""Load, decide, propose on a log in hand: what waits for what, and what is final."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from given import ID, T0, city, staff
from lagging import LaggingNode, SharedLog

from core.application import (
    Application,
    NothingRecorded,
    fact_draft,
)
from core.call_rules import (
    AnswerCall,
    CallAlreadyAnswered,
    HoldCall,
    QueueCall,
)
from core.calls import CallAnswered, CallQueued
from core.errors import Invalid, Stale, Unavailable
from core.limits import DECISION_ATTEMPTS_MAX
from core.personal import Personal

if TYPE_CHECKING:
    from core.commit import Answer, Draft

CALL = "call/desk/1"
CALLER = Personal("0700000001", "caller/1")
ASKED: dict[str, Any] = {"now": T0, "call": CALL}
ANSWER_ANNA = AnswerCall(id=UUID(int=11), actor="anna", asker=staff("anna"), agent="anna", **ASKED)
ANSWER_BO = AnswerCall(id=UUID(int=12), actor="bo", asker=staff("bo"), agent="bo", **ASKED)


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


async def let_go() -> None:
    for _ in range(12):
        await asyncio.sleep(0)


def seeded() -> tuple[SharedLog, LaggingNode]:
    log = SharedLog()
    return log, LaggingNode(log)


async def seed(log: SharedLog, node: LaggingNode, *events: Any) -> None:
    draft = fact_draft(
        id=ID, asking="s", actor="x", origin="telephony:x", stream=CALL, events=events,
        occurred_at=T0,
    )  # fmt: skip
    task = asyncio.ensure_future(node.propose(draft))
    await let_go()
    log.land(0)
    node.read()
    await task


def test_a_decision_waits_until_the_one_before_it_on_the_stream_is_judged() -> None:
    async def work() -> None:
        log, node = seeded()
        await seed(log, node, CallQueued("trafik", "tnh_trafik"))
        application = Application(node, city)
        first = asyncio.ensure_future(application.handle(ANSWER_ANNA))
        await let_go()
        first.cancel()  # the caller goes away; the commit is under way all the same
        second = asyncio.ensure_future(application.handle(ANSWER_BO))
        other = asyncio.ensure_future(application.handle(queue(5, "call/desk/2")))
        await let_go()
        proposed = [record.draft.id for record in log.on_the_way]
        assert [ANSWER_ANNA.id, UUID(int=5)] == proposed, "another stream need not wait"
        log.land(0)
        node.read()
        await let_go()
        assert [UUID(int=5), ANSWER_BO.id] == [r.draft.id for r in log.on_the_way]
        while log.on_the_way:
            log.land(0)
        while node.read():
            pass
        with pytest.raises(CallAlreadyAnswered):
            await second
        await other
        assert application._turns == {}

    asyncio.run(work())


def test_after_the_bounded_attempts_the_caller_is_told_that_others_were_first() -> None:
    async def work() -> None:
        log, node = seeded()
        await seed(log, node, CallQueued("trafik", "tnh_trafik"), CallAnswered("trafik", "anna"))
        hold = HoldCall(id=UUID(int=20), actor="anna", asker=staff("anna"), agent="anna", **ASKED)
        asking = asyncio.ensure_future(Application(node, city).handle(hold))
        for n in range(DECISION_ATTEMPTS_MAX):
            await let_go()
            rival = fact_draft(
                id=UUID(int=1_000 + n), asking="r", actor="x", origin="telephony:x", stream=CALL,
                events=[CallAnswered("trafik", "anna")],
                occurred_at=T0,
            )  # fmt: skip
            telling = asyncio.ensure_future(node.propose(rival))
            await let_go()
            log.land(1)
            log.land(0)
            while node.read():
                pass
            await telling
        with pytest.raises(Stale):
            await asking

    asyncio.run(work())


def test_a_no_that_rested_on_an_old_state_is_final_and_says_so() -> None:
    async def work() -> None:
        log, behind = seeded()
        ahead = LaggingNode(log)
        asking = asyncio.ensure_future(Application(behind, city).handle(ANSWER_ANNA))
        await let_go()  # refused by a node that has not heard of the call
        telling = asyncio.ensure_future(
            ahead.propose(
                fact_draft(
                    id=ID,
                    asking="s",
                    actor="x",
                    origin="telephony:x",
                    stream=CALL,
                    events=[CallQueued("trafik", "tnh_trafik")],
                    occurred_at=T0,
                )
            )
        )
        await let_go()
        log.land(1)
        log.land(0)
        while behind.read() or ahead.read():
            pass
        await telling
        with pytest.raises(NothingRecorded, match="new one"):
            await asking
        again = asyncio.ensure_future(Application(ahead, city).handle(ANSWER_ANNA))
        await let_go()
        log.land(0)
        ahead.read()
        with pytest.raises(NothingRecorded):
            await again

    asyncio.run(work())


def test_what_the_log_cannot_take_now_is_told_as_it_is() -> None:
    class Down(LaggingNode):
        async def propose(self, draft: Draft) -> Answer:
            raise Unavailable(neighbour="log", retry_after_s=2)

    async def work() -> None:
        application = Application(Down(SharedLog()), city)
        with pytest.raises(Unavailable) as told:
            await application.handle(queue(1))
        assert told.value.details == {"neighbour": "log", "retry_after_s": 2}
        with pytest.raises(Unavailable):  # also where the answer would be no
            await application.handle(ANSWER_ANNA)

    asyncio.run(work())


class Sing(AnswerCall):
    """A command of a kind that nobody has rules for."""

    @property
    def stream(self) -> str:
        return "song/1"


def test_what_there_are_no_rules_for_is_invalid() -> None:
    async def work() -> None:
        command = Sing(id=ID, actor="anna", asker=staff("anna"), agent="anna", **ASKED)
        with pytest.raises(Invalid, match="no rules"):
            await Application(LaggingNode(SharedLog()), city).handle(command)

    asyncio.run(work())
