"""What a caller's words may mean: case types and articles of the catalogue, the best first.

Nothing of any case is looked at, so the same words give everybody the same answer. Excluded areas
are suggested too: they have to be recognised to be connected (R11).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from core.taxonomy import Directory

SUGGESTIONS_MAX: Final = 20
CASE_TYPE, ARTICLE = "case_type", "article"
_TERMS_MAX: Final = 8
_SHORTEST: Final = 2
_PART: Final = 3  # a part of a word is looked for from so many letters on
# How well a word fits: it is the word, begins it, stands in it; then the same without dots.
_WHOLE, _BEGINS, _INSIDE, _PLAIN = 8, 5, 3, 2
_TITLE: Final = 2  # a word of the title counts so many times one of the text


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A case type or an article. `case_types` of an article are those that it belongs to."""

    kind: str
    code: str
    title: str
    authority: str
    excluded: bool
    case_types: tuple[str, ...]
    score: int

    def as_json(self) -> dict[str, Any]:
        """The row as other programs get it."""
        shown = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "score"}
        return {**shown, "case_types": list(self.case_types)}


def suggestions(
    directory: Directory, text: str, most: int = SUGGESTIONS_MAX
) -> tuple[Suggestion, ...]:
    """Types and articles that have every word of `text`; none where there is no word.

    Words of a type's articles find the type too, after its own name, English name and area.
    """
    terms = [term for term in _words(text) if len(term) >= _SHORTEST][:_TERMS_MAX]
    if not terms:
        return ()
    found = [*_of_types(directory, terms), *_of_articles(directory, terms)]
    found.sort(key=lambda one: (-one.score, one.kind == ARTICLE, one.title, one.code))
    return tuple(found[: max(1, min(most, SUGGESTIONS_MAX))])


def _of_types(directory: Directory, terms: Sequence[str]) -> Iterator[Suggestion]:
    articles: dict[str, list[str]] = {}
    for row in directory.rows("article").values():
        for code in _texts(row.get("case_types")):
            articles.setdefault(code, []).append(f"{row.get('title', '')} {row.get('body', '')}")
    for code in directory.rows("case_type"):
        found = directory.case_type(code)
        assert found is not None
        own = _words(f"{code} {found.name} {found.english} {found.area or ''}")
        score = _score(terms, own, _words(" ".join(articles.get(code, ()))))
        if score:
            closed = directory.authority(found.authority)
            excluded = found.excluded or (closed is not None and closed.excluded)
            yield Suggestion(CASE_TYPE, code, found.name, found.authority, excluded, (), score)


def _of_articles(directory: Directory, terms: Sequence[str]) -> Iterator[Suggestion]:
    for code, row in directory.rows("article").items():
        title = str(row.get("title", code))
        score = _score(terms, _words(f"{code} {title}"), _words(str(row.get("body", ""))))
        if score:
            kinds = _texts(row.get("case_types"))
            owner = str(row.get("owner", ""))
            yield Suggestion(ARTICLE, code, title, owner, False, kinds, score)


def _score(terms: Sequence[str], title: Sequence[str], text: Sequence[str]) -> int:
    """How well all terms fit; 0 where one of them stands nowhere."""
    score = 0
    for term in terms:
        fit = max(_TITLE * _fit(term, title), _fit(term, text))
        if not fit:
            return 0
        score += fit
    return score


def _fit(term: str, words: Sequence[str]) -> int:
    best = 0
    plain = _plain(term)
    for word in words:
        if word == term:
            return _WHOLE
        if word.startswith(term):
            best = max(best, _BEGINS)
        elif len(term) >= _PART and term in word:
            best = max(best, _INSIDE)
        elif plain == term and _plain(word).startswith(term):  # only where no dots were typed
            best = max(best, _PLAIN)
    return best


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", unicodedata.normalize("NFC", text).casefold())


def _plain(text: str) -> str:
    letters = unicodedata.normalize("NFD", text)
    return "".join(c for c in letters if not unicodedata.combining(c))


def _texts(value: object) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, list | tuple) else ()
