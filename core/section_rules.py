"""What the catalogue's rows must be to each other: references, cycles, one queue for one group.

Every rule is a function over all rows that gives what is wrong; nothing stops at the first fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from core.entry_views import minutes_of, texts_of
from core.sections import KNOWN_WORDS, SECTIONS
from core.shapes import ID_CHARS_MAX, Place, meant, referring, shown

MEANT_MAX: Final = 200  # so many unknown references are looked for among the known; it takes time
Rows = Mapping[str, Mapping[str, Mapping[str, object]]]  # by section and key


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong with an entry; `place` is where in its row, from the outside in."""

    section: str
    key: str
    place: Place
    why: str

    def __str__(self) -> str:
        return (
            f"{self.section} {self.key}: {self.why}" if self.key else f"{self.section}: {self.why}"
        )


def faults_of(rows: Rows) -> list[Fault]:
    """Everything that is wrong between the rows of a whole catalogue."""
    return [fault for rule in _RULES for fault in rule(rows)]


def _of(rows: Rows, section: str) -> Mapping[str, Mapping[str, object]]:
    return rows.get(section, {})


def _references(rows: Rows) -> Iterator[Fault]:
    """What is referred to is there, and a word is one of its enumeration."""
    enums = {name: words_of(rows, name) for name in {*_of(rows, "enums"), *KNOWN_WORDS}}
    known = {name: frozenset(_of(rows, name)) for name in SECTIONS}
    told = 0
    for section, shape in SECTIONS.items():
        for key, row in _of(rows, section).items():
            for place, value, field in referring(row, shape.fields):
                said = _where(place)
                if field.enum is not None:
                    words = enums.get(field.enum, frozenset())
                    if words and value not in words:
                        why = f"{said} is {shown(value)}{meant(value, words, list_all=True)}"
                        yield Fault(section, key, place, why)
                elif value not in field.also and not any(value in known[n] for n in field.refers):
                    wanted = " or ".join(field.refers)
                    told += 1
                    among = frozenset().union(*(known[n] for n in field.refers))
                    close = meant(value, among) if told <= MEANT_MAX else ""
                    yield Fault(
                        section, key, place, f"{said}: no {wanted} {value[:ID_CHARS_MAX]}{close}"
                    )


def words_of(rows: Rows, enum: str) -> frozenset[str]:
    """The words of an enumeration: the city's own, else the program's; empty where nobody says."""
    said = texts_of(_of(rows, "enums").get(enum, {}).get("value"))
    return frozenset(said) or KNOWN_WORDS.get(enum, frozenset())


def _known_words(rows: Rows) -> Iterator[Fault]:
    """A city may leave words of the program out, and adds none where the program acts on them."""
    for name, known in KNOWN_WORDS.items():
        for n, word in enumerate(texts_of(_of(rows, "enums").get(name, {}).get("value"))):
            if word not in known:
                why = f"the program knows no {shown(word)}{meant(word, known, list_all=True)}"
                yield Fault("enums", name, (n,), why)


def _look_alikes(rows: Rows) -> Iterator[Fault]:
    """Two keys that differ in upper and lower case alone would be taken for each other."""
    for section in SECTIONS:
        seen: dict[str, str] = {}
        for key in _of(rows, section):
            other = seen.setdefault(key.casefold(), key)
            if other != key:
                yield Fault(section, key, (), f"looks like {other}")


def _one_queue(rows: Rows) -> Iterator[Fault]:
    queues: dict[str, str] = {}
    for key, row in _of(rows, "answer_group").items():
        queue = str(row.get("queue", key))
        if queue in queues:
            why = f"queue {queue} is {queues[queue]}'s already"
            yield Fault("answer_group", key, ("queue",), why)
        queues.setdefault(queue, key)


def _one_key(rows: Rows) -> Iterator[Fault]:
    """A key of the keyboard, or of a menu, leads to one thing."""
    seen: dict[str, str] = {}
    for key, row in _of(rows, "wrap_up").items():
        if "key" in row:
            other = seen.setdefault(str(row["key"]), key)
            if other != key:
                yield Fault("wrap_up", key, ("key",), f"key {row['key']} is {other}'s already")
    for key, row in _of(rows, "ivr").items():
        taken: set[str] = set()
        for n, option in enumerate(_tables(row, "options")):
            pressed = str(option.get("key"))
            if pressed in taken:
                why = f"key {pressed} stands there twice"
                yield Fault("ivr", key, ("options", n, "key"), why)
            taken.add(pressed)
            if ("group" in option) == ("ivr" in option):
                why = f"key {pressed} leads to a group or to another ivr, one of them"
                yield Fault("ivr", key, ("options", n), why)


def _overflows(rows: Rows) -> Iterator[Fault]:
    """A caller who flows over is never sent round; no menu leads back into itself."""
    groups = {k: [str(r["overflow_to"])] for k, r in _of(rows, "answer_group").items()
              if "overflow_to" in r}  # fmt: skip
    for key, way in _rounds(groups):
        why = f"overflow goes round: {' > '.join(way)}"
        yield Fault("answer_group", key, ("overflow_to",), why)
    menus = {
        key: [str(option["ivr"]) for option in _tables(row, "options") if "ivr" in option]
        for key, row in _of(rows, "ivr").items()
    }
    for key, way in _rounds(menus):
        yield Fault("ivr", key, ("options",), f"the menu leads to itself: {' > '.join(way)}")
    for key, row in _of(rows, "centre").items():
        if row.get("reserve_site") == key:
            yield Fault("centre", key, ("reserve_site",), "is its own reserve site")
        if key in texts_of(row.get("overflow_to")):
            yield Fault("centre", key, ("overflow_to",), "overflows to itself")


def _rounds(ways: Mapping[str, list[str]]) -> Iterator[tuple[str, list[str]]]:
    """For each ring that is met its first member, with the way round. In one pass over all ways."""
    done: set[str] = set()
    for start in ways:
        way, left = [start], [iter(ways[start])]
        on_way = {start: 0}
        while left and start not in done:
            target = next(left[-1], None)
            if target is None:
                done.add(way[-1])
                on_way.pop(way.pop())
                left.pop()
            elif target in on_way:
                yield target, [*way[on_way[target] :], target]
            elif target in ways and target not in done:
                on_way[target] = len(way)
                way.append(target)
                left.append(iter(ways[target]))


def _authorities(rows: Rows) -> Iterator[Fault]:
    authorities = _of(rows, "authority")
    for key, row in authorities.items():
        family = row.get("family")
        if family == key:
            yield Fault("authority", key, ("family",), "is its own family")
        elif "family" in authorities.get(str(family), {}):
            yield Fault("authority", key, ("family",), f"{family} has a family of its own")
    pairs: dict[frozenset[str], str] = {}
    for key, row in _of(rows, "conflict_pair").items():
        pair = frozenset({str(row.get("a")), str(row.get("b"))})
        if len(pair) == 1:
            yield Fault("conflict_pair", key, ("b",), "nobody is in conflict with itself")
        elif pair in pairs:
            yield Fault("conflict_pair", key, (), f"stands there already, as {pairs[pair]}")
        pairs.setdefault(pair, key)
    enforced = {
        frozenset({str(row.get("a")), str(row.get("b"))})
        for row in _of(rows, "conflict_pair").values()
        if row.get("enforced") is True
    }
    for key, row in _of(rows, "answer_group").items():
        partition = set(texts_of(row.get("partition")))
        for both in sorted(sorted(pair) for pair in enforced if pair <= partition):
            why = f"opens both sides of a conflict of interest: {' and '.join(both)}"
            yield Fault("answer_group", key, ("partition",), why)


def _periods(rows: Rows) -> Iterator[Fault]:
    """A period ends after it begins, and two of one thing do not overlap."""
    for section, same, begins, ends, what in (
        ("dialled_number", "number", "valid_from", "valid_to", "number"),
        ("takeover", "authority", "valid_from", "valid_to", "row"),
        ("project_topic", None, "starts", "ends", ""),
        ("on_call", None, "starts", "ends", ""),
    ):
        last: dict[str, tuple[str, str]] = {}
        found = _of(rows, section).items()
        for key, row in sorted(found, key=lambda item: str(item[1].get(begins, ""))):
            first, until = str(row.get(begins, "")), row.get(ends)
            if until is not None and str(until) < first:
                yield Fault(section, key, (ends,), f"{ends} {until} is before {begins} {first}")
            if same is None:
                continue
            other = last.get(str(row.get(same)))
            if section == "dialled_number" and other is not None and first <= other[1]:
                why = f"the {what} is valid there already, as {other[0]}"
                yield Fault(section, key, (begins,), why)
            last[str(row.get(same))] = (key, "9999" if until is None else str(until))
    for section, names in {"calendar": ("hours", "exceptions"), "on_call": ("hours",)}.items():
        for key, row in _of(rows, section).items():
            for name in names:
                for n, hours in enumerate(_tables(row, name)):
                    if ("opens" in hours) != ("closes" in hours):
                        yield Fault(section, key, (name, n), "opens and closes go together")
                    elif "opens" in hours and not (
                        minutes_of(hours["opens"]) < minutes_of(hours["closes"])
                    ):
                        why = f"closes {hours['closes']} is not after opens {hours['opens']}"
                        yield Fault(section, key, (name, n, "closes"), why)


def _case_types(rows: Rows) -> Iterator[Fault]:
    excluded = {k for k, row in _of(rows, "authority").items() if row.get("excluded") is True}
    for key, row in _of(rows, "case_type").items():
        owner = str(row.get("authority"))
        if owner in excluded and row.get("excluded") is not True:
            why = f"{owner} is excluded, so the type is too: excluded = true"
            yield Fault("case_type", key, ("excluded",), why)
        area = _of(rows, "area").get(str(row.get("area")), {}).get("authority", owner)
        if area not in {owner, "*"}:
            yield Fault("case_type", key, ("area",), f"area {row.get('area')} is {area}'s")
        for n, step in enumerate(_tables(row, "steps")):
            group = _of(rows, "answer_group").get(str(step.get("group")), {})
            levels = texts_of(group.get("levels"))
            known = step.get("level") in KNOWN_WORDS["level"]
            if levels and known and step.get("level") not in levels:
                why = f"step {n + 1}: {step.get('group')} does not answer at level"
                yield Fault("case_type", key, ("steps", n, "level"), f"{why} {step.get('level')}")


def _articles(rows: Rows) -> Iterator[Fault]:
    for key, row in _of(rows, "article").items():
        if row.get("guarded") is True and not row.get("guard_text"):
            why = "is guarded and has no guard_text: what may be said"
            yield Fault("article", key, ("guarded",), why)
    for key, row in _of(rows, "on_call").items():
        if ("starts" in row) == ("hours" in row):
            yield Fault("on_call", key, (), "has starts and ends, or weekly hours, one of them")
        elif ("starts" in row) != ("ends" in row):
            yield Fault("on_call", key, (), "starts and ends go together")
        if "role" not in row and "contact" not in row:
            yield Fault("on_call", key, (), "says neither role nor contact")


def _tables(row: Mapping[str, object], name: str) -> list[Mapping[str, object]]:
    """The tables of a list; what is no table keeps its place."""
    value = row.get(name)
    return [o if isinstance(o, dict) else {} for o in value] if isinstance(value, list) else []


def _where(place: Place) -> str:
    """`steps, 2, group`: a place in a row, as people count."""
    return ", ".join(str(part + 1) if isinstance(part, int) else part for part in place)


_RULES: Final[tuple[Callable[[Rows], Iterator[Fault]], ...]] = (
    _known_words, _references, _look_alikes, _one_queue, _one_key, _overflows, _authorities,
    _periods, _case_types, _articles,
)  # fmt: skip
