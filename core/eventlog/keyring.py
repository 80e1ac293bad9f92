"""A ring of opened keys: what is sealed and opened with, a bounded number of them in memory."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING

from core.errors import Corrupt, Unavailable
from core.eventlog.keys import tombstone_of
from core.personal import (
    PROTECTED,
    CitySecret,
    DataKey,
    KeyClosed,
    ProtectedSecret,
    is_protected,
    subject_of,
    unwrap,
    wrap,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from datetime import datetime

    from core.eventlog.keys import KeyBook

_OPEN_KEYS_MAX = 20_000
_KEY_ID_BYTES = 8
_ERASING_S = 2.0  # whose keys are being destroyed is not waited for longer: ask again


class Keyring:
    """Opened keys of a book of keys, a bounded number of them in memory.

    `protected` gives the secret of protected identities, or raises Unavailable where it is not
    there; by default it is one that nothing stays of.
    """

    def __init__(
        self,
        book: KeyBook,
        secret: CitySecret,
        entropy: Callable[[int], bytes] = os.urandom,
        protected: Callable[[], ProtectedSecret] | None = None,
    ) -> None:
        self._book, self._secret, self._entropy = book, secret, entropy
        self._protected = protected or (lambda: ProtectedSecret.of_memory(secret))
        self._by_subject: OrderedDict[str, DataKey] = OrderedDict()
        self._by_id: OrderedDict[str, DataKey] = OrderedDict()
        self._decided: dict[str, datetime] = {}
        # Held for a moment only, as a loop may wait for it: never while the book is asked.
        self._using = threading.Condition()
        self._changes = 0  # what the book said before the last of these is not kept in memory
        self._going: set[str] = set()  # whose keys are on their way out: nobody gets a new one yet
        book.watch(self._changed)

    def missing(self, subjects: Iterable[str]) -> list[str]:
        """Those of `subjects` that have no opened key in memory."""
        return [subject for subject in subjects if subject not in self._by_subject]

    def ensure(self, subjects: Iterable[str], *, cut_off: bool = False) -> None:
        """Have a live key for each subject: from the book, or new and durable before this returns.

        `cut_off`: new keys are kept on this machine, and nothing that is sealed with them may reach
        the log before `send_kept`.
        Blocking; call it off the loop. Raises: Unavailable, Corrupt.
        """
        wanted = list(subjects)
        while True:
            with self._using:
                if not self._using.wait_for(lambda: self._going.isdisjoint(wanted), _ERASING_S):
                    raise Unavailable(neighbour="keys", retry_after_s=1)
                missing, before = self.missing(wanted), self._changes
            found = self._book.of_subjects(missing)
            keys = [self._unwrap(*found[s]) if s in found else self._new(s) for s in missing]
            new = [(k.id, self._wrap(k)) for k in keys if subject_of(k.id) not in found]
            if new:
                (self._book.add_kept if cut_off else self._book.add)(new)
            decided = self._book.decided(missing)
            with self._using:
                # Only now: a key that nobody can read back must not seal anything.
                if self._changes == before and not self.missing(set(wanted) - set(missing)):
                    self._take_in(wanted, keys, decided)
                    return

    def _take_in(
        self, wanted: list[str], keys: list[DataKey], decided: Mapping[str, datetime]
    ) -> None:
        for key in keys:
            self._by_subject[subject_of(key.id)] = self._by_id[key.id] = key
        self._decided.update(decided)
        for subject in wanted:
            self._by_subject.move_to_end(subject)
        for subject in _trim(self._by_subject, max(_OPEN_KEYS_MAX, len(wanted))):
            self._decided.pop(subject, None)
        _trim(self._by_id, _OPEN_KEYS_MAX)

    def send_kept(self) -> int:
        """Send the keys that were kept while cut off; how many. Blocking. Raises: Unavailable."""
        return self._book.send_kept()

    def _changed(self, key_ids: Collection[str]) -> None:
        """Drop keys that another node changed or destroyed; the book has them as they are."""
        with self._using:
            self._changes += 1
            for key_id in key_ids:
                self._by_id.pop(key_id, None)
                key = self._by_subject.get(subject_of(key_id))
                if key is not None and key.id == key_id:
                    del self._by_subject[subject_of(key_id)]

    def _new(self, subject: str) -> DataKey:
        key_id = f"{subject}/{self._entropy(_KEY_ID_BYTES).hex()}"
        return DataKey(key_id, self._entropy(32), subject.startswith(PROTECTED))

    def for_subject(self, subject: str, occurred_at: datetime | None = None) -> DataKey:
        """The key to seal with; `ensure` came first, and nothing was awaited since.

        An erasure, which has a thread of its own, may have taken it all the same: then it is had
        again, and what the erasure says holds. Raises: Unavailable, Corrupt.
        What occurred before the subject's erasure was decided, and arrives only now, is sealed with
        a key that nobody keeps: it is as erased as what was here in time.
        """
        while (key := self._by_subject.get(subject)) is None:
            self.ensure((subject,))
        decided = self._decided.get(subject)
        if decided is not None and occurred_at is not None and occurred_at <= decided:
            return DataKey(tombstone_of(subject), self._entropy(32))
        return key

    def by_id(self, key_id: str, *, protected: bool = False) -> DataKey | None:
        """The key to open with, None where it was erased.

        One of a protected identity is given only where it is asked for, by somebody for whom
        `core.access` has allowed it. Raises: KeyClosed; Corrupt where it was lost; Unavailable.
        """
        with self._using:
            key, before = self._by_id.get(key_id), self._changes
        if key is None:
            wrapped = self._book.wrapped(key_id)
            if wrapped is None:
                return None
            if is_protected(wrapped) and not protected:
                raise KeyClosed
            key = self._unwrap(key_id, wrapped)
            with self._using:
                if self._changes == before:
                    self._by_id[key_id] = key
                    _trim(self._by_id, _OPEN_KEYS_MAX)
        if key.protected and not protected:
            raise KeyClosed
        return key

    def by_id_protected(self, key_id: str) -> DataKey | None:
        """As `by_id`, for those who may open what is about protected identities."""
        return self.by_id(key_id, protected=True)

    def protect(
        self, wanted: Mapping[str, bool], progress: tuple[str, int] | None = None
    ) -> list[str]:
        """Close the keys of subjects, or (False) open them again; whose wrapping changed. Blocking.

        A subject that has no key gets one, so that whatever comes later is closed as well; not one
        that was erased. Raises: Unavailable, Corrupt; nothing has changed then.
        """
        live = self._book.live(wanted)
        keyed = {subject_of(key_id) for key_id, _wrapped in live}
        erased = self._book.decided(wanted)
        lacking = [s for s, closed in wanted.items() if closed and s not in {*keyed, *erased}]
        changed = [
            replace(self._unwrap(key_id, wrapped), protected=wanted[subject_of(key_id)])
            for key_id, wrapped in live
            if is_protected(wrapped) is not wanted[subject_of(key_id)]
        ]
        new = [replace(self._new(subject), protected=True) for subject in lacking]
        if new:
            self._book.add([(key.id, self._wrap(key)) for key in new])
        if changed or progress is not None:
            self._book.rewrap([(key.id, self._wrap(key)) for key in changed], progress)
        with self._using:
            self._changes += 1
            for key in changed:  # replaced, not dropped: somebody may be about to seal with it
                if key.id in self._by_id:
                    self._by_id[key.id] = key
                former = self._by_subject.get(subject_of(key.id))
                if former is not None and former.id == key.id:
                    self._by_subject[subject_of(key.id)] = key
        return sorted({subject_of(key.id) for key in [*changed, *new]})

    def protected_fault(self) -> str | None:
        """Why nothing about protected identities can be opened or recorded; None where it can."""
        try:
            self._protected()
        except Unavailable as e:
            return e.message
        return None

    def nonce(self) -> bytes:
        """12 fresh random bytes."""
        return self._entropy(12)

    def decided(self, subjects: Iterable[str]) -> dict[str, datetime]:
        """When the last erasure of each of `subjects` that was carried out had been decided."""
        return self._book.decided(subjects)

    def is_erased(self, key_id: str) -> bool:
        """Whether a key was destroyed; nothing is opened. Raises: Corrupt where it was lost."""
        return self._book.wrapped(key_id) is None

    def tombstones(self, subjects: Iterable[str]) -> int:
        """How many keys of `subjects` were destroyed. Blocking."""
        return self._book.tombstones(subjects)

    def remaining(self, subjects: Iterable[str]) -> int:
        """As `KeyBook.remaining`. Blocking."""
        return self._book.remaining(subjects)

    def compaction_s(self) -> float | None:
        """As `KeyBook.compaction_s`."""
        return self._book.compaction_s()

    def fault(self) -> str | None:
        """As `KeyBook.fault`."""
        return self._book.fault()

    def erased_upto(self) -> int:
        """As `KeyBook.erased_upto`."""
        return self._book.erased_upto()

    def reached(self, name: str) -> int:
        """The position that was noted under a name on this node; 0 where there was none."""
        return self._book.reached(name)

    def note(self, name: str, position: int) -> None:
        """Keep a position of this node's own work on erasures, with its keys. Blocking."""
        self._book.rewrap([], (name, position))

    def erase(
        self,
        decided: Mapping[str, datetime],
        upto: int,
        places: Mapping[str, int] | None = None,
    ) -> int:
        """Tombstone all keys of the subjects in the book, drop them here; how many. Blocking.

        As `KeyBook.erase`. Dropped first, and nobody gets a key of these subjects meanwhile:
        nothing new is sealed with a key that is on its way out.
        """
        with self._using:
            self._drop(decided)
            self._going |= decided.keys()
        try:
            return self._book.erase(decided, upto, places)
        finally:
            with self._using:
                self._drop(decided)
                self._going -= decided.keys()
                self._using.notify_all()

    def _drop(self, subjects: Mapping[str, datetime]) -> None:
        self._changes += 1
        for subject in subjects:
            self._by_subject.pop(subject, None)
        for key_id in [k for k in self._by_id if subject_of(k) in subjects]:
            del self._by_id[key_id]

    def _wrap(self, key: DataKey) -> bytes:
        secret = self._protected() if key.protected else self._secret
        return wrap(key, secret, self.nonce())

    def _unwrap(self, key_id: str, wrapped: bytes) -> DataKey:
        closed = is_protected(wrapped)
        secret = self._protected() if closed else self._secret
        try:
            return unwrap(key_id, wrapped, secret)
        except ValueError as e:
            file = (
                "protected.key in place (KC_PROTECTED_KEY_FILE)"
                if closed
                else "city.key in place (KC_MASTER_KEY_FILE)"
            )
            msg = (
                f"{e} ({key_id}): put the right {file}, or restore the file of keys from the "
                "keys' backup"
            )
            raise Corrupt(msg, key=key_id) from e


def _trim(keys: OrderedDict[str, DataKey], entries_max: int) -> list[str]:
    """Drop the oldest beyond `entries_max`; which went."""
    return [keys.popitem(last=False)[0] for _ in range(max(0, len(keys) - entries_max))]
