"""Two nodes or more on one log: what must be true of them whatever happened before."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from core.eventlog.index.file import IndexFile, index_files
from core.eventlog.node import Node

Digests = Mapping[str, tuple[int, str]]
# a node, its data folder, `node.digests()`, or what `log digest --json` answers
AnyNode = Node | Path | Digests | Mapping[str, Any]


def assert_same_digests(*nodes: AnyNode, alike: bool = False) -> dict[str, int]:
    """Nodes at the same position have the same digest, in every shard that two of them know.

    Indexes are compared where the one furthest behind stands, and where a figure was told of; with
    `alike` all must have come equally far, in the same shards. An index whose rows do not give its
    own digest fails too. What is compared: the last position by shard, so that a test can see that
    it was not nothing. Of a node that is open only what is in its index is seen: `settle` before.
    """
    assert len(nodes) > 1, "one node is always like itself"
    with ExitStack() as stack:
        seen = [_shards_of(node, stack) for node in nodes]
        names = sorted({name for shards in seen for name in shards})
        if alike:
            reached = [{n: _position(at) for n, at in shards.items()} for shards in seen]
            assert all(one == reached[0] for one in reached), reached
        compared = {}
        for name in names:
            known = [shards[name] for shards in seen if name in shards]
            if len(known) > 1:
                compared[name] = _assert_same(name, known)
    assert compared, f"these nodes have no shard in common: {[sorted(s) for s in seen]}"
    return compared


_Seen = IndexFile | tuple[int, str]


def _shards_of(node: AnyNode, stack: ExitStack) -> dict[str, _Seen]:
    if isinstance(node, Node):
        node = node.settings.data
    if isinstance(node, Path):
        files = index_files(node)
        assert files, f"there is no index in {node}"
        return {name: stack.enter_context(IndexFile(path)) for name, path in files.items()}
    told: Mapping[str, Any] = node.get("shards", node)  # type: ignore[assignment]  # JSON or digests
    return {
        name: (at["position"], at["digest"]) if isinstance(at, Mapping) else tuple(at)
        for name, at in told.items()
    }


def _position(seen: _Seen) -> int:
    return seen.mark.position if isinstance(seen, IndexFile) else seen[0]


def _assert_same(name: str, known: list[_Seen]) -> int:
    """Every one of `known` agrees with another somewhere; the last position that was compared."""
    files = [one for one in known if isinstance(one, IndexFile)]
    for file in files:
        file.check()
    points = {one[0] for one in known if not isinstance(one, IndexFile)}
    points |= {min(file.mark.position for file in files)} if files else set()
    alone, last = set(range(len(known))), 0
    for point in sorted(points):
        there = {n: found for n, one in enumerate(known) if (found := _digest_at(one, point))}
        if len(set(there.values())) > 1:
            where = _where([f for f in files if f.mark.position >= point], point)
            raise AssertionError(f"{name} differs at position {point}{where}: {there}")
        if len(there) > 1:
            alone, last = alone - there.keys(), point
    assert not alone, f"{name}: {[_position(known[n]) for n in alone]} can be compared with nobody"
    return last


def _digest_at(seen: _Seen, position: int) -> str | None:
    if isinstance(seen, IndexFile):
        return seen.digest_at(position) if position <= seen.mark.position else None
    return seen[1] if position == seen[0] else None


def _where(files: list[IndexFile], upto: int) -> str:
    """The first position at which the files differ."""
    walks = [file.steps(upto) for file in files]
    for steps in zip(*walks, strict=True):
        if len({digest for _, digest in steps}) > 1:
            return f", from {steps[0][0]} on"
    return ""
