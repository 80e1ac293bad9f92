"""What people are told of a node that is cut off from the log: in figures, and for monitors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.vocabulary import CASES_PREFIX

if TYPE_CHECKING:
    from webdesk.services import IslandState


def told(island: IslandState | None) -> dict[str, Any] | None:
    """Since when, whether the log is still away, how many are kept; None where all is well.

    Also where it was a moment only: a leader that changes is nobody's business.
    """
    notice = None if island is None else island.notice()
    if notice is None:
        return None
    return {"since": notice.since.isoformat(), "cut_off": notice.cut_off, "kept": notice.kept}


def degraded(island: IslandState | None) -> list[dict[str, str]]:
    """What `/readyz` says of it: an island is ready, for facts."""
    if island is None:
        return []
    found = [{"part": "journal", "detail": fault} for fault in island.faults()]
    notice = island.notice()
    if notice is None:
        return found
    state = (
        "cut off from the log; facts are kept on this node and sent when the log is back"
        if notice.cut_off
        else "the log is back, and what was kept is on its way"
    )
    # A book of cases is never named to everybody (R53).
    named = ("cases" if name.startswith(CASES_PREFIX) else name for name in notice.shards)
    shards = ", ".join(dict.fromkeys(named)) or "keys"
    since = notice.since.isoformat(timespec="seconds")
    detail = f"{state} ({shards}; since {since}, {notice.kept} kept)"
    return [*found, {"part": "island", "detail": detail}]
