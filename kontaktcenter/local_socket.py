"""The local socket of a running node, `DIR/node.sock`: other commands send their work here.

A client sends one line of JSON, `{"verb", "args"}`; the node answers with lines: any number of
`{"progress": {…}}`, `{"warn": text}` and `{"line": {…}}`, and last `{"result": {…}}` or `{"error":
{…}}`. A client that goes away ends its work. Only the owner of the folder can connect (mode 0600).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import stat
import threading
from typing import TYPE_CHECKING

from core import errors
from core.limits import LOCAL_ANSWER_BYTES_MAX, LOCAL_CLIENTS_MAX
from kontaktcenter.words import _

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping
    from pathlib import Path

    from kontaktcenter.out import Out

    Perform = Callable[[str, Mapping[str, object], Out], Awaitable[dict[str, object]]]

NAME = "node.sock"
LINGER_S = 3.0  # what a figure takes, and no more: who stops a node is waiting


@contextlib.contextmanager
def _short(path: Path) -> Iterator[str]:
    """The socket's address through its open folder: an address has at most 107 bytes."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


class _Wire:
    """`Out` at the other end of the socket."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()

    def _put(self, message: dict[str, object]) -> None:
        if not self._writer.is_closing():
            self._writer.write(json.dumps(message).encode() + b"\n")

    async def send(self, message: dict[str, object]) -> None:
        self._put(message)
        await self._writer.drain()

    def progress(self, what: str, done: int, total: int | None = None) -> None:
        message: dict[str, object] = {"progress": {"what": what, "done": done, "total": total}}
        if threading.get_ident() == self._thread:
            self._put(message)
        else:
            self._loop.call_soon_threadsafe(self._put, message)

    async def warn(self, text: str) -> None:
        await self.send({"warn": text})

    async def line(self, row: dict[str, object]) -> None:
        await self.send({"line": row})


class LocalServer:
    """Listens on the folder's socket and performs what comes in, on the node's own loop."""

    def __init__(
        self,
        path: Path,
        perform: Perform,
        failed: Callable[[BaseException], str],
        endless: Callable[[str, Mapping[str, object]], bool] = lambda _verb, _args: False,
    ) -> None:
        """`failed` keeps an unforeseen error's details and returns what a person may be told.

        `endless` says of a verb that it never ends by itself: it is not waited for at the end.
        """
        self._path = path
        self._perform = perform
        self._failed = failed
        self._endless = endless
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen. What a killed node left behind is removed: the folder's lock is ours."""
        if self._path.exists() and stat.S_ISSOCK(self._path.lstat().st_mode):
            self._path.unlink()
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with _short(self._path) as address:
            listener.bind(address)
        self._path.chmod(0o600)
        listener.listen(LOCAL_CLIENTS_MAX)
        self._server = await asyncio.start_unix_server(
            self._client, sock=listener, limit=LOCAL_ANSWER_BYTES_MAX
        )

    async def stop(self) -> None:
        """Listen no more; work that ends by itself has a moment to do so, the rest is ended."""
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)
        if self._ending:
            await asyncio.wait(self._ending, timeout=LINGER_S)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        wire = _Wire(writer)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._serve(reader, wire)
        finally:
            self._tasks.discard(task)
            self._ending.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, wire: _Wire) -> None:
        asked = json.loads(await reader.readuntil(b"\n"))
        task = asyncio.current_task()
        if task is not None and not self._endless(asked["verb"], asked["args"]):
            self._ending.add(task)
        work = asyncio.ensure_future(self._perform(asked["verb"], asked["args"], wire))
        gone = asyncio.ensure_future(reader.read(1))
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                await wire.send(self._answer(work))
        finally:
            for task in (work, gone):
                task.cancel()
            await asyncio.gather(work, gone, return_exceptions=True)

    def _answer(self, work: asyncio.Future[dict[str, object]]) -> dict[str, object]:
        error = work.exception()
        if error is None:
            return {"result": work.result()}
        if isinstance(error, errors.KontaktcenterError):
            return {"error": {"family": type(error).__name__, "message": error.message}}
        return {"error": {"family": "KontaktcenterError", "message": self._failed(error)}}


def connect(path: Path) -> socket.socket | None:
    """A connection to the node that runs in the folder, or None where none listens."""
    if not path.exists():
        return None
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short(path) as address:
            client.connect(address)
    except (ConnectionError, FileNotFoundError):
        client.close()
        return None
    return client


async def ask(
    client: socket.socket, verb: str, args: Mapping[str, object], out: Out
) -> dict[str, object]:
    """Have the running node perform `verb`; what it tells meanwhile goes to `out`.

    Raises: the error that the work ended with, in its family; Unavailable where the node went away.
    """
    reader, writer = await asyncio.open_unix_connection(sock=client, limit=LOCAL_ANSWER_BYTES_MAX)
    try:
        writer.write(json.dumps({"verb": verb, "args": dict(args)}).encode() + b"\n")
        await writer.drain()
        async for raw in reader:
            message = json.loads(raw)
            if "result" in message:
                result: dict[str, object] = message["result"]
                return result
            await _pass_on(message, out)
    except ConnectionError as e:
        raise errors.Unavailable(_("the node that was running in this folder went away")) from e
    finally:
        writer.close()
    raise errors.Unavailable(_("the node that was running in this folder went away"))


async def _pass_on(message: dict[str, dict[str, object]], out: Out) -> None:
    if "error" in message:
        family = getattr(errors, str(message["error"]["family"]), errors.KontaktcenterError)
        raise family(str(message["error"]["message"]))
    if "progress" in message:
        step = message["progress"]
        total = step["total"]
        out.progress(
            str(step["what"]), int(str(step["done"])), None if total is None else int(str(total))
        )
    elif "warn" in message:
        await out.warn(str(message["warn"]))
    elif "line" in message:
        await out.line(message["line"])
