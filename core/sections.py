"""The sections of the catalogue: one table of their fields, and whose matter their rows are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from core.shapes import (
    Field,
    Section,
    faults_of_anything,
    faults_of_row,
    meant,
    shown,
    unprintable,
)
from core.vocabulary import CallerType, Channel, Level, StepAction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.shapes import Found

Fields = Mapping[str, Field]

ID = Field("id", required=True)
NAME = Field("name", required=True)
FLAG = Field("flag", required=True)
_NAME = Field("name")
_TEXT = Field("text")
_FLAG = Field("flag")
_WHOLE = Field("whole")
_LEVEL = Field("name", required=True, enum="level")
_DAYS = Field("list", required=True, at_least_one=True, items=Field("whole", least=1, most=7))
_TIME = Field("time", required=True)
_HOURS: Final[Fields] = {"days": _DAYS, "opens": _TIME, "closes": _TIME}


def _key(section: str, *, required: bool = True, also: frozenset[str] = frozenset()) -> Field:
    """A field that holds a key of another section."""
    return Field("id", required=required, refers=(section,), also=also)


def _keys(section: str, *, required: bool = False) -> Field:
    """A field that holds a list of keys of another section."""
    return Field("list", required=required, items=Field("id", refers=(section,)))


def _words(enum: str) -> Field:
    """A field that holds a list of words of an enumeration."""
    return Field("list", required=True, at_least_one=True, items=Field("name", enum=enum))


def _section(
    owner: str | None = None, /, *, keyed_by: tuple[str, ...] = ("id",), **fields: Field
) -> Section:
    common = {
        "source": Field("name", enum="source"),
        "req": Field("list", items=Field("name")),
        "note": _TEXT,
    }
    return Section(keyed_by, MappingProxyType({**fields, **common}), owner)


_ANY = frozenset({"*"})
_AUTHORITY = _key("authority")
_OWNER = _key("authority", also=_ANY)
_STEPS: Final[Fields] = {
    "name": NAME,
    "level": _LEVEL,
    "group": _key("answer_group", required=False),
    "exercise_of_authority": Field("name", required=True, enum="exercise_of_authority"),
    "action": Field("name", required=True, enum="action"),
    "note": _TEXT,
}
_OPTIONS: Final[Fields] = {
    "key": Field("name", required=True, words=frozenset("0123456789*#")),
    "group": _key("answer_group", required=False),
    "ivr": _key("ivr", required=False),
    "name": _NAME,
}
_ROLES = _keys("crisis_role", required=True)

# In the order of an export: what others refer to comes before what refers to it.
SECTIONS: Final[Mapping[str, Section]] = MappingProxyType(
    {
        "authority": _section(
            keyed_by=("code",), code=ID, name=NAME, office=NAME,
            kind=Field("name", required=True, enum="authority_kind"), centre=_key("centre"),
            excluded=FLAG, complaint_system=_key("complaint_system", required=False),
            family=_key("authority", required=False),
        ),
        "conflict_pair": _section(
            keyed_by=("a", "b"), a=_AUTHORITY, b=_AUTHORITY, reason=NAME, enforced=FLAG,
        ),
        "complaint_system": _section(
            "authority", id=ID, authority=_AUTHORITY, name=NAME,
            transport=Field("name", required=True, words=frozenset({"outbox", "none"})),
            receipt_within_h=Field("number", required=True, most=10_000),
            retry_min=Field(
                "list", required=True, at_least_one=True,
                items=Field("number", least=0, most=100_000),
            ),
        ),
        "system": _section(
            id=ID, name=NAME, owner=_OWNER, kind=NAME,
        ),
        "calendar": _section(
            id=ID, name=NAME, hours=Field("tables", required=True, fields=_HOURS),
            round_the_clock=FLAG,
            exceptions=Field("tables", fields={
                "date": Field("date", required=True), "opens": Field("time"),
                "closes": Field("time"), "name": _NAME,
            }),
        ),
        "area": _section("authority", id=ID, authority=_OWNER, name=NAME),
        "dialled_number": _section(
            keyed_by=("number", "valid_from"), number=Field("phone", required=True), name=NAME,
            target=Field("id", required=True, refers=("answer_group", "ivr")),
            valid_from=Field("date", required=True), valid_to=Field("date"),
        ),
        "dispatch": _section(
            id=ID, name=NAME, authority=_AUTHORITY,
            multiplier=Field("number", required=True, most=1_000),
            days=Field("whole", required=True, least=1, most=366),
            next_date=Field("date", required=True),
        ),
        "wrap_up": _section(
            id=ID, name=NAME, english=_NAME, solved=FLAG, passed_on=FLAG, receipt_required=FLAG,
            key=Field("name"),
        ),
        "pause_reason": _section(
            id=ID, name=NAME, english=_NAME, deduct=FLAG,
            max_minutes=Field("whole", required=True, least=1, most=1_440),
            kind=Field(
                "name", required=True,
                words=frozenset({"pause", "other_work", "outage", "work"}),
            ),
        ),
        "crisis_role": _section(id=ID, name=NAME, english=_NAME, external=FLAG),
        "contact": _section(
            id=ID, role=_key("crisis_role"), authority=_AUTHORITY, label=NAME,
            order=Field("whole", required=True), phone=Field("phone", required=True),
            backup_phone=Field("phone"), escalate_after_min=_WHOLE, printed=FLAG,
        ),
        "threshold": _section(
            id=ID, metric=NAME, level=Field("name", required=True, enum="situation"),
            value=Field("number", required=True), unit=NAME,
            for_s=Field("whole", required=True), clear_value=Field("number", required=True),
            clear_for_s=Field("whole", required=True),
            scope=Field(
                "name", required=True,
                words=frozenset({"centre", "terminal", "agent", "article", "group", "authority"}),
            ),
            direction=Field("name", words=frozenset({"above", "below"})),
        ),
        "centre": _section(
            id=ID, name=NAME, english=_NAME, host=_AUTHORITY, site=NAME,
            reserve_site=_key("centre", required=False), overflow_to=_keys("centre"),
            overflow_rule=_NAME,
        ),
        "ivr": _section(
            id=ID, name=NAME, centre=_key("centre"),
            timeout_s=Field("number", required=True, most=600),
            default=_key("answer_group"),
            options=Field("tables", required=True, fields=_OPTIONS),
        ),
        "answer_group": _section(
            id=ID, queue=ID, name=NAME, centre=_key("centre"), levels=_words("level"),
            calendar=_key("calendar"), partition=_keys("authority", required=True),
            max_waiting=Field("whole", required=True, most=100_000),
            overflow_to=_key("answer_group", required=False),
            overflow_after_s=Field("whole", most=86_400), callback=FLAG, ivr_key=_NAME,
            dialled=Field("list", items=Field("phone")), ivr=_key("ivr", required=False),
            written=_FLAG, crisis_only=_FLAG, excluded=_FLAG,
            receipt_within_s=Field("whole", least=1, most=10_000_000),
        ),
        "takeover": _section(
            "authority", keyed_by=("authority", "valid_from"), authority=_AUTHORITY,
            levels=Field("list", required=True, items=Field("name", words=frozenset({"1", "2"}))),
            valid_from=Field("date", required=True), valid_to=Field("date"), decision=_NAME,
        ),
        "case_type": _section(
            "authority", keyed_by=("code",), code=ID, name=NAME, english=_NAME, authority=_OWNER,
            area=_key("area"), steps=Field(
                "tables", required=True, at_least_one=True, fields=_STEPS
            ),
            priority=Field("whole", required=True, least=1, most=4),
            sla_hours=Field("number", required=True, most=100_000),
            sla_clock=Field("name", required=True, enum="sla_clock"),
            calendar=_key("calendar", required=False), channels=_words("channel"),
            complaint_route=_key(
                "complaint_system", required=False, also=frozenset({"by_owner"})
            ),
            stage=Field("name", required=True, enum="stage"),
            advice=Field("name", enum="advice"), dispatch=_key("dispatch", required=False),
            needs_system=_key("system", required=False),
            **dict.fromkeys(
                (
                    "contractor", "safety_question", "location", "safety", "project",
                    "supervision", "mass_incident", "registry", "guarded", "complaint",
                    "excluded", "quick",
                ),
                _FLAG,
            ),
        ),
        "article": _section(
            "owner", id=ID, kind=Field("name", required=True, enum="article_kind"), title=NAME,
            body=Field("text", required=True), guard_text=_TEXT, owner=_AUTHORITY,
            case_types=_keys("case_type"), version=Field("whole", least=1),
            reviewed=Field("date"), review_days=Field("whole", least=1, most=10_000),
            read_out_level1=FLAG, guarded=FLAG,
            mapping=Field("name", words=frozenset({"unmapped", "partly", "mapped"})),
        ),
        "project_topic": _section(
            "authority", id=ID, name=NAME, authority=_AUTHORITY, office=NAME, place=NAME,
            starts=Field("date", required=True), ends=Field("date"), text=_TEXT,
            case_types=_keys("case_type"), article=_key("article", required=False),
            stages=Field("tables", fields={
                "name": NAME, "starts": Field("date"), "ends": Field("date"), "place": _NAME,
            }),
            updated=Field("date"),
        ),
        "on_call": _section(
            id=ID, group=_key("answer_group"), role=_NAME, contact=_key("contact", required=False),
            starts=Field("moment"), ends=Field("moment"), name=_NAME,
            hours=Field("tables", fields=_HOURS),
        ),
        "crisis_action": _section(
            id=ID, name=NAME, command=NAME, decide=_ROLES, propose=_ROLES, execute=_ROLES,
            inform=_ROLES, two_person=FLAG, forbidden=FLAG,
        ),
        "baseline": _section(
            "authority", id=ID, authority=_AUTHORITY, case_types=_keys("case_type", required=True),
            metric=NAME, value=Field("number", required=True), unit=NAME, period=NAME,
            approximate=_FLAG, locked=FLAG, comparable=FLAG,
            missing=Field("list", items=Field("name")),
        ),
        "retention_rule": _section(
            "authority", id=ID, authority=_AUTHORITY, case_types=_keys("case_type"),
            area=_key("area", required=False), rule=NAME,
            months=Field("whole", required=True, least=1, most=1_200),
            what=Field("name", words=frozenset({"erase", "archive_then_erase"})),
        ),
    }
)  # fmt: skip

# Tables without rows: an entry for each of their keys.
TABLES: Final = frozenset({"meta", "enums", "labels"})
# Words that the program itself knows; a city may leave some out, and adds none.
KNOWN_WORDS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "level": frozenset(Level),
        "exercise_of_authority": frozenset({"true", "false", "unknown"}),
        "action": frozenset(StepAction),
        "sla_clock": frozenset({"opening", "calendar"}),
        "channel": frozenset(Channel),
        "caller_type": frozenset(CallerType),
        "situation": frozenset({"gron", "gul", "orange", "rod"}),
    }
)

ROW_BYTES_MAX: Final = 256 * 1024  # as JSON; a commit of one entry stays far below its own bound
_ENUM: Final = {"value": Field("list", required=True, at_least_one=True, items=NAME)}


def faults_of_entry(section: str, key: str, row: Mapping[str, object]) -> Iterator[Found]:
    """What is wrong with one entry by itself. An unknown section is a fault too."""
    if section in TABLES:
        if not key.strip() or unprintable(key, lines=False) or "/" in key:
            yield (), f"{shown(key)} is no key"
        if section == "enums":
            yield from faults_of_row(row, _ENUM)
        else:
            for name, value in row.items():
                yield from faults_of_anything((name,), value)
    elif section in SECTIONS:
        yield from faults_of_row(row, SECTIONS[section].fields)
    else:
        close = meant(section, frozenset({*SECTIONS, *TABLES}))
        yield (), f"no such section{close}"
    size = len(json.dumps(row, ensure_ascii=False, default=str).encode(errors="replace"))
    if size > ROW_BYTES_MAX:
        yield (), f"has {size} bytes; at most {ROW_BYTES_MAX} are kept"
