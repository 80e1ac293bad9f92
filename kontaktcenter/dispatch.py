"""Where a verb's work is done: in the node that runs in the folder, else in one of our own."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING, Final

from core.errors import InUse, NotFound
from kontaktcenter import local_socket
from kontaktcenter.words import _

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from kontaktcenter.config import Config
    from kontaktcenter.out import Out
    from kontaktcenter.wiring import House

    Work = Callable[[House, Mapping[str, object], Out], Awaitable[dict[str, object]]]

# verb -> module of kontaktcenter.commands; the coroutine is named as the verb's last word
VERBS: Final = {
    "import.queue_log": "imports",
    "statistics.statistics": "figures",
    "replay.replay": "figures",
    "log.show": "logs",
    "log.tail": "logs",
    "log.verify": "logs",
    "log.digest": "digests",
    "log.export": "logs",
    "index.snapshot": "indexes",
    "projection.list_all": "projections",
    "projection.rebuild": "projections",
    "projection.parked": "projections",
    "looks.verify": "looks",
    "looks.search": "looks",
    "person.export": "looks",
    "backup.create": "backups",
    "doctor.doctor": "doctor",
    "catalogue.import_file": "catalogues",
    "catalogue.import_lathundar": "catalogues",
    "catalogue.diff": "catalogues",
    "catalogue.export": "catalogues",
    "catalogue.check": "catalogues",
    "catalogue.show": "catalogues",
    "catalogue.changes": "catalogues",
    "catalogue.approve": "catalogues",
    "catalogue.refuse": "catalogues",
    "catalogue.take_back": "catalogues",
    "catalogue.lathundar": "catalogues",
    "user.create": "accounts",
    "user.grant": "accounts",
    "user.withdraw": "accounts",
    "user.close_to": "accounts",
    "user.list_all": "accounts",
    "user.close": "accounts",
    "user.password": "accounts",
    "user.link": "accounts",
    "user.unlink": "accounts",
    "token.issue": "accounts",
    "token.list_tokens": "accounts",
    "token.withdraw_token": "accounts",
    "erasure.decide": "privacy",
    "erasure.again": "privacy",
    "erasure.protocol": "privacy",
    "erasure.protocols": "privacy",
    "retention.propose": "privacy",
    "retention.decide_due": "privacy",
    "archive.export": "privacy",
    "attachment.sweep": "privacy",
    "node.list_all": "nodes",
    "node.retire": "nodes",
    "case.disclose": "privacy",
    "case.show": "cases",
    "case.find": "cases",
    "case.history": "cases",
    "report.report": "reports",
    "review.list_all": "reviews",
    "review.show": "reviews",
    "review.close": "reviews",
}
# the verbs that may begin a new log
_MAKES: Final = frozenset({"catalogue.import_file", "user.create", "import.queue_log"})
_START_S: Final = 10.0  # how long a node that has the lock may take until it listens
_AGAIN_S: Final = 0.1


def endless(verb: str, args: Mapping[str, object]) -> bool:
    """Whether the work of `verb` never ends by itself."""
    return verb == "log.tail" or bool(args.get("follow"))


async def perform(
    house: House, verb: str, args: Mapping[str, object], out: Out
) -> dict[str, object]:
    """Do the work of `verb` in an open house.

    Raises: NotFound for a verb that this version has not.
    """
    if verb not in VERBS:
        raise NotFound(
            _("the running node does not know {verb}: it may be of an older version").format(
                verb=verb
            )
        )
    module = import_module(f"kontaktcenter.commands.{VERBS[verb]}")
    work: Work = getattr(module, verb.rpartition(".")[2])
    return await work(house, args, out)


async def send(
    config: Config, verb: str, args: Mapping[str, object], out: Out
) -> dict[str, object]:
    """Have `verb` done by the node that works with the folder; open one if there is none.

    Raises: InUse where another process has the folder and does not listen; else what the work
    raises.
    """
    patience_s = _START_S
    while True:
        client = local_socket.connect(config.data / local_socket.NAME)
        if client is not None:
            return await local_socket.ask(client, verb, args, out)
        try:
            return await _here(config, verb, args, out)
        except InUse:
            patience_s -= _AGAIN_S
            if patience_s < 0:
                raise
            await asyncio.sleep(_AGAIN_S)


async def _here(
    config: Config, verb: str, args: Mapping[str, object], out: Out
) -> dict[str, object]:
    from kontaktcenter import wiring  # noqa: PLC0415 -- `--help` starts without it

    if verb not in _MAKES:
        wiring.require_log(config)
    async with wiring.opened(config, out=out, live=False) as house:
        return await perform(house, verb, args, out)
