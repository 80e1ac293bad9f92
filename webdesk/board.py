"""The first page for coordinators, rendered on the server: it has its figures without a script."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from webdesk.words import GLYPHS, script_texts, state_names

if TYPE_CHECKING:
    import gettext
    from collections.abc import Mapping, Sequence

    from webdesk.formats import Formats

_CHART_WIDTH = 600
_CHART_HEIGHT = 160
_BLANK_HOUR: dict[str, Any] = {
    "offered": 0,
    "answered_within": 0,
    "abandoned": 0,
    "abandonment": None,
    "service_level": {"of_offered": None},
}
_BLANK: dict[str, Any] = {
    "answer_group": "",
    "name": "",
    "known": True,
    "talking": 0,
    "waiting": 0,
    "longest_wait_s": None,
    "status": "quiet",
    "reason": "no_calls",
    "agents": {},
    "last_hour": _BLANK_HOUR,
}


class Page:
    """What the template shows of one situation, as text in one language."""

    def __init__(
        self, now: Mapping[str, Any], formats: Formats, catalogue: gettext.NullTranslations
    ) -> None:
        self._now = now
        self._f = formats
        self._t = script_texts(catalogue, formats.language)
        self._states = state_names(catalogue)
        self._total = now["total"]
        self._hour = now["total"]["last_hour"]
        self._seconds = now["target"]["answer_within_s"]

    def shown(self) -> dict[str, object]:
        """Everything that `board.html` calls `page`."""
        f, total, hour = self._f, self._total, self._hour
        groups = self._now["groups"]
        calm = [group for group in groups if not group["busy"]]
        waiting = total["waiting"]
        return {
            "summary": self._summary(),
            "waiting": f.whole(waiting),
            "waiting_status": total["waiting_status"],
            "waiting_note": self._waiting_note(total["groups_waiting"]),
            "longest": f.duration(total["longest_wait_s"] if waiting else None),
            "longest_status": total["longest_status"],
            "longest_note": self._longest_note(),
            "level": f.share(hour["service_level"]["of_offered"]),
            "level_status": total["level_status"],
            "level_glyph": GLYPHS[total["level_status"]],
            "level_fill": _fill(hour),
            "level_note": self._t[f"level_{total['level_status']}"].format(
                goal=f.share(self._now["target"]["share"]), seconds=self._seconds
            ),
            "level_worked": " ".join(
                (self._t["level-name"], self._worked(hour), self._t["level-formula"])
            ),
            "abandonment": f.share(hour["abandonment"]),
            "abandonment_worked": " ".join(
                (
                    self._t["abandonment-name"],
                    self._abandonment_worked(),
                    self._t["abandonment-formula"],
                )
            ),
            "abandonment_note": self._t["abandonment-note"].format(
                abandoned=f.whole(hour["abandoned"]), offered=f.whole(hour["offered"])
            ),
            **self._agents(),
            "goal_text": self._t["level_quiet"].format(
                goal=f.share(self._now["target"]["share"]), seconds=self._seconds
            ),
            "busy": [self._row(group) for group in groups if group["busy"]],
            "blank": self._row(_BLANK),
            "calm": calm,
            "calm_text": self._t["calm"].format(count=len(calm)),
            "calm_names": ", ".join(group["name"] for group in calm),
            "chart": _chart(self._now["series"]),
            "chart_text": self._chart_text(),
            "series": [self._point(point) for point in self._now["table"]],
            "position": self._now["position"],
            "island": self._island(),
            "reviews": self._reviews(),
        }

    def _row(self, group: Mapping[str, Any]) -> dict[str, object]:
        f, hour, free = self._f, group["last_hour"], group["agents"].get("available", 0)
        return {
            "id": group["answer_group"],
            "tip": "tip-" + "-".join(group["answer_group"].split()),
            "name": group["name"],
            "known": group["known"],
            "status": group["status"],
            "glyph": GLYPHS[group["status"]],
            "status_text": self._t[group["reason"]],
            "waiting": f.whole(group["waiting"]),
            "longest": f.duration(group["longest_wait_s"] if group["waiting"] else None),
            "level": f.share(hour["service_level"]["of_offered"]),
            "level_fill": _fill(hour),
            "level_worked": self._worked(hour),
            "offered": f.whole(hour["offered"]),
            "abandonment": f.share(hour["abandonment"]),
            "agents": f"{f.whole(free)} / {f.whole(group['talking'])}",
        }

    def _worked(self, hour: Mapping[str, Any]) -> str:
        if not hour["offered"]:
            return self._t["nothing-offered"]
        return self._t["level-worked"].format(
            within=self._f.whole(hour["answered_within"]),
            seconds=self._seconds,
            offered=self._f.whole(hour["offered"]),
            level=self._f.share(hour["service_level"]["of_offered"]),
        )

    def _abandonment_worked(self) -> str:
        if not self._hour["offered"]:
            return self._t["nothing-offered"]
        return self._t["abandonment-worked"].format(
            abandoned=self._f.whole(self._hour["abandoned"]),
            offered=self._f.whole(self._hour["offered"]),
            share=self._f.share(self._hour["abandonment"]),
        )

    def _waiting_note(self, groups: int) -> str:
        if groups == 1:
            return self._t["waiting-note-one"]
        return self._t["waiting-note"].format(groups=groups) if groups else self._t["nobody-waits"]

    def _longest_note(self) -> str:
        if not self._total["waiting"]:
            return self._t["nobody-waits"]
        since = self._f.clock_of(self._total["longest_since"])
        return self._t["longest-note"].format(group=self._total["longest_group"], since=since)

    def _island(self) -> str:
        """In words that this node is cut off from the log; empty where it is not."""
        island = self._now.get("island")
        if island is None:
            return ""
        text = self._t["island" if island["cut_off"] else "island-back"]
        return text.format(
            since=self._f.clock_of(island["since"]), kept=self._f.whole(island["kept"])
        )

    def _reviews(self) -> str:
        """In words what waits for somebody to look at it; empty where nothing does."""
        count = self._now.get("reviews")
        if not count:
            return ""
        return self._t["reviews-one" if count == 1 else "reviews"].format(
            count=self._f.whole(count)
        )

    def _summary(self) -> str:
        level = self._f.share(self._hour["service_level"]["of_offered"])
        if not self._total["waiting"]:
            return self._t["summary-calm"].format(level=level)
        return self._t["summary"].format(
            waiting=self._f.whole(self._total["waiting"]),
            groups=self._total["groups_waiting"],
            group=self._total["longest_group"],
            longest=self._f.duration(self._total["longest_wait_s"]),
            level=level,
        )

    def _agents(self) -> dict[str, object]:
        counts = {state: int(self._now["agents"].get(state, 0)) for state in self._states}
        signed_on = sum(counts.values())
        staff, x = [], 0.0
        for state, name in self._states.items():
            width = 100 * counts[state] / signed_on if signed_on else 0.0
            staff.append(
                {
                    "state": state,
                    "name": name,
                    "count": self._f.whole(counts[state]),
                    "x": f"{x:.2f}",
                    "width": f"{width:.2f}",
                }
            )
            x += width
        return {"signed_on": self._f.whole(signed_on), "staff": staff}

    def _chart_text(self) -> str:
        most = max((point["waiting"] for point in self._now["series"]), default=0)
        return self._t["chart"].format(
            most=self._f.whole(most),
            offered=self._f.whole(self._hour["offered"]),
            abandoned=self._f.whole(self._hour["abandoned"]),
        )

    def _point(self, point: Mapping[str, Any]) -> dict[str, str]:
        counts = {
            name: self._f.whole(point[name])
            for name in ("waiting", "offered", "answered", "abandoned")
        }
        return {"minute": self._f.minute(datetime.fromisoformat(point["at"])), **counts}


def _fill(hour: Mapping[str, Any]) -> int:
    return round(100 * (hour["service_level"]["of_offered"] or 0))


def _chart(series: Sequence[Mapping[str, Any]]) -> dict[str, str] | None:
    """The points of the plain chart that is there before, or without, a script."""
    if len(series) < 2:  # noqa: PLR2004 -- a line has two ends
        return None
    names = ("waiting", "offered", "abandoned")
    top = max(5, *(point[name] for point in series for name in names))
    step = _CHART_WIDTH / (len(series) - 1)
    return {
        name: " ".join(
            f"{nth * step:.1f},{_CHART_HEIGHT * (1 - point[name] / top):.1f}"
            for nth, point in enumerate(series)
        )
        for name in names
    }
