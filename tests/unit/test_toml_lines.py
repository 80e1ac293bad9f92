"""Where something stands in a TOML file: the same names and numbers that `tomllib` reads."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
import tomli_w
from given import TAXONOMY
from hypothesis import given, settings
from hypothesis import strategies as st

from core.toml_lines import Lines

NASTY = '''\
# [[not]] a = "table" at all
top = 1 # "a comment with [brackets] and 'quotes'"
"quoted key".b."å\\u00e4" = 'a # that is no comment'
long = """first
[[not.a.table]]
x = "still text" \\""" and ""two"" quotes"""""
literal = \'\'\'
it's # not a comment
[neither]\'\'\'
list = [ # a comment with ]
  1, 2.5,
  "three, with a comma ]", # }
  [ 4, [ 5 ] ], { a = 1, b.c = [6, { d = "}" }] },
  1979-05-27T07:32:00Z,
]
dotted.a.b = true
dotted.a.c = false
[table] # the end
a = inf
[table.sub]
b = 07:32:00
[[rows]]
id = "one"
[rows.more]
x = 1
[[rows.inner]]
y = 1
[[rows.inner]]
y = 2
[[rows]]
id = "two"
[  "spaced" . 'out'  ]
z = 1
'''


def paths_of(value: Any, above: tuple[Any, ...] = ()) -> set[tuple[Any, ...]]:
    found = {above} if above else set()
    below: Any = ()
    if isinstance(value, dict):
        below = value.items()
    elif isinstance(value, list):
        below = enumerate(value)
    for name, item in below:
        found |= paths_of(item, (*above, name))
    return found


def test_a_nasty_file_has_a_line_for_everything_in_it() -> None:
    lines = Lines(NASTY)
    assert paths_of(tomllib.loads(NASTY)) == set(lines.paths())
    for path, line in {
        ("top",): 2,
        ("quoted key", "b", "åä"): 3,
        ("long",): 4,
        ("literal",): 7,
        ("list", 2): 12,
        ("list", 4, "b", "c", 1, "d"): 13,
        ("dotted", "a", "c"): 17,
        ("table", "sub", "b"): 21,
        ("rows", 0): 22,
        ("rows", 0, "more", "x"): 25,
        ("rows", 0, "inner", 1, "y"): 29,
        ("rows", 1, "id"): 31,
        ("spaced", "out", "z"): 33,
    }.items():
        assert line == lines.of(*path), path


def test_what_is_not_there_has_the_line_of_what_is_above_it() -> None:
    lines = Lines(NASTY)
    assert lines.of("rows", 1, "name") == 30
    assert lines.of("rows", 7) == 22
    assert lines.of("nothing") is None


def test_the_shipped_taxonomy_has_a_line_for_everything_in_it() -> None:
    text = TAXONOMY.read_text(encoding="utf-8")
    lines = Lines(text)
    assert paths_of(tomllib.loads(text)) == set(lines.paths())
    rows = text.splitlines()
    for n, row in enumerate(tomllib.loads(text)["case_type"]):
        line = lines.of("case_type", n, "code")
        assert line is not None
        assert row["code"] in rows[line - 1]


@pytest.mark.parametrize("text", ["[", "a = ", "a = [1", "a = {", '"', "a = [[[[", "[[a", "= 1"])
def test_what_is_no_toml_has_no_lines_and_raises_nothing(text: str) -> None:
    assert list(Lines(text).paths()) == []


def test_a_text_that_nests_beyond_measure_raises_nothing() -> None:
    assert Lines("a = " + "[" * 100_000).of("a") is None


KEYS = st.one_of(
    st.from_regex(r"[A-Za-z0-9_-]{1,6}", fullmatch=True),
    st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"))
    .filter(lambda text: not any(0x80 <= ord(c) < 0xA0 for c in text)),
)  # fmt: skip
VALUES = st.recursive(
    st.one_of(st.integers(-5, 5), st.booleans(), st.text(max_size=20), st.dates(), st.times()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=8,
)


@given(st.dictionaries(KEYS, VALUES, max_size=5), st.booleans())
@settings(max_examples=200, deadline=None)
def test_whatever_is_written_has_a_line_for_everything_in_it(
    document: dict[str, Any], multiline: bool
) -> None:
    text = tomli_w.dumps(document, multiline_strings=multiline)
    assert paths_of(tomllib.loads(text)) == set(Lines(text).paths())
