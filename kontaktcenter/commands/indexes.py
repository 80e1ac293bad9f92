"""`index snapshot`: what this node has worked out of the log, for a new node to begin with."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from core.errors import Unavailable
from core.eventlog.index.index import LAYOUT as INDEX_LAYOUT
from core.eventlog.index.snapshot import check_copy, copy_whole
from core.limits import FORMAT
from kontaktcenter import __version__
from kontaktcenter.index_snapshot import (
    INDEX,
    READ_MODELS,
    ModelPart,
    ShardPart,
    Writing,
    positions_of,
)
from projections.base import HoldsClearText
from projections.read_models import all_projections

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kontaktcenter.out import Out
    from kontaktcenter.wiring import House


async def snapshot(house: House, args: Mapping[str, object], out: Out) -> dict[str, object]:
    """Write the indexes, and the read models without clear text, to `to`; the node goes on.

    Raises: Refused (something is there), Unavailable (no space).
    """
    await house.node.settle()
    writing = Writing(Path(str(args["to"])))
    try:
        return await asyncio.to_thread(_written, house, writing, out, bool(args["read_models"]))
    except BaseException:
        writing.drop()
        raise


def _written(house: House, writing: Writing, out: Out, with_models: bool) -> dict[str, object]:
    # The read models first: an index that is copied later is never behind them.
    models = _models(house, writing, out) if with_models else {}
    about: dict[str, Any] = {
        "program": __version__,
        "made_at": house.clock().isoformat(),
        "index_layout": INDEX_LAYOUT,
        "format": FORMAT,
        "shards": _shards(house, writing, out),
        "read_models": models,
    }
    size = writing.finish(about)
    return {**about, "to": str(writing.to), "bytes": size}


def _shards(house: House, writing: Writing, out: Out) -> dict[str, dict[str, object]]:
    found = {}
    for name in house.node.shards():
        state = house.node.shard(name).state
        if state.genesis is None:  # its log was never reached
            continue
        book, _slash, number = name.rpartition("/")
        file = f"{INDEX}/{quote(book, safe='')}-{number}.db"
        copy_whole(state.index.path, writing.path(file), partial(out.progress, name))
        mark = check_copy(writing.path(file), partial(out.progress, name))
        found[name] = _plain(ShardPart.of(file, mark))
    return found


def _models(house: House, writing: Writing, out: Out) -> dict[str, dict[str, object]]:
    found = {}
    for projection in all_projections():
        if isinstance(projection, HoldsClearText):
            continue  # an erasure would never reach a copy
        name, version = projection.name, projection.version
        file = f"{READ_MODELS}/{name}.v{version}.db"
        try:
            source = house.read_models.file(name)
            copy_whole(source, writing.path(file), partial(out.progress, name))
        except Unavailable:  # it is being made anew: the new node makes its own
            writing.path(file).unlink(missing_ok=True)
            continue
        found[name] = _plain(ModelPart(file, version, positions_of(writing.path(file))))
    return found


def _plain(part: ShardPart | ModelPart) -> dict[str, object]:
    return {name: getattr(part, name) for name in part.__dataclass_fields__}
