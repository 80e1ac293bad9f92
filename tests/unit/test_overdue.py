"""Receipts that have not come: which facts are due, once, with the same ids everywhere."""

from __future__ import annotations

from typing import Any

import pytest
from case_facts import REGISTERED, STREAM, TEXT, typed
from given import T0, S, folded

from core.case_rules import CASES
from core.cases import (
    CaseHandedOver,
    ComplaintAnswered,
    ComplaintReceiptNoted,
    ComplaintSent,
    ComplaintSilent,
    HandoverReceiptNoted,
    HandoverSilent,
)
from core.commit import process_id
from core.overdue import Overdue, overdue

DUE = T0 + 60 * S
HANDED = CaseHandedOver("h", "anna", "SAM", "samverkan", DUE, safety=True)
SENT = ComplaintSent("d", "kk_tk", "anna", DUE + 60 * S)
BEFORE = (REGISTERED, typed("ALL-KLA-01"), HANDED, SENT)


def due(*more: Any, after_s: int) -> list[Overdue]:
    return overdue(STREAM, folded(CASES, *BEFORE, *more), T0 + after_s * S)


@pytest.mark.requirement("R6")
@pytest.mark.requirement("R36")
def test_silence_is_told_when_the_receipt_is_due_in_the_order_of_being_due() -> None:
    assert due(after_s=59) == []
    assert [found.event for found in due(after_s=60)] == [HandoverSilent("h", DUE)]
    both = due(after_s=3600)
    assert [found.event for found in both] == [
        HandoverSilent("h", DUE),
        ComplaintSilent("d", DUE + 60 * S),
    ]
    assert [found.due_at for found in both] == [DUE, DUE + 60 * S]
    assert both[0].id == process_id("overdue", f"{STREAM}/h")
    assert both[0].asking == f"overdue/{STREAM}/h"
    assert both == due(after_s=7200)  # whoever finds it, whenever


def test_silence_is_told_once() -> None:
    told = (HandoverSilent("h", DUE), ComplaintSilent("d", DUE))
    assert due(*told, after_s=3600) == []


def test_a_receipt_ends_the_waiting_and_that_it_was_sent_does_not() -> None:
    received = HandoverReceiptNoted("h", "received", "sam")
    receipt = ComplaintReceiptNoted("d", "KK-1")
    assert due(received, receipt, after_s=3600) == []
    assert due(received, ComplaintAnswered("d", "olle"), after_s=3600) == []
    assert due(HandoverReceiptNoted("h", "returned", "sam", TEXT), receipt, after_s=3600) == []
    assert len(due(HandoverReceiptNoted("h", "sent", "sam"), after_s=3600)) == 2


def test_what_has_no_limit_is_never_overdue() -> None:
    unlimited = CaseHandedOver("u", "anna", "TK")
    state = folded(CASES, REGISTERED, unlimited)
    assert overdue(STREAM, state, T0 + 10**9 * S) == []
