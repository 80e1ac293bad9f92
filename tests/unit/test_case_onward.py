"""Sending onward: connecting, handing over with receipts, complaints, promises, links."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from case_facts import (
    CASE,
    CLOSED,
    ID_2,
    REGISTERED,
    TEXT,
    asked,
    registered,
    typed,
)
from given import ID, T0, S, agent, city, folded, given, officer

from core.access import Verdict, verdict
from core.case_commands import (
    AuthorityExcluded,
    AuthorityUnknown,
    CallbackIsKept,
    CallbackUnknown,
    CaseIsClosed,
    CaseNotCategorised,
    CaseOfOfficer,
    CaseUnknown,
    ConflictOfInterest,
    ConnectCaller,
    HandOverCase,
    KeepCallback,
    LinkCases,
    LinkedOtherwise,
    NoComplaintSystem,
    NoSafetyCentre,
    NotAComplaint,
    NoteCase,
    PromiseCallback,
    SendComplaint,
    UnlinkCases,
)
from core.case_rules import CASES
from core.cases import (
    CallbackKept,
    CallbackPromised,
    CaseConnected,
    CaseHandedOver,
    CaseLinked,
    CaseTaken,
    CaseUnlinked,
    ComplaintAnswered,
    ComplaintSent,
    HandoverReceiptNoted,
)
from core.errors import Invalid
from core.taxonomy import Directory, EntryRemoved, EntrySet

NOW = T0 + 60 * S
H = str(ID)
WASTE = (REGISTERED, typed("TK-AVF-01"))  # answer at 1, hand over at 2, answer by specialist
NEXT_DAY = NOW + timedelta(hours=24)
HANDED = CaseHandedOver(H, "anna", "TK", "spec_tk_avfall", NEXT_DAY, step=1)


# --- connecting -----------------------------------------------------------------------------------
@pytest.mark.requirement("R22")
@pytest.mark.requirement("R35")
def test_a_caller_is_connected_to_those_who_always_handle_it() -> None:
    before = (registered("IDR"), typed("IDR-BOK-01"))  # route here, route there
    sports = agent("anna", "tnh_fritid")
    command = ConnectCaller(**asked(sports, "IDR", group="idr_bokning", warm=True))
    connected = CaseConnected("anna", "idr_bokning", warm=True, step=1)
    given(CASES, *before).when(command).then(connected)
    assert folded(CASES, *before, connected).step == 2


@pytest.mark.requirement("R16")
@pytest.mark.requirement("R23")
def test_a_caller_is_connected_to_an_officer_or_an_on_call_expert_by_any_agent() -> None:
    to_officer = ConnectCaller(**asked(officer="olle"))
    given(CASES, REGISTERED).when(to_officer).then(CaseConnected("anna", officer="olle"))
    before = (registered("MF"), typed("MF-LIV-02"))  # guide, decide by the expert
    food = agent("anna", "tnh_livsmedel")
    to_expert = ConnectCaller(**asked(food, "MF", group="jour_livsmedel", warm=True))
    expected = CaseConnected("anna", "jour_livsmedel", warm=True)
    given(CASES, *before).when(to_expert).then(expected)


def test_a_connection_to_nobody_or_to_an_excluded_area_is_refused() -> None:
    def refuses(kind: type[Exception], *facts: Any, **fields: Any) -> None:
        given(CASES, *facts).when(ConnectCaller(**asked(**fields))).then_refused(kind)

    refuses(Invalid, REGISTERED)
    refuses(Invalid, REGISTERED, group="tnh_avfall", officer="olle")
    refuses(Invalid, REGISTERED, group="tnh_x")
    refuses(AuthorityExcluded, REGISTERED, group="ext_fun")
    refuses(CaseIsClosed, *WASTE, CLOSED, group="tnh_avfall")
    refuses(CaseUnknown, group="tnh_avfall")


def test_the_same_connection_again_at_once_does_nothing() -> None:
    before = (*WASTE, CaseConnected("anna", "spec_tk_avfall"))
    command = ConnectCaller(**asked(id=ID_2, group="spec_tk_avfall"))
    given(CASES, *before).when(command).then_nothing_happened()


# --- handing over ---------------------------------------------------------------------------------
@pytest.mark.requirement("R9")
def test_a_case_is_handed_over_to_whom_the_chain_names_and_a_receipt_is_awaited() -> None:
    given(CASES, *WASTE).when(HandOverCase(**asked())).then(HANDED)
    state = folded(CASES, *WASTE, HANDED)
    assert state.place.receivers == {"TK"}
    assert state.handovers[H].awaited is True


@pytest.mark.requirement("R6")
def test_safety_goes_to_the_round_the_clock_centre_within_a_minute() -> None:
    before = (REGISTERED, typed("TK-DRC-01"))  # register, hand over, answer
    command = HandOverCase(**asked(safety=True, note=TEXT))
    minute = NOW + timedelta(seconds=60)
    expected = CaseHandedOver(H, "anna", "SAM", "samverkan", minute, safety=True, note=TEXT)
    given(CASES, *before).when(command).then(expected)
    signal = (REGISTERED, typed("TK-DRC-10"))  # whose chain goes there: the step is done
    (event,) = given(CASES, *signal).when(command).events
    assert isinstance(event, CaseHandedOver)
    assert event.step == 1
    without = Directory.of([EntryRemoved("answer_group", "samverkan")], city())
    given(CASES, *before).in_city(without).when(command).then_refused(NoSafetyCentre, "112")


@pytest.mark.requirement("R54")
@pytest.mark.parametrize(
    ("authority", "fields"),
    [
        ("TK", {"receiver": "MF"}),
        ("TK", {"group": "jour_livsmedel"}),
        ("MF", {"receiver": "TK"}),
    ],
)
def test_no_case_crosses_a_conflict_of_interest(authority: str, fields: dict[str, Any]) -> None:
    command = HandOverCase(**asked(authority=authority, **fields))
    given(CASES, registered(authority)).when(command).then_refused(ConflictOfInterest, "own")


@pytest.mark.requirement("R54")
def test_no_case_of_a_third_is_open_for_both_sides_not_even_after_a_return() -> None:
    to_tk = CaseHandedOver("h", "anna", "TK")
    returned = HandoverReceiptNoted("h", "returned", "olle", TEXT)
    before = (registered("SBK"), to_tk, returned)
    command = HandOverCase(**asked(authority="SBK", receiver="MF"))
    given(CASES, *before).when(command).then_refused(ConflictOfInterest)
    unmarked = HandOverCase(**asked(authority="SBK", receiver="FSK"))
    assert given(CASES, *before).when(unmarked).events


def test_a_handover_to_nobody_is_refused() -> None:
    def refuses(kind: type[Exception], saying: str = "", **fields: Any) -> None:
        given(CASES, *WASTE).when(HandOverCase(**asked(**fields))).then_refused(kind, saying)

    refuses(AuthorityUnknown, "NASA", receiver="NASA")
    refuses(AuthorityExcluded, receiver="SOC")
    refuses(AuthorityExcluded, group="ext_soc")
    refuses(Invalid, "SAM's, not TK's", group="samverkan", receiver="TK")
    refuses(Invalid, "safety goes to", group="spec_tk_avfall", safety=True)
    refuses(Invalid, "say who receives", group="spec_sdn")
    given(CASES, *WASTE, CLOSED).when(HandOverCase(**asked())).then_refused(CaseIsClosed)


def test_what_is_on_its_way_is_not_handed_over_again_until_it_is_returned() -> None:
    again = HandOverCase(**asked(id=ID_2))
    given(CASES, *WASTE, HANDED).when(again).then_nothing_happened()
    returned = HandoverReceiptNoted(H, "returned", "olle", TEXT)
    (event,) = given(CASES, *WASTE, HANDED, returned).when(again).events
    assert isinstance(event, CaseHandedOver)
    assert (event.handover, event.step) == (str(ID_2), 1)
    same_id = HandOverCase(**asked())
    given(CASES, *WASTE, HANDED, returned).when(same_id).then_nothing_happened()


@pytest.mark.requirement("R16")
def test_a_case_is_handed_over_to_the_officer_whom_the_caller_asked_for() -> None:
    command = HandOverCase(**asked(officer="olle"))
    given(CASES, *WASTE).when(command).then(replace(HANDED, officer="olle"))
    other = HandOverCase(**asked(id=ID_2, officer="olga"))
    assert given(CASES, *WASTE, replace(HANDED, officer="olle")).when(other).events


def test_a_taken_case_is_not_handed_on_by_others_unless_there_is_danger() -> None:
    taken = given(CASES, *WASTE, CaseTaken("olle"))
    taken.when(HandOverCase(**asked())).then_refused(CaseOfOfficer)
    assert taken.when(HandOverCase(**asked(safety=True))).events
    assert taken.when(HandOverCase(**asked(officer()))).events


# --- complaints -----------------------------------------------------------------------------------
COMPLAINT = (REGISTERED, typed("ALL-KLA-01"))
SENT = ComplaintSent(H, "kk_tk", "anna", NEXT_DAY, step=1)


@pytest.mark.requirement("R36")
@pytest.mark.parametrize(
    ("authority", "case_type", "system"),
    [
        ("TK", "ALL-KLA-01", "kk_tk"),
        ("BOL", "ALL-KLA-01", "kk_bol"),
        ("IDR", "IDR-KLA-01", "kk_idr"),
        ("BRO", "SDN-ALM-01", "kk_bro"),  # whose type names the family's system: the owner's own
        ("MF", "ALL-SYN-01", "kk_mf"),  # a comment goes the same way
    ],
)
def test_a_complaint_goes_to_the_owners_own_system(
    authority: str, case_type: str, system: str
) -> None:
    complaint = case_type != "ALL-SYN-01"
    before = (registered(authority), typed(case_type, complaint=complaint))
    (event,) = given(CASES, *before).when(SendComplaint(**asked(authority=authority))).events
    assert isinstance(event, ComplaintSent)
    assert (event.delivery, event.system, event.receipt_due_at) == (H, system, NEXT_DAY)


def test_what_is_no_complaint_or_has_no_system_is_not_sent() -> None:
    command = SendComplaint(**asked())
    given(CASES, REGISTERED).when(command).then_refused(CaseNotCategorised)
    given(CASES, *WASTE).when(command).then_refused(NotAComplaint, "hand it over")
    given(CASES, *COMPLAINT, CLOSED).when(command).then_refused(CaseIsClosed)
    none = {**city().rows("authority")["TK"], "complaint_system": None}
    without = Directory.of([EntrySet("authority", "TK", none)], city())
    given(CASES, *COMPLAINT).in_city(without).when(command).then_refused(NoComplaintSystem)
    shut = {**city().rows("complaint_system")["kk_tk"], "transport": "none"}
    closed_off = Directory.of([EntrySet("complaint_system", "kk_tk", shut)], city())
    given(CASES, *COMPLAINT).in_city(closed_off).when(command).then_refused(AuthorityExcluded)


def test_a_complaint_is_sent_once_until_it_is_answered() -> None:
    again = SendComplaint(**asked(id=ID_2))
    given(CASES, *COMPLAINT, SENT).when(again).then_nothing_happened()
    answered = ComplaintAnswered(H, "olle")
    (event,) = given(CASES, *COMPLAINT, SENT, answered).when(again).events
    assert isinstance(event, ComplaintSent)
    same_id = SendComplaint(**asked())
    given(CASES, *COMPLAINT, SENT, answered).when(same_id).then_nothing_happened()


@pytest.mark.requirement("R36")
def test_a_complaint_is_not_handed_over_in_place_of_being_sent() -> None:
    (event,) = given(CASES, *COMPLAINT).when(HandOverCase(**asked())).events
    assert isinstance(event, CaseHandedOver)
    assert event.step is None


# --- promises -------------------------------------------------------------------------------------
AT_TEN = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
PROMISED = CallbackPromised(H, "anna", AT_TEN, "tnh_avfall", None, TEXT)


@pytest.mark.requirement("R16")
def test_a_callback_is_promised_at_a_time() -> None:
    command = PromiseCallback(**asked(promised_at=AT_TEN, group="tnh_avfall", number=TEXT))
    given(CASES, REGISTERED).when(command).then(PROMISED)


def test_a_promise_that_cannot_be_kept_is_refused() -> None:
    def refuses(kind: type[Exception], saying: str = "", **fields: Any) -> None:
        command = PromiseCallback(**asked(**{"promised_at": AT_TEN, **fields}))
        given(CASES, REGISTERED).when(command).then_refused(kind, saying)

    refuses(Invalid, "past", promised_at=T0)
    refuses(Invalid, "time zone", promised_at=AT_TEN.replace(tzinfo=None))
    refuses(Invalid, "no answer group", group="tnh_x")
    refuses(AuthorityExcluded, group="ext_soc")
    refuses(ConflictOfInterest, group="tnh_miljo")
    closed = given(CASES, *WASTE, CLOSED)
    closed.when(PromiseCallback(**asked(promised_at=AT_TEN))).then_refused(CaseIsClosed)


def test_the_same_promise_again_does_nothing() -> None:
    command = PromiseCallback(**asked(id=ID_2, promised_at=AT_TEN, group="tnh_avfall"))
    given(CASES, REGISTERED, PROMISED).when(command).then_nothing_happened()
    same_id = PromiseCallback(**asked(promised_at=AT_TEN, group="tnh_avfall"))
    kept = given(CASES, REGISTERED, PROMISED, CallbackKept(H, "anna"))
    kept.when(same_id).then_nothing_happened()
    (event,) = kept.when(command).events  # promised anew: nobody answered
    assert isinstance(event, CallbackPromised)


@pytest.mark.requirement("R16")
def test_a_promise_is_kept_and_who_was_not_reached_is_called_again() -> None:
    tried, reached = CallbackKept(H, "anna"), CallbackKept(H, "anna", reached=True)
    before = (*WASTE, PROMISED)
    given(CASES, *before).when(KeepCallback(**asked(promise=H))).then(tried)
    command = KeepCallback(**asked(promise=H, reached=True))
    given(CASES, *before, tried).when(command).then(reached)
    given(CASES, *before, CLOSED).when(command).then(reached)
    again = KeepCallback(**asked(id=ID_2, promise=H, reached=True))
    given(CASES, *before, reached).when(again).then_nothing_happened()
    not_now = KeepCallback(**asked(promise=H))
    given(CASES, *before, reached).when(not_now).then_refused(CallbackIsKept)
    given(CASES, *before).when(KeepCallback(**asked(promise="p"))).then_refused(CallbackUnknown)


@pytest.mark.requirement("R16")
def test_who_promised_tells_of_the_call_although_the_owner_has_taken_the_case_over() -> None:
    state = folded(CASES, REGISTERED, PROMISED, CaseTaken("olle"))
    far = agent("anna", "tnh_fritid")  # opens IDR's cases, not TK's
    kept, noted = KeepCallback(**asked(far, promise=H)), NoteCase(**asked(far, text=TEXT))
    assert verdict(far, kept.DEED, CASES.place(state, kept), city()) is Verdict.ALLOWED
    assert verdict(far, noted.DEED, CASES.place(state, noted), city()) is Verdict.HIDDEN
    bo = agent("bo", "tnh_fritid")
    others = KeepCallback(**asked(bo, promise=H))
    assert verdict(bo, others.DEED, CASES.place(state, others), city()) is Verdict.HIDDEN


# --- links ----------------------------------------------------------------------------------------
OTHER = "case/TK/other"


@pytest.mark.parametrize("kind", ["duplicate", "incident"])
def test_cases_are_linked_and_unlinked_and_nothing_is_destroyed(kind: str) -> None:
    linked = CaseLinked("anna", OTHER, kind)
    command = LinkCases(**asked(other="other", kind=kind))
    given(CASES, *WASTE).when(command).then(linked)
    given(CASES, *WASTE, linked).when(command).then_nothing_happened()
    apart = UnlinkCases(**asked(other="other"))
    given(CASES, *WASTE, linked).when(apart).then(CaseUnlinked("anna", OTHER))
    given(CASES, *WASTE).when(apart).then_nothing_happened()
    before, after = (
        folded(CASES, *WASTE),
        folded(CASES, *WASTE, linked, CaseUnlinked("anna", OTHER)),
    )
    assert (after.links, after.case_type) == (before.links, before.case_type)
    given(CASES, *WASTE, linked, CLOSED).when(apart).then(CaseUnlinked("anna", OTHER))


def test_a_link_to_itself_to_another_room_or_of_another_kind_is_refused() -> None:
    def refuses(refusal: type[Exception], **fields: Any) -> None:
        linked = CaseLinked("anna", OTHER, "incident")
        given(CASES, REGISTERED, linked).when(LinkCases(**asked(**fields))).then_refused(refusal)

    refuses(Invalid, other=CASE, kind="duplicate")
    refuses(Invalid, other="MF/5f0e", kind="duplicate")
    refuses(Invalid, other="other", kind="same")
    refuses(LinkedOtherwise, other="other", kind="duplicate")
    given(CASES).when(UnlinkCases(**asked(other="other"))).then_refused(CaseUnknown)
