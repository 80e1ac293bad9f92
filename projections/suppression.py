"""Small numbers of a table taken out, with enough others that nobody finds them by subtraction.

Pure. A table is counts by row and column. Two sorts of sums are known to whoever reads it: each
column's total over the rows, and for some columns (`parts`) what they come to together in a row
(`whole`). Statistics offices call this cell suppression with complementary cells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

SMALL: Final = 5  # fewer than so many are not told outside of the authority

Table = Mapping[int, Mapping[str, int]]
Cell = tuple[int, str]
TOTAL: Final = -1  # the row of the columns' totals


@dataclass(frozen=True, slots=True)
class Sums:
    """What adds up in a table. `leading`: where this one is small, nothing of its row is told."""

    leading: str
    parts: tuple[str, ...] = ()
    whole: str | None = None


def hidden_cells(table: Table, sums: Sums) -> frozenset[Cell]:
    """The cells that are not told; `table[TOTAL]` is the row of totals.

    Of every sum that is told either nothing is hidden, or at least two parts that come to at least
    `SMALL` together. Zeros are told.
    """
    hidden = {
        (row, column)
        for row, counts in table.items()
        for column, count in counts.items()
        if 0 < count < SMALL or 0 < counts[sums.leading] < SMALL
    }
    while (more := _next(table, sums, hidden)) is not None:
        if more[1] == sums.leading:
            hidden |= {(more[0], column) for column in table[more[0]]}
        hidden.add(more)
    return frozenset(hidden)


def _next(table: Table, sums: Sums, hidden: set[Cell]) -> Cell | None:
    """A cell that has to go too; None where every hidden one is safe."""
    for whole, parts in _relations(table, sums):
        if whole in hidden:
            continue
        gone = [cell for cell in parts if cell in hidden and _count(table, cell)]
        if not gone or (len(gone) > 1 and sum(_count(table, cell) for cell in gone) >= SMALL):
            continue
        left = [cell for cell in parts if cell not in hidden and _count(table, cell)]
        return min(left, key=lambda cell: (_count(table, cell), cell), default=whole)
    return None


def _relations(table: Table, sums: Sums) -> Sequence[tuple[Cell, list[Cell]]]:
    rows = [row for row in table if row != TOTAL]
    down = [((TOTAL, column), [(row, column) for row in rows]) for column in table[TOTAL]]
    if sums.whole is None:
        return down
    whole = sums.whole
    return [*down, *(((row, whole), [(row, part) for part in sums.parts]) for row in table)]


def _count(table: Table, cell: Cell) -> int:
    return table[cell[0]].get(cell[1], 0)
