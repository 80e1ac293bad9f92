"""All about one person as a page in Swedish, for the person to read."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from kontaktcenter.documents import Document, Table, words
from projections.times import ZONE

if TYPE_CHECKING:
    from collections.abc import Mapping


def document(found: Mapping[str, Any]) -> Document:
    """The page of what `webdesk.people` found."""
    said, names = words("person"), found["authorities"]
    facts = [
        (said["number"], found["number"]),
        (said["made_at"], _time(found["made_at"])),
        (said["made_by"], found["made_by"]),
        (said["authorities"], ", ".join(names.values())),
        (said["cases"], str(len(found["cases"]))),
        (said["calls"], str(len(found["calls"]))),
        (said["masked"], _masked(found["masked"])),
    ]
    tables = [_case(case, names) for case in found["cases"]]
    tables += [_events(said["call"], call["events"]) for call in found["calls"]]
    if found["looks"]:
        numbers = {case["case"]: case["number"] for case in found["cases"]}
        tables.append(_looks(found["looks"], numbers))
    return Document(said["title"], said["intro"], facts, tables, said["footer"])


def _time(text: str) -> str:
    """A moment by the city's clock, as a person reads it."""
    return datetime.fromisoformat(text).astimezone(ZONE).strftime("%Y-%m-%d %H:%M")


def _case(case: Mapping[str, Any], names: Mapping[str, str]) -> Table:
    said = words("person")
    kind = case["case_type_name"] or said["no_type"]
    whose = "" if case["own"] else f" ({said['others']})"
    authority = names.get(case["authority"], case["authority"])
    heading = f"{said['case']} {case['number']}, {authority}: {kind}{whose}"
    return _events(heading, case["events"])


def _events(heading: str, events: list[Mapping[str, Any]]) -> Table:
    said, names = words("person"), {**words("events"), **words("call_events")}
    rows = [
        [
            _time(each["occurred_at"]),
            names.get(each["type"], each["type"]),
            each["by"],
            _fields(each),
        ]
        for each in events
    ]
    return Table(heading, [said["at"], said["what"], said["who"], said["content"]], rows)


def _fields(event: Mapping[str, Any]) -> str:
    names = {**words("call_fields"), **words("fields")}
    return "\n".join(f"{names.get(n, n)}: {_value(value)}" for n, value in event["fields"].items())


def _value(value: Any) -> str:
    said = words("person")
    if isinstance(value, dict):
        if "masked" in value:
            return said["is_masked"].format(reason=words("whys").get(value["masked"], ""))
        return said["is_erased"]
    if isinstance(value, bool):
        return said["true"] if value else said["false"]
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _looks(looks: list[Mapping[str, Any]], numbers: Mapping[str, str]) -> Table:
    said, deeds, purposes = words("person"), words("deeds"), words("purposes")
    rows = [
        [
            _time(look["at"]), look["who"], deeds.get(look["deed"], look["deed"]),
            purposes.get(look["purpose"], look["purpose"]), numbers.get(look["case"], "–"),
        ]
        for look in looks
    ]  # fmt: skip
    columns = [said["at"], said["who"], said["how"], said["why"], said["case"]]
    return Table(said["looks"], columns, rows)


def _masked(masked: Mapping[str, int]) -> str:
    whys = words("whys")
    told = [f"{whys.get(why, why)}: {times}" for why, times in sorted(masked.items())]
    return ", ".join(told) or words("person")["nothing"]
