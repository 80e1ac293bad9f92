"""What a fact looks like on the wire, and how it becomes an event of `core.calls`.

`core.calls.KINDS` is the table of kinds. What an event holds beside queue and member is its `data`;
a shape is made of each event class once, so a field that is added there can be sent here at once.
Personal data is left out as early as possible: of an excluded group nothing, and nowhere a number
but the caller's in its own field.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias, get_args

import msgspec

from core.call_rules import ENDED_BY, HOW_TRANSFERRED
from core.calls import KINDS, CallNoted, CallOffered, CallQueued, CallRefused
from core.catalogue import fields_of
from core.errors import Invalid
from core.limits import NAME_CHARS_MAX
from core.personal import Personal
from core.vocabulary import Channel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from core.commit import Event
    from core.taxonomy import Directory

NONE: Final = (
    "NONE"  # the exchange's word where a queue or a member does not apply; part of a fact's id
)
N_MAX: Final = 1_000_000
_EXCHANGE_CHARS_MAX: Final = 80
_UNIQUEID_CHARS_MAX: Final = 150
_PARAMETERS_MAX: Final = 20
_SECONDS_MAX: Final = 10_000_000.0
_EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2100, 1, 1, tzinfo=UTC)
_FROM_ELSEWHERE: Final = frozenset({"queue", "agent", "group", "group_known", "caller_ref"})
_NOTED_NAME: Final = re.compile(r"[^\W\d_][\w .:\-]{0,79}")
_EXTENSION: Final = re.compile(r"[0-9]{1,5}")
_SHORT_NUMBER: Final = re.compile(r"-?[0-9]{1,5}(\.[0-9]{1,3})?")
_NUMBER_IN_MEMBER: Final = re.compile(r"\+?[0-9]{7,}")
_PHONE_LIKE: Final = re.compile(r"\d[\d ()./\-]{5,}\d")

_TEXT: TypeAlias = Annotated[str, msgspec.Meta(max_length=NAME_CHARS_MAX)]
_SECONDS: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=_SECONDS_MAX)]
_COUNT: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=N_MAX)]
_ZONED: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]
_TYPES: Final[dict[object, Any]] = {
    str: _TEXT,
    float: _SECONDS,
    int: _COUNT,
    bool: bool,
    datetime: _ZONED,
    tuple[str, ...]: Annotated[tuple[_TEXT, ...], msgspec.Meta(max_length=_PARAMETERS_MAX)],
}
# The words that a field may hold, where the vocabulary has only these.
_WORDS: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("offered", "channel"): tuple(channel.value for channel in Channel),
    ("not_taken", "reason"): ("no_answer", "cancelled"),
    ("transferred", "how"): HOW_TRANSFERRED,
    ("ended", "by"): ENDED_BY,
    ("refused", "reason"): ("full", "empty"),
    ("left", "how"): ("key", "empty", "withdrawn"),
}


class Fact(msgspec.Struct, forbid_unknown_fields=True):
    """One fact as an adapter sends it. Without `n` it is the next of its kind in its call."""

    exchange: Annotated[str, msgspec.Meta(min_length=1, max_length=_EXCHANGE_CHARS_MAX)]
    uniqueid: Annotated[str, msgspec.Meta(min_length=1, max_length=_UNIQUEID_CHARS_MAX)]
    kind: _TEXT
    occurred_at: _ZONED
    queue: _TEXT | None = None
    member: _TEXT | None = None
    n: Annotated[int, msgspec.Meta(ge=1, le=N_MAX)] | None = None
    data: msgspec.Raw = msgspec.Raw(b"{}")


class Key(msgspec.Struct, frozen=True):
    """What identifies a fact within its call, beside `n`."""

    queue: str
    kind: str
    member: str


@cache
def data_shape(kind: str) -> type[msgspec.Struct]:
    """The shape of `data` for a kind of `KINDS`."""
    spec: list[Any] = []
    for item in fields_of(KINDS[kind]):
        if item.name in _FROM_ELSEWHERE:
            continue
        if item.personal:
            spec.append((item.name, _TEXT | None, None))
            continue
        words = _WORDS.get((kind, item.name))
        shaped = Literal[words] if words else _shaped(item.type)
        spec.append((item.name, shaped) if item.required else (item.name, shaped, item.default))
    name = "".join(part.title() for part in kind.split("_")) + "Data"
    return msgspec.defstruct(name, spec, forbid_unknown_fields=True, kw_only=True)


def _shaped(declared: object) -> Any:
    if declared in _TYPES:
        return _TYPES[declared]
    (inner,) = (part for part in get_args(declared) if part is not type(None))
    return _TYPES[inner] | None


def checked(fact: Fact) -> None:
    """Raises: Invalid for a name that no id can carry, an unknown kind, a time out of range."""
    for name in ("exchange", "uniqueid", "queue"):
        value = getattr(fact, name) or ""
        if "/" in value or not value.isprintable() or (name == "uniqueid" and " " in value):
            raise Invalid(f"{name}: a slash or an unprintable character", field=name)
    if not (fact.member or "").isprintable():
        raise Invalid("member: an unprintable character", field="member")
    if not fact.exchange.strip():
        raise Invalid("exchange: is empty", field="exchange")
    if kind_name(fact.kind) not in KINDS:
        raise Invalid(f"kind: not one of {', '.join(KINDS)}", field="kind")
    if not _EARLIEST <= fact.occurred_at < _LATEST:
        raise Invalid("occurred_at: before the year 2000 or after 2099", field="occurred_at")


def kind_name(kind: str) -> str:
    """A kind without the noun: `call.queued` is `queued`."""
    return kind.removeprefix("call.")


def to_event(fact: Fact, directory: Directory, caller_ref: Callable[[str], str]) -> Event:
    """The event that a checked fact tells of. Raises: Invalid, saying which field and why."""
    kind = kind_name(fact.kind)
    event_class = KINDS[kind]
    data = _decode(fact, kind)
    queue = None if fact.queue in (None, "", NONE) else fact.queue
    member = None if fact.member in (None, "", NONE) else fact.member
    names = {item.name: item for item in fields_of(event_class)}
    given: dict[str, Any] = {name: getattr(data, name) for name in data.__struct_fields__}
    if "queue" in names:
        if queue is None and event_class is not CallNoted:
            raise Invalid(f"queue: {kind} names one", field="queue")
        given["queue"] = queue or ""
    if "agent" in names:
        if member is None and names["agent"].required:
            raise Invalid(f"member: {kind} names one", field="member")
        given["agent"] = None if member is None else _masked(member, caller_ref)
    if event_class in (CallQueued, CallRefused) and queue is not None:
        group = directory.group_of_queue(queue)
        given["group"], given["group_known"] = group.id, group.known
    _take_caller(given, queue, directory, caller_ref)
    _leave_out(given, event_class)
    return event_class(**given)


def _masked(member: str, caller_ref: Callable[[str], str]) -> str:
    """The member's name; a telephone number in it, which is somebody's, gives way to its hash."""
    return _NUMBER_IN_MEMBER.sub(lambda m: f"tel-{caller_ref(m[0])[:12]}", member)


def _decode(fact: Fact, kind: str) -> msgspec.Struct:
    try:
        return msgspec.json.decode(fact.data, type=data_shape(kind))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as e:
        raise Invalid(f"data: {_told(e)}", field="data") from e


def _told(error: Exception) -> str:
    """What is wrong, without what was sent."""
    text = str(error)
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return "not one of the allowed words" if text.startswith("Invalid enum value") else text


def _take_caller(
    given: dict[str, Any], queue: str | None, directory: Directory, caller_ref: Callable[[str], str]
) -> None:
    """The caller's number under its own subject; of an excluded or unknown way in, not at all."""
    if "caller" not in given:
        return
    number = (given["caller"] or "").strip()
    given["caller"] = None
    if queue is None:
        groups = directory.groups_of_choice(given.get("dialled"), given.get("ivr_choice"))
        excluded = not groups or any(group.excluded for group in groups)
    else:
        excluded = directory.is_excluded(queue)
    if number and not excluded:
        ref = caller_ref(number)
        given["caller"], given["caller_ref"] = Personal(number, f"caller/{ref}"), ref


def _leave_out(given: dict[str, Any], event_class: type[Event]) -> None:
    """Drop what could be somebody's number or name in a field that is not sealed."""
    if event_class is CallNoted:
        if not _NOTED_NAME.fullmatch(given["name"]) or _PHONE_LIKE.search(given["name"]):
            raise Invalid("data: name is not a word of an exchange", field="data")
        kept = [p if _SHORT_NUMBER.fullmatch(p) else "" for p in given["parameters"]]
        given["parameters"] = tuple(kept) if any(kept) else ()
    if given.get("to") is not None and not _EXTENSION.fullmatch(given["to"]):
        given["to"] = None
    for name in ("message", "reason"):
        if given.get(name) and _PHONE_LIKE.search(given[name]):
            given[name] = None if name == "message" else "other"


def key_of(event: Event) -> Key:
    """The key of an event within its call, the same that every adapter makes of it."""
    kind = event.TOPIC
    if isinstance(event, CallNoted):
        kind = f"{kind}:{event.name}"
    return Key(getattr(event, "queue", None) or NONE, kind, getattr(event, "agent", None) or NONE)


def comparable(event: Event) -> Mapping[str, Any]:
    """What two tellings of one fact have alike: not caller nor group, which are ours to say."""
    left_out = {"caller", "caller_ref", "group", "group_known"}
    return {name: value for name, value in vars(event).items() if name not in left_out}


assert CallOffered in KINDS.values()
