"""`kontaktcenter-reserve`: the process edge of the reserve terminal."""

from __future__ import annotations

import argparse
import io
import os
import pwd
import signal
import sys
import time
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import Corrupt, KontaktcenterError, Unavailable
from core.reserve import clip_actor
from fallback_tui.copy import read_copy
from fallback_tui.journal import Journal
from fallback_tui.lines import Around, Lines, banner, broken, plain
from fallback_tui.seal import CannotSeal, Sealer, open_sealer
from fallback_tui.words import speaker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

DONE, ERROR, USAGE, UNAVAILABLE, INTERRUPTED = 0, 1, 2, 4, 130
TRIAL_DEVICE = "000"  # until a device is enrolled: numbers given here are for trial only


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it.

    The exit code: 0 done, 1 the journal is broken, 2 usage, 4 cannot save or in use, 130 Ctrl-C.
    """
    for stream in (sys.stdin, sys.stdout):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="replace")
    options = _parser().parse_args(arguments)
    around = _around(_words("en" if options.english else "sv"))
    try:
        if options.check:
            return _check(around, options.folder)
        if not options.rad:
            around.tell(
                around._("The full screen is not built yet. Start with --rad: line by line.")
            )
            return USAGE
        return _register(around, options.folder)
    except KeyboardInterrupt:
        around.tell("")
        around.tell(around._("Interrupted. A call that was begun and not saved is not kept."))
        return INTERRUPTED
    except Corrupt as problem:
        broken(around, problem, str(options.folder))
        return ERROR
    except Unavailable as problem:
        reason = str(problem.details.get("reason") or "")
        around.tell(around._("Cannot start: {reason}.").format(reason=plain(problem, around._)))
        if reason:
            around.tell(f"  {options.folder}: {reason}")
        return UNAVAILABLE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kontaktcenter-reserve",
        description="Reservterminalen: registrera samtal på datorn när systemet är nere. "
        "The reserve terminal: register calls on this computer when the system is down.",
    )
    parser.add_argument("--rad", action="store_true", help="rad för rad / line by line")
    parser.add_argument("--english", action="store_true", help="speak English")
    parser.add_argument(
        "--check", action="store_true", help="kontrollera journalen / check the journal"
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path.home() / ".kontaktcenter-reserve",
        metavar="DIR",
        help="journalens mapp / the journal's folder (%(default)s)",
    )
    return parser


def _register(around: Around, folder: Path) -> int:
    copy = read_copy()
    with Journal.open(folder, TRIAL_DEVICE) as journal:
        sealer: Sealer | None = None
        why: KontaktcenterError | None = None
        try:
            sealer = open_sealer(folder, journal.head, os.urandom)
        except CannotSeal as problem:
            why = problem
        banner(around, journal, copy.as_of, why)
        try:
            Lines(around, journal, sealer, copy.groups).run()
        except EOFError:
            around.tell("")
        count = journal.head.numbers
        around.tell(around._("Ended. {count} calls saved on the computer.").format(count=count))
    return DONE


def _check(around: Around, folder: Path) -> int:
    if not (folder / "journal.db").exists():
        around.tell(around._("There is no journal in {folder}.").format(folder=folder))
        return ERROR
    with Journal.open(folder, TRIAL_DEVICE) as journal:
        head = journal.head
        around.tell(
            around._(
                "The chain holds: {count} entries, {numbers} reserve numbers, head {head}."
            ).format(count=head.seq, numbers=head.numbers, head=head.hash[:16])
        )
    return DONE


def _words(language: str) -> Callable[[str], str]:
    try:
        return speaker(language)
    except FileNotFoundError:
        print("(The Swedish words are not compiled: `make setup`. English it is.)")
        return speaker("en")


def _around(words: Callable[[str], str]) -> Around:
    return Around(
        ask=input,
        tell=lambda line: print(line, flush=True),
        _=words,
        now=lambda: datetime.now().astimezone(),
        tick_ns=time.monotonic_ns,
        undisturbed=_undisturbed,
        actor=clip_actor(_user()),
        boot=_boot(),
    )


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user may have no name
        return f"uid {os.getuid()}"


def _boot() -> str:
    """What tells one start of the computer from another: the monotonic clock begins anew."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return "unknown"


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Ctrl-C comes after the journal is at rest, never in the middle of a commit."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


if __name__ == "__main__":
    sys.exit(main())
