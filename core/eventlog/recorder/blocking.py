"""The thin blocking façade: a node on a loop of its own, in a thread, for who cannot await."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, TypeVar

from core.eventlog.node import FeedCommit, Node, NodeSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
    from types import TracebackType

    from core.commit import Answer, Draft, KeptFact, Recorded, Verdict
    from core.eventlog.envelope import LoggedCommit

_T = TypeVar("_T")


class BlockingNode:
    """A node whose every method blocks until it is done. Raises: what `Node` raises.

    Calling it on its own loop's thread would wait for ever: that is a programmer's mistake and
    asserts.
    """

    def __init__(
        self, settings: NodeSettings, progress: Callable[[str, int, int], None] | None = None
    ) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="node", daemon=True)
        self._thread.start()
        try:
            self.node = self.call(Node.open(settings, progress))
        except BaseException:
            self._end()
            raise

    def call(self, work: Coroutine[object, object, _T]) -> _T:
        """Run a coroutine on the node's loop and wait for it."""
        if self.is_own_thread():
            work.close()
            msg = "the blocking façade was called on its own loop's thread: await the node instead"
            raise AssertionError(msg)
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def is_own_thread(self) -> bool:
        """Whether the caller is on the node's loop, which must not wait for itself."""
        return threading.get_ident() == self._thread.ident

    def soon(self, work: Callable[[], None]) -> None:
        """Have the loop do `work`, and do not wait. Raises: RuntimeError where it is closed."""
        self._loop.call_soon_threadsafe(work)

    def __enter__(self) -> BlockingNode:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Finish what is under way and let go of everything. Safe to repeat."""
        if self._loop.is_closed():
            return
        try:
            self.call(self.node.close())
        finally:
            self._end()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def propose(self, draft: Draft) -> Answer:
        """As `Node.propose`."""
        return self.call(self.node.propose(draft))

    def propose_many(self, drafts: Sequence[Draft]) -> Sequence[Answer]:
        """As `Node.propose_many`."""
        return self.call(self.node.propose_many(drafts))

    def propose_commit(self, book: str, commit: LoggedCommit) -> tuple[Verdict, str]:
        """As `Node.propose_commit`."""
        return self.call(self.node.propose_commit(book, commit))

    def load(self, stream: str, *, protected: bool = False) -> Sequence[Recorded]:
        """As `Node.load`."""
        return self.node.load(stream, protected=protected)

    def heads(self, streams: Iterable[str]) -> Mapping[str, int]:
        """As `Node.heads`."""
        return self.node.heads(streams)

    def kept(self, stream: str) -> Sequence[KeptFact]:
        """As `Node.kept`."""
        return self.node.kept(stream)

    def caller_ref(self, number: str) -> str:
        """As `Node.caller_ref`."""
        return self.node.caller_ref(number)

    def shards(self) -> list[str]:
        """As `Node.shards`."""
        return self.node.shards()

    def positions(self) -> dict[str, int]:
        """As `Node.positions`."""
        return self.node.positions()

    def digests(self) -> dict[str, tuple[int, str]]:
        """As `Node.digests`."""
        return self.node.digests()

    def read(self, shard: str, after: int, limit: int) -> list[FeedCommit]:
        """As `Node.read`."""
        return self.node.read(shard, after, limit)

    def changed(self, seen: Mapping[str, int], timeout_s: float) -> bool:
        """As `Node.changed`."""
        return self.call(self.node.changed(seen, timeout_s))

    def settle(self) -> None:
        """As `Node.settle`."""
        self.call(self.node.settle())
