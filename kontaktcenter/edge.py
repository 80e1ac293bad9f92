"""The process edge: every way a command can end, as an exit code and a text without a traceback."""

from __future__ import annotations

import errno
import secrets
import sqlite3
import tempfile
import traceback
from enum import IntEnum
from pathlib import Path

from core import errors
from kontaktcenter.config import ConfigError
from kontaktcenter.words import _


class Exit(IntEnum):
    """The exit codes of every command."""

    DONE = 0
    ERROR = 1
    USAGE = 2
    DEGRADED = 3
    UNAVAILABLE = 4
    INTERRUPTED = 130


class ReaderGone(Exception):
    """Whoever read our stdout (such as `head`) has what it wanted."""


_ERRORS_FILE = "errors.log"


def exit_code(error: BaseException) -> Exit:
    """The exit code of an error."""
    if isinstance(error, ConfigError | errors.Invalid):
        return Exit.USAGE
    if isinstance(error, errors.Unavailable) or _no_room(error):
        return Exit.UNAVAILABLE
    if isinstance(error, KeyboardInterrupt):
        return Exit.INTERRUPTED
    return Exit.ERROR


def told(error: BaseException, data: Path | None) -> str:
    """What a person is told of an error: what happened and what to do; details go to a file."""
    if isinstance(error, errors.KontaktcenterError):
        return _headline(error) + _(
            error.message
        )  # in Swedish where a rule said what it always says
    if _no_room(error):
        return _("The disk is full: nothing more could be written. Free some space and try again.")
    if isinstance(error, OSError) and error.strerror:
        return _of_system(error)
    return unforeseen(error, data)


def _headline(error: errors.KontaktcenterError) -> str:
    if isinstance(error, errors.InUse):
        return _("The data folder is in use: ")
    if isinstance(error, errors.Corrupt):
        return _("Stopped, because something is damaged: ")
    return ""


def _no_room(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno in {errno.ENOSPC, errno.EDQUOT}
    return isinstance(error, sqlite3.Error) and "full" in str(error)


def _of_system(error: OSError) -> str:
    where = str(error.filename) if error.filename else ""
    texts = {
        errno.EACCES: _("{where}: no permission. Check who owns it, or choose another place."),
        errno.EPERM: _("{where}: no permission. Check who owns it, or choose another place."),
        errno.EROFS: _("{where}: the disk can only be read. Choose another place."),
        errno.ENOENT: _("{where}: there is nothing by that name."),
        errno.ENOTDIR: _("{where}: a folder is needed, and a file is in the way."),
        errno.EEXIST: _("{where}: there is already something by that name."),
        errno.EISDIR: _("{where}: is a folder; a file is needed."),
    }
    text = texts.get(error.errno or 0)
    return text.format(where=where) if text else f"{where}: {error.strerror}"


def unforeseen(error: BaseException, data: Path | None) -> str:
    """Keep the details of an error that should not be, and return what a person is told of it."""
    reference = secrets.token_hex(4)
    details = f"--- {reference}\n" + "".join(traceback.format_exception(error)) + "\n"
    text = _(
        "Something went wrong that should not ({kind}). Reference {reference}; the details are in"
        " {file}."
    )
    return text.format(
        kind=type(error).__name__, reference=reference, file=_keep(details, data, reference)
    )


def _keep(details: str, data: Path | None, reference: str) -> Path:
    if data is not None and data.is_dir():
        try:
            kept = data / _ERRORS_FILE
            kept.touch(mode=0o600)
            with kept.open("a", encoding="utf-8") as out:
                out.write(details)
        except OSError:
            pass  # a full or read-only folder: the details go beside it
        else:
            return kept
    with tempfile.NamedTemporaryFile(
        "w", prefix=f"kontaktcenter-{reference}-", suffix=".log", delete=False, encoding="utf-8"
    ) as out:
        out.write(details)
        return Path(out.name)
