"""How often somebody may fail to sign in: by name and address, by name, and by address.

In memory and bounded; a restart forgets. Whoever is locked out is told until when, whether or not
there is such an account.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from core.limits import SIGN_IN_FAILURES_KEPT_MAX

if TYPE_CHECKING:
    from collections.abc import Iterator

WINDOW_S: Final = 900.0
BOTH_MAX: Final = 5  # failures of one name from one address
NAME_MAX: Final = 30  # of one name, from everywhere: a spread attack
ADDRESS_MAX: Final = 100  # from one address, in all names: a whole office may sit behind it


@dataclass(frozen=True, slots=True)
class _Failures:
    since: datetime
    count: int


class Attempts:
    """Counts failures. Safe from any thread."""

    def __init__(self) -> None:
        self._failures: OrderedDict[bytes, _Failures] = OrderedDict()
        self._lock = threading.Lock()

    def blocked_until(self, name: str, address: str, now: datetime) -> datetime | None:
        """When the name may be tried again from that address; None: now."""
        with self._lock:
            ends = [
                found.since + timedelta(seconds=WINDOW_S)
                for key, most in _keys(name, address)
                if (found := self._failures.get(key)) and found.count >= most
            ]
        return max((end for end in ends if end > now), default=None)

    def begin(self, name: str, address: str, now: datetime) -> None:
        """Count an attempt before it is judged: many at once are no way around the limit."""
        with self._lock:
            for key, _most in _keys(name, address):
                found = self._failures.pop(key, None)
                if found is None or now >= found.since + timedelta(seconds=WINDOW_S):
                    found = _Failures(now, 0)
                self._failures[key] = _Failures(found.since, found.count + 1)
            while len(self._failures) > SIGN_IN_FAILURES_KEPT_MAX:
                self._failures.popitem(last=False)

    def succeeded(self, name: str, address: str) -> None:
        """It was the right password: take the attempt back, and forget this pair's failures."""
        with self._lock:
            for nth, (key, _most) in enumerate(_keys(name, address)):
                found = self._failures.get(key)
                if found is None:
                    continue
                if nth == 0 or found.count <= 1:
                    del self._failures[key]
                else:
                    self._failures[key] = _Failures(found.since, found.count - 1)


def _keys(name: str, address: str) -> Iterator[tuple[bytes, int]]:
    yield _key("both", name, address), BOTH_MAX
    yield _key("name", name), NAME_MAX
    yield _key("address", address), ADDRESS_MAX


def _key(*parts: str) -> bytes:
    text = "\0".join(parts).encode("utf-8", "surrogateescape")
    return hashlib.blake2b(text, digest_size=16).digest()
