"""Questions in the address, and lists in pages.

A question names its parameters: an unknown one is refused, because a misspelt filter would be
answered with too much. Nothing that was sent is repeated in an error.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from core.errors import Invalid
from core.limits import NAME_CHARS_MAX
from core.vocabulary import CASES_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from starlette.requests import Request

__all__ = ["PAGE_ROWS", "PAGE_ROWS_MAX", "Asked", "in_sight", "page", "parameters"]

PAGE_ROWS: Final = 50
PAGE_ROWS_MAX: Final = 200
_DIGITS_MAX: Final = 4
_FLAGS: Final = {"true": True, "false": False}


class Asked:
    """The parameters of one request. Raises: Invalid, where one is unknown or there twice."""

    def __init__(self, request: Request, allowed: Iterable[str]) -> None:
        names = tuple(allowed)
        given = request.query_params.multi_items()
        known = [(name, value) for name, value in given if name in names]
        if len(known) < len(given):
            raise Invalid(f"there is an unknown parameter; these are: {', '.join(names)}")
        if len(dict(known)) < len(known):
            raise Invalid("a parameter is there twice")
        self._given = dict(known)

    def only(self, *names: str) -> None:
        """Raises: Invalid, where another parameter than `names` is there."""
        if not set(self._given) <= set(names):
            raise Invalid(f"this list takes: {', '.join(names)}")

    def text(self, name: str, default: str | None = None) -> str | None:
        """A text of 1 to NAME_CHARS_MAX characters; `default` where it was left out."""
        value = self._given.get(name)
        if value is None:
            return default
        if not value.strip() or len(value) > NAME_CHARS_MAX or not value.isprintable():
            raise Invalid(f"{name} is 1 to {NAME_CHARS_MAX} printable characters", field=name)
        return value

    def needed(self, name: str) -> str:
        """A text that must be there."""
        value = self.text(name)
        if value is None:
            raise Invalid(f"say {name}", field=name)
        return value

    def word(self, name: str, allowed: Iterable[str], default: str | None = None) -> str | None:
        """One of the words of `allowed`."""
        value = self.text(name, default)
        words = tuple(allowed)
        if value is not None and value not in words:
            raise Invalid(f"{name} may be one of: {', '.join(words)}", field=name)
        return value

    def flag(self, name: str) -> bool:
        """`true` or `false`; false where it was left out."""
        word = self.word(name, _FLAGS, "false")
        return _FLAGS[word or "false"]

    @property
    def rows(self) -> int:
        """How many rows a page may have: `limit`."""
        value = self._given.get("limit", str(PAGE_ROWS))
        digits = value.isascii() and value.isdigit() and len(value) <= _DIGITS_MAX
        if not digits or not 1 <= int(value) <= PAGE_ROWS_MAX:
            raise Invalid(f"limit is 1 to {PAGE_ROWS_MAX}", field="limit")
        return int(value)

    @property
    def after(self) -> str | None:
        """The page that is asked for: `next` of the one before it."""
        return self.text("after")


def moment_of(name: str, text: str) -> datetime:
    """The time that the parameter `name` says, with its offset. Raises: Invalid."""
    try:
        # In a query string a bare `+` means a space; nobody should need to know.
        at = datetime.fromisoformat(text.replace(" ", "+") if text[10:11] != " " else text)
    except ValueError as e:
        raise Invalid(f"{name} is not a time such as 2026-11-22T04:00:00+01:00", field=name) from e
    if at.tzinfo is None:
        raise Invalid(f"{name} has no offset, such as +01:00 or Z", field=name)
    return at


def in_sight(as_of: Mapping[str, int], rooms: Iterable[str]) -> dict[str, int]:
    """The positions that may be told: of cases those of one's own rooms, for a position counts."""
    books = {CASES_PREFIX + room for room in rooms}
    return {
        shard: position
        for shard, position in sorted(as_of.items())
        if not shard.startswith(CASES_PREFIX) or shard.rpartition("/")[0] in books
    }


def page(
    rows: Iterable[Any], following: str | None, as_of: Mapping[str, int], rooms: Iterable[str]
) -> dict[str, Any]:
    """One page of a list, as it is answered. `next` is None on the last one."""
    return {"rows": list(rows), "next": following, "as_of": in_sight(as_of, rooms)}


def parameters(**described: tuple[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What OpenAPI is told of parameters: each name with its text and schema."""
    return [
        {"name": name, "in": "query", "required": False, "description": text, "schema": schema}
        for name, (text, schema) in described.items()
    ]
