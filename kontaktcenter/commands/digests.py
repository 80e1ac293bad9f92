"""`log digest`: how far each shard has come, and whether another node's log is the same."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, Literal

from core.errors import Invalid, NotFound
from core.eventlog.index.file import IndexFile
from kontaktcenter.edge import Exit
from kontaktcenter.words import _

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.eventlog.node import Node
    from kontaktcenter.out import Out
    from kontaktcenter.wiring import House

Outcome = Literal["equal", "differs", "behind", "unknown", "another"]
_FINGERPRINT_CHARS: Final = 16


async def digest(house: House, args: Mapping[str, object], out: Out) -> dict[str, object]:
    """Position and digest of each shard; with `at` one shard as it stood there.

    With `compare`, what the same verb answered on another node, each of that answer's shards is
    looked at where that node stood. The exit code is then 0 (all equal), 1 (some digest differs:
    the alarm) or 3 (some shard cannot be compared yet).

    Raises: NotFound (a shard or position that is not here), Invalid.
    """
    node = house.node
    await node.settle()
    shard = None if args.get("shard") is None else str(args["shard"])
    found = {
        name: {"position": at[0], "digest": at[1], "genesis": _genesis(node, name)}
        for name, at in node.digests().items()
        if shard in {None, name}
    }
    if shard is not None and not found:
        said = _("there is no shard {name}; there are: {names}")
        raise NotFound(said.format(name=shard, names=", ".join(node.shards())))
    if args.get("at") is not None:
        found = {name: await _at(node, name, int(str(args["at"]))) for name in found}
    result: dict[str, object] = {"shards": found, "whole": shard is None}
    if args.get("compare") is None:
        return result
    theirs, whole = _theirs(args["compare"])
    if shard is not None:
        theirs, whole = {name: at for name, at in theirs.items() if name == shard}, True
    compared = {
        name: await _compared(node, found.get(name), at, name) for name, at in theirs.items()
    }
    if whole:
        compared |= {
            name: {"outcome": "unknown", "ours": at["position"], "theirs": None}
            for name, at in found.items()
            if name not in theirs and at["position"]
        }
    return result | {"compared": compared, "exit": int(await _told(compared, out))}


def _genesis(node: Node, name: str) -> str:
    body = node.shard(name).state.genesis
    return "" if body is None else sha256(body).hexdigest()[:_FINGERPRINT_CHARS]


async def _at(node: Node, name: str, position: int) -> dict[str, Any]:
    here, digest = node.digests()[name]
    if position > here:
        said = _("{shard} has come to position {here} on this node, not yet to {position}")
        raise NotFound(said.format(shard=name, here=here, position=position))
    if position < here:
        digest = await asyncio.to_thread(_digest_at, node, name, position)
    return {"position": position, "digest": digest, "genesis": _genesis(node, name)}


def _digest_at(node: Node, name: str, position: int) -> str:
    with IndexFile(node.shard(name).state.index.path) as file:
        return file.digest_at(position)


def _theirs(told: object) -> tuple[dict[str, dict[str, Any]], bool]:
    """The shards of another node's answer, and whether they are all of its. Raises: Invalid."""
    try:
        shards: dict[str, dict[str, Any]] = {
            str(name): {
                "position": int(at["position"]),
                "digest": str(at["digest"]),
                "genesis": at.get("genesis"),
            }
            for name, at in told["shards"].items()  # type: ignore[index]  # what else it may be is told
        }
        whole = bool(told.get("whole", True))  # type: ignore[attr-defined]  # likewise
    except (TypeError, KeyError, ValueError, AttributeError) as e:
        raise Invalid(_("--compare takes what kontaktcenter log digest --json answered")) from e
    if not shards:
        raise Invalid(_("--compare takes what kontaktcenter log digest --json answered"))
    return shards, whole


async def _compared(
    node: Node, ours: dict[str, Any] | None, theirs: dict[str, Any], name: str
) -> dict[str, Any]:
    outcome: Outcome = "unknown"
    here = ours["position"] if ours is not None else None
    if ours is None:
        outcome = "unknown" if theirs["position"] else "equal"
    elif theirs["genesis"] not in {None, ours["genesis"]}:
        outcome = "another"
    elif theirs["position"] > ours["position"]:
        outcome = "behind"
    else:
        at = await _at(node, name, theirs["position"])
        outcome = "equal" if at["digest"] == theirs["digest"] else "differs"
    return {"outcome": outcome, "ours": here, "theirs": theirs["position"]}


async def _told(compared: Mapping[str, Mapping[str, Any]], out: Out) -> Exit:
    code = Exit.DONE
    for name, one in sorted(compared.items()):
        if one["outcome"] != "equal":
            await out.warn(_sentence(name, one))
            if one["outcome"] == "differs":
                code = Exit.ERROR
            elif code == Exit.DONE:
                code = Exit.DEGRADED
    return code


def _sentence(name: str, one: Mapping[str, Any]) -> str:
    match one["outcome"]:
        case "differs":
            said = _(
                "ALARM: {shard} at position {theirs}: the two nodes' digests differ. One of them "
                "is not a fold of this log: run kontaktcenter log verify on both, and take the one "
                "that differs out of use."
            )
        case "behind":
            said = _(
                "{shard}: this node has come to position {ours}, the other to {theirs}. Compare "
                "the other way round, or with what the other says with "
                "--shard {shard} --at {ours}."
            )
        case "another":
            said = _("{shard}: the other node has another log: its genesis differs. Check KC_LOG.")
        case _:
            said = _("{shard} is known to only one of the two nodes.")
    return said.format(shard=name, ours=one["ours"], theirs=one["theirs"])
