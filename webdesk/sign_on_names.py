"""How somebody at a sign-on service is known here: by a keyed hash, never by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.commit import Port


def identity_of(port: Port, issuer: str, subject: str) -> str:
    """The keyed hash of a subject at an issuer; no telephone number has the same text."""
    return port.caller_ref(f"identity\n{issuer}\n{subject}")
