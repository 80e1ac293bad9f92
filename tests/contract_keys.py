"""The contract of a book of keys: what memory, a file and a topic of Kafka have in common.

Each is a function of an open, empty book.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from log_world import T0

from core.errors import Corrupt
from core.personal import PROTECTED_WRAPPED_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.eventlog.keys import KeyBook

A, B = "caller/a", "case/TK/b"
CLOSED = (b"protected:" + bytes(PROTECTED_WRAPPED_BYTES))[:PROTECTED_WRAPPED_BYTES]


def keys_are_kept_found_and_erased(book: KeyBook) -> None:
    assert book.of_subjects(["caller/a"]) == {}
    book.add([("caller/a/1", b"one"), ("caller/b/1", b"two")])
    assert book.of_subjects(["caller/a", "caller/c"]) == {"caller/a": ("caller/a/1", b"one")}
    assert book.wrapped("caller/b/1") == b"two"
    with pytest.raises(Corrupt, match="not erased"):
        book.wrapped("caller/c/1")
    book.add([("caller/a/2", b"three")])
    assert (book.erase({"caller/a": T0}, 9), book.erased_upto()) == (2, 9)
    assert [book.wrapped(f"caller/a/{n}") for n in (1, 2)] == [None, None]
    assert book.of_subjects(["caller/a"]) == {}
    assert book.erase({}, 12) == 0
    assert book.erased_upto() == 12


def an_erasure_is_kept_with_when_it_was_decided(book: KeyBook) -> None:
    later = T0 + timedelta(microseconds=1)
    book.add([(f"{A}/1", b"one"), (f"{A}/2", b"two"), (f"{B}/1", b"three")])
    assert book.tombstones([A, B]) == 0
    assert book.erase({A: later, "caller/never-seen": T0}, 3) == 2
    assert book.decided([A, B, "caller/never-seen"]) == {A: later, "caller/never-seen": T0}
    assert book.tombstones([A, B, "caller/never-seen"]) == 2
    assert book.wrapped("caller/never-seen/none") is None
    assert book.erase({A: T0}, 5) == 0
    assert book.decided([A]) == {A: later}
    book.add([(f"{A}/3", b"new")])
    assert book.of_subjects([A]) == {A: (f"{A}/3", b"new")}
    assert book.erase({A: later + timedelta(hours=1)}, 8) == 1
    assert (book.tombstones([A]), book.live([A])) == (3, [])
    book.erase({}, 0)
    assert book.erased_upto() == 0
    assert book.wrapped(f"{B}/1") == b"three"


def a_key_is_wrapped_anew_and_progress_is_kept(book: KeyBook) -> None:
    book.add([(f"{A}/1", b"one"), (f"{A}/2", b"two"), (f"{B}/1", b"three")])
    assert sorted(book.live([A])) == [(f"{A}/1", b"one"), (f"{A}/2", b"two")]
    assert (book.one_protected(), book.reached("x")) == (None, 0)
    book.rewrap([(f"{A}/1", CLOSED)], ("x", 7))
    assert book.one_protected() == (f"{A}/1", CLOSED)
    assert (book.reached("x"), book.reached("y"), book.erased_upto()) == (7, 0, 0)
    assert sorted(book.live([A])) == [(f"{A}/1", CLOSED), (f"{A}/2", b"two")]
    book.rewrap([(f"{A}/1", b"open again")], ("x", 9))
    assert (book.one_protected(), book.wrapped(f"{A}/1")) == (None, b"open again")
    book.rewrap([], ("x", 11))
    assert book.reached("x") == 11


def a_destroyed_key_is_not_wrapped_anew(book: KeyBook) -> None:
    book.add([(f"{A}/1", b"one")])
    book.erase({A: T0}, 1)
    book.rewrap([(f"{A}/1", b"again")], None)
    assert book.wrapped(f"{A}/1") is None
    assert book.of_subjects([A]) == {}


def keys_that_were_kept_while_cut_off_are_keys(book: KeyBook) -> None:
    book.add_kept([(f"{A}/1", b"one"), (f"{B}/1", b"two")])
    assert book.wrapped(f"{A}/1") == b"one"
    assert book.of_subjects([A]) == {A: (f"{A}/1", b"one")}
    assert book.erase({A: T0}, 1) == 1
    assert book.send_kept() in {0, 1}
    assert book.send_kept() == 0
    assert (book.wrapped(f"{A}/1"), book.wrapped(f"{B}/1")) == (None, b"two")


def many_subjects_are_asked_for_at_once(book: KeyBook) -> None:
    subjects = [f"caller/{n:04d}" for n in range(1_500)]
    book.add([(f"{s}/1", b"wrapped") for s in subjects])
    assert len(book.of_subjects(subjects)) == 1_500
    assert len(book.live(subjects)) == 1_500
    gone = book.erase(dict.fromkeys(subjects[:700], T0), 1)
    assert (gone, book.tombstones(subjects), len(book.of_subjects(subjects))) == (700, 700, 800)


CONTRACT: tuple[Callable[[KeyBook], None], ...] = (
    keys_are_kept_found_and_erased,
    an_erasure_is_kept_with_when_it_was_decided,
    a_key_is_wrapped_anew_and_progress_is_kept,
    a_destroyed_key_is_not_wrapped_anew,
    keys_that_were_kept_while_cut_off_are_keys,
    many_subjects_are_asked_for_at_once,
)
