"""The texts that the board's script fills in, by their names in `board.js`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from projections.kpi import BY_ID

if TYPE_CHECKING:
    import gettext

GLYPHS = {"good": "✓", "watch": "▼", "alarm": "▲", "quiet": "○"}


def script_texts(catalogue: gettext.NullTranslations, language: str) -> dict[str, str]:
    """Names are those of HTML data attributes: the script reads `level-worked` as `levelWorked`.

    Which of the service levels it is that the board shows stands beside it (R38).
    """
    _ = catalogue.gettext
    level, abandonment = BY_ID["sl_2"], BY_ID["abandonment_raw"]
    level_name, abandonment_name = (
        (level.name_sv, abandonment.name_sv)
        if language == "sv"
        else (level.name_en, abandonment.name_en)
    )
    return {
        "waiting": _("Waiting"),
        "offered": _("Offered"),
        "abandoned": _("Abandoned"),
        "live": _("Live"),
        "lost": _("No contact since {since}"),
        "lost-now": _("The contact with the server is lost. The figures are old."),
        "regained": _("The contact is back. The figures are live."),
        "old": _("Old figures"),
        "paused": _("Paused"),
        "pause": _("Pause"),
        "resume": _("Go on"),
        "ago": _("{seconds} s ago"),
        **_notices(catalogue),
        "stale": _("Old figures, {seconds} s"),
        "long_wait": _("Long wait"),
        "far_below": _("Far below"),
        "below": _("Below"),
        "on_target": _("On target"),
        "few_calls": _("Few calls"),
        "no_calls": _("No calls"),
        "waiting-note": _("in {groups} answer groups"),
        "waiting-note-one": _("in one answer group"),
        "longest-note": _("{group}, since {since}"),
        "nobody-waits": _("nobody is waiting"),
        "level_good": _("On target: {goal} within {seconds} s"),
        "level_watch": _("Below {goal} within {seconds} s"),
        "level_alarm": _("Far below {goal} within {seconds} s"),
        "level_quiet": _("Target: {goal} within {seconds} s"),
        "level-worked": _("{within} answered within {seconds} s / {offered} offered = {level}."),
        "level-name": f"{level_name}:",
        "abandonment-name": f"{abandonment_name}:",
        "level-formula": _(
            "Waits of exactly the limit are in time. Refused calls are offered too."
        ),
        "abandonment-worked": _("{abandoned} abandoned / {offered} offered = {share}."),
        "abandonment-formula": _(
            "Callers who hung up before an answer. Promised callbacks are not among them."
        ),
        "abandonment-note": _("{abandoned} of {offered} calls"),
        "nothing-offered": _("No calls in the last hour, so there is no value."),
        "calm": _("{count} answer groups without calls in the last hour"),
        "chart": _(
            "Line chart of the last hour: at most {most} waiting at once, {offered} offered, "
            "{abandoned} abandoned."
        ),
        "summary": _(
            "Calls that wait: {waiting}. Answer groups with a queue: {groups}. "
            "The longest wait is {longest}, in {group}. Service level in the last hour: {level}."
        ),
        "summary-calm": _("Nobody is waiting. Service level in the last hour: {level}."),
    }


def formulas(catalogue: gettext.NullTranslations, within_s: str) -> dict[str, str]:
    """What each column means, shown beside its heading (R38); `within_s` is the target's limit."""
    _ = catalogue.gettext
    return {
        "waiting": _(
            "Calls that have entered the queue and have neither been answered nor left it."
        ),
        "longest": _("Now minus the time when the call that has waited longest entered the queue."),
        "level": _(
            "Calls of the last hour answered within {seconds} s / calls offered in the last hour."
        ).format(seconds=within_s),
        "offered": _("Calls that entered the queue in the last hour, and those that it refused."),
        "abandonment": _("Callers who hung up before an answer / calls offered, in the last hour."),
        "agents": _(
            "Agents who can take a call in this group / calls of this group that are being talked."
        ),
    }


def _notices(catalogue: gettext.NullTranslations) -> dict[str, str]:
    """What the node itself has to tell."""
    _ = catalogue.gettext
    return {
        "island": _(
            "Cut off from the log since {since}. {kept} notes are kept on this node and are sent "
            "when the log is back."
        ),
        "island-back": _(
            "The log is back. {kept} notes from the time without it are on their way."
        ),
        "reviews": _("{count} facts to review"),
        "reviews-one": _("one fact to review"),
    }


def state_names(catalogue: gettext.NullTranslations) -> dict[str, str]:
    """The states of agents, in the order in which the board shows them."""
    _ = catalogue.gettext
    return {
        "available": _("free"),
        "ringing": _("ringing"),
        "talking": _("talking"),
        "wrap_up": _("wrapping up"),
        "paused": _("paused"),
    }
