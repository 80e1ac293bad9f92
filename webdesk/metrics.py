"""What a monitor may ask: base units, and never a number or an agent in a label."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from core.eventlog.lag import READY
from webdesk.log_health import in_all

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.commit import Kept, Verdict
    from core.eventlog.lag import ShardLag
    from webdesk.services import IslandState, Receipts

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
_BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)


class Metrics:
    """The counters of one server, in a registry of its own: two in one process do not mix."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._waiting = self._gauge("calls_waiting", "Calls that wait in a queue now")
        self._longest = self._gauge(
            "calls_longest_wait_seconds", "The longest wait of a call that waits now"
        )
        self._lag = self._gauge(
            "projection_lag_commits", "Commits that the read models are behind the log"
        )
        self._parked = self._gauge(
            "projection_parked_events", "Events set aside by the read models"
        )
        self._streams = self._gauge("sse_clients", "Clients that watch the stream")
        self._age = self._gauge("board_age_seconds", "How old the figures of the board are")
        self._awaited = self._gauge(
            "receipts_waiting", "Hand-overs and complaints that wait for their receipt"
        )
        self._silent = self._gauge(
            "receipts_overdue", "Those of them whose receipt should have come by now"
        )
        self._unread = self._gauge(
            "log_unread_records", "Records of the log that this node has not judged"
        )
        self._unindexed = self._gauge(
            "index_lag_commits", "Commits that were judged and are not in the index"
        )
        self._behind = self._gauge(
            "log_behind_seconds", "How long ago this node was last known to be at the log's end"
        )
        self._away = self._gauge(
            "log_shards_away", "Shards whose log was not reached since the start, or that stopped"
        )
        self._reviews = self._gauge(
            "reviews_waiting", "Review items that wait, those about cases apart"
        )
        self._kept = self._gauge("island_kept_commits", "Commits that wait on this node")
        self._cut_off = self._gauge("island_cut_off", "1 while this node is cut off from the log")
        self._commits = self._counter("commits", "Commits judged for a request", "verdict")
        self._facts = self._counter("facts", "Facts taken in over HTTP", "status")
        self._requests = self._counter(
            "http_requests", "Requests answered", "method", "route", "status"
        )
        self._seconds = Histogram(
            "http_request_seconds", "Time to answer a request; a stream's is its life",
            ("route",), buckets=_BUCKETS_S, registry=self._registry,
        )  # fmt: skip

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, registry=self._registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self._registry)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered; `route` is its template."""
        known = method if method in {"GET", "HEAD", "POST", "OPTIONS"} else "other"
        self._requests.labels(known, route or "none", str(status)).inc()
        self._seconds.labels(route or "none").observe(seconds)

    def judged(self, verdict: Verdict | Kept) -> None:
        """A commit was judged, or kept on this node."""
        self._commits.labels(type(verdict).__name__.removesuffix("Verdict").lower()).inc()

    def fact(self, status: str) -> None:
        """A fact was answered with `status`."""
        self._facts.labels(status).inc()

    def behind(self, lags: Mapping[str, ShardLag] | None) -> None:
        """How the node stands with its logs; records that nobody knows stay as they were."""
        if lags is None:
            return
        found = in_all(lags.values())
        if found["unread_records"] is not None:
            self._unread.set(found["unread_records"])
        self._unindexed.set(found["unindexed_commits"])
        self._behind.set(found["behind_s"])
        self._away.set(sum(lag.state != READY for lag in lags.values()))

    def island(self, island: IslandState | None) -> None:
        """How much waits on this node, and whether it is cut off."""
        if island is not None:
            self._kept.set(island.kept)
            self._cut_off.set(island.cut_off)

    def to_review(self, waiting: int | None) -> None:
        """How many review items wait."""
        if waiting is not None:
            self._reviews.set(waiting)

    def exposition(
        self,
        state: Mapping[str, Any] | None,
        *,
        lag: int,
        parked: int,
        clients: int,
        receipts: Receipts | None = None,
    ) -> bytes:
        """All of it in Prometheus's text format; `state` is the situation, where there is one."""
        if receipts is not None:
            self._awaited.set(receipts.waiting)
            self._silent.set(receipts.silent)
        if state is not None:
            self._waiting.set(state["total"]["waiting"])
            self._longest.set(state["total"]["longest_wait_s"] or 0)
            self._age.set(state["age_s"])
        self._lag.set(lag)
        self._parked.set(parked)
        self._streams.set(clients)
        return generate_latest(self._registry)
