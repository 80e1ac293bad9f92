"""A shard on a log in memory, for the tests of shards."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from log_world import GENESIS

from core.eventlog.envelope import LoggedCommit, encode_commit, encode_genesis
from core.eventlog.index.index import Index
from core.eventlog.memory_log import MemoryLog
from core.eventlog.node import claim_of
from core.eventlog.shard import Shard

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from core.commit import Verdict

A = "call/x/1"


class SlowLog(MemoryLog):
    """A log whose acknowledgement arrives when the test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.gate.set()

    async def append(self, body: bytes) -> int:
        offset = await super().append(body)
        await self.gate.wait()
        return offset


@asynccontextmanager
async def shard_on(log: MemoryLog, folder: Path, name: str = "one") -> AsyncIterator[Shard]:
    """A shard that reads `log`, with its index in `folder`."""
    shard = Shard(log, Index(folder / f"{name}.db"), GENESIS, lambda: None)
    try:
        await shard.open()
        yield shard
    finally:
        await shard.close()


async def proposed(shard: Shard, *commits: LoggedCommit) -> Sequence[Verdict]:
    raws = [encode_commit(c) for c in commits]
    return await shard.propose(raws, [claim_of(c) for c in commits])


async def read_up_to(shard: Shard, offset: int) -> None:
    """Until the shard's reader has passed `offset`, or the shard stopped."""
    while shard.state.next_offset < offset and shard.stopped is None:  # noqa: ASYNC110 -- from outside
        await asyncio.sleep(0.002)
    if shard.stopped is None:
        await shard.settle()


async def log_of(*bodies: bytes, genesis: bytes | None = None) -> MemoryLog:
    log = MemoryLog()
    for body in (genesis or encode_genesis(GENESIS), *bodies):
        await log.append(body)
    return log
