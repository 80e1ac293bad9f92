"""Whatever the figures, nobody outside finds a small one by adding and subtracting."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from projections.suppression import SMALL, TOTAL, Sums, hidden_cells

PARTS = ("solved", "guided", "callback")
SUMS = Sums("all", PARTS, "closed")
COUNTS = st.one_of(st.integers(0, 9), st.integers(0, 500))
ROWS = st.lists(st.fixed_dictionaries({**dict.fromkeys(PARTS, COUNTS), "open": COUNTS}), max_size=6)


def table_of(rows: list[dict[str, int]]) -> dict[int, dict[str, int]]:
    table = {}
    for n, row in enumerate(rows):
        closed = sum(row[part] for part in PARTS)
        parts = {part: row[part] for part in PARTS}
        table[n] = {"all": closed + row["open"], "closed": closed, **parts}
    columns = ("all", "closed", *PARTS)
    table[TOTAL] = {c: sum(row[c] for row in table.values()) for c in columns}
    return table


@given(ROWS)
def test_no_small_number_is_told_or_found_by_one_subtraction(rows: list[dict[str, int]]) -> None:
    table = table_of(rows)
    hidden = hidden_cells(table, SUMS)
    for n, row in table.items():
        for column, count in row.items():
            assert (n, column) in hidden or count == 0 or count >= SMALL
        if 0 < row["all"] < SMALL:
            assert all((n, column) in hidden for column in row)
    relations = [((TOTAL, c), [(n, c) for n in table if n != TOTAL]) for c in table[TOTAL]]
    relations += [((n, "closed"), [(n, part) for part in PARTS]) for n in table]
    for whole, parts in relations:
        if whole not in hidden:
            gone = [table[n][c] for n, c in parts if (n, c) in hidden]
            assert sum(gone) == 0 or (sum(gone) >= SMALL and sum(map(bool, gone)) > 1)


@given(ROWS)
def test_where_nothing_is_small_everything_is_told(rows: list[dict[str, int]]) -> None:
    large = [{name: count * SMALL for name, count in row.items()} for row in rows]
    assert hidden_cells(table_of(large), SUMS) == frozenset()
