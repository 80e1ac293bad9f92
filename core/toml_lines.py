"""On which line of a TOML file something stands, so that a fault can be found where it was made.

`tomllib` gives values without places. This follows the same text beside it: it does not judge, it
is asked only about what `tomllib` has read, and where it loses its way it knows no line.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

Path = tuple[str | int, ...]

_GAP: Final = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")  # between things; newlines count as space
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_QUOTED: Final = re.compile(r'"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'')
_LONG: Final = re.compile(r'"""(?:[^\\]|\\.)*?"{3,5}(?!")|\'\'\'.*?\'{3,5}(?!\')', re.DOTALL)
_SCALAR: Final = re.compile(r"[^,\]}#\n]+")


class _Lost(Exception):
    """This is not where the text was thought to be."""


class _Node:
    """A place in the document: its line, and what is below it by name or by number."""

    __slots__ = ("items", "line", "names")

    def __init__(self, line: int) -> None:
        self.line = line
        self.names: dict[str, _Node] = {}
        self.items: list[_Node] = []

    def below(self, name: str, line: int) -> _Node:
        return self.names.setdefault(name, _Node(line))


class Lines:
    """The lines of a TOML text that `tomllib` reads. Lines are counted from 1."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._starts = [0, *(found.end() for found in re.finditer("\n", text))]
        self._pos = 0
        self._root = _Node(1)
        try:
            self._document()
        except (_Lost, RecursionError, tomllib.TOMLDecodeError):
            self._root = _Node(1)

    def of(self, *path: str | int) -> int | None:
        """The line of what a path of names and numbers leads to, or of the last known above it."""
        node, line = self._root, None
        for part in path:
            if isinstance(part, int):
                if part >= len(node.items):
                    return line
                node = node.items[part]
            elif part in node.names:
                node = node.names[part]
            else:
                return line
            line = node.line
        return line

    def paths(self) -> Sequence[Path]:
        """Every path that has a line."""
        found: list[Path] = []
        left: list[tuple[Path, _Node]] = [((), self._root)]
        while left:
            path, node = left.pop()
            below: list[tuple[Path, _Node]] = [((*path, n), k) for n, k in node.names.items()]
            below += [((*path, n), k) for n, k in enumerate(node.items)]
            found += [place for place, _ in below]
            left += below
        return found

    # --- reading ------------------------------------------------------------------------------
    def _line(self) -> int:
        return bisect_right(self._starts, self._pos)

    def _gap(self) -> str:
        """The next character that means something; empty at the end."""
        found = _GAP.match(self._text, self._pos)
        assert found is not None
        self._pos = found.end()
        return self._text[self._pos : self._pos + 1]

    def _take(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._pos)
        if found is None:
            raise _Lost
        self._pos = found.end()
        return found.group()

    def _skip(self, text: str) -> None:
        self._gap()
        if not self._text.startswith(text, self._pos):
            raise _Lost
        self._pos += len(text)

    def _document(self) -> None:
        table = self._root
        while next_ := self._gap():
            if next_ != "[":
                self._pair(table)
                continue
            line = self._line()
            many = self._text.startswith("[[", self._pos)
            self._pos += 2 if many else 1
            *above, last = self._keys()
            self._skip("]]" if many else "]")
            table = self._root
            for name in above:
                table = table.below(name, line)
                table = table.items[-1] if table.items else table
            table = table.below(last, line)
            if many:
                table.items.append(_Node(line))
                table = table.items[-1]

    def _keys(self) -> list[str]:
        names = [self._key()]
        while self._gap() == ".":
            self._pos += 1
            names.append(self._key())
        return names

    def _key(self) -> str:
        if self._gap() in {'"', "'"}:
            written = self._take(_QUOTED)
            return str(tomllib.loads(f"key = {written}")["key"])
        return self._take(_BARE)

    def _pair(self, table: _Node) -> None:
        line = self._line()
        for name in self._keys():
            table = table.below(name, line)
        self._skip("=")
        self._value(table)

    def _value(self, node: _Node) -> None:
        match self._gap():
            case "[":
                self._pos += 1
                self._list(node)
            case "{":
                self._pos += 1
                self._inline(node)
            case '"' | "'" as quote:
                long = self._text.startswith(quote * 3, self._pos)
                self._take(_LONG if long else _QUOTED)
            case "":
                raise _Lost
            case _:
                self._take(_SCALAR)

    def _list(self, node: _Node) -> None:
        while self._gap() != "]":
            node.items.append(_Node(self._line()))
            self._value(node.items[-1])
            if self._gap() == ",":
                self._pos += 1
            elif self._text[self._pos : self._pos + 1] != "]":
                raise _Lost
        self._pos += 1

    def _inline(self, node: _Node) -> None:
        while self._gap() != "}":
            self._pair(node)
            if self._gap() == ",":
                self._pos += 1
            elif self._text[self._pos : self._pos + 1] != "}":
                raise _Lost
        self._pos += 1
