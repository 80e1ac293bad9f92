"""The oracle itself: against the recording's own table, and by hand."""

from __future__ import annotations

from random import Random

from project import ROOT
from queue_log_maker import faults, make, spoil
from queue_log_recount import recount

CRISIS = {
    "avfall": (182, 58, 92, 32),
    "bygg": (65, 26, 28, 11),
    "kris": (809, 163, 503, 143),
    "livsmedel": (45, 19, 18, 8),
    "miljo": (82, 21, 35, 26),
    "parkering": (65, 32, 21, 12),
    "trafik": (104, 30, 59, 15),
}


def test_the_recording_counts_to_its_table() -> None:
    found = recount((ROOT / "tests" / "data" / "crisis.queue_log").read_bytes())
    counts = {
        queue: (c.entered, c.outcomes["answered"], c.outcomes["abandoned"], c.outcomes["timed_out"])
        for queue, c in found.by_queue().items()
    }
    assert counts == CRISIS
    assert (found.lines, found.well_formed, found.malformed) == (3105, 3105, [])
    assert {
        name: sum(c.outcomes[name] for c in found.by_queue().values())
        for name in ("in_progress", "other", "refused")
    } == {"in_progress": 0, "other": 0, "refused": 0}


def test_a_small_log_counted_by_hand() -> None:
    log = b"""\
1795321170|NONE|NONE|NONE|QUEUESTART|
1795321177|7.1|bygg|NONE|ENTERQUEUE||0700000001|1
1795321177|7.1|bygg|A|RINGNOANSWER|0
1795321178|7.1|bygg|A|RINGNOANSWER|0
1795321178|7.1|bygg|A|RINGNOANSWER|0
1795321180|7.1|bygg|B|CONNECT|3|9.9|1
1795321190|7.1|bygg|B|BLINDTRANSFER|204|x|3|10|1
1795321191|7.1|bygg|B|BLINDTRANSFER|204|x|3|10|1
1795321191|7.1|kris|NONE|ENTERQUEUE||0700000001|1
1795321192|8.1|kris|NONE|FULL|
1795321193|NONE|NONE|NONE|QUEUESTART|
1795321194|9.1|bygg|NONE|ENTERQUEUE||anonymous|1
1795321194|9.1|bygg|NONE|ABANDON|1|1|0
1795321195|9.9|bygg|NONE|ENTERQUEUE||0700000002|1
1795321199|9.9|bygg|NONE|ABAND"""
    found = recount(log).by_queue()
    bygg, kris = found["bygg"].as_row(), found["kris"].as_row()
    assert {
        name: bygg[name]
        for name in ("offered", "answered", "abandoned", "in_progress", "not_taken", "transferred")
    } == {
        "offered": 3,
        "answered": 1,
        "abandoned": 1,
        "in_progress": 1,
        "not_taken": 2,
        "transferred": 1,
    }
    assert tuple(
        bygg[name] for name in ("wait_s_answered_sum", "wait_s_max", "talk_s_sum", "unique_callers")
    ) == (3.0, 3.0, 10.0, 2)
    assert tuple(kris[name] for name in ("offered", "refused", "other", "wait_s_max")) == (
        2,
        1,
        1,
        None,
    )
    assert recount(log).calls - 1 == 3


def test_the_maker_gives_the_same_bytes_for_a_seed_and_every_fault_is_malformed() -> None:
    assert make(7) == make(7) != make(8)
    for seed in range(3):
        data = make(seed, calls=60)
        assert recount(data).malformed == []
        spoilt = recount(spoil(seed, data))
        assert len(faults(Random(0))) == len(spoilt.malformed)
        assert recount(data).by_interval(900) == spoilt.by_interval(900)
