"""A file with a fault is refused whole, and every fault is told with its line."""

from __future__ import annotations

from typing import Any

import pytest
from given import T0, TAXONOMY, city
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import Invalid
from core.section_rules import faults_of
from core.sections import SECTIONS, faults_of_entry
from core.taxonomy import decoded, read_entries, read_taxonomy

LEVELS = "it may be 1, 2, jourexpert, route_only, specialist"
TEXT = TAXONOMY.read_text(encoding="utf-8")


ELSEWHERE = ('id = "Arkiv"', 'number = "08-465 004 00"')  # the fault is told where the other stands


def faults(text: str, *, alone: bool = False) -> list[str]:
    """The faults of a file that is read on top of the shipped catalogue, or by itself."""
    with pytest.raises(Invalid) as refused:
        read_entries(text, None if alone else city())
    told = refused.value.details["faults"]
    assert isinstance(told, tuple)
    assert all(fault in str(refused.value) for fault in told)
    return list(told)


def changed(old: str, new: str) -> str:
    """The shipped file with one thing changed."""
    assert TEXT.count(old) == 1, old
    return TEXT.replace(old, new)


def test_the_shipped_taxonomy_has_no_fault() -> None:
    assert len(read_entries(decoded(TAXONOMY.read_bytes()))) == 401


def test_every_fault_is_told_at_once_each_with_its_line() -> None:
    faulty = """\
[[system]]
name = "utan id"
owner = "TK"
kind = "x"
[[authority]]
code = "A"
[[answer_group]]
id = "g"
queue = "avfall"
name = "Grupp"
centre = "tnh"
levels = ["1",
  "3"]
calendar = "kontor"
partition = ["B"]
max_waiting = "10"
callback = true
colour = "red"
[svarsgrupp]
id = "felstavad"
[centre]
id = "ingen lista"
"""
    assert faults(faulty) == [
        "line 1: system row 1: has no id",
        "line 5: authority A: has no name",
        "line 5: authority A: has no office",
        "line 5: authority A: has no kind",
        "line 5: authority A: has no centre",
        "line 5: authority A: has no excluded",
        "line 9: answer_group g: queue avfall is tnh_avfall's already",
        "line 13: answer_group g: levels, 2 is '3'; " + LEVELS,
        "line 15: answer_group g: partition, 1: no authority B",
        "line 16: answer_group g: max_waiting is a whole number, not '10'",
        "line 18: answer_group g: no field 'colour'",
        "line 19: svarsgrupp: no such section",
        "line 21: centre: is an array of tables, not dict",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[[", "Invalid initial character"),
        ("a = " + "[" * 3000, "nests deeper than any catalogue"),
        ("[[area]]\nid = 'a'\nid = 'b'\n", "Cannot overwrite a value (at line 3, column 9)"),
    ],
)
def test_what_is_not_toml_is_refused(text: str, fault: str) -> None:
    with pytest.raises(Invalid, match="not TOML") as refused:
        read_taxonomy(text, T0)
    assert fault in str(refused.value)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"\xef\xbb\xbfmeta.schema = 1", ["line 1: begins with a byte-order mark of UTF-8"]),
        ("meta.schema = 1".encode("utf-16"), ["line 1: begins with a byte-order mark of UTF-16"]),
        (
            "# å\n# ok\n# ö\n".encode("latin-1"),
            ["line 1: is not UTF-8 (byte 3, 0xe5)", "line 3: is not UTF-8 (byte 3, 0xf6)"],
        ),
        (b"a = 1\n\x00b = 2", ["line 2: holds a NUL byte"]),
        (b"\xed\xa0\x80", ["line 1: is not UTF-8"]),
        (b" " * (4 * 1024 * 1024 + 1), ["4194305 bytes; at most"]),
    ],
)
def test_a_wrong_encoding_is_told_line_by_line(data: bytes, told: list[str]) -> None:
    with pytest.raises(Invalid) as refused:
        decoded(data)
    found = refused.value.details["faults"]
    assert isinstance(found, tuple)
    assert len(told) == len(found)
    for start, fault in zip(told, found, strict=True):
        assert str(fault).startswith(start)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('office = "Trafikkontoret"', 'ofice = "T"', "no field 'ofice'; did you mean office?"),
        ('name = "Växel Tekniska nämndhuset", owner', 'name = "", owner', "name is empty"),
        ('id = "vaxel_tnh"', 'id = "växel/tnh"', "is no id"),
        ('id = "vaxel_tnh"', 'id = "va\u0308xel"', "is no id"),
        ('name = "InterBook"', f'name = "{"x" * 201}"', "name has 201 characters"),
        ('name = "InterBook"', 'name = "a\\u202eb"', "U+202E"),
        ('name = "InterBook"', 'name = "a\\u0000b"', "U+0000"),
        ("multiplier = 1.5", "multiplier = nan", "a number is finite"),
        ("multiplier = 1.5", "multiplier = -1", "it may be 0 to 1000"),
        ("next_date = 2027-08-16", 'next_date = "i höst"', "next_date is a date"),
        ('opens = "13:00"', 'opens = "25:00"', "a time of day"),
        ('closes = "19:00"', 'closes = "06:00"', "closes 06:00 is not after opens 07:00"),
        ('reserve_site = "tnh"', 'reserve_site = "stadsdelar"', "is its own reserve site"),
        ('overflow_to = ["tnh"]', 'overflow_to = ["stadsdelar"]', "overflows to itself"),
        ('{ key = "4", group = "tnh_miljo" }', '{ key = "3", group = "tnh_miljo" }', "3 stands"),
        ('{ key = "4", group = "tnh_miljo" }', '{ key = "4", ivr = "ivr_tnh" }', "leads to itself"),
        ('{ key = "4", group = "tnh_miljo" }', '{ key = "4" }', "leads to a group or to another"),
        ('b = "FSK", reason = "miljö', 'b = "MF", reason = "miljö', "conflict with itself"),
        ('{ a = "SBK", b = "FSK"', '{ a = "EXPL", b = "SBK"', "stands there already, as SBK/EXPL"),
        ('partition = ["TK"]\nmax_waiting = 40', 'partition = ["MF", "TK"]\nmax_waiting = 40',
         "opens both sides of a conflict of interest: MF and TK"),
        ("meta.schema = 1", "meta.schema = 2", "meta schema: is 2; this program reads 1"),
        ('"decide", "reply_written"', '"beslut", "reply_written"', "the program knows no 'beslut'"),
        ('number = "08-465 004 01"', 'number = "08-465 004 00"', "valid there already"),
        ('id = "fastighet"', 'id = "Arkiv"', "looks like"),
    ],
)  # fmt: skip
def test_one_thing_wrong_is_found(old: str, new: str, fault: str) -> None:
    text = changed(old, new)
    line = TEXT[: TEXT.index(old)].count("\n") + 1
    told = faults(text, alone=True)
    assert [one for one in told if fault in one], told
    assert [one for one in told if one.startswith(f"line {line}: ")] or new in ELSEWHERE, told


GROUP = """
[[answer_group]]
id = "{}"
queue = "{}"
name = "Ring"
centre = "tnh"
levels = ["1"]
calendar = "kontor"
partition = ["TK"]
max_waiting = 1
callback = false
overflow_to = "{}"
"""


def test_a_ring_of_overflows_is_told_once_with_its_way() -> None:
    text = (
        GROUP.format("a", "qa", "b") + GROUP.format("b", "qb", "c") + GROUP.format("c", "qc", "a")
    )
    (told,) = faults(text)
    assert told == "line 12: answer_group a: overflow goes round: a > b > c > a"


def test_a_file_that_breaks_what_stands_elsewhere_is_refused() -> None:
    excluded = """
[[authority]]
code = "TK"
name = "Trafik"
office = "T"
kind = "facknamnd"
centre = "tnh"
excluded = true
"""
    told = faults(excluded)
    assert "case_type TK-AVF-01: TK is excluded, so the type is too: excluded = true" in told


def test_an_id_that_stands_twice_says_where_it_stood_first() -> None:
    row = '[[area]]\nid = "a"\nauthority = "TK"\nname = "A"\n'
    assert faults(row + row) == ["line 5: area a: stands there already, on line 1"]


def test_a_guarded_article_says_what_may_be_said() -> None:
    told = faults(
        '[[article]]\nid = "X"\nkind = "faq"\ntitle = "T"\nbody = "B"\nowner = "TK"\n'
        "read_out_level1 = true\nguarded = true\n"
    )
    assert told == ["line 8: article X: is guarded and has no guard_text: what may be said"]


@pytest.mark.requirement("R28")
def test_a_project_topic_has_place_dates_and_a_responsible_office() -> None:
    topic = '[[project_topic]]\nid = "p1"\nname = "Ny bro"\nauthority = "EXPL"\n'
    assert faults(topic) == [
        "line 1: project_topic p1: has no office",
        "line 1: project_topic p1: has no place",
        "line 1: project_topic p1: has no starts",
    ]
    whole = topic + 'office = "Exploateringskontoret"\nplace = "Hamnen"\nstarts = 2027-01-01\n'
    assert len(read_entries(whole, city())) == 1
    assert faults(whole + "ends = 2026-01-01")[0].endswith(
        "ends 2026-01-01 is before starts 2027-01-01"
    )


def test_an_on_call_schedule_has_hours_or_a_time_and_somebody() -> None:
    row = '[[on_call]]\nid = "j"\ngroup = "jour_bygg"\n'
    assert len(faults(row)) == 2
    hours = 'hours = [{ days = [1], opens = "09:00", closes = "15:00" }]\nrole = "expert"\n'
    assert len(read_entries(row + hours, city())) == 1
    both = hours + "starts = 2026-12-01T09:00:00+01:00\nends = 2026-12-01T15:00:00+01:00\n"
    assert "one of them" in faults(row + both)[0]


def test_a_text_of_100_kb_is_told_and_a_flood_of_faults_is_bounded() -> None:
    long = f'[[area]]\nid = "a"\nauthority = "TK"\nname = "A"\nnote = "{"å" * 100_000}"\n'
    assert faults(long) == ["line 5: area a: note has 100000 characters; at most 20000 are kept"]
    many = "".join(f'[[area]]\nid = "{n}"\n' for n in range(2_000))
    told = faults(many)
    assert len(told) == 1_001
    assert told[-1].startswith("and ")


@pytest.mark.parametrize("part", ["a", '"a b"', "'a'", "a "])
def test_a_key_of_very_many_parts_is_told_at_once(part: str) -> None:
    deep = ".".join([part] * 100_000)
    for line in (f"{deep} = 1", f"[{deep}]", f"x = {{ {deep} = 1 }}"):
        assert faults(f"\n{line}\n") == ["line 2: a key of too many parts; no section is so deep"]


JUNK: Any = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["key", "group", "ivr", "opens", "level", "x"]), inner),
    ),
    max_leaves=6,
)


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_the_rules_get_through_any_rows_whatever(data: Any) -> None:
    rows: dict[str, dict[str, dict[str, object]]] = {}
    for section, shape in SECTIONS.items():
        names = st.sampled_from([*shape.fields, "unknown"])
        row = st.dictionaries(names, JUNK, max_size=4)
        rows[section] = data.draw(st.dictionaries(st.sampled_from(["a", "b"]), row, max_size=2))
        for key, found in rows[section].items():
            list(faults_of_entry(section, key, found))
    faults_of(rows)
