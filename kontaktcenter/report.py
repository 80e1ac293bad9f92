"""The monthly report of an administration, in words.

Pure: what it is made of comes from `projections.monthly`, and the words from `report.sv.toml`.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from datetime import timedelta
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from kontaktcenter.report_files import Cell, Column, Part, Report, Row
from projections.kpi import value
from projections.monthly import ANSWER_WITHIN_S
from projections.suppression import TOTAL, Sums, hidden_cells

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from projections.case_volumes import Volume
    from projections.kpi import Counts
    from projections.monthly import AuthorityMonth

_BAR_PX: Final = 140
_NBSP: Final = "\N{NO-BREAK SPACE}"
_HIDDEN: Final = object()  # a number that is not told


@cache
def _words() -> Mapping[str, Mapping[str, Any]]:
    text = files("kontaktcenter").joinpath("data/report.sv.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def report_number(month: AuthorityMonth) -> str:
    """The number of a report: of whom, when, and of what is in it."""
    rest = json.dumps([dict(month.as_of), month.public], sort_keys=True)
    return f"{month.authority}-{month.month}-{hashlib.sha256(rest.encode()).hexdigest()[:8]}"


def report_of(month: AuthorityMonth) -> Report:
    """The report of a month, its codes named by the catalogue of that moment."""
    words = _words()["words"]
    known = month.directory.authority(month.authority)
    name = known.name if known is not None else month.authority
    last = month.known_until.astimezone(month.begin.tzinfo) if month.known_until else None
    warnings = []
    if not month.whole:
        warnings.append(words["unfinished"])
    if month.public:
        warnings.append(words["public"])
    day = f"{month.begin:%Y-%m-%d} – {_last_day(month)}"
    return Report(
        number=report_number(month),
        title=words["title"].format(month=month.month),
        authority=name,
        intro=words["intro"].format(authority=name),
        facts=(
            (words["number"], report_number(month)),
            (words["period"], day),
            (words["known_until"], f"{last:%Y-%m-%d %H:%M}" if last else words["nothing_known"]),
        ),
        warnings=tuple(warnings),
        parts=tuple(_Parts(month).made()),
        no_rows=words["no_rows"],
    )


def _last_day(month: AuthorityMonth) -> str:
    return f"{month.end - timedelta(days=1):%Y-%m-%d}"


class _Parts:
    """Makes the parts of one report."""

    def __init__(self, month: AuthorityMonth) -> None:
        self._month, self._directory = month, month.directory
        self._all = _words()
        self._words = self._all["words"]

    def made(self) -> list[Part]:
        """All parts, in their order."""
        return [
            self._summary(),
            self._types(),
            self._results(),
            self._outcomes(),
            self._simple("levels", "level", self._month.by_level.rows, self._level),
            self._simple("channels", "channel", self._month.by_channel.rows, self._channel),
            self._calls(),
            self._about(),
        ]

    # --- figures ----------------------------------------------------------------------------------
    def _summary(self) -> Part:
        total = self._month.by_type.total
        calls = self._month.calls_total
        first = total.first_contact
        told: list[tuple[str, object, str]] = [
            ("case_volume", total.registered, "n"),
            ("case_closed", total.closed, "n"),
            ("case_contacts", total.contacts, "n"),
            ("case_transfer_rate", _rate(total.passed_on, total.transfer_rate), "share"),
            ("case_guided_rate", _rate(total.guided, total.guided_rate), "share"),
            ("fcr", _HIDDEN if first is None else first.value, "share"),
            ("case_complaints", total.complaints, "n"),
        ]
        shown = self._calls_told()[TOTAL] if self._month.calls else frozenset()
        for name, unit, needs in (
            ("offered", "n", {"offered"}),
            ("availability_raw", "share", {"offered", "answered"}),
            ("sl_2", "share", {"offered", "answered"}),
            ("asa_s", "s", {"answered"}),
        ):
            found = calls.offered if name == "offered" else value(name, calls)
            hidden = bool(self._month.calls) and not needs <= shown
            told.append((name, _HIDDEN if hidden else found, unit))
        rows = []
        for n, (name, number, unit) in enumerate(told, start=1):
            title, formula = self._all["figures"][name]
            said = formula.format(answer_within=f"{ANSWER_WITHIN_S:.0f}")
            cells = (_text(f"1.{n} {title}"), self._cell(number, unit), _text(said, formula=True))
            rows.append(Row(name, cells))
        words = self._words
        columns = (
            Column(words["figure"], number=False), Column(words["value"]),
            Column(words["formula"], number=False),
        )  # fmt: skip
        left = first.window_open if first is not None else 0
        notes = (words["window_open"].format(n=left),) if left else ()
        return Part("summary", self._heading("summary"), columns, tuple(rows), notes)

    def _types(self) -> Part:
        words, told = self._words, self._month.by_type
        most = max((row.registered or 0 for row in told.rows), default=0)
        rows = [
            Row(
                row.about or "",
                (
                    _text(self._type_name(row)),
                    self._barred(self._cell(row.registered, "n"), row.registered, most),
                    _text(self._advice(row)),
                ),
            )
            for row in told.rows
        ]
        columns = (
            Column(words["case_type"], number=False), Column(words["registered"], bars=True),
            Column(words["advice"], number=False),
        )  # fmt: skip
        return Part("case_types", self._heading("types"), columns, tuple(rows))

    def _results(self) -> Part:
        words, told = self._words, self._month.by_type
        rows = [self._result(row.about or "", self._type_name(row), row) for row in told.rows]
        if rows:
            rows.append(self._result("*", words["total"], told.total))
        names = ("closed", "passed_on", "share_passed_on", "guided", "complaints", "first_contact")
        columns = (
            Column(words["case_type"], number=False), *(Column(words[name]) for name in names),
        )  # fmt: skip
        return Part("results", self._heading("results"), columns, tuple(rows))

    def _result(self, key: str, name: str, row: Volume) -> Row:
        first = row.first_contact
        cells = (
            _text(name), self._cell(row.closed, "n"), self._cell(row.passed_on, "n"),
            self._cell(_rate(row.passed_on, row.transfer_rate), "share"),
            self._cell(row.guided, "n"), self._cell(row.complaints, "n"),
            self._cell(_HIDDEN if first is None else first.value, "share"),
        )  # fmt: skip
        return Row(key, cells, sum=key == "*")

    def _type_name(self, row: Volume) -> str:
        found = self._directory.case_type(row.about) if row.about is not None else None
        if found is not None:
            return f"{found.code} {found.name}"
        return row.about or self._words["without"]

    def _advice(self, row: Volume) -> str:
        found = self._directory.case_type(row.about) if row.about is not None else None
        return self._all["advice"].get(found.advice or "", "") if found is not None else ""

    def _outcomes(self) -> Part:
        words, counts = self._words, self._month.by_type.total.outcomes
        most = max((count or 0 for count in counts.values()), default=0)
        names = self._directory.rows("wrap_up")
        rows = [
            Row(
                code,
                (
                    _text(str(names.get(code, {}).get("name", code))),
                    self._barred(self._cell(count, "n"), count, most),
                ),
            )
            for code, count in counts.items()
        ]
        columns = (Column(words["outcome"], number=False), Column(words["cases"], bars=True))
        return Part("outcomes", self._heading("outcomes"), columns, tuple(rows))

    def _simple(self, key: str, what: str, told: Sequence[Volume], name: Any) -> Part:
        most = max((row.registered or 0 for row in told), default=0)
        rows = tuple(
            Row(
                row.about or "",
                (
                    _text(name(row.about)),
                    self._barred(self._cell(row.registered, "n"), row.registered, most),
                    self._cell(row.passed_on, "n"),
                    self._cell(_rate(row.passed_on, row.transfer_rate), "share"),
                ),
            )
            for row in told
        )
        words = self._words
        columns = (
            Column(words[what], number=False), Column(words["registered"], bars=True),
            Column(words["passed_on"]), Column(words["share_passed_on"]),
        )  # fmt: skip
        return Part(key, self._heading(key), columns, rows)

    def _calls(self) -> Part:
        words, shown = self._words, self._calls_told()
        rows = [
            self._group(each.group, each.name, each.counts, shown[n])
            for n, each in enumerate(self._month.calls)
        ]
        if rows:
            rows.append(self._group("*", words["total"], self._month.calls_total, shown[TOTAL]))
        columns = (
            Column(words["group"], number=False), Column(words["offered"]),
            Column(words["answered"]), Column(words["abandoned"]), Column(words["availability"]),
            Column(words["asa"]),
        )  # fmt: skip
        return Part("calls", self._heading("calls"), columns, tuple(rows))

    def _calls_told(self) -> Mapping[int, frozenset[str]]:
        """The counts of each group that are told; small ones are not where it is public."""
        names = ("offered", "answered", "abandoned")
        counted = {n: each.counts for n, each in enumerate(self._month.calls)}
        counted[TOTAL] = self._month.calls_total
        table = {n: {name: getattr(c, name) for name in names} for n, c in counted.items()}
        hidden = hidden_cells(table, Sums("offered")) if self._month.public else frozenset()
        return {n: frozenset(name for name in names if (n, name) not in hidden) for n in table}

    def _group(self, key: str, name: str, counts: Counts, shown: frozenset[str]) -> Row:
        def told(number: object, *needs: str) -> object:
            return number if shown.issuperset(needs) else _HIDDEN

        cells = (
            _text(name),
            self._cell(told(counts.offered, "offered"), "n"),
            self._cell(told(counts.answered, "answered"), "n"),
            self._cell(told(counts.abandoned, "abandoned"), "n"),
            self._cell(told(value("availability_raw", counts), "offered", "answered"), "share"),
            self._cell(told(value("asa_s", counts), "answered"), "s"),
        )
        return Row(key, cells, sum=key == "*")

    def _about(self) -> Part:
        words, notes = self._words, self._all["notes"]
        rows = tuple(
            Row(shard, (_text(shard), _text(str(at), number=True)))
            for shard, at in self._month.as_of.items()
        )
        columns = (Column(words["shard"], number=False), Column(words["position"]))
        said = tuple(note.format(answer_within=f"{ANSWER_WITHIN_S:.0f}") for note in notes.values())
        return Part(
            "positions", self._heading("about"), columns, rows, (words["positions_text"], *said)
        )

    # --- words ------------------------------------------------------------------------------------
    def _heading(self, key: str) -> str:
        heading: str = self._all["headings"][key]
        return heading

    def _level(self, code: str | None) -> str:
        return str(self._directory.rows("labels").get("level", {}).get(code or "", code))

    def _channel(self, code: str | None) -> str:
        return str(self._all["channel"].get(code or "", code or self._words["without"]))

    def _cell(self, number: object, unit: str) -> Cell:
        if number is _HIDDEN or (number is None and unit == "n"):
            return Cell(self._words["not_told"], "", words=True)
        if number is None:
            return Cell(self._words["no_value"], "", words=True)
        assert isinstance(number, int | float)
        if unit == "share":
            text = f"{100 * number:.1f}".replace(".", ",") + f"{_NBSP}%"
            return Cell(text, f"{number:.4f}".replace(".", ","))
        if unit == "s":
            text = self._words["seconds"].format(n=f"{number:.0f}").replace(" ", _NBSP)
            return Cell(text, f"{number:.1f}".replace(".", ","))
        return Cell(f"{number:,.0f}".replace(",", _NBSP), f"{number:.0f}")

    def _barred(self, cell: Cell, count: int | None, most: int | None) -> Cell:
        bar = None if not most or count is None else round(_BAR_PX * count / most)
        what = self._words["chart"].format(what=self._words["cases"], count=cell.text)
        return Cell(cell.text, cell.plain, words=cell.words, bars=True, bar=bar, label=what)


def _text(text: str, *, number: bool = False, formula: bool = False) -> Cell:
    return Cell(text, text, number=number, formula=formula)


def _rate(count: int | None, rate: float | None) -> object:
    return _HIDDEN if count is None else rate
