"""The one place that wires: node, read models and board are put together, without logic."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from core.application import Application
from core.commit import Clock
from core.errors import InUse, KontaktcenterError, NotFound, Unavailable
from core.eventlog.accounts import AccountsFollower
from core.eventlog.attachments import Attachments
from core.eventlog.directory import DirectoryFollower
from core.eventlog.lag import Lags
from core.eventlog.node import Node, NodeSettings
from core.eventlog.node_id import node_id
from core.eventlog.parts import sqlite_path
from core.eventlog.product import product_events
from core.read_log import ChainedReadLog
from kontaktcenter import __version__, catalogue, sign_in_parts
from kontaktcenter.config import Config
from kontaktcenter.dispatch import endless, perform
from kontaktcenter.edge import unforeseen
from kontaktcenter.local_socket import NAME, LocalServer
from kontaktcenter.log_parts import kafka_settings
from kontaktcenter.look_chain import chain_of
from kontaktcenter.out import Silent
from kontaktcenter.privacy_desk import PrivacyDesk, Surroundings
from kontaktcenter.privacy_web import WebPrivacy
from kontaktcenter.processes import Receipts
from kontaktcenter.reviewing import Reviewing
from kontaktcenter.words import _
from projections.queue_entries import QueueEntries
from projections.read_models import ReadModels, all_projections
from projections.runner import Runner
from webdesk.app import create_app
from webdesk.figures import ReadFigures
from webdesk.services import DemoPerson, Services, Target

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from fastapi import FastAPI

    from core.access import Asker
    from kontaktcenter.out import Out

SEEN: Final = "reviews.seen"  # how far the books were looked through for what contradicts the rest
ATTACHMENTS: Final = "attachments"  # the folder of the files of cases, in the data folder
_MOMENT_S: Final = 2.0
_AGAIN_S: Final = 2.0
_SESSION_BYTES: Final = 8
_LOG = structlog.get_logger("kontaktcenter.wiring")


def real_clock() -> datetime:
    """The time of this machine, UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class House:
    """Everything that a verb may need, open; `figures` answer from the read models as they are."""

    config: Config
    clock: Clock
    node: Node
    directory: DirectoryFollower
    runner: Runner
    read_models: ReadModels
    read_log: ChainedReadLog
    accounts: AccountsFollower
    privacy: PrivacyDesk
    receipts: Receipts
    lags: Lags

    def asker(self, account: str) -> Asker:
        """Who acts, where an operator on this machine says `--as ACCOUNT`. Raises: NotFound."""
        found = self.accounts().asker(account)
        if found is None:
            said = _("there is no open account {account}; kontaktcenter user list shows them all")
            raise NotFound(said.format(account=account))
        return found

    def catch_up(self) -> None:
        """Return when the read models have reached the log's end. Blocking: not on the loop."""
        self.runner.catch_up()


def in_memory(config: Config) -> bool:
    """Whether nothing stays of the log when the process ends."""
    return config.log.partition(":")[0] == "memory"


def log_path(config: Config) -> Path | None:
    """The file of the log; None for a log in memory or on Kafka."""
    kind, _colon, rest = config.log.partition(":")
    return sqlite_path(rest)[0] if kind == "sqlite" else None


def node_settings(config: Config, data: Path, clock: Clock = real_clock) -> NodeSettings:
    """What a node is opened with, with its index in `data`."""
    return NodeSettings(
        config.log,
        data,
        clock,
        secret_file=config.master_key_file,
        protected_file=config.protected_key_file,
        kafka=kafka_settings(config),
        name=config.node_name or "",
    )


def require_log(config: Config) -> None:
    """Raises: NotFound where there is no log, so that a misspelt folder is not made by asking."""
    path = log_path(config)
    if path is not None and not path.is_file():
        said = _("there is no log at {path}: check --data, or begin one with serve, demo or import")
        raise NotFound(said.format(path=path))


@contextlib.contextmanager
def held(config: Config) -> Iterator[None]:
    """The data folder, made where it is missing, for this process alone.

    Raises: InUse, Unavailable.
    """
    try:
        config.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(config.data / "node.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as e:
        said = _(
            "the data folder {path} cannot be used ({why}): choose another, or mend its rights"
        )
        why = _("a file is there") if isinstance(e, FileExistsError) else e.strerror
        raise Unavailable(said.format(path=config.data, why=why)) from e
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as e:
        os.close(lock)
        said = _("another process works with {path}; wait for it, or stop it")
        raise InUse(said.format(path=config.data)) from e
    try:
        yield
    finally:
        os.close(lock)


@contextlib.contextmanager
def _folder(config: Config) -> Iterator[Path]:
    """Where index and read models are: a log in memory must not meet those of another one."""
    if not in_memory(config):
        yield config.data
        return
    with tempfile.TemporaryDirectory(prefix="kontaktcenter-") as name:
        yield Path(name)


@contextlib.asynccontextmanager
async def opened(
    config: Config, clock: Clock = real_clock, out: Out | None = None, *, live: bool = True
) -> AsyncIterator[House]:
    """A node on the running loop with all around it, listening on the folder's local socket.

    Where it is not `live`, the read models follow only when a verb asks them to catch up.
    """
    tell = (out or Silent()).progress
    with held(config), _folder(config) as folder:
        settings = node_settings(config, folder, clock)
        node = await Node.open(settings, tell, wait_for_index=not live, may_wait=live)
        taxonomy: asyncio.Task[None] | None = None
        try:
            taxonomy = asyncio.ensure_future(_taxonomy(node, config, clock, live=live))
            # A lost index that is long in the making: facts are taken and figures shown meanwhile.
            late = node.building or node.away is not None
            await asyncio.wait({taxonomy}, timeout=_MOMENT_S if late else None)
            if taxonomy.done():
                taxonomy.result()
            async with _read_models(node, folder, live=live) as (runner, read_models):
                if not live:  # somebody waits for them
                    runner.on_change(partial(_moved, node, tell))
                receipts, lags = Receipts(node, clock), Lags(node, asyncio.get_running_loop().time)
                reviewing = Reviewing(node, clock, folder / SEEN)
                async with (
                    _looking(node, folder, clock) as read_log,
                    _going_on(receipts, reviewing, lags, live=live),
                ):
                    directory = DirectoryFollower(node, clock)
                    accounts = AccountsFollower(node)
                    around = Surroundings(
                        node,
                        Application(node, directory, product_events(node)),
                        directory,
                        clock,
                        _attachments(config, folder),
                        runner,
                        read_models,
                        read_log,
                    )
                    privacy = PrivacyDesk(around)
                    house = House(
                        config,
                        clock,
                        node,
                        directory,
                        runner,
                        read_models,
                        read_log,
                        accounts,
                        privacy,
                        receipts,
                        lags,
                    )
                    async with _made_good(privacy, live=live), _listening(house):
                        yield house
        finally:
            if taxonomy is not None:
                taxonomy.cancel()
                await asyncio.gather(taxonomy, return_exceptions=True)
            await node.close()


def _attachments(config: Config, folder: Path) -> Attachments:
    """The files of cases: in the data folder, or where all nodes find them."""
    if config.attachments_folder is None:
        return Attachments(folder / ATTACHMENTS)
    return Attachments(config.attachments_folder, node=node_id(folder, os.urandom))


@contextlib.asynccontextmanager
async def _made_good(privacy: PrivacyDesk, *, live: bool) -> AsyncIterator[None]:
    """What an earlier process left half done of erasures is finished, beside all other work."""
    # No other process writes here: what is half written is an earlier one's.
    await asyncio.to_thread(privacy.around.store.clear_incoming)
    if not live:
        await privacy.erasures.carry_out()
        yield
        return
    task = asyncio.ensure_future(privacy.go_on())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@contextlib.asynccontextmanager
async def _looking(node: Node, data: Path, clock: Clock) -> AsyncIterator[ChainedReadLog]:
    """The read log of this folder; what waits is recorded before the node closes."""
    chain, session = chain_of(data, os.urandom), os.urandom(_SESSION_BYTES).hex()
    if node.away is not None:  # after a kill the index may lack the chain's last looks
        chain = f"{chain}-{session}"
    read_log = ChainedReadLog(node, product_events(node), clock, chain, session)
    try:
        yield read_log
    finally:
        await read_log.close()


@contextlib.asynccontextmanager
async def _going_on(*processes: Receipts | Reviewing | Lags, live: bool) -> AsyncIterator[None]:
    """The processes of a live house, which end before its node does."""
    tasks = [asyncio.ensure_future(each.run()) for each in processes] if live else []
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _taxonomy(node: Node, config: Config, clock: Clock, *, live: bool) -> None:
    """Have the catalogue in the log; where that is away and the house is live, when it is back."""
    while True:
        try:
            await node.settle()
            await catalogue.ensure(node, config.taxonomy, clock())
        except Unavailable as e:
            if not live:
                raise
            _LOG.warning("taxonomy.waits", why=e.message)
            await asyncio.sleep(_AGAIN_S)
        except KontaktcenterError as e:
            _LOG.error("taxonomy.failed", error=e.message)  # in the background nobody awaits it
            raise
        else:
            return


def ahead(runner: Runner, node: Node) -> list[str]:
    """The read models that have read beyond the log's end: they were folded from another log."""
    log = {shard: position for shard, (position, _digest) in node.digests().items()}
    return [
        name
        for name in runner.names()
        if any(at > log.get(shard, 0) for shard, at in runner.positions(name).items())
    ]


def _moved(
    node: Node, tell: Callable[[str, int, int], None], name: str, reached: Mapping[str, int]
) -> None:
    log = node.positions()
    tell(name, sum(reached.values()), sum(log[shard] for shard in reached))


@contextlib.asynccontextmanager
async def _read_models(
    node: Node, data: Path, *, live: bool
) -> AsyncIterator[tuple[Runner, ReadModels]]:
    folder = data / "projections"
    projections = all_projections(node.keyring.by_id)
    runner = await asyncio.to_thread(Runner, node, folder, projections)
    for name in ahead(runner, node):
        await asyncio.to_thread(runner.rebuild, name)
    read_models = ReadModels(folder)
    if live:
        runner.start()
        # A moment for the board's figures, so that nobody opens an empty one.
        reached = node.positions()
        await asyncio.to_thread(runner.wait_for, QueueEntries.name, reached, _MOMENT_S)
    try:
        yield runner, read_models
    finally:
        await asyncio.to_thread(runner.close)
        read_models.close()


@contextlib.asynccontextmanager
async def _listening(house: House) -> AsyncIterator[None]:
    async def work(verb: str, args: Mapping[str, object], out: Out) -> dict[str, object]:
        return await perform(house, verb, args, out)

    data = house.config.data
    local = LocalServer(data / NAME, work, lambda error: unforeseen(error, data), endless)
    await local.start()
    try:
        yield
    finally:
        await local.stop()


def web_app(
    house: House,
    facts_token: str,
    demo_note: str | None = None,
    demo_people: tuple[DemoPerson, ...] = (),
) -> FastAPI:
    """The board and the API on an open house. Raises: Unavailable where it was never built."""
    config = house.config
    target = Target(config.target_service_level, config.target_within_s)
    services = Services(
        node=house.node,
        figures=ReadFigures(house.read_models, house.runner, target),
        directory=house.directory,
        events=product_events(house.node),
        clock=house.clock,
        version=__version__,
        accounts=house.accounts,
        sessions=sign_in_parts.sessions(config, real_clock, keep=not in_memory(config)),
        public_board=config.public_board,
        trusted_proxies=config.trusted_proxies,
        sign_on=sign_in_parts.sign_on(config),
        demo_people=demo_people,
        facts_token=facts_token,
        language=config.language,
        demo_note=demo_note,
        target=target,
        hosts=(config.host, *config.hosts),
        read_log=house.read_log,
        models=house.read_models,
        receipts=house.receipts,
        lags=house.lags,
        privacy=WebPrivacy(house.privacy),
    )
    try:
        return create_app(services)
    except FileNotFoundError as e:
        said = _("the screens' words are not compiled: use make run, or install again with pip")
        raise Unavailable(said, neighbour="installation") from e
