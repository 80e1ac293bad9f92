"""The table of event types.

Complete, never changed, and readable for as long as the log is kept.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
from typing import Any

import msgspec
import pytest
from golden_events import (
    CLEAR,
    COMMIT,
    FOLDER,
    SECRET,
    SUBJECT,
    digest,
    read_manifest,
    sample,
)
from project import ROOT

import core
from core.catalogue import (
    EVENT_CLASSES,
    EVENTS,
    asyncapi,
    book_of_type,
    events_page,
    fields_of,
    json_schema,
    main,
    upcasts_of,
)
from core.commit import Event
from core.eventlog.codec import _table, decode_event, open_event
from core.personal import DataKey

GOLDEN = sorted(FOLDER.glob("*.json"))


def _event_classes() -> set[type[Event]]:
    for module in pkgutil.walk_packages(core.__path__, "core."):
        if ".eventlog" not in module.name:
            importlib.import_module(module.name)
    found, left = set(), [Event]
    while left:
        new = left.pop().__subclasses__()
        found.update(new)
        left += new
    return {c for c in found if c.__module__.startswith("core.")}


def test_every_event_class_of_the_core_is_in_the_catalogue() -> None:
    assert set(EVENT_CLASSES) == _event_classes()


@pytest.mark.parametrize("event", EVENT_CLASSES)
def test_a_type_is_a_noun_and_a_past_verb(event: type[Event]) -> None:
    assert re.fullmatch(r"[a-z]+\.[a-z_]+", event.TOPIC)
    assert len(upcasts_of(event)) == event.SCHEMA - 1


# --- golden files ---------------------------------------------------------------------------------
@pytest.mark.parametrize("event", EVENT_CLASSES)
def test_every_type_and_version_has_a_golden_file(event: type[Event]) -> None:
    names = {path.name for path in GOLDEN}
    wanted = {f"{event.TOPIC}.{n}.json" for n in range(1, event.SCHEMA + 1)}
    assert wanted <= names, "run `python tests/golden_events.py`"


def test_no_golden_file_was_changed_added_by_hand_or_removed() -> None:
    of_events = {k: v for k, v in read_manifest().items() if not k.startswith("log/")}
    assert {path.name: digest(path) for path in GOLDEN} == of_events


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.name)
def test_every_golden_file_is_read_and_opened(path: Any) -> None:
    topic, _, schema = path.stem.rpartition(".")
    event = decode_event(topic, int(schema), path.read_bytes())
    assert event is not None, "a type never goes away"
    key = DataKey(f"{SUBJECT}/1", SECRET)
    opened = open_event(event, COMMIT, 0, {key.id: key}.get)
    if int(schema) == EVENTS[topic].SCHEMA:
        now = vars(sample(EVENTS[topic]))
        assert {**now, **{k: vars(opened)[k] for k in _logged(path)}} == {**now}


def _logged(path: Any) -> set[str]:
    """The fields that a golden file has; a field added later is not in it."""
    return set(json.loads(path.read_bytes()))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.name)
def test_no_golden_file_shows_personal_data(path: Any) -> None:
    text = path.read_text(encoding="utf-8")
    assert not [part for part in (*CLEAR.split(), CLEAR) if part in text]


# --- what others read -----------------------------------------------------------------------------
@pytest.mark.parametrize("event", EVENT_CLASSES)
def test_the_json_schema_says_what_the_codec_does(event: type[Event]) -> None:
    ours = json_schema(event)
    codecs = msgspec.json.schema(_table(event).twin, schema_hook=lambda _: {"type": "any"})
    codecs = codecs["$defs"][event.__name__]
    assert list(codecs["properties"]) == list(ours["properties"])  # type: ignore[call-overload]
    assert codecs.get("required", []) == ours["required"]


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.name)
def test_a_golden_file_of_the_present_version_fits_its_json_schema(path: Any) -> None:
    topic, _, schema = path.stem.rpartition(".")
    if int(schema) != EVENTS[topic].SCHEMA:
        pytest.skip("an older version")
    data, told = json.loads(path.read_bytes()), json_schema(EVENTS[topic])
    _fits(data, told)


def _fits(value: Any, schema: Any) -> None:
    if "anyOf" in schema:
        schema = schema["anyOf"][1 if value is None else 0]
    kinds: dict[str, Any] = {
        "object": dict, "array": list, "string": str, "integer": int, "number": (int, float),
        "boolean": bool, "null": type(None),
    }  # fmt: skip
    assert isinstance(value, kinds[schema["type"]])
    for name in schema.get("required", []):
        assert name in value
    for name, inner in schema.get("properties", {}).items():
        if name in value:
            _fits(value[name], inner)


def test_asyncapi_lists_every_type_in_the_channel_of_its_book() -> None:
    document: Any = asyncapi()
    listed = {
        topic: channel["address"]
        for channel in document["channels"].values()
        for topic in channel["messages"]
    }
    assert listed == {c.TOPIC: book_of_type(c) for c in EVENT_CLASSES}
    assert set(listed) == set(document["components"]["messages"])
    assert set(document["channels"]) == {"calls", "centre", "cases", "looks"}
    assert document["channels"]["cases"]["address"] == "cases.{authority}"


def test_the_page_of_events_is_up_to_date() -> None:
    page = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")
    assert page == events_page(), "run `python -m core.catalogue events-page > docs/events.md`"


@pytest.mark.parametrize("what", ["events-page", "json-schema", "asyncapi"])
def test_the_exports_are_printed(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([what]) == 0
    assert "call.answered" in capsys.readouterr().out


def test_an_unknown_export_is_a_mistake_of_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["yaml"]) == 2
    assert "usage" in capsys.readouterr().err


def test_every_field_has_a_type_that_the_log_can_hold() -> None:
    for event in EVENT_CLASSES:
        for item in fields_of(event):
            assert json_schema(event)["properties"][item.name]  # type: ignore[index]
