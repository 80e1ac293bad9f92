"""Callers of excluded areas: no number, no hash and no text is kept, whatever the source."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from given import ID, T0, city, given

from core import calls
from core.call_rules import CALLS, OfferCall, QueueCall, TakeCall
from core.calls import (
    CallAnswered,
    CallDiverted,
    CallLeft,
    CallNoted,
    CallOffered,
    CallQueued,
    CallTransferred,
    without_caller,
)
from core.personal import Personal

ANNA = "anna"
CALLER = Personal("0700000001", "caller/1")
ASKED: dict[str, Any] = {"id": ID, "now": T0, "actor": ANNA, "call": "call/desk/1"}


@pytest.mark.requirement("R11")
def test_a_call_queued_for_an_excluded_group_keeps_no_number_and_no_hash() -> None:
    command = QueueCall(**ASKED, queue="social_vidare", caller=CALLER, caller_ref="ref1")
    given(CALLS).when(command).then(CallQueued("social_vidare", "ext_soc"))


@pytest.mark.requirement("R11")
def test_a_call_taken_by_hand_for_an_excluded_group_keeps_no_number_and_no_hash() -> None:
    command = TakeCall(**ASKED, agent=ANNA, queue="funktion_vidare", caller=CALLER, caller_ref="r")
    queued = CallQueued("funktion_vidare", "ext_fun")
    answered = CallAnswered("funktion_vidare", ANNA, 0.0)
    given(CALLS).when(command).then(CallOffered("phone"), queued, answered)


@pytest.mark.requirement("R11")
@pytest.mark.parametrize("choice", ["8", "9", None])
def test_an_offered_call_that_may_be_for_an_excluded_group_keeps_no_number(
    choice: str | None,
) -> None:
    command = OfferCall(
        **ASKED, dialled="08-465 004 02", ivr_choice=choice, caller=CALLER, caller_ref="ref1"
    )
    given(CALLS).when(command).then(CallOffered("phone", "08-465 004 02", choice))


def test_an_offered_call_to_another_group_of_the_same_menu_keeps_its_caller() -> None:
    command = OfferCall(**ASKED, dialled="0846500402", ivr_choice="4", caller=CALLER)
    given(CALLS).when(command).then(CallOffered("phone", "0846500402", "4", CALLER))


@pytest.mark.requirement("R11")
def test_facts_of_an_excluded_group_are_emptied_whatever_their_source() -> None:
    kept = [
        without_caller(fact, city())
        for fact in (
            CallQueued("social_vidare", "ext_soc", True, CALLER, "ref1", 2),
            CallTransferred("social_vidare", ANNA, "blind", "0700000002", 1.0, 2.0),
            CallDiverted("social_vidare", "0700000002", 1.0),
            CallLeft("social_vidare", "key", "4", 3.0),
            CallNoted("social_vidare", "NOTE", ANNA, ("0700000002",)),
        )
    ]
    expected = [
        CallQueued("social_vidare", "ext_soc", True, None, None, 2),
        CallTransferred("social_vidare", ANNA, "blind", None, 1.0, 2.0),
        CallDiverted("social_vidare", None, 1.0),
        CallLeft("social_vidare", "key", None, 3.0),
        CallNoted("social_vidare", "NOTE", ANNA),
    ]
    assert expected == kept


def test_every_field_of_a_call_is_either_harmless_or_emptied_for_excluded_groups() -> None:
    """A new field has to be put on one of the two lists."""
    harmless = {
        "agent", "by", "channel", "dialled", "exchange", "group", "group_known", "how",
        "ivr_choice",
        "message", "name", "outcome", "place", "promised_at", "queue", "reached", "reason",
        "ring_s", "talk_s", "wait_s", "wrap_up_s",
    }  # fmt: skip
    for event in {*calls.KINDS.values()}:
        emptied = set(calls._NOT_KEPT.get(event, {}))
        assert {f.name for f in fields(event)} - emptied <= harmless, event


def test_the_caller_is_no_part_of_what_identifies_the_asking() -> None:
    command = QueueCall(**ASKED, queue="social_vidare", caller=CALLER, caller_ref="ref1")
    assert "0700000001" not in command.asking()
    assert "ref1" not in command.asking()
    assert '"queue":"social_vidare"' in command.asking()
