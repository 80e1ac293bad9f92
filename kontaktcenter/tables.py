"""Answers as tables for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kontaktcenter.cli_common import hint, say, table
from kontaktcenter.words import _

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SIGNS: Final = {"ok": "✓", "warn": "!", "fail": "✗"}


def print_doctor(result: Mapping[str, Any]) -> None:
    """One line for each check; what to do stands under it."""
    for check in result["checks"]:
        say(f"{_SIGNS[check['state']]} {check['state']:4}  {check['name']}: {check['found']}")
        if check["do"]:
            say(f"         {check['do']}")


def print_statistics(result: Mapping[str, Any]) -> None:
    """Each interval in which something happened, then the whole period."""
    rows = [row for row in result["rows"] if row["offered"]]
    by = _first_column(result)
    if not rows:
        hint(_("There is nothing in this period."))
        return
    head = [_("group"), _("from"), *_figure_names()]
    table(head, [[_name(row[by]), _clock(row["from"]), *_figures(row)] for row in rows], 2)
    say("")
    head = [_("the whole period"), *_figure_names()]
    table(head, [[_name(row[by]), *_figures(row)] for row in result["total"]])


def _first_column(result: Mapping[str, Any]) -> str:
    rows: Sequence[Mapping[str, Any]] = result["rows"] or result["total"]
    return next(iter(rows[0])) if rows else ""


def _figure_names() -> list[str]:
    return [
        _("offered"),
        _("answered"),
        _("abandoned"),
        _("others"),
        _("waiting"),
        _("ASA"),
        _("longest"),
        _("SL-2"),
        _("available"),
    ]


def _figures(row: Mapping[str, Any]) -> list[str]:
    others = sum(
        row[name] for name in ("timed_out", "refused", "callback", "deflected", "diverted", "other")
    )
    return [
        str(row["offered"]),
        str(row["answered"]),
        str(row["abandoned"]),
        str(others),
        str(row["in_progress"]),
        _seconds(row["asa_s"]),
        _seconds(row["wait_s_max"]),
        _share(row["service_level"]["of_offered"]),
        _share(row["availability"]),
    ]


def _name(value: object) -> str:
    return "–" if value is None else str(value)


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f} s"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"


def _clock(text: str) -> str:
    return text[:16].replace("T", " ")


def print_replay(result: Mapping[str, Any]) -> None:
    """The queues as they stood, and the figures up to then."""
    say(_("As it stood at {time}").format(time=result["until"]))
    rows = [
        [str(group["answer_group"]), str(group["waiting"]), _seconds(group["longest_wait_s"])]
        for group in result["queues"]["groups"]
        if group["waiting"]
    ]
    if rows:
        table([_("group"), _("waiting"), _("longest wait")], rows)
    else:
        say(_("Nobody was waiting."))
    say("")
    print_statistics(result["statistics"])
