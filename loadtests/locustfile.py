"""An open-loop surge against `POST /api/v1/calls/facts`, with its ledger.

Requests start at their intended times whether or not the server keeps up, and a latency counts from
the intended start: a server that stalls is seen to stall. A start that the generator itself made
late is counted, and too many of them make the run invalid.
"""

from __future__ import annotations

import json
import platform
import time
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gevent
from locust import FastHttpUser, events, task
from locust.exception import StopUser

from loadtests.ledger import Ledger
from loadtests.surge import Planned, Surge, planned

if TYPE_CHECKING:
    from locust.env import Environment

LATE_S = 0.05  # a start later than this is the generator's fault, not the server's
LATE_SHARE_MAX = 0.01  # more of them, and the run says nothing
DRAIN_S = 30.0
ANSWERED = {"accepted", "duplicate"}
OPTIONS = ("seed", "calls_per_s", "seconds", "factor", "whole")
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "p99_9": 0.999, "max": 1.0}


@events.init_command_line_parser.add_listener
def options(parser: Any) -> None:
    """The run's own options."""
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--calls-per-s", type=float, default=20.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--factor", type=float, default=3.0, help="the surge at its height")
    parser.add_argument("--whole", action="store_true", help="six facts of every call")
    parser.add_argument("--exchange", default="load")
    parser.add_argument("--token-file", required=True)
    parser.add_argument("--ledger", required=True)
    parser.add_argument("--summary", required=True)


class Crowd(FastHttpUser):
    """One user is the whole crowd; its requests overlap as they must."""

    concurrency = 400  # at least rate x worst latency; a request beyond it would start late
    network_timeout = 60.0
    connection_timeout = 10.0

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.given = environment.parsed_options
        self.latencies_s: list[float] = []
        self.late_s: list[float] = []
        self.own_s: list[float] = []  # what the generator itself added before a request went out
        self.errors: dict[str, int] = defaultdict(int)
        self.before: dict[int, gevent.Greenlet] = {}

    @task
    def surge(self) -> None:
        """Send every planned fact at its time, wait for the answers, sum up, end."""
        given = self.given
        token = Path(given.token_file).read_text(encoding="utf-8").strip()
        self.client.client.default_headers["Authorization"] = f"Bearer {token}"
        apart = gevent.get_hub().threadpool.apply
        self.ledger = Ledger(Path(given.ledger), apart)
        shape = Surge(given.calls_per_s, given.seconds, given.factor, whole=given.whole)
        self.run_name = f"{int(time.time())}-{given.seed}"
        began = time.perf_counter()
        sent = []
        for fact in planned(shape, given.seed):
            ahead_s = began + fact.at_s - time.perf_counter()
            if ahead_s > 0:
                gevent.sleep(ahead_s)
            self.late_s.append(max(0.0, -ahead_s))
            this = gevent.spawn(self.send, fact, began + fact.at_s, self.before.get(fact.call))
            self.before[fact.call] = this
            sent.append(this)
        gevent.joinall(sent, timeout=DRAIN_S)
        self.errors["no answer"] += sum(1 for g in sent if not g.ready())
        gevent.killall([g for g in sent if not g.ready()])
        self.ledger.close()
        self.sum_up(time.perf_counter() - began)
        self.environment.runner.quit()
        raise StopUser

    def send(self, fact: Planned, intended: float, before: gevent.Greenlet | None) -> None:
        """Intend, send, acknowledge.

        A call's next fact waits for the one before, at its own cost.
        """
        asked = time.perf_counter()
        if before is not None:
            before.join()
        waited_s = time.perf_counter() - asked
        uniqueid = f"{self.run_name}.{fact.call}"
        key = f"{uniqueid}/{fact.kind}"
        self.ledger.intend(key, step=fact.step)
        body = {
            "exchange": self.given.exchange,
            "uniqueid": uniqueid,
            "queue": fact.queue,
            "kind": fact.kind,
            "member": fact.member,
            "n": 1,
            "occurred_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "data": fact.data,
        }
        self.own_s.append(time.perf_counter() - intended - waited_s)
        with self.client.post(
            "/api/v1/calls/facts", data=json.dumps({"facts": [body]}),
            headers={"Content-Type": "application/json"}, catch_response=True,
        ) as answer:  # fmt: skip
            result = _result(answer)
            took_s = time.perf_counter() - intended
            answer.request_meta["response_time"] = took_s * 1000
            if result.get("status") not in ANSWERED:
                self.errors[str(result.get("reason") or answer.status_code)] += 1
                answer.failure(str(result)[:200])
                return
            answer.success()
        self.ledger.acknowledge(key, shard=result["shard"], position=result["position"])
        self.latencies_s.append(took_s)

    def sum_up(self, took_s: float) -> None:
        """Write summary.json."""
        late = sum(1 for s in self.late_s if s > LATE_S)
        valid = bool(self.late_s) and late <= len(self.late_s) * LATE_SHARE_MAX
        summary = {
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": f"{platform.machine()} {platform.system()} {platform.release()}",
            "options": {k: getattr(self.given, k) for k in OPTIONS},
            "took_s": round(took_s, 3),
            "facts": len(self.late_s),
            "acknowledged": len(self.latencies_s),
            "errors": {k: n for k, n in self.errors.items() if n},
            "latency_ms": quantiles_ms(self.latencies_s),
            "generators_own_ms": quantiles_ms(self.own_s),
            "late_starts": late,
            "late_ms_max": round(max(self.late_s, default=0.0) * 1000, 1),
            "valid": valid,
        }
        text = json.dumps(summary, ensure_ascii=False, indent=2) + "\n"
        Path(self.given.summary).write_text(text, encoding="utf-8")
        self.environment.process_exit_code = 0 if not summary["errors"] else 1


def _result(answer: Any) -> dict[str, Any]:
    try:
        return dict(json.loads(answer.text)["results"][0])
    except (ValueError, KeyError, IndexError, TypeError):
        return {"reason": f"HTTP {answer.status_code}: {(answer.text or '')[:200]}"}


def quantiles_ms(values_s: list[float]) -> dict[str, float]:
    """The quantiles, each a value that was measured."""
    ranked = sorted(values_s)
    last = len(ranked) - 1
    return (
        {k: round(ranked[round(q * last)] * 1000, 2) for k, q in QUANTILES.items()}
        if ranked
        else {}
    )
