"""The rules of calls: each command does, refuses, and stays quiet."""

from __future__ import annotations

from typing import Any

import pytest
from given import ID, T0, S, folded, given

from core.call_rules import (
    CALLS,
    AlreadyWrappedUp,
    AnswerCall,
    CallAlreadyAnswered,
    CallNotWaiting,
    CallNotYours,
    CallOver,
    CallUnknown,
    EndCall,
    HoldCall,
    MakeCallback,
    NoCallbackPromised,
    NotYetEnded,
    OfferCall,
    QueueCall,
    RequestCallback,
    ResumeCall,
    TakeCall,
    TransferCall,
    WrapUpCall,
)
from core.call_state import Phase
from core.calls import (
    CallAbandoned,
    CallAnswered,
    CallbackMade,
    CallbackRequested,
    CallEnded,
    CallHeld,
    CallLeft,
    CallNotTaken,
    CallOffered,
    CallQueued,
    CallRefused,
    CallResumed,
    CallTimedOut,
    CallTransferred,
    CallWrappedUp,
)
from core.errors import Invalid, Refused
from core.personal import Personal

CALL = "call/desk/1"
ANNA, BO = "anna", "bo"
CALLER = Personal("0700000001", "caller/1")
ASKED: dict[str, Any] = {"id": ID, "now": T0 + 60 * S, "actor": ANNA, "call": CALL}

OFFERED = CallOffered("phone", "08-465 004 01", "2", CALLER, "ref1")
QUEUED = CallQueued("trafik", "tnh_trafik", True, CALLER, "ref1")
ANSWERED = CallAnswered("trafik", ANNA)
HELD = CallHeld(ANNA)
ENDED = CallEnded("trafik", ANNA, "agent")
TRANSFERRED = CallTransferred("trafik", ANNA, "warm", "tnh_avfall")
PROMISED = CallbackRequested("trafik")
LEFT = CallAbandoned("trafik", 12.0)


# --- offer ----------------------------------------------------------------------------------------
def test_a_call_is_offered_with_its_channel_number_and_choice() -> None:
    command = OfferCall(
        **ASKED, dialled="08-465 004 01", ivr_choice="2", caller=CALLER, caller_ref="ref1"
    )
    given(CALLS).when(command).then(OFFERED)


def test_a_call_cannot_be_offered_when_it_waits_already() -> None:
    given(CALLS, QUEUED).when(OfferCall(**ASKED)).then_refused(Refused, "waiting")


def test_a_call_by_an_unknown_channel_is_not_offered() -> None:
    given(CALLS).when(OfferCall(**ASKED, channel="telex")).then_refused(Invalid, "email")


def test_offering_twice_does_nothing_more() -> None:
    given(CALLS, OFFERED).when(OfferCall(**ASKED)).then_nothing_happened()


# --- queue ----------------------------------------------------------------------------------------
def test_an_offered_call_is_queued_in_the_group_of_its_queue() -> None:
    command = QueueCall(**ASKED, queue="trafik", caller=CALLER, caller_ref="ref1")
    given(CALLS, OFFERED).when(command).then(QUEUED)


def test_a_call_in_an_unknown_queue_gets_a_group_of_that_name() -> None:
    given(CALLS).when(QueueCall(**ASKED, queue="ny")).then(CallQueued("ny", "ny", False))


@pytest.mark.parametrize(
    ("before", "refusal"),
    [
        ((OFFERED, QUEUED, ANSWERED), CallAlreadyAnswered),
        ((QUEUED, ANSWERED, ENDED), CallOver),
        ((CallQueued("avfall", "tnh_avfall"),), Refused),
    ],
)
def test_a_call_is_not_queued_while_it_is_elsewhere(before: Any, refusal: type[Exception]) -> None:
    given(CALLS, *before).when(QueueCall(**ASKED, queue="trafik")).then_refused(refusal)


def test_queueing_a_call_where_it_waits_does_nothing() -> None:
    given(CALLS, QUEUED).when(QueueCall(**ASKED, queue="trafik")).then_nothing_happened()


# --- take by hand ---------------------------------------------------------------------------------
def test_a_call_taken_by_hand_is_offered_queued_and_answered_at_once() -> None:
    command = TakeCall(**ASKED, agent=ANNA, queue="trafik", caller=CALLER, caller_ref="ref1")
    answered = CallAnswered("trafik", ANNA, 0.0)
    given(CALLS).when(command).then(CallOffered("phone"), QUEUED, answered)


def test_a_call_that_another_has_cannot_be_taken_by_hand() -> None:
    command = TakeCall(**ASKED, agent=BO, queue="trafik")
    given(CALLS, QUEUED, ANSWERED).when(command).then_refused(CallAlreadyAnswered, ANNA)


def test_taking_a_call_that_one_has_does_nothing() -> None:
    command = TakeCall(**ASKED, agent=ANNA, queue="trafik")
    given(CALLS, QUEUED, ANSWERED).when(command).then_nothing_happened()


# --- answer ---------------------------------------------------------------------------------------
def test_a_waiting_call_is_answered() -> None:
    given(CALLS, OFFERED, QUEUED).when(AnswerCall(**ASKED, agent=ANNA)).then(ANSWERED)


def test_an_answered_call_cannot_be_answered_by_another() -> None:
    command = AnswerCall(**ASKED, agent=BO)
    given(CALLS, QUEUED, ANSWERED).when(command).then_refused(CallAlreadyAnswered, ANNA)


@pytest.mark.parametrize(
    ("before", "refusal"),
    [((), CallUnknown), ((OFFERED,), CallNotWaiting), ((QUEUED, LEFT), CallOver)],
)
def test_a_call_that_does_not_wait_cannot_be_answered(
    before: Any, refusal: type[Exception]
) -> None:
    given(CALLS, *before).when(AnswerCall(**ASKED, agent=ANNA)).then_refused(refusal)


def test_answering_a_call_that_one_has_does_nothing() -> None:
    given(CALLS, QUEUED, ANSWERED).when(AnswerCall(**ASKED, agent=ANNA)).then_nothing_happened()


# --- hold and resume ------------------------------------------------------------------------------
def test_a_call_is_put_on_hold_and_resumed() -> None:
    given(CALLS, QUEUED, ANSWERED).when(HoldCall(**ASKED, agent=ANNA)).then(HELD)
    resume = ResumeCall(**ASKED, agent=ANNA)
    given(CALLS, QUEUED, ANSWERED, HELD).when(resume).then(CallResumed(ANNA))


@pytest.mark.parametrize("command", [HoldCall, ResumeCall])
def test_only_who_has_the_call_holds_or_resumes_it(command: Any) -> None:
    given(CALLS, QUEUED, ANSWERED).when(command(**ASKED, agent=BO)).then_refused(CallNotYours)
    given(CALLS, QUEUED).when(command(**ASKED, agent=ANNA)).then_refused(CallNotYours)


def test_holding_a_held_call_or_resuming_one_in_talk_does_nothing() -> None:
    held = given(CALLS, QUEUED, ANSWERED, HELD)
    held.when(HoldCall(**ASKED, agent=ANNA)).then_nothing_happened()
    talking = given(CALLS, QUEUED, ANSWERED)
    talking.when(ResumeCall(**ASKED, agent=ANNA)).then_nothing_happened()


# --- transfer -------------------------------------------------------------------------------------
@pytest.mark.parametrize("how", ["blind", "warm", "person"])
def test_a_call_is_transferred_blind_warm_or_to_a_person(how: str) -> None:
    command = TransferCall(**ASKED, agent=ANNA, how=how, to="tnh_avfall")
    expected = CallTransferred("trafik", ANNA, how, "tnh_avfall")
    given(CALLS, QUEUED, ANSWERED).when(command).then(expected)


def test_a_call_on_hold_is_transferred_too() -> None:
    command = TransferCall(**ASKED, agent=ANNA, how="warm", to="tnh_avfall")
    given(CALLS, QUEUED, ANSWERED, HELD).when(command).then(TRANSFERRED)


def test_a_call_of_another_is_not_transferred_nor_in_an_unknown_way() -> None:
    calls = given(CALLS, QUEUED, ANSWERED)
    calls.when(TransferCall(**ASKED, agent=BO, how="warm", to="x")).then_refused(CallNotYours)
    calls.when(TransferCall(**ASKED, agent=ANNA, how="cold", to="x")).then_refused(Invalid, "blind")


def test_transferring_again_to_the_same_place_does_nothing() -> None:
    command = TransferCall(**ASKED, agent=ANNA, how="warm", to="tnh_avfall")
    given(CALLS, QUEUED, ANSWERED, TRANSFERRED).when(command).then_nothing_happened()


# --- callback -------------------------------------------------------------------------------------
def test_a_waiting_caller_is_promised_a_callback() -> None:
    command = RequestCallback(**ASKED, promised_at=T0 + 3600 * S)
    expected = CallbackRequested("trafik", promised_at=T0 + 3600 * S)
    given(CALLS, QUEUED).when(command).then(expected)


def test_a_callback_is_not_promised_to_who_does_not_wait() -> None:
    given(CALLS, QUEUED, ANSWERED).when(RequestCallback(**ASKED)).then_refused(CallNotWaiting)


def test_promising_a_callback_twice_does_nothing_more() -> None:
    given(CALLS, QUEUED, PROMISED).when(RequestCallback(**ASKED)).then_nothing_happened()


@pytest.mark.parametrize("reached", [True, False])
def test_a_promised_callback_is_made(reached: bool) -> None:
    command = MakeCallback(**ASKED, agent=ANNA, reached=reached)
    given(CALLS, QUEUED, PROMISED).when(command).then(CallbackMade("trafik", ANNA, reached))


def test_a_callback_that_was_not_reached_may_be_tried_again() -> None:
    command = MakeCallback(**ASKED, agent=BO, reached=True)
    missed = CallbackMade("trafik", ANNA, False)
    given(CALLS, QUEUED, PROMISED, missed).when(command).then(CallbackMade("trafik", BO, True))


def test_a_callback_that_nobody_promised_is_not_made() -> None:
    command = MakeCallback(**ASKED, agent=ANNA, reached=True)
    given(CALLS, QUEUED).when(command).then_refused(NoCallbackPromised)


def test_a_callback_that_was_made_is_not_made_again() -> None:
    command = MakeCallback(**ASKED, agent=ANNA, reached=True)
    made = CallbackMade("trafik", ANNA, True)
    given(CALLS, QUEUED, PROMISED, made).when(command).then_nothing_happened()


# --- end and wrap up ------------------------------------------------------------------------------
def test_the_agent_ends_the_talk() -> None:
    given(CALLS, QUEUED, ANSWERED).when(EndCall(**ASKED, agent=ANNA)).then(ENDED)


def test_only_who_has_the_call_ends_it() -> None:
    given(CALLS, QUEUED, ANSWERED).when(EndCall(**ASKED, agent=BO)).then_refused(CallNotYours)


def test_ending_an_ended_call_does_nothing() -> None:
    command = EndCall(**ASKED, agent=ANNA)
    given(CALLS, QUEUED, ANSWERED, ENDED).when(command).then_nothing_happened()


@pytest.mark.requirement("R7", "R18", "R27")
@pytest.mark.parametrize("outcome", ["solved", "guided", "eservice", "handed_over", "callback"])
def test_a_call_is_wrapped_up_with_an_outcome(outcome: str) -> None:
    command = WrapUpCall(**ASKED, agent=ANNA, outcome=outcome)
    given(CALLS, QUEUED, ANSWERED, ENDED).when(command).then(CallWrappedUp(ANNA, outcome))


def test_an_agent_who_passed_the_call_on_wraps_up_while_another_talks() -> None:
    command = WrapUpCall(**ASKED, agent=ANNA, outcome="handed_over")
    later = (CallQueued("avfall", "tnh_avfall"), CallAnswered("avfall", BO))
    calls = given(CALLS, QUEUED, ANSWERED, TRANSFERRED, *later)
    calls.when(command).then(CallWrappedUp(ANNA, "handed_over"))


@pytest.mark.parametrize(
    ("before", "agent", "refusal"),
    [
        ((QUEUED, ANSWERED), ANNA, NotYetEnded),
        ((QUEUED, ANSWERED, ENDED), BO, CallNotYours),
        ((QUEUED, ANSWERED, ENDED, CallWrappedUp(ANNA, "guided")), ANNA, AlreadyWrappedUp),
        ((), ANNA, CallUnknown),
    ],
)
def test_a_call_is_not_wrapped_up_early_by_another_or_differently(
    before: Any, agent: str, refusal: type[Exception]
) -> None:
    command = WrapUpCall(**ASKED, agent=agent, outcome="solved")
    given(CALLS, *before).when(command).then_refused(refusal)


def test_an_outcome_that_nobody_knows_is_refused() -> None:
    command = WrapUpCall(**ASKED, agent=ANNA, outcome="done")
    given(CALLS, QUEUED, ANSWERED, ENDED).when(command).then_refused(Invalid, "solved")


def test_wrapping_up_the_same_way_twice_does_nothing_more() -> None:
    command = WrapUpCall(**ASKED, agent=ANNA, outcome="solved")
    done = CallWrappedUp(ANNA, "solved")
    given(CALLS, QUEUED, ANSWERED, ENDED, done).when(command).then_nothing_happened()


# --- facts that do not fit ------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("events", "why"),
    [
        ((ANSWERED,), "answered while unknown"),
        ((QUEUED, ANSWERED, CallAnswered("trafik", BO)), "while talking with anna"),
        ((QUEUED, QUEUED), "while waiting in trafik"),
        ((QUEUED, ANSWERED, CallQueued("avfall", "tnh_avfall")), "while talking with anna"),
        ((QUEUED, LEFT, CallTimedOut("trafik")), "while left"),
        ((QUEUED, CallLeft("avfall", "key")), "while waiting in trafik"),
        ((QUEUED, ENDED), "while waiting"),
        ((QUEUED, ANSWERED, CallHeld(BO)), "while talking with anna"),
        ((QUEUED, ANSWERED, CallRefused("trafik", "tnh_trafik")), "while talking"),
        ((OFFERED, OFFERED), "twice"),
        ((QUEUED, CallbackMade("trafik", ANNA, True)), "called back while waiting"),
        ((QUEUED, ANSWERED, ENDED, CallWrappedUp(BO, "solved")), "no part"),
    ],
)
def test_a_fact_that_contradicts_the_state_is_taken_and_marked(events: Any, why: str) -> None:
    state = folded(CALLS, *events)
    assert len(state.contradictions) == 1
    assert why in state.contradictions[0].why
    assert state.contradictions[0].type == events[-1].TOPIC


def test_a_call_through_several_queues_and_agents_contradicts_nothing() -> None:
    events = (
        OFFERED, QUEUED, CallNotTaken("trafik", BO, "no_answer"), ANSWERED, HELD, CallResumed(ANNA),
        TRANSFERRED, CallQueued("avfall", "tnh_avfall"), CallAnswered("avfall", BO),
        CallWrappedUp(ANNA, "handed_over"), CallEnded("avfall", BO, "caller"),
        CallWrappedUp(BO, "solved"),
    )  # fmt: skip
    state = folded(CALLS, *events)
    assert state.contradictions == ()
    assert state.phase == Phase.ENDED
    assert state.talked == (ANNA, BO)


def test_contradictions_are_bounded() -> None:
    state = folded(CALLS, *[QUEUED] * 300)
    assert len(state.contradictions) == 100


@pytest.mark.parametrize("stream", ["call/desk", "case/TK/1", "call//1", "call/desk/"])
def test_a_command_about_something_that_is_no_call_is_invalid(stream: str) -> None:
    command = AnswerCall(**{**ASKED, "call": stream}, agent=ANNA)
    given(CALLS).when(command).then_refused(Invalid, "stream")


def test_empty_and_endless_texts_are_invalid() -> None:
    given(CALLS).when(AnswerCall(**ASKED, agent=" ")).then_refused(Invalid, "agent is empty")
    given(CALLS).when(AnswerCall(**ASKED, agent="x" * 201)).then_refused(Invalid, "at most 200")
    given(CALLS).when(AnswerCall(**ASKED, agent="\ud83d")).then_refused(Invalid, "half a")
