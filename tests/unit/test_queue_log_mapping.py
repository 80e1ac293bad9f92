from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime

import msgspec
import pytest
from queue_log_maker import make, spoil

from core import calls, shifts
from core.calls import (
    CallAbandoned,
    CallAnswered,
    CallbackMade,
    CallbackRequested,
    CallDeflected,
    CallDiverted,
    CallEnded,
    CallLeft,
    CallNoted,
    CallNotTaken,
    CallQueued,
    CallRefused,
    CallTimedOut,
    CallTransferred,
    ExchangeNoted,
    ExchangeRestarted,
)
from core.catalogue import EVENT_CLASSES
from core.commit import Event, telephony_id, telephony_key
from core.eventlog.codec import decode_event, encode_event
from core.personal import Personal
from core.shifts import AgentPaused, AgentSignedOff, AgentSignedOn, AgentUnpaused, ShiftNoted
from core.taxonomy import Directory, EntrySet
from telephony.kinds import key_of
from telephony.known import fact_id, fact_key
from telephony.mapping import Fact, Mapper
from telephony.rows import Malformed, parse

DIRECTORY = Directory.of(
    [
        EntrySet("authority", "SOC", {"code": "SOC", "excluded": True}),
        EntrySet("authority", "TK", {"code": "TK"}),
        EntrySet("answer_group", "tnh_bygg", {"queue": "bygg", "partition": ["TK"]}),
        EntrySet("answer_group", "social", {"queue": "soc", "partition": ["SOC"]}),
    ]
)
MAPPER = Mapper("huvud", DIRECTORY, lambda number: f"hash{sum(number.encode()):028x}")
NUMBER = "0700003128"
REF = MAPPER.caller_ref(NUMBER)
CALL = "call/huvud/1795321176.1"


def fact(event: str, *given: str, queue: str = "bygg", member: str = "NONE", uid: str = "") -> Fact:
    line = "|".join(["1795321177", uid or "1795321176.1", queue, member, event, *given])
    row = parse(line.encode(), 1)
    assert not isinstance(row, Malformed), row.reason
    found = MAPPER.fact(row)
    assert not isinstance(found, Malformed), found.reason
    return found


def only(
    event: str, *given: str, queue: str = "bygg", member: str = "NONE", uid: str = ""
) -> Event:
    (made,) = fact(event, *given, queue=queue, member=member, uid=uid).events
    return made


def test_a_fact_goes_to_the_stream_that_its_id_alone_fixes() -> None:
    found = fact("CONNECT", "3", "1795321177.2", "1", member="Agent 110")
    assert found.stream == CALL
    assert datetime(2026, 11, 22, 4, 19, 37, tzinfo=UTC) == found.occurred_at
    key = "huvud/1795321176.1/bygg/call.answered/Agent 110/1"
    assert key == fact_key("huvud", found, 1)
    assert telephony_key("huvud", "1795321176.1", "bygg", "call.answered", "Agent 110", 1) == key
    assert telephony_id(key) == fact_id("huvud", found, 1)


def test_what_app_queue_writes_about_a_call() -> None:
    agent = "Agent 110"
    assert CallAnswered("bygg", agent, 3.0, 1.0) == only("CONNECT", "3", "9.2", "1", member=agent)
    assert CallEnded("bygg", agent, "agent", 3.0, 61.0) == only(
        "COMPLETEAGENT", "3", "61", "2", member=agent
    )
    assert CallEnded("bygg", agent, "caller", 0.0, 1.0) == only(
        "COMPLETECALLER", "0", "1", "1", member=agent
    )
    assert CallAbandoned("bygg", 25.0) == only("ABANDON", "1", "4", "25")
    assert CallTimedOut("bygg", 45.0) == only("EXITWITHTIMEOUT", "2", "4", "45")
    assert CallLeft("bygg", "empty", None, 9.0) == only("EXITEMPTY", "1", "1", "9")
    assert CallLeft("bygg", "key", "1", 9.0) == only("EXITWITHKEY", "1", "2", "3", "9")
    assert CallLeft("bygg", "withdrawn", None, 9.0) == only(
        "WITHDRAW", "1", "1", "9", "fri text", "mer"
    )
    assert CallNotTaken("bygg", agent, "no_answer", 8.0) == only(
        "RINGNOANSWER", "8000", member=agent
    )
    assert CallNotTaken("bygg", agent, "cancelled", 0.498) == only(
        "RINGCANCELED", "498", member=agent
    )
    assert CallNoted("bygg", "AGENTDUMP", agent) == only("AGENTDUMP", "", member=agent)
    assert CallNoted("bygg", "SYSCOMPAT", agent) == only("SYSCOMPAT", "", member=agent)


def test_a_transfer_keeps_an_internal_extension_and_its_last_three_numbers() -> None:
    agent = "Agent 110"
    assert CallTransferred("bygg", agent, "blind", "204", 2.0, 3.0) == only(
        "BLINDTRANSFER", "204", "specialist", "2", "3", "1", member=agent
    )
    assert CallTransferred("bygg", agent, "blind", None, 2.0, 3.0) == only(
        "BLINDTRANSFER", NUMBER, "specialist", "2", "3", "1", member=agent
    )
    assert CallTransferred("bygg", agent, "blind", "204", 2.0, 3.0) == only(
        "TRANSFER", "204", "specialist", "2", "3", "1", member=agent
    )
    for method in (["BRIDGE", "a1"], ["APP", "Queue"], ["LINK", "SIP/1|x", "y", "z"], ["BRIDGE"]):
        assert CallTransferred("bygg", agent, "warm", None, 2.0, 3.0) == only(
            "ATTENDEDTRANSFER", *method, "2", "3", "1", member=agent
        )


def test_what_a_dialplan_writes_with_a_meaning_here() -> None:
    assert CallRefused("bygg", "tnh_bygg", "full", True) == only("FULL")
    assert CallRefused("bygg", "tnh_bygg", "full", True) == only("FULL", NUMBER)
    assert CallRefused("okänd", "okänd", "empty", False) == only("JOINEMPTY", queue="okänd")
    assert CallDiverted("bygg", None, None, "holdtime") == only("DIVERT_HOLDTIME", NUMBER)
    assert CallDiverted("bygg", "204", None, "ca_ratio") == only("DIVERT_CA_RATIO", "204")
    assert CallbackRequested("bygg", 12.0) == only("CALLBACK", "12", NUMBER)
    assert CallbackRequested("bygg", None) == only("CALLBACK_REQUESTED")
    assert CallbackMade("bygg", "Agent 1", True) == only("CALLBACK_MADE", "1", member="Agent 1")
    assert CallDeflected("bygg", None, 8.0) == only("DEFLECTED", "8")


def test_a_caller_is_sealed_under_a_subject_of_its_own_and_the_name_is_dropped() -> None:
    expected = CallQueued("bygg", "tnh_bygg", True, Personal(NUMBER, f"caller/{REF}"), REF, 3)
    assert expected == only("ENTERQUEUE", "", NUMBER, "3")
    assert expected == only("ENTERQUEUE", "http://x", NUMBER, "3", "Förnamn Efternamn")


@pytest.mark.parametrize("hidden", ["", "unknown", "Anonymous", "<unknown>", "Restricted", " "])
def test_a_hidden_number_is_nobody(hidden: str) -> None:
    assert CallQueued("okänd", "okänd", False, None, None, 1) == only(
        "ENTERQUEUE", "", hidden, "1", queue="okänd"
    )


@pytest.mark.requirement("R11")
def test_of_an_excluded_group_no_number_hash_key_or_text_is_kept() -> None:
    assert CallQueued("soc", "social", True, None, None, 1) == only(
        "ENTERQUEUE", "", NUMBER, "1", "Förnamn", queue="soc"
    )
    assert CallLeft("soc", "key", None, 9.0) == only("EXITWITHKEY", "1", "1", "1", "9", queue="soc")
    assert CallNoted("soc", "SURVEY") == only("SURVEY", "5", "yes", queue="soc")
    assert CallTransferred("soc", "A", "blind", None, 1.0, 2.0) == only(
        "BLINDTRANSFER", "204", "specialist", "1", "2", "1", queue="soc", member="A"
    )
    assert CallDiverted("soc", None, None, "x") == only("DIVERT_X", "204", queue="soc")


def test_an_unknown_event_is_noted_and_only_harmless_parameters_stay_in_their_places() -> None:
    assert CallNoted("bygg", "SURVEY", "A", ("5", "", "yes", "", "")) == only(
        "SURVEY", "5", NUMBER, "yes", "Förnamn", "640101", member="A"
    )
    assert CallNoted("bygg", "INFO", None, ()) == only("INFO", NUMBER, "Förnamn Efternamn")
    assert ShiftNoted("Agent 1", "PENALTY", "bygg", ("5",)) == only(
        "PENALTY", "5", member="Agent 1", uid="NONE"
    )
    assert ExchangeNoted("huvud", "CONFIGRELOAD") == only(
        "CONFIGRELOAD", "", queue="NONE", uid="NONE"
    )


def test_a_members_own_telephone_number_becomes_its_hash_everywhere() -> None:
    made = only("CONNECT", "1", "2.2", "1", member=f"Local/{NUMBER}@jour")
    assert isinstance(made, CallAnswered)
    assert f"Local/tel-{REF[:12]}@jour" == made.agent
    assert MAPPER.agent("Agent 110") == "Agent 110"
    assert NUMBER not in fact("PAUSE", "", member=f"SIP/{NUMBER}", uid="NONE").stream


def test_what_is_about_a_member_goes_to_the_days_shift_whatever_its_uniqueid() -> None:
    for uid in ("NONE", "MANAGER", "1795321000.9"):
        found = fact("ADDMEMBER", "", member="SIP/1104", uid=uid)
        assert found.stream == "shift/huvud/SIP/1104/2026-11-22"
        assert fact_key("huvud", found, 1) == "huvud/2026-11-22/bygg/shift.signed_on/SIP/1104/1"
    assert AgentPaused("A", "lunch", "bygg") == only("PAUSE", "lunch", member="A", uid="NONE")
    assert AgentPaused("A", "lunch", None) == only(
        "PAUSEALL", "lunch", queue="NONE", member="A", uid="NONE"
    )
    assert AgentUnpaused("A", None, "bygg") == only("UNPAUSE", "", member="A", uid="NONE")
    assert AgentUnpaused("A", "rast", None) == only(
        "UNPAUSEALL", "rast", queue="NONE", member="A", uid="NONE"
    )
    assert AgentSignedOff("A", ("bygg",)) == only("REMOVEMEMBER", "", member="A", uid="NONE")
    assert AgentSignedOn("2001") == only("AGENTLOGIN", f"SIP/{NUMBER}", queue="NONE", member="2001")
    assert AgentSignedOff("2001") == only(
        "AGENTLOGOFF", f"SIP/{NUMBER}", "9", queue="NONE", member="2001"
    )


def test_a_pauses_reason_that_looks_like_a_number_is_left_out() -> None:
    assert AgentPaused("A", "", "bygg") == only("PAUSE", f"ring {NUMBER}", member="A", uid="NONE")


def test_a_member_added_on_pause_is_both_signed_on_and_paused() -> None:
    expected = (AgentSignedOn("A", ("bygg",)), AgentPaused("A", "", "bygg"))
    assert expected == fact("ADDMEMBER", "PAUSED", member="A", uid="NONE").events


def test_a_restart_is_the_exchanges() -> None:
    found = fact("QUEUESTART", "", queue="NONE", uid="NONE")
    assert ("exchange/huvud", (ExchangeRestarted("huvud"),)) == (found.stream, found.events)
    assert fact_key("huvud", found, 1) == "huvud/NONE/NONE/exchange.restarted/NONE/1"


def test_each_event_type_has_one_kind_and_no_two_the_same() -> None:
    kinds = set()
    for event_class in EVENT_CLASSES:
        bare = object.__new__(event_class)
        for each in fields(event_class):
            object.__setattr__(bare, each.name, "x")
        kinds.add(key_of(bare).split("/")[-2].partition(":")[0])
    assert {c.TOPIC for c in EVENT_CLASSES} == kinds


def test_what_is_read_back_has_the_key_that_it_was_recorded_under() -> None:
    met = set()
    for line in spoil(3, make(3, calls=400)).split(b"\n"):
        row = parse(line, 1)
        found = None if isinstance(row, Malformed) else MAPPER.fact(row)
        if found is None or isinstance(found, Malformed):
            continue
        event = found.events[0]
        data = encode_event(event)
        data.pop("caller", None)
        back = decode_event(event.TOPIC, event.SCHEMA, msgspec.json.encode(data))
        assert back is not None
        assert found.key == key_of(back)
        met.add(type(event))
    assert {calls.CallQueued, calls.CallNoted, shifts.ShiftNoted, calls.ExchangeNoted} <= met


@pytest.mark.parametrize("name", ["", " ", "a/b", "x" * 81, "a\nb"])
def test_an_exchange_needs_a_name_that_a_stream_can_carry(name: str) -> None:
    with pytest.raises(ValueError, match="exchange's name"):
        Mapper(name, DIRECTORY, str)
