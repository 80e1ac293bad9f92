"""Following a `queue_log` that grows and is rotated while the follower sleeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from import_world import DIRECTORY, facts_of, node_at, told
from queue_log_maker import make

from core.calls import CallQueued
from core.errors import Refused
from core.taxonomy import Directory, EntrySet
from telephony.queue_log import ImportReport, follow, import_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from core.eventlog.node import Node

pytestmark = pytest.mark.anyio
LINES = list(dict.fromkeys(make(11, calls=60).splitlines(keepends=True)))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Stopped(Exception):
    pass


async def following(node: Node, path: Path, *steps: Callable[[], object]) -> list[ImportReport]:
    """Follow; each step is what happens while the follower sleeps. Ends after the last."""
    waiting: list[Callable[[], object]] = [*steps, int]

    async def sleep(_: float) -> None:
        if not waiting:
            raise Stopped
        waiting.pop(0)()

    reports: list[ImportReport] = []
    try:
        async for report in follow(node, path, "huvud", DIRECTORY, sleep=sleep):
            reports.append(report)  # noqa: PERF401 -- what came before the end is kept
    except Stopped:
        return reports
    raise AssertionError("following ended by itself")


def add(path: Path, *rows: bytes) -> None:
    with path.open("ab") as file:
        file.writelines(rows)


async def whole(node: Node, tmp_path: Path, rows: list[bytes]) -> None:
    path = tmp_path / "whole"
    path.write_bytes(b"".join(rows))
    await import_files(node, [path], "huvud", DIRECTORY)


async def same_as_whole(node: Node, tmp_path: Path, rows: list[bytes] = LINES) -> bool:
    async with node_at(tmp_path / "one-file") as other:
        await whole(other, tmp_path, rows)
        return await facts_of(node) == await facts_of(other)


async def test_a_growing_file_is_read_as_it_grows_and_a_torn_row_waits(tmp_path: Path) -> None:
    path = tmp_path / "queue_log"
    add(path, *LINES[:50])
    async with node_at(tmp_path / "node") as node:
        seen: list[int] = []
        reports = await following(
            node,
            path,
            lambda: add(path, *LINES[50:70], LINES[70][:11]),
            lambda: seen.append(sum(1 for _ in node.read("calls/0", 0, 10_000))),
            lambda: add(path, LINES[70][11:], *LINES[71:]),
        )
        assert len(reports) == 3, "a turn without news says nothing"
        assert reports[-1].malformed == []
        assert len(LINES) == reports[-1].facts == reports[-1].lines
        assert await same_as_whole(node, tmp_path)


async def test_rotation_by_rename_loses_and_doubles_nothing(tmp_path: Path) -> None:
    path, old = tmp_path / "queue_log", tmp_path / "queue_log.1"
    add(path, *LINES[:50])

    def rename_then_new() -> None:
        add(path, *LINES[50:60])
        path.rename(old)
        add(path, *LINES[60:80])

    def create_then_write_on_in_the_old_one() -> None:
        path.rename(old)
        path.touch()  # logrotate makes the file before Asterisk has been told
        add(old, *LINES[80:90])

    async with node_at(tmp_path / "node") as node:
        reports = await following(
            node,
            path,
            rename_then_new,
            create_then_write_on_in_the_old_one,
            lambda: add(old, *LINES[90:95]),
            lambda: add(path, *LINES[95:]),
        )
        assert (len(LINES), []) == (reports[-1].facts, reports[-1].malformed)
        assert await same_as_whole(node, tmp_path)


async def test_a_path_that_is_away_for_a_while_is_waited_for(tmp_path: Path) -> None:
    path, old = tmp_path / "queue_log", tmp_path / "queue_log.1"
    add(path, *LINES[:50])
    async with node_at(tmp_path / "node") as node:
        await following(
            node,
            path,
            lambda: path.rename(old),
            lambda: add(old, *LINES[50:60]),
            lambda: add(path, *LINES[60:]),
        )
        assert await same_as_whole(node, tmp_path)


@pytest.mark.parametrize("grown", [10, 120])
async def test_rotation_by_copying_and_truncating_is_seen_also_when_it_has_grown_again(
    tmp_path: Path, grown: int
) -> None:
    path = tmp_path / "queue_log"
    add(path, *LINES[:50])

    def truncate() -> None:
        (tmp_path / "queue_log.1").write_bytes(path.read_bytes())
        with path.open("r+b") as file:
            file.truncate(0)
        add(path, *LINES[50 : 50 + grown])

    async with node_at(tmp_path / "node") as node:
        reports = await following(node, path, truncate, lambda: add(path, *LINES[50 + grown :]))
        assert (len(LINES), []) == (reports[-1].facts, reports[-1].malformed)
        assert await same_as_whole(node, tmp_path)


async def test_a_row_whose_end_never_comes_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "queue_log"
    add(path, *LINES[:5], LINES[5][:20])

    def rename() -> None:
        path.rename(tmp_path / "queue_log.1")
        add(path, *LINES[6:9], LINES[9][:20])

    def truncate() -> None:
        path.write_bytes(LINES[10])

    async with node_at(tmp_path / "node") as node:
        reports = await following(node, path, rename, truncate)
    said = [(row.line, row.reason) for row in reports[-1].malformed]
    assert said == [
        (6, "the file was rotated before the row's end"),
        (4, "the file was truncated before the row's end"),
    ]
    assert (reports[-1].lines, reports[-1].events, reports[-1].facts) == (11, 9, 9)


async def test_following_again_after_a_stop_goes_on_where_the_log_ends(tmp_path: Path) -> None:
    path = tmp_path / "queue_log"
    add(path, *LINES[:90])
    async with node_at(tmp_path / "node", "sqlite") as node:
        await following(node, path)
    add(path, *LINES[90:])
    async with node_at(tmp_path / "node", "sqlite") as node:
        (report,) = await following(node, path)
        assert (90, len(LINES) - 90) == (report.already_known, report.facts)
        assert await same_as_whole(node, tmp_path)


async def test_a_path_that_cannot_be_followed_is_refused_at_once(tmp_path: Path) -> None:
    import gzip

    packed = tmp_path / "queue_log.1.gz"
    packed.write_bytes(gzip.compress(b"x"))
    async with node_at(tmp_path / "node") as node:
        for path, says in (
            (tmp_path / "away", "no such file"),
            (packed, "only a plain file grows"),
        ):
            with pytest.raises(Refused, match=says):
                await following(node, path)


@pytest.mark.requirement("R11")
async def test_a_group_that_becomes_excluded_meanwhile_is_so_from_then_on(tmp_path: Path) -> None:
    path = tmp_path / "queue_log"
    add(path, b"1795321177|1.1|kris|NONE|ENTERQUEUE||0700000001|1\n")
    excluded = Directory.of(
        [EntrySet("answer_group", "tnh_kris", {"queue": "kris", "excluded": True})], DIRECTORY
    )

    async def renewed() -> Directory:
        return excluded

    waiting: list[Callable[[], object]] = [
        int,
        lambda: add(path, b"1795321178|1.2|kris|NONE|ENTERQUEUE||0700000002|1\n"),
        int,
    ]

    async def sleep(_: float) -> None:
        if not waiting:
            raise Stopped
        waiting.pop(0)()

    async with node_at(tmp_path / "node") as node:
        with pytest.raises(Stopped):
            async for _ in follow(
                node, path, "huvud", DIRECTORY, sleep=sleep, poll_s=60, renewed=renewed
            ):
                pass
        refs = [
            event.caller_ref for _, event, _ in await told(node) if isinstance(event, CallQueued)
        ]
        assert refs == [node.caller_ref("0700000001"), None]


async def test_following_survives_more_malformed_rows_than_it_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("telephony.importer.IMPORT_MALFORMED_MAX", 3)
    path = tmp_path / "queue_log"
    add(path, *[b"x\n"] * 5, *LINES)
    async with node_at(tmp_path / "node") as node:
        (report,) = await following(node, path)
        assert (3, 2, len(LINES)) == (len(report.malformed), report.malformed_more, report.facts)
        with pytest.raises(Refused, match="Is it a queue_log"):
            await import_files(node, [path], "huvud", DIRECTORY)
