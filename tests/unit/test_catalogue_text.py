"""Whatever a row holds, it is written as TOML that says the same."""

from __future__ import annotations

import tomllib
from typing import Any

from given import city
from hypothesis import given, settings
from hypothesis import strategies as st

from core.directory import Directory
from core.entries import EntrySet
from core.taxonomy import plain, read_entries
from kontaktcenter.catalogue_text import to_toml

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
VALUES: Any = st.recursive(
    st.one_of(
        st.booleans(),
        st.integers(-(2**53), 2**53),
        st.floats(allow_nan=False, allow_infinity=False),
        TEXTS,
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=8,
)


@given(st.dictionaries(TEXTS, VALUES, max_size=4))
@settings(max_examples=300, deadline=None)
def test_any_row_is_written_so_that_it_reads_the_same(row: dict[str, Any]) -> None:
    directory = Directory.of(
        [
            EntrySet("labels", "a b", row),
            EntrySet("project_topic", "p", {"id": "p", "starts": "someday", **row}),
        ]
    )
    read = tomllib.loads(to_toml(directory))
    said = read["labels"]["a b"]
    assert row == plain(said) or row == {"value": said}
    (topic,) = read["project_topic"]
    assert plain(topic) == {"id": "p", "starts": "someday", **row}


def test_the_shipped_catalogue_is_written_and_read_as_it_is() -> None:
    entries = read_entries(to_toml(city()))
    assert {(e.section, e.key): e.row for e in entries} == {
        (section, key): row for section, rows in city().entries.items() for key, row in rows.items()
    }
    assert to_toml(city()) == to_toml(city())
