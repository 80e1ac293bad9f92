"""Logs to be copied: made record by record, with erasures, keys and more than one shard."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import msgspec
from log_world import GENESIS, T0, At, an_id, commit, record
from project import ROOT

from core.eventlog.envelope import LoggedCommit, LoggedEvent, encode_genesis
from core.eventlog.kafka_log import KafkaSettings, parse_address
from core.eventlog.keys import SqliteKeys
from core.eventlog.sqlite_log import SqliteStore
from kontaktcenter.config import Config

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from core.eventlog.log import LogStore

KEY: Final = b"w" * 60
GONE, BACK, LATE = "gone", "back", "late"  # erased; erased and come again; decided, not carried out


def a_body(n: int, shard: int, book: str) -> bytes:
    """A record of one commit; now and then one that is stale, a duplicate or nobody's."""
    if n % 17 == 5:
        return b"what somebody else wrote, \xff"
    version = 40_000 if n % 13 == 7 else None  # stale
    name = f"{book}/{shard}/{n - 1 if n % 19 == 9 else n}"
    return record(commit(name, At(f"call/x/{n % 11}.{shard}", version)), book=book, shard=shard)


def erasure(subject: str) -> bytes:
    """The centre's decision about a subject."""
    data = msgspec.Raw(msgspec.json.encode({"subject": subject, "rule": "r"}))
    event = LoggedEvent(f"erasure/{subject}", "erasure.decided", 1, T0, data)
    made = LoggedCommit(an_id(f"erase {subject}"), "i", T0, "a", "desk", [event])
    return record(made, book="centre")


async def fill(store: LogStore, shards: int, records: int) -> None:
    """The calls and the centre, with a genesis in each shard, erasures at the centre's end."""
    for book, count in (("calls", shards), ("centre", 1)):
        for number in range(count):
            log = await store.open_shard(book, number)
            genesis = msgspec.structs.replace(GENESIS, book=book, shard=number, shards=count)
            await log.append(encode_genesis(genesis))
            for n in range(records):
                await log.append(a_body(n, number, book))
    for subject in (GONE, BACK, LATE):
        await log.append(erasure(subject))


def log_in_file(path: Path, *, shards: int = 1, records: int = 300) -> None:
    """A log in a file, with a file of keys beside it."""

    async def make() -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        store = SqliteStore(path)
        try:
            await fill(store, shards, records)
        finally:
            await store.close()

    asyncio.run(make())
    with closing(SqliteKeys(path.with_name("keys.db"))) as keys:
        keys.add([(f"subject{n}/1", KEY) for n in range(20)])
        keys.add([(f"{subject}/1", KEY) for subject in (GONE, BACK, LATE)])
        keys.erase({GONE: T0, BACK: T0}, erased_upto(records))
        keys.add([(f"{BACK}/2", KEY)])


def erased_upto(records: int) -> int:
    """The position of the centre's book where the second erasure was decided."""
    judged = {n - 1 if n % 19 == 9 else n for n in range(records) if n % 17 != 5}
    return len(judged) + 2


def bodies(store: LogStore) -> Any:
    """All records of a log by shard."""

    async def read() -> dict[str, list[bytes]]:
        found: dict[str, list[bytes]] = {}
        for book, shards in (await store.books()).items():
            for number in range(shards):
                log = await store.open_shard(book, number)
                records = found[f"{book}/{number}"] = []
                while batch := await log.read(len(records), 500, 0):
                    records += [each.body for each in batch]
        await store.close()
        return found

    return read()


def in_file(path: Path) -> dict[str, list[bytes]]:
    """All records of a log in a file."""

    async def read() -> Any:
        return await bodies(SqliteStore(path))

    found: dict[str, list[bytes]] = asyncio.run(read())
    return found


def on_kafka(address: str) -> dict[str, list[bytes]]:
    """All records of a log on Kafka."""
    from core.eventlog.kafka_log.store import KafkaStore

    async def read() -> Any:
        return await bodies(KafkaStore(settings_of(address)))

    found: dict[str, list[bytes]] = asyncio.run(read())
    return found


def settings_of(address: str) -> KafkaSettings:
    """How a test reaches the broker; topics are made by it, as few copies as there are brokers."""
    return KafkaSettings(parse_address(address), create="unsafe")


def config_of(data: Path, **changes: Any) -> Config:
    """A configuration that may make topics."""
    made = Config(data, f"sqlite:{data / 'log.db'}", log_create="unsafe", taxonomy="none")
    return replace(made, **changes)


def killed_copy(source: str, target: str, data: Path, wave: int, when: str) -> int:
    """Copy in a process of its own that is killed -9 at the `wave`th append; its exit status."""
    done = subprocess.run(
        [sys.executable, __file__, source, target, str(data), str(wave), when],
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        check=False,
        timeout=120,
    )
    return done.returncode


def _die(arguments: list[str]) -> None:
    import os
    import signal
    from pathlib import Path

    from kontaktcenter import log_copy
    from kontaktcenter.commands import copies

    source, target, data, wave, when = arguments
    left, appended = int(wave), log_copy._appended
    log_copy._WAVE = 8  # type: ignore[misc]

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    async def dying(*given: Any) -> list[int]:
        nonlocal left
        left -= 1
        if left == 0 and when == "before":
            die()
        if left == 0 and when == "during":
            asyncio.get_running_loop().call_later(0.001, die)
        offsets = await appended(*given)
        if left == 0:
            die()
        return offsets

    log_copy._appended = dying  # type: ignore[assignment]
    copies.copy(config_of(Path(data)), source, target, "with")


def digests(result: Mapping[str, Any]) -> dict[str, tuple[int, str]]:
    """Position and digest by shard, of what a copy answered."""
    return {name: (at["position"], at["digest"]) for name, at in result["shards"].items()}


if __name__ == "__main__":
    _die(sys.argv[1:])
