"""Personal data: in clear only in memory, sealed in the log, gone when its key is gone.

A field of an event that is `PersonalField` holds a `Personal` when it is written. The codec seals
it with a key of its subject (AES-256-GCM; commit id, event index and field as associated data).
What is read back is a `Personal` again, `ERASED` where the key is gone, or a `Sealed` where nobody
asked for it to be opened.

One city secret yields the intent, look-up and wrapping keys by HKDF (design §3). Keys of protected
identities are wrapped with another secret, from a file of its own, so that a copy of the first one
opens none of them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Protocol

from core.errors import Refused

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SECRET_BYTES: Final = 32
PROTECTED: Final = "protected/"  # the subject of a protected identity begins so
_NONCE_BYTES: Final = 12
_HASH_BLOCK_BYTES: Final = 64  # of SHA-256
# Before the wrapped key of a protected identity: what is wrapped with the city secret has no mark.
_PROTECTED_MARK: Final = b"protected:"
PROTECTED_WRAPPED_BYTES: Final = len(_PROTECTED_MARK) + _NONCE_BYTES + SECRET_BYTES + 16


class KeyClosed(Refused):
    """This is about a protected identity: it is opened only for those who have that right."""


@dataclass(frozen=True, slots=True)
class Personal:
    """A name, a number or free text about the person `subject`. Its repr never shows the value."""

    value: str = field(repr=False)
    subject: str


@dataclass(frozen=True, slots=True)
class Sealed:
    """A personal field as the log holds it.

    `key` is the key's id, `box` base64 of nonce and ciphertext.
    """

    key: str
    box: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Erased:
    """A personal field whose key is gone (*gallring*)."""


ERASED: Final = Erased()
PersonalField = Personal | Sealed | Erased


@dataclass(frozen=True, slots=True)
class DataKey:
    """One of a subject's keys, unwrapped: `id` is `subject/key-id`, `secret` 32 bytes.

    `protected`: it is wrapped with the secret of protected identities.
    """

    id: str
    secret: bytes = field(repr=False)
    protected: bool = False


class Wrapping(Protocol):
    """What keys are wrapped with."""

    @property
    def wrapping_key(self) -> bytes:
        """32 bytes."""
        ...


class CitySecret:
    """The one secret of a city, and the keys that it yields.

    Raises: ValueError where it is not 32 bytes.
    """

    def __init__(self, secret: bytes) -> None:
        if len(secret) != SECRET_BYTES:
            msg = f"the city secret is {len(secret)} bytes, not {SECRET_BYTES}"
            raise ValueError(msg)
        self.intent_key = _hkdf(secret, b"kontaktcenter intent 1")
        padded = self.intent_key.ljust(_HASH_BLOCK_BYTES, b"\0")
        self._intent_inner = hashlib.sha256(bytes(b ^ 0x36 for b in padded))
        self._intent_outer = hashlib.sha256(bytes(b ^ 0x5C for b in padded))
        self.lookup_key = _hkdf(secret, b"kontaktcenter look-up 1")
        self.wrapping_key = _hkdf(secret, b"kontaktcenter wrapping 1")
        self.fingerprint = _hkdf(secret, b"kontaktcenter fingerprint 1")[:8].hex()

    def intent(self, asking: str) -> str:
        """The keyed hash of what identifies the asking.

        A bare one of a phone number could be guessed.
        """
        # HMAC-SHA-256 by its two hashes, begun once. `hmac.digest` lets go of the interpreter, and
        # with one for each commit the loop would wait each time for the thread of the index.
        inner, outer = self._intent_inner.copy(), self._intent_outer.copy()
        inner.update(asking.encode())
        outer.update(inner.digest())
        return outer.hexdigest()[:32]

    def caller_ref(self, number: str) -> str:
        """The keyed hash of a caller's number, for look-up and for counting."""
        return hmac.digest(self.lookup_key, number.encode(), "sha256")[:16].hex()


class ProtectedSecret:
    """What the keys of protected identities are wrapped with.

    Raises: ValueError where it is not 32 bytes.
    """

    def __init__(self, secret: bytes) -> None:
        if len(secret) != SECRET_BYTES:
            msg = f"the secret of protected identities is {len(secret)} bytes, not {SECRET_BYTES}"
            raise ValueError(msg)
        self.wrapping_key = _hkdf(secret, b"kontaktcenter protected wrapping 1")

    @classmethod
    def of_memory(cls, city: CitySecret) -> ProtectedSecret:
        """One for a log in memory, of which nothing stays."""
        return cls(_hkdf(city.wrapping_key, b"kontaktcenter protected in memory 1"))


def _hkdf(secret: bytes, purpose: bytes) -> bytes:
    """HKDF-SHA256 (RFC 5869) with an empty salt, for one block of output."""
    pseudo_random = hmac.digest(bytes(32), secret, hashlib.sha256)
    return hmac.digest(pseudo_random, purpose + b"\x01", hashlib.sha256)


def seal(value: Personal, key: DataKey, place: str, nonce: bytes) -> Sealed:
    """Seal `value` for one `place` (`commit id/event index/field`).

    A box moved elsewhere does not open.

    `nonce` is 12 fresh random bytes.
    """
    assert len(nonce) == _NONCE_BYTES
    box = _cipher(key.secret).encrypt(nonce, value.value.encode(), place.encode())
    return Sealed(key.id, base64.b64encode(nonce + box).decode())


def open_sealed(sealed: Sealed, key: DataKey, place: str) -> Personal:
    """The value that was sealed for `place`.

    Raises: ValueError where box, key or place do not fit.
    """
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 -- the terminal starts without it

    try:
        box = base64.b64decode(sealed.box, validate=True)
        clear = _cipher(key.secret).decrypt(box[:_NONCE_BYTES], box[_NONCE_BYTES:], place.encode())
    except (InvalidTag, ValueError) as e:
        msg = f"a sealed field at {place} does not open with its key"
        raise ValueError(msg) from e
    return Personal(clear.decode(), subject_of(sealed.key))


def subject_of(key_id: str) -> str:
    """The subject of a key's id, `subject/key-id`."""
    return key_id.rpartition("/")[0]


def wrap(key: DataKey, secret: Wrapping, nonce: bytes) -> bytes:
    """The key as the book of keys holds it; `secret` is the one that `key.protected` asks for."""
    mark = _PROTECTED_MARK if key.protected else b""
    box = _cipher(secret.wrapping_key).encrypt(nonce, key.secret, key.id.encode())
    return mark + nonce + box


def is_protected(wrapped: bytes) -> bool:
    """Whether a wrapped key is one of a protected identity."""
    # By the length too: a nonce that happens to begin so is no mark.
    return len(wrapped) == PROTECTED_WRAPPED_BYTES and wrapped.startswith(_PROTECTED_MARK)


def unwrap(key_id: str, wrapped: bytes, secret: Wrapping) -> DataKey:
    """The key again; `secret` is the one that `is_protected(wrapped)` asks for.

    Raises: ValueError where the secret is another, or the bytes are damaged.
    """
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 -- the terminal starts without it

    protected = is_protected(wrapped)
    box = wrapped[len(_PROTECTED_MARK) :] if protected else wrapped
    try:
        clear = _cipher(secret.wrapping_key).decrypt(
            box[:_NONCE_BYTES], box[_NONCE_BYTES:], key_id.encode()
        )
    except InvalidTag as e:
        which = "secret of protected identities" if protected else "city secret"
        msg = f"a key does not open with this {which}"
        raise ValueError(msg) from e
    return DataKey(key_id, clear, protected)


@lru_cache(maxsize=4096)
def _cipher(secret: bytes) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 -- as above

    return AESGCM(secret)
