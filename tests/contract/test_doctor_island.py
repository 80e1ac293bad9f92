"""What `doctor` says of a node's journal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cut_log import Wire
from island_world import island_of, node_on, returned, until
from log_world import opened, queued, sqlite_settings, story

from core.eventlog.island.journal_file import FILE
from core.eventlog.memory_log import MemoryStore
from kontaktcenter.commands.doctor_island import checks

if TYPE_CHECKING:
    from pathlib import Path


@story
async def test_doctor_tells_what_waits_what_was_damaged_and_what_was_put_aside(
    tmp_path: Path,
) -> None:
    store, wire = MemoryStore(), Wire()
    node = await node_on(tmp_path, store, wire)
    await until(lambda: not island_of(node).kept)
    assert [check.state for check in checks(node)] == ["ok"]
    wire.cut("fails")
    await node.propose(queued(1))
    await until(lambda: island_of(node).kept == 2)  # the fact, and that the node was cut off
    (found,) = checks(node)
    assert (found.state, "2" in found.found) == ("warn", True)
    await node.close()
    journal = tmp_path / FILE
    changed = bytearray(journal.read_bytes())
    changed[100] ^= 0xFF
    journal.write_bytes(changed)
    wire.mend()
    node = await node_on(tmp_path, store, wire)
    await returned(node)
    found, rest = checks(node)
    assert (found.state, rest.state) == ("fail", "ok")
    assert "damaged" in found.found
    assert len(node.load("call/x/1.1")) == 1  # the row was whole
    island_of(node).asides = 3
    assert [check.state for check in checks(node)] == ["fail", "fail", "ok"]
    await node.close()


@story
async def test_doctor_tells_of_a_journal_that_is_left_beside_a_log_on_this_machine(
    tmp_path: Path,
) -> None:
    store, wire = MemoryStore(), Wire()
    node = await node_on(tmp_path, store, wire)
    wire.cut("fails")
    await node.propose(queued(1))
    await node.close()
    for index in (tmp_path / "index").iterdir():
        index.unlink()
    async with opened(sqlite_settings(tmp_path)) as other:
        (found,) = checks(other)
        assert found.state == "warn"
        assert "KC_LOG" in found.do
