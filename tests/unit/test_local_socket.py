"""The local socket: what a client asks is done in the node's loop, and every end of it is told."""

from __future__ import annotations

import asyncio
import stat
from typing import TYPE_CHECKING

import pytest

from core.errors import Refused, Unavailable
from kontaktcenter.local_socket import LocalServer, ask, connect

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from kontaktcenter.out import Out


class Heard:
    """An `Out` that remembers."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def progress(self, what: str, done: int, total: int | None = None) -> None:
        self.told.append((what, done, total))

    async def warn(self, text: str) -> None:
        self.told.append(text)

    async def line(self, row: dict[str, object]) -> None:
        self.told.append(row)


async def work(verb: str, args: Mapping[str, object], out: Out) -> dict[str, object]:
    if verb == "refuse":
        raise Refused("not today")
    if verb == "break":
        raise ZeroDivisionError
    if verb == "for ever":
        await asyncio.sleep(3600)
    out.progress("reading", 1, 2)
    await out.warn("careful")
    await out.line({"n": 1})
    return {"args": dict(args)}


def socket_test(tmp_path: Path, verb: str, heard: Heard | None = None) -> dict[str, object]:
    async def main() -> dict[str, object]:
        server = LocalServer(tmp_path / "node.sock", work, lambda e: f"kept {type(e).__name__}")
        await server.start()
        try:
            client = connect(tmp_path / "node.sock")
            assert client is not None
            return await ask(client, verb, {"a": "ö"}, heard or Heard())
        finally:
            await server.stop()

    return asyncio.run(main())


def test_an_answer_comes_back_with_all_that_was_told_meanwhile(tmp_path: Path) -> None:
    heard = Heard()

    assert socket_test(tmp_path, "do", heard) == {"args": {"a": "ö"}}
    assert heard.told == [("reading", 1, 2), "careful", {"n": 1}]


def test_a_refusal_comes_back_in_its_family(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="not today"):
        socket_test(tmp_path, "refuse")


def test_of_an_unforeseen_error_only_the_reference_is_told(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="kept ZeroDivisionError"):
        socket_test(tmp_path, "break")


def test_a_node_that_stops_tells_whoever_waits_that_it_went_away(tmp_path: Path) -> None:
    async def main() -> None:
        server = LocalServer(
            tmp_path / "node.sock", work, lambda _e: "", lambda verb, _args: verb == "for ever"
        )
        await server.start()
        client = connect(tmp_path / "node.sock")
        assert client is not None
        asking = asyncio.create_task(ask(client, "for ever", {}, Heard()))
        await asyncio.sleep(0.05)
        await server.stop()
        with pytest.raises(Unavailable):
            await asking

    asyncio.run(main())


def test_work_that_ends_by_itself_is_finished_before_the_node_stops(tmp_path: Path) -> None:
    async def slow(_verb: str, _args: Mapping[str, object], _out: Out) -> dict[str, object]:
        await asyncio.sleep(0.2)
        return {"done": True}

    async def main() -> None:
        server = LocalServer(tmp_path / "node.sock", slow, lambda _e: "")
        await server.start()
        client = connect(tmp_path / "node.sock")
        assert client is not None
        asking = asyncio.create_task(ask(client, "x", {}, Heard()))
        await asyncio.sleep(0.05)
        await server.stop()
        assert await asking == {"done": True}

    asyncio.run(main())


def test_a_client_that_goes_away_ends_its_work(tmp_path: Path) -> None:
    ended = asyncio.Event()

    async def endless(_verb: str, _args: Mapping[str, object], _out: Out) -> dict[str, object]:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()
        return {}

    async def main() -> None:
        server = LocalServer(tmp_path / "node.sock", endless, lambda _e: "")
        await server.start()
        client = connect(tmp_path / "node.sock")
        assert client is not None
        asking = asyncio.create_task(ask(client, "x", {}, Heard()))
        await asyncio.sleep(0.05)
        asking.cancel()
        await asyncio.wait_for(ended.wait(), 5)
        await server.stop()

    asyncio.run(main())


def test_only_the_owner_can_connect_and_what_a_killed_node_left_is_no_node(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "node.sock"
        server = LocalServer(path, work, lambda _e: "")
        await server.start()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert server._server is not None
        server._server.close()  # as after a kill: the file stays, nobody listens
        assert connect(path) is None
        await server.start()
        assert connect(path) is not None
        await server.stop()
        assert connect(path) is None

    asyncio.run(main())


def test_a_folder_whose_name_is_longer_than_an_address_may_be_is_no_trouble(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)

    assert socket_test(deep, "do") == {"args": {"a": "ö"}}


def test_nothing_listens_where_there_is_nothing(tmp_path: Path) -> None:
    assert connect(tmp_path / "node.sock") is None
