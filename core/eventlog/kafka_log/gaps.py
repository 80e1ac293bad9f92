"""Offsets that hold no record: the ends of somebody's transactions, which clients pass over unseen.

A client cannot tell such an end from a record that was lost. A log stops there, until an operator
has looked (docs/operating/kafka.md) and lists the offset in `kafka_void`: then it is void.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.errors import Corrupt
from core.eventlog.log import Record

if TYPE_CHECKING:
    from collections.abc import Sequence


class Gaps:
    """Those of one shard: `name` for people, `setting` as `kafka_void` names it."""

    def __init__(self, name: str, setting: str, void: frozenset[int]) -> None:
        self._name, self._setting, self._void = name, setting, void

    def filled(self, found: Sequence[Record], offset: int, place: int) -> list[Record]:
        """What a fetch from `offset` gave, with an empty record at each offset that is void.

        `place` is where the client reads on. Raises: Corrupt where a record is missing.
        """
        whole: list[Record] = []
        for record in found:
            whole += self._between(offset, record.offset)
            whole.append(record)
            offset = record.offset + 1
        return whole + self._between(offset, place)

    def _between(self, first: int, upto: int) -> list[Record]:
        for missing in range(first, upto):
            if missing not in self._void:
                raise Corrupt(
                    f"the log {self._name} has no record {missing}, and goes on at {upto}: records "
                    "were lost, or a transaction was written to it. Nothing is skipped: see 'A "
                    "record is missing' in docs/operating/kafka.md. If a transaction ended there: "
                    f"kafka_void={self._setting}:{missing} on every node"
                )
        return [Record(missing, b"") for missing in range(first, upto)]
