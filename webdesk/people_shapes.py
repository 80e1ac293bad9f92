"""The shape of all about one person, and its JSON Schema: whoever gets the file can check it."""

from __future__ import annotations

from typing import Any

import msgspec


class PersonEvent(msgspec.Struct, forbid_unknown_fields=True):
    """One thing that happened. Of `fields` what is masked or erased says so, and why."""

    type: str
    occurred_at: str
    recorded_at: str
    by: str
    fields: dict[str, Any]


class PersonCase(msgspec.Struct, forbid_unknown_fields=True):
    """One case. `own`: the person opened it; else the person got in touch about another's."""

    case: str
    number: str
    authority: str
    case_type: str | None
    case_type_name: str | None
    status: str
    outcome: str | None
    own: bool
    events: list[PersonEvent]


class PersonCall(msgspec.Struct, forbid_unknown_fields=True):
    """One call."""

    call: str
    events: list[PersonEvent]


class PersonLook(msgspec.Struct, forbid_unknown_fields=True):
    """Who looked at one of the cases, when, how (`deed`) and why (`purpose`)."""

    at: str
    who: str
    deed: str
    purpose: str
    case: str | None


class Everything(msgspec.Struct, forbid_unknown_fields=True):
    """All about one person in the rooms of `authorities` (names by their codes).

    `masked` counts what was masked, by why.
    """

    schema: str
    made_at: str
    made_by: str
    number: str
    authorities: dict[str, str]
    cases: list[PersonCase]
    calls: list[PersonCall]
    looks: list[PersonLook]
    masked: dict[str, int]


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of `Everything`."""
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": dialect, **msgspec.json.schema(Everything)}
