"""Officers' and registrars' commands: receipts, taking, asking, deciding, complaints."""

from __future__ import annotations

from typing import Any

import pytest
from case_facts import (
    ANNA,
    BO,
    CLOSED,
    ID_2,
    REGISTERED,
    TEXT,
    asked,
    registered,
    typed,
)
from given import ID, agent, city, folded, given, officer

from core.access import Asker, Grant, Place, Role, Verdict, verdict
from core.case_commands import (
    AddAttachment,
    AnswerComplaint,
    AskQuestion,
    CaseIsClosed,
    CaseIsDecided,
    CaseIsTaken,
    CaseNotCategorised,
    CaseUnknown,
    ComplaintUnknown,
    DecideCase,
    DecideRegistry,
    DiscloseCase,
    ExerciseOfAuthority,
    HandoverUnknown,
    NoteComplaintReceipt,
    NoteReceipt,
    NotTheReceiver,
    ProtectCase,
    ReceiptOutOfOrder,
    RegistryNumberStands,
    TakeCase,
)
from core.case_rules import CASES
from core.cases import (
    AttachmentAdded,
    CaseAnswered,
    CaseClosed,
    CaseDecided,
    CaseDisclosed,
    CaseHandedOver,
    CaseNoted,
    CaseProtected,
    CaseQuestionAsked,
    CaseReopened,
    CaseTaken,
    ComplaintAnswered,
    ComplaintReceiptNoted,
    ComplaintSent,
    HandoverReceiptNoted,
    RegistryDecided,
)
from core.errors import Invalid
from core.taxonomy import Directory, EntrySet

OLLE, SAM = officer(), officer("SAM", "sam")
REGISTRAR = Asker("rut", (Grant(Role.REGISTRAR, "TK"),))
H = "h"
WASTE = (REGISTERED, typed("TK-AVF-01"))
HANDED = CaseHandedOver(H, "anna", "TK", "spec_tk_avfall", step=1)
TO_SAM = CaseHandedOver("s", "anna", "SAM", "samverkan", safety=True)


def said(receipt: str, by: str = "olle", handover: str = H) -> HandoverReceiptNoted:
    reason = TEXT if receipt == "returned" else None
    return HandoverReceiptNoted(handover, receipt, by, reason)


def note_receipt(by: Asker, receipt: str, handover: str = H) -> NoteReceipt:
    reason = TEXT if receipt == "returned" else None
    return NoteReceipt(**asked(by, handover=handover, receipt=receipt, reason=reason))


# --- receipts -------------------------------------------------------------------------------------
@pytest.mark.requirement("R9")
@pytest.mark.parametrize(
    ("so_far", "receipt"),
    [
        ((), "sent"),
        ((), "received"),
        ((), "accepted"),
        (("sent",), "received"),
        (("sent", "received"), "accepted"),
        (("received",), "returned"),
    ],
)
def test_a_receipt_comes_in_its_order(so_far: tuple[str, ...], receipt: str) -> None:
    before = (*WASTE, HANDED, *map(said, so_far))
    given(CASES, *before).when(note_receipt(OLLE, receipt)).then(said(receipt))
    quiet = given(CASES, *before, said(receipt))
    quiet.when(note_receipt(OLLE, receipt)).then_nothing_happened()


@pytest.mark.parametrize(
    ("so_far", "receipt"),
    [
        (("received",), "sent"),
        (("accepted",), "received"),
        (("accepted",), "returned"),
        (("returned",), "accepted"),
    ],
)
def test_a_receipt_that_goes_back_is_refused(so_far: tuple[str, ...], receipt: str) -> None:
    before = (*WASTE, HANDED, *map(said, so_far))
    given(CASES, *before).when(note_receipt(OLLE, receipt)).then_refused(ReceiptOutOfOrder)


def test_a_receipt_is_the_receivers_word_and_a_return_has_a_reason() -> None:
    before = (*WASTE, TO_SAM)
    given(CASES, *before).when(note_receipt(OLLE, "received", "s")).then_refused(NotTheReceiver)
    program = Asker("larm", (Grant(Role.PROGRAM, "SAM"),))
    expected = said("received", "larm", "s")
    given(CASES, *before).when(note_receipt(program, "received", "s")).then(expected)
    given(CASES, *before).when(note_receipt(SAM, "received", "x")).then_refused(HandoverUnknown)
    bare = NoteReceipt(**asked(OLLE, handover=H, receipt="returned"))
    given(CASES, *WASTE, HANDED).when(bare).then_refused(Invalid, "why")


@pytest.mark.requirement("R9")
def test_a_returned_case_is_back_with_the_centre_also_where_it_was_closed() -> None:
    state = folded(CASES, *WASTE, HANDED, said("received"), said("returned"))
    assert (state.step, state.receivers, state.outcome) == (0, frozenset(), None)
    closed = (*WASTE, HANDED, said("received"), CaseClosed("handed_over", "anna"))
    again = (said("returned"), CaseReopened("olle", TEXT))
    given(CASES, *closed).when(note_receipt(OLLE, "returned")).then(*again)
    assert folded(CASES, *closed, *again).outcome is None


def test_a_receiver_who_returned_a_case_sees_it_no_more() -> None:
    assert folded(CASES, *WASTE, TO_SAM).place.receivers == {"SAM"}
    returned = folded(CASES, *WASTE, TO_SAM, said("returned", "sam", "s"))
    assert returned.place.receivers == frozenset()


# --- taking ---------------------------------------------------------------------------------------
def test_an_officer_takes_a_case_and_thereby_accepts_it() -> None:
    given(CASES, *WASTE).when(TakeCase(**asked(OLLE))).then(CaseTaken("olle"))
    both = (said("accepted"), CaseTaken("olle"))
    given(CASES, *WASTE, HANDED).when(TakeCase(**asked(OLLE))).then(*both)
    given(CASES, *WASTE, TO_SAM).when(TakeCase(**asked(OLLE))).then(CaseTaken("olle"))
    of_sam = (said("accepted", "sam", "s"), CaseTaken("sam"))
    given(CASES, *WASTE, TO_SAM).when(TakeCase(**asked(SAM))).then(*of_sam)


def test_what_the_centre_closed_when_the_receipt_came_goes_on_for_who_takes_it() -> None:
    closed = (*WASTE, HANDED, said("received"), CaseClosed("handed_over", "anna"))
    goes_on = (CaseReopened("olle"), said("accepted"), CaseTaken("olle"))
    given(CASES, *closed).when(TakeCase(**asked(OLLE))).then(*goes_on)
    done = (*closed, *goes_on, CaseClosed("solved", "olle"))
    given(CASES, *done).when(TakeCase(**asked(OLLE))).then_refused(CaseIsClosed)


def test_two_officers_do_not_take_one_case_unknowingly() -> None:
    taken = (*WASTE, CaseTaken("olle"))
    olga = officer("TK", "olga")
    given(CASES, *taken).when(TakeCase(**asked(olga))).then_refused(CaseIsTaken, "olle has")
    over = TakeCase(**asked(olga, instead_of="olle"))
    given(CASES, *taken).when(over).then(CaseTaken("olga"))
    given(CASES, *taken, CaseTaken("olivia")).when(over).then_refused(CaseIsTaken, "olivia")
    given(CASES, *taken).when(TakeCase(**asked(OLLE))).then_nothing_happened()


def test_who_is_no_officer_of_it_takes_nothing() -> None:
    for by in (ANNA, officer("SBK")):
        given(CASES, *WASTE).when(TakeCase(**asked(by))).then_refused(NotTheReceiver)
    given(CASES, *WASTE, CLOSED).when(TakeCase(**asked(OLLE))).then_refused(CaseIsClosed)
    given(CASES).when(TakeCase(**asked(OLLE))).then_refused(CaseUnknown)


@pytest.mark.requirement("R53")
@pytest.mark.parametrize(
    ("event", "taken_over"),
    [
        (CaseTaken("olle"), True),
        (CaseDecided("olle", "bifall"), True),
        (CaseAnswered("bo", "phone", text=TEXT), True),
        (CaseAnswered("anna", "phone", text=TEXT), False),
        (CaseNoted("bo", TEXT), True),
        (CaseNoted("anna", TEXT), False),
        (said("accepted"), True),
        (said("received"), False),
        (said("returned"), False),
        (CaseClosed("guided", "bo"), True),
        (CaseClosed("guided", "anna"), False),
    ],
)
def test_what_others_write_is_not_for_the_one_who_registered_it(
    event: Any, taken_over: bool
) -> None:
    state = folded(CASES, *WASTE, HANDED, event)
    assert (state.place.registered_by is None) is taken_over


# --- questions ------------------------------------------------------------------------------------
def test_an_officer_asks_for_what_is_lacking() -> None:
    command = AskQuestion(**asked(OLLE, to="centre", text=TEXT))
    expected = CaseQuestionAsked("olle", str(ID), "centre", TEXT)
    given(CASES, *WASTE).when(command).then(expected)
    later = given(CASES, *WASTE, expected, CaseTaken("olle"))
    later.when(command).then_nothing_happened()
    again = AskQuestion(**asked(OLLE, id=ID_2, to="centre", text=TEXT))
    given(CASES, *WASTE, expected).when(again).then_nothing_happened()


def test_a_question_to_nobody_by_a_stranger_or_of_a_closed_case_is_refused() -> None:
    to_nobody = AskQuestion(**asked(OLLE, to="månen", text=TEXT))
    given(CASES, *WASTE).when(to_nobody).then_refused(Invalid, "caller or centre")
    stranger = AskQuestion(**asked(officer("SBK"), to="caller", text=TEXT))
    given(CASES, *WASTE).when(stranger).then_refused(NotTheReceiver)
    closed = given(CASES, *WASTE, CLOSED)
    closed.when(AskQuestion(**asked(OLLE, to="caller", text=TEXT))).then_refused(CaseIsClosed)


# --- decisions ------------------------------------------------------------------------------------
PERMIT = (REGISTERED, typed("TK-PAR-02"))  # guide, hand over, decide: all the owner's


@pytest.mark.requirement("R13")
def test_the_owners_officer_decides() -> None:
    command = DecideCase(**asked(OLLE, outcome="bifall", text=TEXT))
    expected = CaseDecided("olle", "bifall", TEXT, step=2)
    given(CASES, *PERMIT).when(command).then(expected)
    given(CASES, *PERMIT, expected).when(command).then_nothing_happened()
    beyond = CaseDecided("olle", "bifall", TEXT)  # also where no step foresaw it
    given(CASES, *WASTE).when(command).then(beyond)


@pytest.mark.requirement("R13")
def test_nobody_else_decides_and_nothing_is_decided_twice() -> None:
    def refuses(by: Asker, kind: type[Exception], *facts: Any) -> None:
        command = DecideCase(**asked(by, outcome="avslag"))
        given(CASES, *facts).when(command).then_refused(kind)

    for by in (ANNA, BO, officer("SBK"), REGISTRAR):
        refuses(by, ExerciseOfAuthority, *PERMIT)
    refuses(SAM, ExerciseOfAuthority, *PERMIT, TO_SAM)
    refuses(SAM, ExerciseOfAuthority, *WASTE, TO_SAM)
    refuses(OLLE, CaseNotCategorised, REGISTERED)
    refuses(OLLE, CaseIsClosed, *PERMIT, CLOSED)
    refuses(OLLE, CaseIsDecided, *PERMIT, CaseDecided("olle", "bifall"))


@pytest.mark.requirement("R14")
def test_a_simple_step_that_its_owner_handed_over_is_decided_at_level_2() -> None:
    row = dict(city().rows("case_type")["TK-PAR-02"])
    steps: Any = row["steps"]
    handed = {**steps[2], "level": "2", "group": "tnh_parkering", "exercise_of_authority": "false"}
    fields = {**row, "steps": [*steps[:2], handed]}
    changed = Directory.of([EntrySet("case_type", "TK-PAR-02", fields)], city())
    v2 = (REGISTERED, typed("TK-PAR-02").__class__("TK-PAR-02", "anna", type_version=2))
    command = DecideCase(**asked(agent("bo", "tnh_parkering", level=2), outcome="bifall"))
    given(CASES, *v2).in_city(changed).when(command).then(CaseDecided("bo", "bifall", step=2))
    given(CASES, *PERMIT).in_city(changed).when(command).then_refused(ExerciseOfAuthority)
    assert verdict(command.asker, command.DEED, Place("TK"), changed) is Verdict.ALLOWED
    level_1 = agent("bo", "tnh_parkering")
    assert verdict(level_1, command.DEED, Place("TK"), changed) is Verdict.DENIED


# --- complaints -----------------------------------------------------------------------------------
COMPLAINT = (REGISTERED, typed("ALL-KLA-01"), ComplaintSent("d", "kk_tk", "anna", step=1))
RECEIPT = ComplaintReceiptNoted("d", "KK-17")


@pytest.mark.requirement("R36")
def test_the_complaint_system_gives_its_receipt_once() -> None:
    program = Asker("kk", (Grant(Role.PROGRAM, "TK"),))
    command = NoteComplaintReceipt(**asked(program, delivery="d", reference="KK-17"))
    given(CASES, *COMPLAINT).when(command).then(RECEIPT)
    given(CASES, *COMPLAINT, RECEIPT).when(command).then_nothing_happened()
    other = NoteComplaintReceipt(**asked(program, delivery="d", reference="KK-18"))
    given(CASES, *COMPLAINT, RECEIPT).when(other).then_refused(ReceiptOutOfOrder, "KK-17")
    unknown = NoteComplaintReceipt(**asked(program, delivery="e", reference="KK-17"))
    given(CASES, *COMPLAINT).when(unknown).then_refused(ComplaintUnknown)
    stranger = NoteComplaintReceipt(**asked(SAM, delivery="d", reference="KK-17"))
    given(CASES, *COMPLAINT, TO_SAM).when(stranger).then_refused(NotTheReceiver)


@pytest.mark.requirement("R36")
def test_a_complaint_is_followed_until_it_is_answered_also_after_closing() -> None:
    closed = (*COMPLAINT, RECEIPT, CaseClosed("complaint", "anna"))
    assert not folded(CASES, *closed).deliveries["d"].answered
    command = AnswerComplaint(**asked(OLLE, delivery="d", text=TEXT))
    answered = ComplaintAnswered("d", "olle", TEXT)
    given(CASES, *closed).when(command).then(answered)
    assert folded(CASES, *closed, answered).deliveries["d"].answered
    given(CASES, *closed, answered).when(command).then_nothing_happened()
    unknown = AnswerComplaint(**asked(OLLE, delivery="e", text=TEXT))
    given(CASES, *closed).when(unknown).then_refused(ComplaintUnknown)
    stranger = AnswerComplaint(**asked(SAM, delivery="d", text=TEXT))
    given(CASES, *closed).when(stranger).then_refused(NotTheReceiver)


def test_the_answer_does_the_chains_last_step() -> None:
    before = (registered("IDR"), typed("IDR-KLA-01"), ComplaintSent("d", "kk_idr", "anna", step=1))
    command = AnswerComplaint(**asked(officer("IDR"), "IDR", delivery="d"))
    given(CASES, *before).when(command).then(ComplaintAnswered("d", "olle", step=2))


# --- the registrar --------------------------------------------------------------------------------
def test_a_case_is_protected_and_unprotected() -> None:
    on, off = ProtectCase(**asked(OLLE)), ProtectCase(**asked(OLLE, protected=False))
    marked = CaseProtected("olle")
    given(CASES, REGISTERED).when(on).then(marked)
    given(CASES, REGISTERED, marked).when(on).then_nothing_happened()
    given(CASES, REGISTERED, marked).when(off).then(CaseProtected("olle", protected=False))
    given(CASES).when(on).then_refused(CaseUnknown)
    assert folded(CASES, REGISTERED, marked).place.protected


@pytest.mark.requirement("R55")
def test_the_registrar_registers_a_case_under_a_number_that_stands() -> None:
    number: dict[str, Any] = {"outcome": "registered", "registry_number": "2026/1234"}
    command = DecideRegistry(**asked(REGISTRAR, **number))
    decided = RegistryDecided("rut", "registered", "2026/1234")
    kept = RegistryDecided("rut", "kept_unregistered", None, "OSL 5:1")
    given(CASES, *WASTE).when(command).then(decided)
    given(CASES, *WASTE, kept, CLOSED).when(command).then(decided)
    given(CASES, *WASTE, decided).when(command).then_nothing_happened()
    keep: dict[str, Any] = {"outcome": "kept_unregistered", "rule": "OSL 5:1"}
    given(CASES, *WASTE).when(DecideRegistry(**asked(REGISTRAR, **keep))).then(kept)
    again = DecideRegistry(**asked(REGISTRAR, **keep))
    given(CASES, *WASTE, decided).when(again).then_refused(RegistryNumberStands, "2026/1234")
    number["registry_number"] = "2026/1235"
    other = DecideRegistry(**asked(REGISTRAR, **number))
    given(CASES, *WASTE, decided).when(other).then_refused(RegistryNumberStands)
    for outcome in ("burnt", "registered", "kept_unregistered"):
        bare = DecideRegistry(**asked(REGISTRAR, outcome=outcome))
        given(CASES, *WASTE).when(bare).then_refused(Invalid)


def test_a_file_is_attached_once() -> None:
    file: dict[str, Any] = {
        "address": "ab12",
        "key": "k",
        "size_bytes": 7,
        "media_type": "image/png",
    }
    command = AddAttachment(**asked(**file))
    added = AttachmentAdded("anna", "ab12", "k", 7, "image/png")
    given(CASES, REGISTERED).when(command).then(added)
    again = AddAttachment(**asked(id=ID_2, **file))
    given(CASES, REGISTERED, added).when(again).then_nothing_happened()
    given(CASES).when(command).then_refused(CaseUnknown)


def test_a_copy_is_given_out_with_what_was_masked() -> None:
    fields: dict[str, Any] = {"purpose": "TF 2:15", "masked": ("text: OSL 21:1",)}
    command = DiscloseCase(**asked(REGISTRAR, **fields))
    given(CASES, *WASTE).when(command).then(CaseDisclosed("rut", "TF 2:15", ("text: OSL 21:1",)))
    given(CASES).when(command).then_refused(CaseUnknown)
    once = (*WASTE, CaseDisclosed("rut", "TF 2:15", ("text: OSL 21:1",)))
    given(CASES, *once).when(command).then_nothing_happened()
