"""`log copy`: a log and its keys moved to another kind of store. No node is needed, or opened."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

from core.errors import NotFound, Refused
from core.eventlog.sqlite_log import SqliteStore
from kontaktcenter import key_copy, log_copy
from kontaktcenter.key_copy import Erasures
from kontaktcenter.terminal import Terminal
from kontaktcenter.words import _

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kontaktcenter.config import Config
    from kontaktcenter.log_copy import Place

WITH: Final = "with"
WITHOUT: Final = "without"
ONLY: Final = "only"
KEYS: Final = (WITH, WITHOUT, ONLY)


def copy(config: Config, source: str, target: str, keys: str) -> dict[str, Any]:
    """Copy records, or keys, or both. Raises: as `log_copy.copy` and `key_copy`."""
    if keys not in KEYS:
        said = _("--keys {keys}: say with, without or only")
        raise Refused(said.format(keys=keys))
    one, other = log_copy.place(config, source), log_copy.place(config, target)
    with Terminal() as terminal:
        shards, erasures = asyncio.run(_records(config, one, other, keys, terminal))
        result: dict[str, Any] = {"ok": True, "shards": shards, "keys": None}
        if keys != WITHOUT:
            with _alone(one):
                result["keys"] = _keys(config, one, other, erasures)
    return result


async def _records(
    config: Config, source: Place, target: Place, keys: str, terminal: Terminal
) -> tuple[dict[str, dict[str, object]], Erasures]:
    """The records, or what of them the keys need: those in a file have it with them."""
    if keys != ONLY:
        return await log_copy.copy(config, source, target, terminal.progress)
    if source.file is not None:
        return {}, Erasures()
    return await log_copy.read(config, source, terminal.progress)


@contextlib.contextmanager
def _alone(source: Place) -> Iterator[None]:
    """A file of keys is read while no node changes it. Raises: InUse."""
    if source.file is None or not source.file.is_file():  # keys are kept apart from their log
        yield
        return
    store = SqliteStore(source.file)
    try:
        yield
    finally:
        store.close_now()


def _keys(config: Config, source: Place, target: Place, erasures: Erasures) -> dict[str, int]:
    beside = target.file or source.file
    room = config.data if beside is None else beside.parent
    room.mkdir(mode=0o700, parents=True, exist_ok=True)
    if source.kafka is not None:
        found = key_copy.of_topic(source.kafka, erasures, room)
    else:
        assert source.keys_file is not None
        if not source.keys_file.is_file():
            said = _("there is no file of keys {file}: say --keys without, if they are elsewhere")
            raise NotFound(said.format(file=source.keys_file))
        found = key_copy.of_file(source.keys_file)
    if target.kafka is not None:
        key_copy.into_topic(found, target.kafka, room)
    else:
        assert target.keys_file is not None
        key_copy.into_file(found, target.keys_file)
    live = sum(wrapped is not None for wrapped in found.wrapped.values())
    return {"live": live, "destroyed": len(found.wrapped) - live}
