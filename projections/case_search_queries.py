"""Search for cases, in the asker's own rooms alone: by number, by words, by parts of words.

Hits come in this order, each kind by how well it fits and the newest first among equals:

1. the number or registry number itself;
2. every word begins a word of the case (`vatten` finds `vattenläcka`), or of its type's name;
3. every word of three letters or more stands anywhere in one (`larm` finds `trygghetslarmen`);
4. where no letter that was typed has dots or an accent: as 2, whatever theirs have (`ko` finds
   `kö`, after everything that has `ko`). `kö` never finds `ko`.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from core.errors import Invalid
from projections.case_rows import SQL_IN_SIGHT, SQL_ROW, CaseRow, case_row, sight_params
from projections.case_search import PARTS, PLAIN, WORDS
from projections.case_types import LATEST
from projections.read_models import positions_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlite_utils import Database

    from core.access import Sight
    from projections.read_models import ReadModels

MODEL: Final = "case_search"
_BESIDE: Final = "case_work"
HITS_MAX: Final = 50
_TEXT_CHARS_MAX: Final = 200
_TERMS_MAX: Final = 8
_TRIGRAM: Final = 3
_SHORTEST: Final = 2
_AROUND_CHARS: Final = 60  # of a text, before and after what was found
NUMBER, TYPE = "number", "type"

_SQL_NUMBER: Final = f"""
    SELECT c.id FROM cases c
    WHERE (c.number = :text OR c.registry_number = :text) AND {SQL_IN_SIGHT}
    ORDER BY c.number = :text DESC, c.registered_us DESC, c.id DESC LIMIT :most
"""
_SQL_WORDS: Final = f"""
    SELECT c.id, f.rank AS fit FROM {{index}} f JOIN docs d ON d.id = f.rowid
    JOIN cases c ON c.stream = d.stream
    WHERE {{index}} MATCH :match AND {SQL_IN_SIGHT}
        AND (:types IS NULL OR c.case_type IN (SELECT value FROM json_each(:types)))
        AND (:short IS NULL
            OR f.rowid IN (SELECT rowid FROM {{words}} WHERE {{words}} MATCH :short))
    ORDER BY f.rank, c.id DESC LIMIT :most
"""
_SQL_TYPED: Final = f"""
    SELECT c.id, 0.0 AS fit FROM cases c
    WHERE c.case_type IN (SELECT value FROM json_each(:types)) AND {SQL_IN_SIGHT}
    ORDER BY c.registered_us DESC, c.id DESC LIMIT :most
"""
_SQL_TEXTS: Final = (
    "SELECT c.id, d.title, d.text FROM docs d JOIN cases c ON c.stream = d.stream"
    " WHERE c.id IN (SELECT value FROM json_each(?))"
)


@dataclass(frozen=True, slots=True)
class CaseHit:
    """A case that was found, and `how`: `number`, `words`, `type`, `parts` or `plain`.

    `title` and `snippet` (what stands around the first word that was found) are personal: they are
    None where they were not asked for, are erased, or there is no such text.
    """

    row: CaseRow
    how: str
    title: str | None = None
    snippet: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The hit as other programs get it."""
        told = {"how": self.how, "title": self.title, "snippet": self.snippet}
        return {**self.row.as_json(), **told}


@dataclass(frozen=True, slots=True)
class CaseHits:
    """What was found, the best first; `more`: there was more than was asked for."""

    hits: tuple[CaseHit, ...]
    more: bool
    as_of: Mapping[str, int]


def search_cases(
    read_models: ReadModels,
    sight: Sight,
    text: str,
    *,
    most: int = HITS_MAX,
    texts: bool = False,
) -> CaseHits:
    """The cases in sight that `text` finds; with their `texts` only where the asker may read them.

    With `texts` a look at each case has to be in the read log before they are shown.
    Raises: Invalid (nothing to search for), Unavailable.
    """
    terms = _terms(text)
    most = max(1, min(most, HITS_MAX))
    with read_models.snapshot(MODEL, beside=_BESIDE) as db:
        found: dict[int, str] = {}
        for number, how in _found(db, sight, text, terms, most + 1):
            found.setdefault(number, how)
            if len(found) > most:
                break
        wanted = list(found)[:most]
        ids = json.dumps(wanted)
        sql = f"{SQL_ROW} WHERE c.id IN (SELECT value FROM json_each(:ids))"
        rows = {row["id"]: case_row(row) for row in db.query(sql, {"ids": ids})}
        said = {}
        if texts:
            said = {row[0]: row[1:] for row in db.execute(_SQL_TEXTS, [ids]).fetchall()}
        as_of = positions_of(db)
    hits = []
    for number in wanted:
        title, body = said.get(number, (None, None))
        hits.append(CaseHit(rows[number], found[number], title, _snippet(title, body, terms)))
    return CaseHits(tuple(hits), len(found) > most, as_of)


def _terms(text: str) -> list[str]:
    """The words of `text`, as they are indexed. Raises: Invalid where there are none."""
    words = unicodedata.normalize("NFC", text[:_TEXT_CHARS_MAX]).replace("\0", " ").split()
    terms = [word for word in words if any(letter.isalnum() for letter in word)][:_TERMS_MAX]
    if not any(sum(letter.isalnum() for letter in term) >= _SHORTEST for term in terms):
        raise Invalid(f"search for at least {_SHORTEST} letters or digits", field="text")
    return terms


def _found(
    db: Database, sight: Sight, text: str, terms: Sequence[str], most: int
) -> Iterator[tuple[int, str]]:
    """Case ids and how they were found, in the order of the hits; some may come again."""
    params = {**sight_params(sight), "most": most, "text": text.strip()}
    for (number,) in db.execute(_SQL_NUMBER, params).fetchall():
        yield number, NUMBER
    rooms = _rooms(db, sight)
    covered = _types_by_terms(db, terms)
    hits = _matches(db, rooms, WORDS, terms, params)
    for types, rest in covered:
        of_types = {**params, "types": json.dumps(types)}
        if rest:
            hits += _matches(db, rooms, WORDS, rest, of_types)
        else:
            hits += [(fit, -n, TYPE) for n, fit in db.execute(_SQL_TYPED, of_types).fetchall()]
    yield from ((-newest, how) for _, newest, how in sorted(hits))
    yield from ((-n, how) for _, n, how in sorted(_matches(db, rooms, PARTS, terms, params)))
    if not any(_dotted(term) for term in terms):
        yield from ((-n, how) for _, n, how in sorted(_matches(db, rooms, PLAIN, terms, params)))


def _rooms(db: Database, sight: Sight) -> list[int]:
    rows = db.execute(
        "SELECT id FROM room_numbers WHERE room IN (SELECT value FROM json_each(?)) ORDER BY id",
        [json.dumps(sorted(sight.rooms))],
    )
    return [number for (number,) in rows.fetchall()]


def _matches(
    db: Database, rooms: Sequence[int], way: str, terms: Sequence[str], params: Mapping[str, Any]
) -> list[tuple[float, int, str]]:
    """Fit (the less the better), the case's number negated, and how; from each room's own index."""
    short: list[str] = []
    if way == PARTS:
        short = [term for term in terms if len(term) < _TRIGRAM]
        terms = [term for term in terms if len(term) >= _TRIGRAM]
    if not terms:
        return []
    asked = {
        "types": None,
        **params,
        "match": _all_of(terms, "" if way == PARTS else "*"),
        "short": _all_of(short, "*") if short else None,
    }
    found: list[tuple[float, int, str]] = []
    for room in rooms:
        sql = _SQL_WORDS.format(index=f"{way}_{room}", words=f"{WORDS}_{room}")
        found += [(fit, -number, way) for number, fit in db.execute(sql, asked).fetchall()]
    return found


def _all_of(terms: Sequence[str], ending: str) -> str:
    return " AND ".join('"' + term.replace('"', '""') + '"' + ending for term in terms)


def _types_by_terms(db: Database, terms: Sequence[str]) -> list[tuple[list[str], list[str]]]:
    """Types whose name has some of the words, with the words that the case itself must then have.

    Those that have all of them come first.
    """
    covered: dict[frozenset[int], list[str]] = {}
    rows = db.execute("SELECT code, name FROM types WHERE version = ?", [LATEST]).fetchall()
    for code, name in rows:
        words = unicodedata.normalize("NFC", f"{code} {name}").casefold()
        has = frozenset(n for n, term in enumerate(terms) if _in_name(term.casefold(), words))
        if has:
            covered.setdefault(has, []).append(code)
    return [
        (
            sorted(code for also, codes in covered.items() if has <= also for code in codes),
            [term for n, term in enumerate(terms) if n not in has],
        )
        for has in sorted(covered, key=lambda found: (-len(found), sorted(found)))
    ]


def _in_name(term: str, words: str) -> bool:
    if len(term) >= _TRIGRAM:
        return term in words
    return any(word.startswith(term) for word in words.split())


def _dotted(term: str) -> bool:
    return any(unicodedata.combining(c) for c in unicodedata.normalize("NFD", term))


def _folded(text: str) -> str:
    """Without dots and accents, letter by letter: places in it are places in `text`."""
    return "".join(unicodedata.normalize("NFD", c)[0].lower()[:1] or c for c in text)


def _snippet(title: str | None, text: str | None, terms: Sequence[str]) -> str | None:
    """What stands around the first word that was found in the text, else the text's beginning."""
    body = text if text is not None else title
    if body is None:
        return None
    lowered, folded = body.lower(), _folded(body)
    places = [lowered.find(term.lower()) for term in terms] if len(lowered) == len(body) else []
    places = [at for at in places if at >= 0]
    if not places:
        places = [at for term in terms if (at := folded.find(_folded(term))) >= 0]
    at = min(places, default=0)
    first, last = max(0, at - _AROUND_CHARS), at + 2 * _AROUND_CHARS
    cut = " ".join(body[first:last].split())
    return f"{'…' if first else ''}{cut}{'…' if last < len(body) else ''}"
