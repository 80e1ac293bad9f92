"""Personal data: the city secret and the keys that it yields."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from core.personal import CitySecret, DataKey, Personal, open_sealed, seal, unwrap, wrap

SECRET = bytes(range(32))
CITY = CitySecret(SECRET)
NONCE = b"123456789012"


def test_a_secret_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="31 bytes"):
        CitySecret(bytes(31))


def test_the_keys_are_those_of_rfc_5869() -> None:
    derived = HKDF(SHA256(), 32, None, b"kontaktcenter intent 1").derive(SECRET)
    assert derived == CITY.intent_key
    expected = hmac.digest(derived, b"asking", hashlib.sha256)[:16].hex()
    assert expected == CITY.intent("asking")


def test_another_secret_gives_other_keys_and_another_fingerprint() -> None:
    other = CitySecret(bytes(32))
    assert CITY.fingerprint != other.fingerprint
    assert CITY.caller_ref("0700000001") != other.caller_ref("0700000001")
    assert CITY.intent("0700000001") != CITY.caller_ref("0700000001")


def test_a_caller_is_known_again_and_not_shown() -> None:
    assert CITY.caller_ref("0700000001") == CITY.caller_ref("0700000001")
    assert CITY.caller_ref("0700000001") != CITY.caller_ref("0700000002")
    assert "0700000001" not in CITY.caller_ref("0700000001")


def test_a_key_is_wrapped_and_unwrapped() -> None:
    key = DataKey("caller/1/1", b"k" * 32)
    wrapped = wrap(key, CITY, NONCE)
    assert key.secret not in wrapped
    assert key == unwrap(key.id, wrapped, CITY)


def test_a_key_does_not_unwrap_with_another_secret_or_under_another_name() -> None:
    wrapped = wrap(DataKey("caller/1/1", b"k" * 32), CITY, NONCE)
    with pytest.raises(ValueError, match="city secret"):
        unwrap("caller/1/1", wrapped, CitySecret(bytes(32)))
    with pytest.raises(ValueError, match="city secret"):
        unwrap("caller/2/1", wrapped, CITY)
    with pytest.raises(ValueError, match="city secret"):
        unwrap("caller/1/1", wrapped[:-1], CITY)


def test_neither_keys_nor_texts_are_shown_by_their_repr() -> None:
    key = DataKey("caller/1/1", b"k" * 32)
    value = Personal("0700000001", "caller/1")
    box = seal(value, key, "place", NONCE)
    assert "kkk" not in repr(key)
    assert "0700000001" not in repr(value)
    assert box.box not in repr(box)
    assert value == open_sealed(box, key, "place")
