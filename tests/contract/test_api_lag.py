"""`/readyz` and `/metrics` tell how far the node is behind its logs, and of cases only in all."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from given import staff
from web_house import NOON, WebHouse, in_house

from core.commit import Draft, Happened, import_id
from core.eventlog.lag import OFFLINE, READY, STOPPED, Lags, ShardLag
from core.reviews import ReviewOpened, review_stream
from core.vocabulary import CASES_PREFIX
from webdesk import log_health
from webdesk.live import GAP_S

if TYPE_CHECKING:
    from collections.abc import Mapping

AT_THE_END = ShardLag(READY, 0, 0, 0.0)


@dataclass
class Told:
    """Lags as a test has them."""

    lags: dict[str, ShardLag] = field(default_factory=dict)

    def now(self) -> Mapping[str, ShardLag]:
        return self.lags


@dataclass
class Late:
    """The lags of a node that is opened after this was made."""

    lags: Lags | None = None

    def now(self) -> Mapping[str, ShardLag]:
        return {} if self.lags is None else self.lags.now()


LATE, TOLD = Late(), Told()


@in_house(lags=LATE)
async def test_a_node_at_the_logs_end_is_ready_with_its_lag(house: WebHouse) -> None:
    seconds = iter(range(1_000))
    LATE.lags = Lags(house.node, lambda: float(next(seconds)))
    await LATE.lags.sample()
    await house.caught_up()
    found = (await house.client.get("/readyz")).json()
    assert found["log"]["unread_records"] == 0
    assert found["log"]["behind_s"] == 0
    assert found["log"]["shards"]["calls/0"] == {
        "state": "ready", "unread_records": 0, "unindexed_commits": 0, "behind_s": 0.0,
    }  # fmt: skip
    assert not [one for one in found["degraded"] if one["part"].startswith("shard")]


@in_house(lags=TOLD)
async def test_shards_that_are_behind_away_or_stopped_make_it_degraded(house: WebHouse) -> None:
    TOLD.lags = {
        "calls/0": ShardLag(READY, 12, 3, 61.4),
        "calls/1": ShardLag(OFFLINE, None, 0, 90.0, "no broker answers"),
        "centre/0": ShardLag(STOPPED, 0, 0, 0.0, "the log was replaced"),
        "looks/0": ShardLag(READY, None, 0, 70.0),
        "cases.TK/0": ShardLag(STOPPED, 0, 5, 0.0, "the index /x/cases.TK-0.db is damaged"),
        "cases.MF/0": ShardLag(READY, 4, 0, 99.0),
    }
    answer = await house.client.get("/readyz")
    found = answer.json()
    assert answer.status_code == 200  # degraded is ready
    assert found["status"] == "degraded"
    details = {one["part"]: one["detail"] for one in found["degraded"]}
    assert details["shard calls/0"] == "12 records behind its log, for 61 s"
    assert "no broker answers" in details["shard calls/1"]
    assert details["shard centre/0"] == "stopped: the log was replaced"
    assert details["shard looks/0"] == "its log has not answered for 70 s"
    assert "a book of cases is behind or stopped" in details["shards of cases"]
    assert (found["log"]["unread_records"], found["log"]["unindexed_commits"]) == (None, 8)
    assert found["log"]["behind_s"] == 99.0
    assert CASES_PREFIX not in answer.text


@in_house(lags=TOLD)
async def test_a_monitor_is_told_the_same(house: WebHouse) -> None:
    TOLD.lags = {
        "calls/0": ShardLag(READY, 12, 3, 61.4),
        "cases.TK/0": ShardLag(OFFLINE, 0, 1, 2.0),
    }
    opened = ReviewOpened("fork", "call/x/1", "calls/0", "call.ended", "twice")
    stream = review_stream("r1")
    await house.node.propose(
        Draft(import_id("t", "r1"), "r1", "t", "import:t", (Happened(stream, opened, NOON),))
    )
    await house.caught_up()
    text = (await house.as_(staff()).get("/metrics")).text
    for line in ("log_unread_records 12.0", "index_lag_commits 4.0", "log_behind_seconds 61.4",
                 "log_shards_away 1.0", "reviews_waiting 1.0"):  # fmt: skip
        assert line in text, line
    assert CASES_PREFIX not in text
    assert (await house.client.get("/readyz")).json()["reviews"] == 1


def test_a_short_lag_and_one_that_nobody_knows_yet_are_no_matter() -> None:
    fine = {"calls/0": ShardLag(READY, 3, 2, 4.9), "cases.TK/0": ShardLag(READY, None, 0, 0.0),
            "centre/0": AT_THE_END}  # fmt: skip
    assert log_health.degraded(fine) == []
    assert log_health.told(fine)["unread_records"] is None
    assert log_health.told({})["behind_s"] == 0.0


@in_house(lags=TOLD)
async def test_the_board_is_as_old_as_the_node_is_behind_the_log_of_calls(house: WebHouse) -> None:
    """A log that says nothing is no news of: the figures may be old, though nothing came."""
    await house.caught_up()
    for lags, oldest in [({"calls/0": AT_THE_END}, 5.0), ({"cases.TK/0": _SILENT}, 5.0)]:
        TOLD.lags = lags
        await asyncio.sleep(2 * GAP_S)
        assert (await house.client.get("/readyz")).json()["age_s"] < oldest
    TOLD.lags = {"calls/0": AT_THE_END, "calls/1": _SILENT}
    await asyncio.sleep(2 * GAP_S)
    found = (await house.client.get("/readyz")).json()
    assert found["age_s"] == 70.0
    assert found["status"] == "degraded"


_SILENT = ShardLag(READY, None, 0, 70.0)
