"""What a verb of the command line may tell while it works, whoever listens."""

from __future__ import annotations

from typing import Protocol


class Out(Protocol):
    """The way from a working verb to whoever listens: a terminal here, or the local socket."""

    def progress(self, what: str, done: int, total: int | None = None) -> None:
        """So far `done` of `total` (None: nobody knows) of `what`. From any thread."""
        ...

    async def warn(self, text: str) -> None:
        """Something to know that does not stop the work, on stderr."""
        ...

    async def line(self, row: dict[str, object]) -> None:
        """One piece of a long answer, in its turn, on stdout."""
        ...


class Silent:
    """Tells nobody."""

    def progress(self, what: str, done: int, total: int | None = None) -> None:
        """Nothing."""

    async def warn(self, text: str) -> None:
        """Nothing."""

    async def line(self, row: dict[str, object]) -> None:
        """Nothing."""
