"""A ring of opened keys: what is sealed and opened with, a bounded number of them in memory."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from core.errors import Corrupt
from core.eventlog.keys import tombstone_of
from core.personal import CitySecret, DataKey, subject_of, unwrap, wrap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from core.eventlog.keys import KeyBook

_OPEN_KEYS_MAX = 20_000
_KEY_ID_BYTES = 8


class Keyring:
    """Opened keys of a book of keys, a bounded number of them in memory."""

    def __init__(
        self, book: KeyBook, secret: CitySecret, entropy: Callable[[int], bytes] = os.urandom
    ) -> None:
        self._book, self._secret, self._entropy = book, secret, entropy
        self._by_subject: OrderedDict[str, DataKey] = OrderedDict()
        self._by_id: OrderedDict[str, DataKey] = OrderedDict()
        self._decided: dict[str, datetime] = {}
        self._using = threading.RLock()

    def missing(self, subjects: Iterable[str]) -> list[str]:
        """Those of `subjects` that have no opened key in memory."""
        return [subject for subject in subjects if subject not in self._by_subject]

    def ensure(self, subjects: Iterable[str]) -> None:
        """Have a live key for each subject: from the book, or new and durable before this returns.

        Blocking; call it off the loop. Raises: Unavailable, Corrupt.
        """
        wanted = list(subjects)
        with self._using:
            missing = self.missing(wanted)
            found = self._book.of_subjects(missing)
            keys = [self._unwrap(*found[s]) if s in found else self._new(s) for s in missing]
            new = [
                (k.id, wrap(k, self._secret, self.nonce()))
                for k in keys
                if subject_of(k.id) not in found
            ]
            if new:
                self._book.add(new)
            for key in keys:  # only now: a key that nobody can read back must not seal anything
                self._by_subject[subject_of(key.id)] = self._by_id[key.id] = key
            self._decided.update(self._book.decided(missing))
            for subject in wanted:
                self._by_subject.move_to_end(subject)
            for subject in _trim(self._by_subject, max(_OPEN_KEYS_MAX, len(wanted))):
                self._decided.pop(subject, None)
            _trim(self._by_id, _OPEN_KEYS_MAX)

    def _new(self, subject: str) -> DataKey:
        return DataKey(f"{subject}/{self._entropy(_KEY_ID_BYTES).hex()}", self._entropy(32))

    def for_subject(self, subject: str, occurred_at: datetime | None = None) -> DataKey:
        """The key to seal with; `ensure` came first, and nothing was awaited since.

        What occurred before the subject's erasure was decided, and arrives only now, is sealed with
        a key that nobody keeps: it is as erased as what was here in time.
        """
        decided = self._decided.get(subject)
        if decided is not None and occurred_at is not None and occurred_at <= decided:
            return DataKey(tombstone_of(subject), self._entropy(32))
        return self._by_subject[subject]

    def by_id(self, key_id: str) -> DataKey | None:
        """The key to open with, None where it was erased. Raises: Corrupt where it was lost."""
        with self._using:
            key = self._by_id.get(key_id)
            if key is None:
                wrapped = self._book.wrapped(key_id)
                if wrapped is None:
                    return None
                key = self._by_id[key_id] = self._unwrap(key_id, wrapped)
                _trim(self._by_id, _OPEN_KEYS_MAX)
            return key

    def nonce(self) -> bytes:
        """12 fresh random bytes."""
        return self._entropy(12)

    def decided(self, subjects: Iterable[str]) -> dict[str, datetime]:
        """When the last erasure of each of `subjects` that was carried out had been decided."""
        return self._book.decided(subjects)

    def tombstones(self, subjects: Iterable[str]) -> int:
        """How many keys of `subjects` were destroyed. Blocking."""
        return self._book.tombstones(subjects)

    def erase(self, decided: Mapping[str, datetime], upto: int) -> int:
        """Tombstone all keys of the subjects in the book, drop them here; how many. Blocking.

        Dropped first, and the book held meanwhile: nothing new is sealed with a key that is on its
        way out.
        """
        with self._using:
            for subject in decided:
                self._by_subject.pop(subject, None)
            for key_id in [k for k in self._by_id if subject_of(k) in decided]:
                del self._by_id[key_id]
            return self._book.erase(decided, upto)

    def _unwrap(self, key_id: str, wrapped: bytes) -> DataKey:
        try:
            return unwrap(key_id, wrapped, self._secret)
        except ValueError as e:
            msg = (
                f"{e} ({key_id}): put the right city.key in place (KC_MASTER_KEY_FILE), or "
                "restore the file of "
                "keys from the keys' backup"
            )
            raise Corrupt(msg, key=key_id) from e


def _trim(keys: OrderedDict[str, DataKey], entries_max: int) -> list[str]:
    """Drop the oldest beyond `entries_max`; which went."""
    return [keys.popitem(last=False)[0] for _ in range(max(0, len(keys) - entries_max))]
