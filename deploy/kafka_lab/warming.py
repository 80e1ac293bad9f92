"""A Java that has started a broker once starts the next with half the work (JEP 483 and 514).

What it learnt is kept beside Kafka's jars, for that very Java alone; another ignores it. Measured
on two busy cores: 1.1 s of processor time for a start instead of 2.5, and a second less to wait.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from deploy.kafka_lab.fetch import Software

_JAVA_MIN: Final = 25  # the first that learns in one run
_NOT: Final = b"cannot\n"  # kept in the file's place, so that it is tried once


def options(software: Software) -> tuple[str, ...]:
    """What Java is told; nothing where there is nothing to be had."""
    learnt = software.warm_file
    if not learnt.exists() or learnt.stat().st_size <= len(_NOT):
        return ()
    return (f"-XX:AOTCache={learnt}",)


def is_warm(software: Software) -> bool:
    """Whether it was tried, or need not be: a Java that cannot is as warm as it gets."""
    return not _can(software.java) or software.warm_file.exists()


def warm(software: Software, cache: Path) -> None:
    """Start a broker once and stop it. Where that goes wrong nothing is lost but the time."""
    from deploy.kafka_lab.broker import Broker  # noqa: PLC0415 -- it needs us for its options

    with tempfile.TemporaryDirectory(prefix="kafka-tmp.", dir=cache) as name:
        fresh = Path(name) / "broker.aot"
        broker = Broker(software, Path(name) / "broker", jvm=(f"-XX:AOTCacheOutput={fresh}",))
        with contextlib.suppress(RuntimeError):
            broker.start()
            broker.terminate(within_s=60)  # it writes down what it learnt
        broker.close()
        if not fresh.exists():
            fresh.write_bytes(_NOT)
        shutil.move(fresh, software.warm_file)


def _can(java: Path) -> bool:
    release = java.parent.parent / "release"
    if not release.is_file():
        return False
    found = re.search(r'JAVA_VERSION="(\d+)', release.read_text(encoding="utf-8"))
    return found is not None and int(found[1]) >= _JAVA_MIN
