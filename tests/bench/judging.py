"""Judging and indexing by themselves, beside bare `sqlite3` writing the same rows."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.common import rounds, table
from bench.material import PER_ENVELOPE, raws

from core.eventlog.envelope import decode_claim
from core.eventlog.index.index import Index
from core.eventlog.state import ShardState

if TYPE_CHECKING:
    from collections.abc import Callable

EVENTS = 100_000


def _with_index(work: Callable[[ShardState], float]) -> float:
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    index = Index(folder / "index.db")
    index.make_lookups()
    index.bulk = False
    try:
        return work(ShardState(index))
    finally:
        index.close()
        shutil.rmtree(folder)


def _judge(state: ShardState) -> float:
    made = list(raws(EVENTS))
    claims = [decode_claim(raw) for raw in made]
    started = time.perf_counter()
    for offset, first in enumerate(range(0, EVENTS, PER_ENVELOPE)):
        part = slice(first, first + PER_ENVELOPE)
        state.judge_commits(offset, made[part], claims[part])
    return EVENTS / (time.perf_counter() - started)


def _index(state: ShardState) -> float:
    _judge(state)
    batch, mark = state.take_batch()
    started = time.perf_counter()
    state.index.write(batch, mark)
    return EVENTS / (time.perf_counter() - started)


def _bare() -> float:
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    conn = sqlite3.connect(folder / "bare.db", isolation_level=None)
    conn.execute("PRAGMA journal_mode=WAL")
    conn.execute("PRAGMA synchronous=NORMAL")
    conn.execute("CREATE TABLE event (seq INTEGER PRIMARY KEY, raw BLOB)")
    rows = [(raw,) for raw in raws(EVENTS)]
    started = time.perf_counter()
    conn.execute("BEGIN")
    conn.executemany("INSERT INTO event (raw) VALUES (?)", rows)
    conn.execute("COMMIT")
    took = time.perf_counter() - started
    conn.close()
    shutil.rmtree(folder)
    return EVENTS / took


def measure() -> None:
    """All tables of this file."""
    bare = "bare sqlite3, the same bytes in one table without look-ups"
    figures = rounds({
        bare: ("events/s", _bare),
        "judge (rule, digest, heads, rows made ready)": ("events/s", lambda: _with_index(_judge)),
        "index (two tables, two look-ups)": ("events/s", lambda: _with_index(_index)),
    })  # fmt: skip
    table("Judging and indexing, one event a commit", figures, bare)
