"""Passwords, and how often one may fail."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.low_level import Type
from sign_in_world import CHEAP

from core.limits import PASSWORD_CHARS_MAX, SIGN_IN_FAILURES_KEPT_MAX
from webdesk.attempts import ADDRESS_MAX, BOTH_MAX, NAME_MAX, WINDOW_S, Attempts
from webdesk.passwords import Passwords, fault_of

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("password", "fault"),
    [
        ("tunnelbana-regn-42", None),
        ("tre små grisar i regn", None),
        ("häst batteri klammer", None),
        ("elva tecken", "short"),
        ("x" * (PASSWORD_CHARS_MAX + 1), "long"),
        ("anna.b@staden", "name"),
        ("demo agent 1", "name"),
        ("1 tnega omed", "name"),
        ("aaaaaaaaaaaaaaaa", "common"),
        ("abababababababab", "common"),
        ("abcdefghijklmnop", "common"),
        ("987654321098765", "common"),
        ("qwertyuiopåqwerty", "common"),
        ("password123456", "common"),
        ("P@ssw0rd!!!!!!", "common"),
        ("Sommar2026!!!!", "common"),
        ("Kontaktcenter1", "common"),
        ("Stockholm-2026-", "common"),
        ("hejhejhejhejhej", "common"),
    ],
)
def test_a_password_is_long_and_not_the_first_that_is_guessed(
    password: str, fault: str | None
) -> None:
    assert fault_of(password, "anna.b", "Demo Agent 1") == fault


def test_a_password_is_kept_as_argon2id_with_a_salt_of_its_own() -> None:
    passwords = Passwords(os.urandom)
    one, two = passwords.hash("tunnelbana-regn-42"), passwords.hash("tunnelbana-regn-42")
    assert one != two
    found = extract_parameters(one)
    assert (found.type, found.memory_cost, found.time_cost) == (Type.ID, 65_536, 3)
    assert passwords.verify(one, "tunnelbana-regn-42")
    assert not passwords.verify(one, "tunnelbana-regn-43")


def test_a_hash_that_is_none_or_damaged_opens_nothing() -> None:
    passwords = Passwords(os.urandom, CHEAP)
    for stored in (None, "", "x", "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$AAAA"):
        assert not passwords.verify(stored, "")
        assert not passwords.verify(stored, "x")


class Counting(PasswordHasher):
    """The real one; it counts the hashes that it really worked on."""

    checked = 0

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002
        type(self).checked += str(hash).startswith("$argon2id$")
        return super().verify(hash, password)


def test_a_password_that_is_not_there_is_checked_all_the_same() -> None:
    hasher = Counting(1, 8, 1)
    passwords = Passwords(os.urandom, hasher)
    passwords.verify(None, "x")
    assert Counting.checked == 1


# --- attempts -------------------------------------------------------------------------------------
def test_a_name_from_one_address_fails_a_few_times() -> None:
    attempts = Attempts()
    for _n in range(BOTH_MAX):
        assert attempts.blocked_until("anna", "192.0.2.1", NOON) is None
        attempts.begin("anna", "192.0.2.1", NOON)
    ends = NOON + timedelta(seconds=WINDOW_S)
    assert attempts.blocked_until("anna", "192.0.2.1", NOON) == ends
    assert attempts.blocked_until("anna", "192.0.2.2", NOON) is None
    assert attempts.blocked_until("bo", "192.0.2.1", NOON) is None
    assert attempts.blocked_until("anna", "192.0.2.1", ends) is None


def test_a_spread_attack_on_one_name_is_stopped() -> None:
    attempts = Attempts()
    for n in range(NAME_MAX):
        attempts.begin("anna", f"192.0.2.{n}", NOON)
    assert attempts.blocked_until("anna", "198.51.100.1", NOON) is not None
    assert attempts.blocked_until("bo", "192.0.2.1", NOON) is None


def test_one_address_that_tries_all_names_is_stopped() -> None:
    attempts = Attempts()
    for n in range(ADDRESS_MAX):
        attempts.begin(f"name-{n}", "192.0.2.1", NOON)
    assert attempts.blocked_until("another", "192.0.2.1", NOON) is not None
    assert attempts.blocked_until("another", "192.0.2.2", NOON) is None


def test_success_forgets_the_failures_of_the_pair_and_is_none_itself() -> None:
    attempts = Attempts()
    for _n in range(50):
        for _m in range(BOTH_MAX - 1):
            attempts.begin("anna", "192.0.2.1", NOON)
        attempts.begin("anna", "192.0.2.1", NOON)
        attempts.succeeded("anna", "192.0.2.1")
        break
    assert attempts.blocked_until("anna", "192.0.2.1", NOON) is None
    for _n in range(1_000):  # an office signs in in the morning, behind one address
        attempts.begin("bo", "192.0.2.9", NOON)
        attempts.succeeded("bo", "192.0.2.9")
    assert attempts.blocked_until("bo", "192.0.2.9", NOON) is None


def test_what_is_counted_stays_bounded() -> None:
    attempts = Attempts()
    for n in range(SIGN_IN_FAILURES_KEPT_MAX):
        attempts.begin(f"name-{n}", f"2001:db8::{n:x}", NOON)
    assert len(attempts._failures) == SIGN_IN_FAILURES_KEPT_MAX
