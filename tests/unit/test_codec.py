"""The codec: what goes into the log can be read again, and nobody reads more than they may."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, ClassVar
from uuid import UUID

import msgspec
import pytest
from golden_events import Nonces, sample
from hypothesis import given
from hypothesis import strategies as st

from core.calls import CallAnswered, CallbackRequested, CallQueued
from core.cases import CaseRegistered
from core.catalogue import EVENT_CLASSES
from core.commit import Event
from core.errors import Corrupt, Invalid, NeedsUpgrade
from core.eventlog.codec import (
    decode_as,
    decode_event,
    encode_event,
    open_event,
    seal_event,
    subjects_of,
)
from core.personal import ERASED, DataKey, Personal, Sealed
from core.taxonomy import EntrySet

COMMIT = UUID("00000000-0000-4000-8000-000000000007")
KEYS = {
    subject: DataKey(f"{subject}/1", bytes([n]) * 32)
    for n, subject in enumerate(("caller/1", "caller/2", "caller/golden"))
}
BY_ID = {key.id: key for key in KEYS.values()}
CALLER = Personal("0700000001", "caller/1")
QUEUED = CallQueued("avfall", "tnh_avfall", True, CALLER, "ref1", 3)
NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)


def sealed(event: Event, nth: int = 0) -> bytes:
    return seal_event(event, COMMIT, nth, KEYS.__getitem__, Nonces())


def read(event: Event, data: bytes) -> Event:
    decoded = decode_event(event.TOPIC, event.SCHEMA, data)
    assert decoded is not None
    return decoded


# --- there and back -------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", EVENT_CLASSES)
def test_every_event_comes_back_as_it_was(kind: type[Event]) -> None:
    event = sample(kind)
    assert event == open_event(read(event, sealed(event)), COMMIT, 0, BY_ID.get)


def test_only_what_is_said_is_written() -> None:
    assert (
        sealed(CallAnswered("avfall", "a", 3.0)) == b'{"queue":"avfall","agent":"a","wait_s":3.0}'
    )


def test_a_field_left_out_reads_as_its_default() -> None:
    event = read(QUEUED, b'{"queue":"avfall","group":"tnh_avfall"}')
    assert CallQueued("avfall", "tnh_avfall") == event
    assert {"queue", "group", "group_known", "caller", "caller_ref", "place"} == set(vars(event))


def test_an_unknown_field_is_ignored() -> None:
    event = read(CallAnswered("q", "a"), b'{"queue":"q","agent":"a","mood":"good"}')
    assert CallAnswered("q", "a") == event


def test_a_time_keeps_its_zone() -> None:
    at = datetime(2026, 11, 22, 9, tzinfo=timezone(timedelta(hours=1)))
    event = CallbackRequested("q", promised_at=at)
    assert sealed(event) == b'{"queue":"q","promised_at":"2026-11-22T09:00:00+01:00"}'
    assert event == read(event, sealed(event))


def test_raw_data_of_a_commit_is_read_without_a_copy() -> None:
    raw = msgspec.Raw(b'{"queue":"q","agent":"a"}')
    assert CallAnswered("q", "a") == decode_event("call.answered", 1, raw)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=9,
)


@given(fields=st.dictionaries(st.text(max_size=9), _JSON, max_size=5))
def test_any_row_of_the_catalogue_comes_back(fields: dict[str, object]) -> None:
    event = EntrySet("section", "key", fields)
    assert event == read(event, sealed(event))


@given(number=st.text(min_size=1, max_size=40), title=st.text(max_size=200))
def test_any_text_is_sealed_and_opened_and_never_stands_in_clear(number: str, title: str) -> None:
    number, title = f"<{number}>", f"<{title}>"
    event = CaseRegistered(
        "TK-1",
        "TK",
        "anna",
        "phone",
        None,
        Personal(title, "caller/1"),
        Personal(number, "caller/2"),
    )
    data = sealed(event)
    held = json.loads(data)
    assert {"key", "box"} == set(held["title"]) == set(held["text"])
    assert number not in str(held)
    assert title not in str(held)
    assert event == open_event(read(event, data), COMMIT, 0, BY_ID.get)


# --- personal fields ------------------------------------------------------------------------------
def test_the_subjects_whose_keys_are_needed_are_told() -> None:
    assert {"caller/1"} == subjects_of(QUEUED)
    assert set() == subjects_of(CallAnswered("q", "a"))
    assert set() == subjects_of(CallQueued("q", "g"))


def test_encoding_leaves_personal_fields_marked() -> None:
    assert encode_event(QUEUED)["caller"] == CALLER


def test_read_without_a_key_a_personal_field_stays_sealed() -> None:
    event: Any = read(QUEUED, sealed(QUEUED))
    assert isinstance(event.caller, Sealed)
    assert "0700000001" not in repr(event)
    assert "0700000001" not in repr(QUEUED)


def test_without_its_key_a_personal_field_is_erased() -> None:
    event: Any = open_event(read(QUEUED, sealed(QUEUED)), COMMIT, 0, lambda _: None)
    assert ERASED is event.caller
    assert (event.queue, event.place) == ("avfall", 3)


@pytest.mark.parametrize(
    ("commit", "nth", "key"),
    [
        (UUID(int=8), 0, BY_ID["caller/1/1"]),
        (COMMIT, 1, BY_ID["caller/1/1"]),
        (COMMIT, 0, DataKey("caller/1/1", b"x" * 32)),
    ],
)
def test_a_box_does_not_open_at_another_place_or_with_another_key(
    commit: UUID, nth: int, key: DataKey
) -> None:
    event = read(QUEUED, sealed(QUEUED))
    with pytest.raises(Corrupt, match=r"call\.queued\.caller"):
        open_event(event, commit, nth, lambda _: key)


def test_a_box_does_not_open_in_another_field() -> None:
    event = CaseRegistered("TK-1", "TK", "a", "phone", title=CALLER)
    held = json.loads(sealed(event))
    moved = {**held, "text": held["title"]}
    with pytest.raises(Corrupt, match=r"case\.registered\.text"):
        open_event(read(event, json.dumps(moved).encode()), COMMIT, 0, BY_ID.get)


@pytest.mark.parametrize("value", [Sealed("caller/1/1", "x"), ERASED])
def test_what_is_sealed_or_erased_is_not_recorded_again(value: Any) -> None:
    with pytest.raises(Invalid, match="only clear text"):
        sealed(CallQueued("q", "g", True, value))


# --- what cannot be read is not written -----------------------------------------------------------
@pytest.mark.parametrize(
    "event",
    [
        CallAnswered("q", None),  # type: ignore[arg-type]
        CallAnswered("q", "a", "long"),  # type: ignore[arg-type]
        CallAnswered("q", "a", float("nan")),
        CallAnswered("q", "a", float("inf")),
        CallAnswered("\udc80", "a"),
        CallbackRequested("q", promised_at=NOW.replace(tzinfo=None)),
        EntrySet("s", "k", {"x": object()}),
    ],
)
def test_an_event_that_could_not_be_read_again_is_refused(event: Event) -> None:
    with pytest.raises(Invalid, match=event.TOPIC.replace(".", r"\.")):
        sealed(event)


def test_an_event_that_is_not_in_the_catalogue_is_refused() -> None:
    with pytest.raises(Invalid, match="not in the catalogue"):
        sealed(Moved("x", 2, 3))


# --- reading --------------------------------------------------------------------------------------
def test_an_unknown_type_is_no_event() -> None:
    assert decode_event("call.sung", 1, b"not even JSON") is None


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b'{"queue":"q"}', "agent"),
        (b'{"queue":"q","agent":7}', "agent"),
        (b'{"queue":"q","agent":"a","wait_s":"long"}', "wait_s"),
        (b'{"queue":"q","agent":', "truncated"),
        (b"[]", "object"),
    ],
)
def test_data_that_do_not_fit_are_corrupt_by_name(data: bytes, says: str) -> None:
    with pytest.raises(Corrupt, match=rf"call\.answered.*{says}"):
        decode_event("call.answered", 1, data)


def test_a_time_without_a_zone_is_corrupt() -> None:
    with pytest.raises(Corrupt, match="promised_at"):
        decode_event(
            "call.callback_requested", 1, b'{"queue":"q","promised_at":"2026-11-22T09:00:00"}'
        )


def test_a_newer_schema_asks_for_an_upgrade() -> None:
    with pytest.raises(NeedsUpgrade, match="schema 2"):
        decode_event("call.answered", 2, b'{"queue":"q","agent":"a"}')


def test_a_schema_before_the_first_is_corrupt() -> None:
    with pytest.raises(Corrupt, match="schema 0"):
        decode_event("call.answered", 0, b"{}")


# --- upcasting ------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Moved(Event):
    """A desk was moved: `to` was a text "x,y" in schema 1, and `x` and `y` metres in schema 2."""

    TOPIC: ClassVar[str] = "desk.moved"
    SCHEMA: ClassVar[int] = 3
    desk: str
    x_m: float
    y_m: float
    why: str | None = None

    @staticmethod
    def upcast_v1_v2(data: dict[str, object]) -> dict[str, object]:
        x, y = str(data["to"]).split(",")
        return {"desk": data["desk"], "x": float(x), "y": float(y)}

    @staticmethod
    def upcast_v2_v3(data: dict[str, object]) -> dict[str, object]:
        return {"desk": data["desk"], "x_m": data["x"], "y_m": data["y"]}


@pytest.mark.parametrize(
    ("schema", "data"),
    [
        (1, b'{"desk":"a","to":"2,3.5"}'),
        (2, b'{"desk":"a","x":2.0,"y":3.5,"old":true}'),
        (3, b'{"desk":"a","x_m":2.0,"y_m":3.5}'),
    ],
)
def test_an_event_of_any_schema_reads_as_the_present_one(schema: int, data: bytes) -> None:
    assert Moved("a", 2.0, 3.5) == decode_as(Moved, schema, data)


@pytest.mark.parametrize("data", [b'{"desk":"a"}', b'{"desk":"a","to":"here"}', b"7"])
def test_old_data_that_cannot_be_upcast_are_corrupt(data: bytes) -> None:
    with pytest.raises(Corrupt, match=r"desk\.moved \(schema 1\)"):
        decode_as(Moved, 1, data)
