"""The verdict: the ledger of a load test against what `kontaktcenter log export` says is there.

    python -m loadtests.verify LEDGER EXPORT EXCHANGE

Standard library alone, so that it shares no mistake with the product. Exit code 0 where nothing is
lost, doubled, unasked for or out of order; 1 otherwise.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from loadtests.ledger import Told, read_ledger


def read_export(path: Path, exchange: str) -> dict[str, list[dict[str, Any]]]:
    """Where each fact of `exchange` stands in the log, by `uniqueid/kind`: shard, position, id."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    prefix = f"call/{exchange}/"
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            commit = json.loads(line)
            for event in commit["events"]:
                if event["stream"].startswith(prefix):
                    key = (
                        f"{event['stream'].removeprefix(prefix)}/{event['type'].partition('.')[2]}"
                    )
                    where = {k: commit[k] for k in ("shard", "position", "id")}
                    found[key].append(where)
    return dict(found)


def differences(told: Told, logged: dict[str, list[dict[str, Any]]]) -> dict[str, list[str]]:
    """What does not agree, by kind of disagreement; all empty is a pass."""
    acked = {key for key, acks in told.acks.items() if acks}
    return {
        "lost: acknowledged, and not in the log": sorted(acked - set(logged)),
        "doubled: more than once in the log": sorted(k for k, at in logged.items() if len(at) > 1),
        "unasked for: in the log, and never meant": sorted(set(logged) - set(told.intents)),
        "elsewhere: not where the acknowledgement said": sorted(
            key
            for key in acked & set(logged)
            if any((a["shard"], a["position"]) != _place(logged[key]) for a in told.acks[key])
        ),
        "out of order: a call's facts in another order than sent": sorted(
            _out_of_order(logged, told)
        ),
    }


def _place(where: list[dict[str, Any]]) -> tuple[str, int]:
    return where[0]["shard"], where[0]["position"]


def _out_of_order(logged: dict[str, list[dict[str, Any]]], told: Told) -> list[str]:
    """A call's next fact is sent when the one before was acknowledged: the log has that order."""
    calls: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for key, acks in told.acks.items():
        if acks and key in logged and key in told.intents:
            call = key.rpartition("/")[0]
            calls[call].append((told.intents[key]["step"], _place(logged[key])[1]))
    return [
        call for call, steps in calls.items() if sorted(steps) != sorted(steps, key=lambda s: s[1])
    ]


def main(arguments: list[str]) -> int:
    """Compare and tell."""
    if len(arguments) != 3:  # noqa: PLR2004 -- as the usage says
        print("usage: python -m loadtests.verify LEDGER EXPORT EXCHANGE", file=sys.stderr)
        return 2
    ledger, export, exchange = arguments
    told = read_ledger(Path(ledger))
    found = differences(told, read_export(Path(export), exchange))
    unknown = len(set(told.intents) - set(told.acks))
    print(f"{len(told.intents)} facts meant, {len(told.acks)} acknowledged, {unknown} unknown")
    for what, keys in found.items():
        if keys:
            print(f"FAIL {what}: {len(keys)}, such as {', '.join(keys[:3])}")
    failed = any(found.values())
    print("FAIL" if failed else "PASS: nothing lost, doubled, unasked for or out of order")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
