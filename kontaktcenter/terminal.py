"""`Out` on a terminal: answers on stdout, remarks on stderr, bars only for long work."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Final

from kontaktcenter.edge import ReaderGone
from kontaktcenter.words import _

if TYPE_CHECKING:
    from types import TracebackType

    from rich.progress import Progress, TaskID

_BAR_AFTER_S: Final = 1.0  # a bar that flashes by tells nothing


class Terminal:
    """What a verb tells, on this process's own terminal.

    Use as a context: it takes the bars down.
    """

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    def progress(self, what: str, done: int, total: int | None = None) -> None:
        """A bar on stderr, where that is a terminal and the work has taken more than a second."""
        if not sys.stderr.isatty() or time.monotonic() - self._began < _BAR_AFTER_S:
            return
        if self._bars is None:
            self._bars = _bars()
            self._bars.start()
        if what not in self._tasks:
            self._tasks[what] = self._bars.add_task(_(what), total=total)
        self._bars.update(self._tasks[what], completed=done, total=total)

    async def warn(self, text: str) -> None:
        """A line on stderr."""
        if self._bars is not None:
            self._bars.console.print(text, markup=False, highlight=False)
        else:
            sys.stderr.write(text + "\n")

    async def line(self, row: dict[str, object]) -> None:
        """A line of JSON on stdout, at once: whoever follows reads it now."""
        try:
            sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
            sys.stdout.flush()
        except BrokenPipeError as e:
            raise ReaderGone from e


def _bars() -> Progress:
    from rich.console import Console  # noqa: PLC0415 -- `--help` starts without it
    from rich.progress import (  # noqa: PLC0415 -- `--help` starts without it
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=Console(stderr=True), transient=True)
