"""The contract of a book of keys, and the one that is in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from core.errors import Corrupt
from core.personal import is_protected, subject_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from datetime import datetime


class KeyBook(Protocol):
    """Where wrapped keys are kept."""

    def of_subjects(self, subjects: Iterable[str]) -> dict[str, tuple[str, bytes]]:
        """A live key, id and wrapped bytes, for each of `subjects` that has one."""
        ...

    def wrapped(self, key_id: str) -> bytes | None:
        """The wrapped key, None where it was erased.

        Raises: Corrupt where the book never had it: a lost key must not look like an erasure.
        """
        ...

    def add(self, keys: list[tuple[str, bytes]]) -> None:
        """Keep new keys; durable, and had by whoever reads after us, when this returns.

        Raises: Unavailable where the book cannot be reached; none of them is to be used then.
        """
        ...

    def add_kept(self, keys: list[tuple[str, bytes]]) -> None:
        """Keep new keys on this machine alone, durable when this returns, for `send_kept` to send.

        Nothing that is sealed with them may reach the log before `send_kept` returned.
        Raises: Unavailable where this machine's disk takes nothing.
        """
        ...

    def send_kept(self) -> int:
        """Give the book what `add_kept` kept; how many keys it was. Safe to repeat.

        Raises: Unavailable.
        """
        ...

    def erase(
        self,
        decided: Mapping[str, datetime],
        upto: int,
        places: Mapping[str, int] | None = None,
    ) -> int:
        """Tombstone all keys of the subjects, note the position `upto`; how many keys went.

        It is kept when each was decided, and each has a tombstone from now on, whether it had a key
        or not: what was written down before and arrives late is sealed with none. `places` is where
        in the centre's book each was decided (`upto` where it is not said): a key that another node
        made when it had carried that decision out is none of these.
        """
        ...

    def decided(self, subjects: Iterable[str]) -> dict[str, datetime]:
        """When the last erasure of each of `subjects` was decided, where there was one."""
        ...

    def tombstones(self, subjects: Iterable[str]) -> int:
        """How many keys of `subjects` were destroyed."""
        ...

    def remaining(self, subjects: Iterable[str]) -> int:
        """How many copies of destroyed keys of `subjects` are still kept where all nodes read.

        0 where a key is gone as soon as it is destroyed. Raises: Unavailable.
        """
        ...

    def compaction_s(self) -> float | None:
        """Within how many seconds what is destroyed stops to remain; None where it never does."""
        ...

    def fault(self) -> str | None:
        """Why the book is not what it should be now, for people; None where it is."""
        ...

    def watch(self, told: Callable[[Collection[str]], None]) -> None:
        """Have `told` called with the ids of keys that another node changed or destroyed.

        It is called from any thread.
        """
        ...

    def erased_upto(self) -> int:
        """The position in the centre's book up to which erasures have been carried out."""
        ...

    def live(self, subjects: Iterable[str]) -> list[tuple[str, bytes]]:
        """Every live key of `subjects`, id and wrapped bytes."""
        ...

    def rewrap(self, keys: list[tuple[str, bytes]], progress: tuple[str, int] | None) -> None:
        """Put keys that are there in another wrapping, leaving no copy of the former one.

        `progress` is a name and a position that is reached with it. Durable when this returns.
        """
        ...

    def reached(self, name: str) -> int:
        """The position that was given to `rewrap` under `name`; 0 where there was none."""
        ...

    def one_protected(self) -> tuple[str, bytes] | None:
        """Some live key of a protected identity; None where there is none."""
        ...

    def close(self) -> None:
        """Let go of files."""
        ...


class MemoryKeys:
    """Keys in memory, for the memory log."""

    def __init__(self) -> None:
        self._wrapped: dict[str, bytes | None] = {}
        self._live: dict[str, str] = {}
        self._decided: dict[str, datetime] = {}
        self._upto = 0
        self._reached: dict[str, int] = {}
        self._watching: list[Callable[[Collection[str]], None]] = []

    def of_subjects(self, subjects: Iterable[str]) -> dict[str, tuple[str, bytes]]:
        """A live key for each subject that has one."""
        found = {}
        for subject in subjects:
            key_id = self._live.get(subject)
            wrapped = self._wrapped.get(key_id) if key_id else None
            if key_id and wrapped:
                found[subject] = (key_id, wrapped)
        return found

    def wrapped(self, key_id: str) -> bytes | None:
        """The wrapped key."""
        if key_id not in self._wrapped:
            raise lost(key_id)
        return self._wrapped[key_id]

    def add(self, keys: list[tuple[str, bytes]]) -> None:
        """Keep new keys."""
        for key_id, wrapped in keys:
            self._wrapped[key_id] = wrapped
            self._live[subject_of(key_id)] = key_id

    def add_kept(self, keys: list[tuple[str, bytes]]) -> None:
        """As `add`: memory is all there is."""
        self.add(keys)

    def send_kept(self) -> int:
        """Nothing waits."""
        return 0

    def erase(
        self,
        decided: Mapping[str, datetime],
        upto: int,
        places: Mapping[str, int] | None = None,  # noqa: ARG002 -- one book for all nodes
    ) -> int:
        """Tombstone."""
        gone = [k for k, w in self._wrapped.items() if w is not None and subject_of(k) in decided]
        for key_id in gone:
            self._wrapped[key_id] = None
            self._live.pop(subject_of(key_id), None)
        for subject, at in decided.items():
            self._wrapped.setdefault(tombstone_of(subject))
            self._decided[subject] = max(at, self._decided.get(subject, at))
        self._upto = upto
        self._tell(gone)
        return len(gone)

    def decided(self, subjects: Iterable[str]) -> dict[str, datetime]:
        """When erasures were decided."""
        return {s: self._decided[s] for s in subjects if s in self._decided}

    def tombstones(self, subjects: Iterable[str]) -> int:
        """How many keys were destroyed."""
        asked = set(subjects)
        return sum(
            wrapped is None and subject_of(k) in asked and k != tombstone_of(subject_of(k))
            for k, wrapped in self._wrapped.items()
        )

    def remaining(self, subjects: Iterable[str]) -> int:  # noqa: ARG002 -- the contract's
        """None."""
        return 0

    def compaction_s(self) -> float | None:
        """At once."""
        return None

    def fault(self) -> str | None:
        """Nothing can be wrong with it."""
        return None

    def watch(self, told: Callable[[Collection[str]], None]) -> None:
        """Several nodes may share this book."""
        self._watching.append(told)

    def _tell(self, key_ids: Collection[str]) -> None:
        for told in self._watching if key_ids else ():
            told(key_ids)

    def erased_upto(self) -> int:
        """The position up to which erasures have been carried out."""
        return self._upto

    def live(self, subjects: Iterable[str]) -> list[tuple[str, bytes]]:
        """Every live key."""
        asked = set(subjects)
        return [(k, w) for k, w in self._wrapped.items() if w and subject_of(k) in asked]

    def rewrap(self, keys: list[tuple[str, bytes]], progress: tuple[str, int] | None) -> None:
        """Another wrapping."""
        self._wrapped.update((k, w) for k, w in keys if self._wrapped.get(k) is not None)
        self._reached.update([progress] if progress else [])
        self._tell([key_id for key_id, _wrapped in keys])

    def reached(self, name: str) -> int:
        """The position under a name."""
        return self._reached.get(name, 0)

    def one_protected(self) -> tuple[str, bytes] | None:
        """Some live key of a protected identity."""
        return next(((k, w) for k, w in self._wrapped.items() if w and is_protected(w)), None)

    def close(self) -> None:
        """Nothing to let go of."""


def tombstone_of(subject: str) -> str:
    """The id of the key that an erased subject never had: what is sealed with it is erased."""
    return f"{subject}/none"


def lost(key_id: str) -> Corrupt:
    """A key that is neither there nor erased."""
    msg = (
        f"the key {key_id} is not in the file of keys, and was not erased there: restore that "
        "file from the "
        "keys' backup (kontaktcenter backup restore)"
    )
    return Corrupt(msg, key=key_id)
