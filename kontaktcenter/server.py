"""`kontaktcenter serve`: the board and the API in the node's own loop, until a signal comes."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import os
import secrets
import signal
import socket
import sys
from typing import TYPE_CHECKING, Final

import uvicorn

from core.errors import Unavailable
from kontaktcenter import collecting, demo_mark, event_loop, log_parts, process_log, wiring
from kontaktcenter.config import ConfigError
from kontaktcenter.edge import Exit
from kontaktcenter.secret_file import read_secret
from kontaktcenter.terminal import Terminal
from kontaktcenter.words import _

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastapi import FastAPI

    from kontaktcenter.config import Config
    from kontaktcenter.wiring import House

_GRACE_S: Final = 3  # open streams are cut after this
_TOKEN_FILE: Final = "facts.token"  # noqa: S105 -- a file's name
_TOKEN_BYTES: Final = 24


def run(config: Config, *, insecure: bool) -> int:
    """Serve until SIGINT (exit 130) or SIGTERM (exit 0).

    Raises: ConfigError, InUse, Unavailable, Corrupt.
    """
    require_loopback(config, insecure=insecure)
    for remark in log_parts.remarks(config):
        sys.stderr.write(remark + "\n")
    process_log.begin()
    return event_loop.run(_serve(config), config.log)


def require_loopback(config: Config, *, insecure: bool) -> None:
    """Raises: ConfigError for an address that others can reach, unless that was asked for."""
    if insecure or config.host == "localhost":
        return
    try:
        local = ipaddress.ip_address(config.host).is_loopback
    except ValueError:
        local = False
    if not local:
        said = _(
            "host: {host} can be reached by others, and this server speaks plain HTTP: put TLS in"
            " front of it and use 127.0.0.1, or say --insecure where TLS is on another machine"
        )
        raise ConfigError(said.format(host=config.host), key="host")


async def _serve(config: Config) -> int:
    listener = listen(config.host, config.port)
    with Terminal() as terminal, contextlib.closing(listener):
        async with wiring.opened(config, out=terminal) as house:
            token = facts_token(config)
            app = wiring.web_app(house, token, demo_mark.note(config))
            web = WebServer(app, config.log, lambda: _announce(house, listener))
            return await web.run(listener)


def _announce(house: House, listener: socket.socket) -> None:
    collecting.settle()
    config = house.config
    say(_("The board: {address}").format(address=address_of(config.host, listener)))
    say(_("The data folder: {folder}").format(folder=config.data))
    if config.facts_token is None:
        where = config.facts_token_file or config.data / _TOKEN_FILE
        say(_("The token for facts: {file}").format(file=where))
    if not house.node.building and not house.accounts().administrators():
        said = _("Nobody can sign in yet: make an administrator with {command}")
        made = "kontaktcenter user create NAME --role administrator"
        say(said.format(command=made))
    say(_("Stop with Ctrl-C."))


def say(text: str) -> None:
    """A line for a person, at once: a script may wait for it."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def address_of(host: str, listener: socket.socket) -> str:
    """The board's address, for a browser."""
    port = listener.getsockname()[1]
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}/"


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises: ConfigError where the name is no address, Unavailable where it is busy.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as e:
        said = _("host: {host} is not an address of this machine").format(host=host)
        raise ConfigError(said, key="host") from e
    family, kind, protocol, _name, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(socket.SOMAXCONN)
    except OSError as e:
        listener.close()
        raise _not_listening(e, host, port) from e
    return listener


def _not_listening(error: OSError, host: str, port: int) -> Unavailable | ConfigError:
    if error.errno == errno.EADDRINUSE:
        said = _("port {port} is busy: stop what listens there, or choose another with --port")
        return Unavailable(said.format(port=port), neighbour="port")
    if error.errno == errno.EACCES:
        said = _("port {port} needs root's rights: choose one above 1023 with --port")
        return ConfigError(said.format(port=port), key="port")
    said = _("{host} port {port} cannot be listened on: {why}")
    return ConfigError(said.format(host=host, port=port, why=error.strerror), key="host")


def facts_token(config: Config) -> str:
    """The token that the API takes facts with; made in the data folder where none is configured.

    Raises: ConfigError, Corrupt.
    """
    if config.facts_token is not None:
        return config.facts_token
    if config.facts_token_file is not None:
        return read_secret(config.facts_token_file, "facts_token_file")
    path = config.data / _TOKEN_FILE
    with contextlib.suppress(FileExistsError):
        made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(made, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(_TOKEN_BYTES) + "\n")
    return read_secret(path, "facts_token_file")


class _Uvicorn(uvicorn.Server):
    """uvicorn, which leaves signals to us and says when it answers."""

    def __init__(
        self, app: FastAPI, settings: uvicorn.Config, announce: Callable[[], None]
    ) -> None:
        super().__init__(settings)
        self._app, self._announce = app, announce

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Open streams would be waited for: their feed lets them go first.
        self._app.state.feed.release()
        await super().shutdown(sockets)
        if self.force_exit:  # uvicorn would cancel the lifespan, and log that as an error
            await self.lifespan.shutdown()


class WebServer:
    """The web server on this loop; a signal stops it cleanly, a second one at once."""

    def __init__(self, app: FastAPI, log: str, announce: Callable[[], None]) -> None:
        """`log` as `KC_LOG` has it; `announce` is called as soon as it answers."""
        settings = uvicorn.Config(
            app,
            http="httptools" if event_loop.is_fast(log) else "h11",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=_GRACE_S,
            server_header=False,
            proxy_headers=False,  # who is believed about addresses is `trusted_proxies` alone
            lifespan="on",
        )
        self._server = _Uvicorn(app, settings, announce)
        self._code = int(Exit.DONE)
        self._error: BaseException | None = None

    async def run(self, listener: socket.socket) -> int:
        """Serve until stopped; the exit code. Raises: what `fail` was given."""
        with _signals(self.stop):
            await self._server.serve(sockets=[listener])
        if self._error is not None:
            raise self._error
        return self._code

    def stop(self, code: int) -> None:
        """Stop with an exit code; asked again, wait for nobody."""
        self._server.force_exit = self._server.should_exit
        self._server.should_exit = True
        self._code = code

    def fail(self, error: BaseException) -> None:
        """Stop, because what the server is for cannot go on."""
        self._error = error
        self.stop(int(Exit.ERROR))


@contextlib.contextmanager
def _signals(stop: Callable[[int], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    codes = {
        signal.SIGINT: Exit.INTERRUPTED,
        signal.SIGTERM: Exit.DONE,
        signal.SIGHUP: Exit.DONE,  # the terminal was closed
    }
    for number, code in codes.items():
        loop.add_signal_handler(number, stop, int(code))
    try:
        yield
    finally:
        for number in codes:
            loop.remove_signal_handler(number)
