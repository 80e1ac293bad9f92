from __future__ import annotations

from datetime import UTC, datetime
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from queue_log_maker import faults
from queue_log_recount import read_row

from core.limits import LINE_CHARS_MAX
from core.taxonomy import Directory
from telephony.mapping import Mapper
from telephony.rows import Malformed, Row, looks_like_phone, parse

LINE = b"1795321177|1795321176.1|bygg|Agent 110|CONNECT|0|1795321177.2|1"
MAPPER = Mapper("huvud", Directory(), lambda number: f"ref-of-{len(number)}")


def understood(line: bytes) -> bool:
    row = parse(line, 1)
    return not isinstance(row, Malformed) and not isinstance(MAPPER.fact(row), Malformed)


def reason(line: bytes) -> str:
    row = parse(line, 7)
    if not isinstance(row, Malformed):
        found = MAPPER.fact(row)
        assert isinstance(found, Malformed), line
        row = found
    assert row.line_no == 7
    return row.reason


def test_a_row_is_read_field_by_field() -> None:
    expected = Row(
        3,
        datetime(2026, 11, 22, 4, 19, 37, tzinfo=UTC),
        "1795321176.1",
        "bygg",
        "Agent 110",
        "CONNECT",
        ("0", "1795321177.2", "1"),
    )
    assert expected == parse(LINE, 3)


def test_none_and_the_words_for_no_channel_become_none() -> None:
    for word in (b"NONE", b"REALTIME", b"MANAGER", b"CLI", b""):
        row = parse(b"1795321170|" + word + b"|NONE|NONE|QUEUESTART|", 1)
        assert isinstance(row, Row)
        assert (row.uniqueid, row.queue, row.member) == (None, None, None)


def test_a_fraction_of_a_second_is_kept_to_the_microsecond() -> None:
    row = parse(b"1795321177.25|1.1|q|NONE|ABANDON|1|1|1", 1)
    assert isinstance(row, Row)
    assert datetime(2026, 11, 22, 4, 19, 37, 250_000, tzinfo=UTC) == row.at


def test_a_carriage_return_at_the_end_is_not_part_of_the_row() -> None:
    assert parse(LINE, 1) == parse(LINE + b"\r", 1)


def test_text_that_is_not_ascii_is_read() -> None:
    row = parse("1795321177|1.1|kö|Åsa Ö|CONNECT|0|2.2|1".encode(), 1)
    assert isinstance(row, Row)
    assert (row.queue, row.member) == ("kö", "Åsa Ö")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"", "the line is empty"),
        (b"\xff" + LINE, "the line is not UTF-8"),
        (LINE + b"\x00", "control character"),
        (LINE[:-1] + b"\x1b", "control character"),
        (LINE + b"x" * LINE_CHARS_MAX, f"longer than {LINE_CHARS_MAX} bytes"),
        (b"1795321177|1.1|q|NONE", "fields: 4, at least 5"),
        (LINE + b"|" * 30, "parameters: more than 20"),
        (b"x" + LINE, "epoch: not a number"),
        (b"1795321177.x|1.1|q|NONE|ABANDON|1|1|1", "epoch: not a number"),
        (b"-1795321177|1.1|q|NONE|ABANDON|1|1|1", "epoch: not a number"),
        (b"1_795_321_177|1.1|q|NONE|ABANDON|1|1|1", "epoch: not a number"),
        ("١٧٩٥٣٢١١٧٧|1.1|q|NONE|ABANDON|1|1|1".encode(), "epoch: not a number"),
        (b"946684799|1.1|q|NONE|ABANDON|1|1|1", "epoch: before the year 2000"),
        (b"4102444800|1.1|q|NONE|ABANDON|1|1|1", "epoch: before the year 2000 or after 2099"),
        (b"1795321177|a/b|q|NONE|ABANDON|1|1|1", "uniqueid: not an id"),
        (b"1795321177|1.1|q/r|NONE|ABANDON|1|1|1", "queue: not a name"),
        (b"1795321177|1.1|q|" + b"m" * 201 + b"|CONNECT|1", "member: longer than 200"),
        (b"1795321177|1.1|q|NONE||1|1|1", "event: not a name"),
        (b"1795321177|1.1|q|NONE|0700000001|", "event: not a name"),
        (b"1795321177|1.1|q|NONE|EV0700000001|", "event: not a name"),
        (b"1795321177|1.1|q|NONE|ABANDON|1|1", "parameters: 2, ABANDON has at least 3"),
        (b"1795321177|1.1|q|NONE|ABANDON|1|1|2|9", "parameters: 4, ABANDON has at most 3"),
        (b"1795321177|1.1|q|NONE|ABANDON|1|1|-2", "wait: negative"),
        (b"1795321177|1.1|q|NONE|ABANDON|1|1|", "wait: not a number"),
        (b"1795321177|1.1|q|NONE|ABANDON|1|1|1e3", "wait: not a number"),
        (b"1795321177|1.1|q|NONE|ABANDON|1|1|99999999", "wait: more than 10000000 s"),
        (b"1795321177|1.1|q|NONE|ABANDON|x|1|1", "position: not a number"),
        (b"1795321177|1.1|q|NONE|ABANDON|-1|1|1", "position: negative"),
        (b"1795321177|1.1|q|A|COMPLETEAGENT|1|-1|1", "talk: negative"),
        (b"1795321177|1.1|q|A|RINGNOANSWER|-1", "ring time: negative"),
        (b"1795321177|NONE|q|NONE|ABANDON|1|1|1", "uniqueid: ABANDON is about a call"),
        (b"1795321177|1.1|NONE|NONE|ABANDON|1|1|1", "queue: ABANDON names none"),
        (b"1795321177|1.1|q|NONE|CONNECT|1|2.2|1", "member: CONNECT names none"),
        (b"1795321177|1.1|q|A|CALLBACK_MADE|maybe", "reached: neither 0 nor 1"),
    ],
)
def test_a_malformed_row_says_which_field_is_wrong(line: bytes, says: str) -> None:
    assert says in reason(line)


def test_no_reason_repeats_what_the_row_says() -> None:
    for seed in range(20):
        for line in faults(Random(seed)):
            said = reason(line)
            assert not looks_like_phone(said), said
            for secret in ("0700000001", "Namn", "nan", "soon", "first", "specialist", "maybe"):
                assert secret not in said


def test_two_rows_in_one_line_are_not_taken_for_one() -> None:
    assert "two rows" in reason(
        b"1795321177|1.1|q|A|ATTENDEDTRANSFER|BRIDGE|a1795321178|1.1|q|NONE|ABANDON|1|1|25"
    )


@given(st.binary(max_size=200))
def test_no_bytes_make_the_parser_raise(line: bytes) -> None:
    row = parse(line, 1)
    if isinstance(row, Row):
        MAPPER.fact(row)


_WORDS = st.sampled_from(
    [
        "NONE",
        "",
        "0",
        "-1",
        "7",
        "1.5",
        "1795321177",
        "1795321177.5",
        "q",
        "Agent 1",
        "0700000001",
        "|",
        "Å",
        "\x00",
    ]
)
_EVENTS = st.sampled_from(
    [
        "ENTERQUEUE",
        "CONNECT",
        "ABANDON",
        "EXITWITHKEY",
        "WITHDRAW",
        "RINGNOANSWER",
        "BLINDTRANSFER",
        "QUEUESTART",
        "ATTENDEDTRANSFER",
        "PAUSE",
        "ADDMEMBER",
        "CALLBACK_MADE",
        "FULL",
        "DIVERT_X",
        "custom",
        "TRANSFER",
    ]
)


@given(_EVENTS, st.lists(_WORDS, max_size=8), st.integers(0, 8))
def test_the_parser_and_the_recount_agree_on_what_is_malformed(
    event: str, words: list[str], place: int
) -> None:
    fields = ["1795321177", "1795321176.1", "q", "Agent 1"]
    fields[place % 4] = words[0] if words and place < 4 else fields[place % 4]
    line = "|".join([*fields, event, *words[1:]]).encode()
    assert (read_row(line) is not None) == understood(line)


@given(st.binary(max_size=60), st.integers(0, 60))
def test_a_damaged_row_is_told_like_the_recount_tells_it(noise: bytes, place: int) -> None:
    line = LINE[:place] + noise.replace(b"\n", b"") + LINE[place + len(noise) :]
    assert (read_row(line) is not None) == understood(line)
