"""Facts and askings of cases that tests of their rules share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from given import ID, T0, S, agent, city

from core.case_asking import case_number
from core.cases import CaseCategorised, CaseClosed, CaseRegistered
from core.personal import Personal

if TYPE_CHECKING:
    from core.access import Asker

CASE = "5f0e6c1a-0000"
STREAM = f"case/TK/{CASE}"
TEXT = Personal("Kärlet står kvar.", STREAM)
ANNA = agent("anna")  # level 1, waste (TK)
BO = agent("bo", level=2)
ID_2 = UUID("00000000-0000-4000-8000-000000000002")
REGISTERED = CaseRegistered(case_number("TK", CASE), "TK", "anna", "phone", "call/desk/1")
CLOSED = CaseClosed("solved", "anna")


def asked(by: Asker = ANNA, authority: str = "TK", id: UUID = ID, **fields: Any) -> dict[str, Any]:  # noqa: A002
    """The fields that every command about the case has, and those of the one."""
    return {
        "id": id,
        "now": T0 + 60 * S,
        "actor": by.id,
        "asker": by,
        "agent": by.id,
        "authority": authority,
        "case": CASE,
        **fields,
    }


def registered(authority: str = "TK", agent: str = "anna") -> CaseRegistered:
    """The case in the room of an authority."""
    number = case_number(authority, CASE)
    return CaseRegistered(number, authority, agent, "phone", "call/desk/1")


def typed(case_type: str, *, complaint: bool = False) -> CaseCategorised:
    """The case got its type, as the rules would have it."""
    found = city().case_type(case_type)
    assert found is not None
    begins = found.steps[0].action == "register"
    return CaseCategorised(
        case_type, "anna", complaint or found.complaint, found.version, None, 0 if begins else None
    )
