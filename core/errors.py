"""The four families of errors. The docstring is the default message; details are attributes.

Verdicts are values of `judge`, not exceptions; `core.application` turns them into answers.
HTTP codes stand only in `webdesk.problems`, exit codes only in `kontaktcenter`.
"""

from __future__ import annotations


class KontaktcenterError(Exception):
    """Something went wrong."""

    def __init__(self, message: str = "", **details: object) -> None:
        self.message = message or (type(self).__doc__ or "").strip().partition("\n")[0]
        self.details = details
        super().__init__(self.message)


class Refused(KontaktcenterError):
    """A rule said no. Expected: shown to the person, logged at info."""


class Invalid(Refused):
    """What was sent cannot be read: it says which field and why."""


class NotFound(Refused):
    """There is nothing by that name."""


class Stale(KontaktcenterError):
    """Somebody else was first, also after the bounded attempts."""


class Unavailable(KontaktcenterError):
    """A neighbour is down; `neighbour` names it and `retry_after_s` says when to try again."""


class Unknown(Unavailable):
    """It is not known whether it was recorded: ask again with the same id."""


class InUse(Unavailable):
    """Another node works with this data folder."""


class Corrupt(KontaktcenterError):
    """An invariant broke: park or stop, and alarm."""


class NeedsUpgrade(Corrupt):
    """The log is of a newer format than this program knows: upgrade it."""
