"""`kontaktcenter demo`: a recorded crisis played as if live, on a board of its own."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from core.errors import Unavailable
from kontaktcenter import config as configuration
from kontaktcenter import demo_accounts, demo_mark, event_loop, process_log, server, wiring, words
from kontaktcenter.config import ConfigError
from kontaktcenter.demo_clock import DemoClock, LiveClock
from kontaktcenter.demo_player import Player
from kontaktcenter.demo_recording import parse
from kontaktcenter.terminal import Terminal
from kontaktcenter.words import _

if TYPE_CHECKING:
    import socket
    from datetime import datetime
    from pathlib import Path

    from kontaktcenter.config import Config
    from kontaktcenter.wiring import House

_PORTS: Final = 50  # how many ports to pass over
_BEHIND: Final = timedelta(minutes=5)  # so that the board is full from the beginning
_LOOK_BACK: Final = (
    500  # commits at a shard's end among which the latest time is; dice close the cases
)


def run(
    data: Path | None, *, port: int | None, speed: float, once: bool, log: str | None = None
) -> int:
    """Play until a signal comes, or once; into `log` where one is given, for others to see.

    Raises: Refused for a folder or topics with a real log, Unavailable.
    """
    config = configuration.load_demo(data, port, log=log)
    words.choose(config.language)
    server.require_loopback(config, insecure=False)
    process_log.begin()
    demo_mark.claim(config)
    return event_loop.run(_serve(config, speed, once=once), config.log)


async def _serve(config: Config, speed: float, *, once: bool) -> int:
    listener = _free(config)
    # Other nodes show a log on Kafka by their own clocks, so that the demo's may not run ahead.
    clock = (
        LiveClock(wiring.real_clock, _BEHIND, speed)
        if config.on_kafka
        else DemoClock(wiring.real_clock(), speed)
    )
    note = _live_note() if config.on_kafka else _note(speed)
    with Terminal() as terminal, contextlib.closing(listener):
        async with wiring.opened(config, clock, out=terminal) as house:
            clock.begin_after(await asyncio.to_thread(_last_time, house))
            await house.node.propose_many(demo_accounts.drafts(house.directory(), clock()))
            people = tuple(person for person, _grant in demo_accounts.people(house.directory()))
            token = server.facts_token(config)
            app = wiring.web_app(house, token, note, people)
            web = server.WebServer(app, config.log, lambda: _announce(config, listener, note))
            player = asyncio.create_task(_play(house, clock, web, once=once))
            try:
                return await web.run(listener)
            finally:
                player.cancel()
                await asyncio.gather(player, return_exceptions=True)


async def _play(house: House, clock: DemoClock, web: server.WebServer, *, once: bool) -> None:
    """Play, and stop the server when it is over, or with what went wrong."""
    text = (files("kontaktcenter") / "data" / "crisis.queue_log").read_text(encoding="utf-8")
    try:
        recording, patient = parse(text.splitlines()), house.config.on_kafka
        player = Player(house.node, house.directory(), recording, clock, patient=patient)
        await player.play(once=once)
    except Exception as e:  # noqa: BLE001 -- the edge of a process: nobody is shown a traceback
        web.fail(e)
    else:
        web.stop(0)


def _note(speed: float) -> str:
    return _("Demo: a recorded crisis at {speed:g} times its speed; nothing here is real.").format(
        speed=speed
    )


def _live_note() -> str:
    return _("Demo: a recorded crisis at the pace it had; nothing here is real.")


def _announce(config: Config, listener: socket.socket, note: str) -> None:
    server.say(_("The board: {address}").format(address=server.address_of(config.host, listener)))
    server.say(note)
    server.say(_("The data folder: {folder}").format(folder=config.data))
    server.say(_("Stop with Ctrl-C."))


def _free(config: Config) -> socket.socket:
    """A listener on the port asked for, or on the next free one; says so where it is another."""
    for port in range(config.port, min(config.port + _PORTS, 65_536)):
        try:
            listener = server.listen(config.host, port)
        except Unavailable:
            continue
        if port != config.port:
            said = _("Port {busy} is busy; the demo takes {port}.")
            server.say(said.format(busy=config.port, port=port))
        return listener
    said = _("port: {port} and the {n} after it are busy; choose another with --port")
    raise ConfigError(said.format(port=config.port, n=_PORTS), key="port")


def _last_time(house: House) -> datetime | None:
    """The latest time at which anything in the log happened, None for a new one."""
    latest: datetime | None = None
    for shard, position in house.node.positions().items():
        for found in house.node.read(shard, max(0, position - _LOOK_BACK), _LOOK_BACK):
            if found.commit.origin.startswith("import:taxonomy"):
                continue
            for event in found.commit.events:
                latest = event.occurred_at if latest is None else max(latest, event.occurred_at)
    return latest
