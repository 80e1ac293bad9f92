"""`projection list|rebuild|parked`: the read models, each of which can be made anew."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from kontaktcenter.edge import Exit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kontaktcenter.out import Out
    from kontaktcenter.wiring import House


async def list_all(house: House, _args: Mapping[str, object], _out: Out) -> dict[str, object]:
    """Each read model: version, state, how many commits behind, parked events, file."""
    runner = house.runner
    await asyncio.to_thread(house.catch_up)
    found = [await asyncio.to_thread(runner.status, name) for name in runner.names()]
    return {
        "projections": [
            {
                "name": status.name,
                "version": status.version,
                "state": status.state,
                "reason": status.reason,
                "behind": status.behind,
                "parked": status.parked,
                "unknown_types": dict(status.unknown_types),
                "positions": dict(status.positions),
                "file": status.file,
            }
            for status in found
        ]
    }


async def rebuild(house: House, args: Mapping[str, object], out: Out) -> dict[str, object]:
    """Make one anew beside the old one, and swap. Raises: NotFound."""
    name = str(args["name"])
    await house.node.settle()
    await asyncio.to_thread(house.runner.rebuild, name, partial(out.progress, name))
    return {"name": name, "positions": house.runner.positions(name)}


async def parked(house: House, args: Mapping[str, object], _out: Out) -> dict[str, object]:
    """The events that one could not take; exit code 3 where there are any. Raises: NotFound."""
    name = str(args["name"])
    await asyncio.to_thread(house.catch_up)
    rows = await asyncio.to_thread(house.runner.parked, name)
    code = Exit.DEGRADED if rows else Exit.DONE
    return {"name": name, "parked": rows, "exit": int(code)}
