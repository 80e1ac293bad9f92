"""A new node begins with another's index: unpacked beside, checked, and moved in at the end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from typing import TYPE_CHECKING, Any, Final

from core.errors import Refused
from core.eventlog.index.snapshot import check_belongs
from core.eventlog.locks import hold
from core.eventlog.parts import index_path, open_parts
from kontaktcenter.index_snapshot import INDEX, READ_MODELS, Unpacked, told, unpack
from kontaktcenter.wiring import held, node_settings, require_log
from kontaktcenter.words import _
from projections.read_models import all_projections
from projections.store import adopt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from core.eventlog.index.rows import Mark
    from kontaktcenter.config import Config

_STAGING: Final = ".index-restoring"  # in the data folder, so that moving in is a rename
_PROJECTIONS: Final = "projections"
_FORMER: Final = "former"


def restore(
    config: Config, source: Path, progress: Callable[[str, int, int], None], *, replace: bool
) -> dict[str, Any]:
    """Bring a snapshot into the data folder, where no node may be at work.

    Without `replace` there must be no index yet. All of it is checked before anything is moved;
    where it is refused, or the process ends in the middle, the folder is as it was or as it should
    be. Raises: Refused, NotFound, Corrupt, NeedsUpgrade, InUse, Unavailable.
    """
    if config.log == "memory:":
        raise Refused(_("a log in memory has no index that could be kept"))
    require_log(config)
    with held(config), _index_held(config.data / INDEX):
        if not replace:
            _require_none(config.data)
        staging = config.data / _STAGING
        shutil.rmtree(staging, ignore_errors=True)  # of a process that was killed
        staging.mkdir(mode=0o700)
        try:
            found = unpack(source, staging, progress)
            asyncio.run(_compare(config, found.marks))
            kept = _lay_out(found, staging)
            _move_in(staging, config.data)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return {**told(found.manifest), "read_models_kept": kept, "data": str(config.data)}


@contextlib.contextmanager
def _index_held(folder: Path) -> Iterator[None]:
    """Nobody else works with the index, such as a program that uses the persistence module."""
    if not folder.is_dir():
        yield
        return
    lock = hold(folder / "lock", f"the data folder {folder.parent}")
    try:
        yield
    finally:
        os.close(lock)


def _require_none(data: Path) -> None:
    for folder in (data / INDEX, data / _PROJECTIONS):
        if any(folder.glob("*.db")):
            said = _(
                "{folder} is there already, and the node that works here goes on from it. To put "
                "the snapshot in its place, with the read models, say --replace"
            )
            raise Refused(said.format(folder=folder))


async def _compare(config: Config, marks: Mapping[str, Mark]) -> None:
    """The snapshot is of the log that this node is to read. Raises: Refused, Unavailable."""
    store, _secret, keys = await open_parts(node_settings(config, config.data))
    try:
        books = await store.books()
        for name, mark in marks.items():
            book, _slash, number = name.rpartition("/")
            if int(number) >= books.get(book, 0):
                said = _("the log has no {shard}: the snapshot is of another log. Check KC_LOG")
                raise Refused(said.format(shard=name))
            await check_belongs(await store.open_shard(book, int(number)), name, mark)
    finally:
        keys.close()
        await store.close()


def _lay_out(found: Unpacked, staging: Path) -> list[str]:
    """Give the files the names that a node looks for; which read models are of its versions."""
    wanted = {each.name: each.version for each in all_projections()}
    projections = staging / _PROJECTIONS
    projections.mkdir(mode=0o700)
    kept = []
    for name, model in found.manifest.read_models.items():
        if wanted.get(name) == model.version:
            adopt(projections, name, model.version, staging / model.file)
            kept.append(name)
    for name, shard in found.manifest.shards.items():
        path = index_path(staging, name)
        (staging / shard.file).rename(path)
    shutil.rmtree(staging / READ_MODELS)
    return kept


def _move_in(staging: Path, data: Path) -> None:
    former = staging / _FORMER
    former.mkdir(mode=0o700)
    for name in (INDEX, _PROJECTIONS):  # the index first: without it the rest is of no use
        if (data / name).exists():
            (data / name).rename(former / name)
        (staging / name).rename(data / name)
    folder = os.open(data, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
