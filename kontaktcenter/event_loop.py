"""Which event loop a node runs on: the quicker one where its client of Kafka runs on it too.

On uvloop a caller waits a quarter less for a commit over aiokafka (docs/performance.md), and with
httptools a request costs less to read. A town on SQLite waits for its disk, and stays with the
loop of the standard library and with h11.
"""

from __future__ import annotations

import asyncio
from importlib.util import find_spec
from typing import TYPE_CHECKING, TypeVar

from core.eventlog.kafka_log import client_name, parse_address

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

_T = TypeVar("_T")


def is_fast(log: str) -> bool:
    """Whether a node on this log (as `KC_LOG` has it) runs with all of the extra `fast`."""
    there = find_spec("uvloop") is not None and find_spec("httptools") is not None
    return there and log.startswith("kafka:") and client_name(parse_address(log)) == "aiokafka"


def loop_factory(log: str) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes the loop for a log (as `KC_LOG` has it); None: the standard library."""
    if not is_fast(log):
        return None
    import uvloop  # noqa: PLC0415 -- it may not be installed

    return uvloop.new_event_loop


def run(work: Coroutine[object, object, _T], log: str) -> _T:
    """Run `work` to its end, as `asyncio.run` does. Raises: what it raises."""
    with asyncio.Runner(loop_factory=loop_factory(log)) as runner:
        return runner.run(work)
