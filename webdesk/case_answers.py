"""A case as the API shows it, to somebody who may open it: state, chain, texts, and what happened.

What is shown is named here, field by field, so that a new field is nobody's by oversight. A
caller's keyed hash is never shown: it would tie a person's cases together across authorities.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from core.cases import CaseLinked, CaseNoted, CaseRegistered, CaseUnlinked
from core.personal import Erased, Personal, Sealed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from core.case_state import CaseState
    from core.commit import Event, Recorded
    from core.taxonomy import Directory

__all__ = ["case_answer", "events_answer", "shown_to"]

# Of a case's state: what is shown.
_STATE: Final = (
    "number", "authority", "contact", "contacts", "case_type", "type_version", "complaint",
    "due_at", "level", "step", "outcome", "first_contact", "registered_by", "officer",
    "protected", "answered", "guided", "decided", "registry_number", "registry", "attachments",
)  # fmt: skip
_PARTS: Final = ("handovers", "deliveries", "questions", "callbacks")
_NEVER: Final = frozenset({"caller_ref", "key", "address"})
_STEP: Final = ("name", "level", "group", "exercise_of_authority", "action")


def shown_to(
    asker: str, recorded: Iterable[Recorded], opens: Callable[[str], bool]
) -> list[Recorded]:
    """What happened to a case, less the private notes of others, and links to other cases.

    `opens` says of a case's stream whether `asker` may open it: a link tells that it is there.
    """
    return [one for one in recorded if _is_shown(one.event, asker, opens)]


def _is_shown(event: Event, asker: str, opens: Callable[[str], bool]) -> bool:
    if isinstance(event, CaseNoted):
        return not event.private or event.agent == asker
    return not isinstance(event, CaseLinked | CaseUnlinked) or opens(event.other)


def case_answer(
    state: CaseState,
    recorded: Sequence[Recorded],
    directory: Directory,
    asker: str,
    opens: Callable[[str], bool],
) -> dict[str, Any]:
    """One case. `events` are what happened that `asker` may see, in their order."""
    shown = {name: _plain(getattr(state, name)) for name in _STATE}
    parts = {name: _plain(list(getattr(state, name).values())) for name in _PARTS}
    first = next((r.event for r in recorded if isinstance(r.event, CaseRegistered)), None)
    return {
        **shown,
        **parts,
        "links": [
            {"other": other, "kind": kind} for other, kind in state.links.items() if opens(other)
        ],
        "title": _plain(first.title) if first else None,
        "text": _plain(first.text) if first else None,
        "case": recorded[0].stream.rpartition("/")[2],
        "version": recorded[-1].version,
        "status": "open" if state.outcome is None else "closed",
        "chain": _chain(state, directory),
        "contradictions": [
            {"version": one.version, "type": one.type, "why": one.why}
            for one in state.contradictions
        ],
        "events": events_answer(shown_to(asker, recorded, opens)),
    }


def events_answer(recorded: Iterable[Recorded]) -> list[dict[str, Any]]:
    """What happened, who did it and when: oldest first, texts opened, `null` where erased."""
    return [
        {
            "version": one.version,
            "type": one.event.TOPIC,
            "occurred_at": one.occurred_at.isoformat(),
            "recorded_at": one.recorded_at.isoformat(),
            "by": one.actor,
            "origin": one.origin,
            "data": _data(one.event),
            "erased": _erased(one.event),
        }
        for one in recorded
    ]


def _data(event: Event) -> dict[str, Any]:
    return {
        item.name: _plain(getattr(event, item.name))
        for item in fields(event)
        if item.name not in _NEVER
    }


def _erased(event: Event) -> list[str]:
    return [i.name for i in fields(event) if isinstance(getattr(event, i.name), Erased)]


def _chain(state: CaseState, directory: Directory) -> list[dict[str, Any]]:
    """The steps of the case's type, in the version that stood when it was categorised."""
    if state.case_type is None:
        return []
    found = directory.case_type(state.case_type, state.type_version or None)
    if found is None:
        return []
    return [
        {
            "step": n,
            **{name: _plain(getattr(step, name)) for name in _STEP},
            "done": n in state.done,
        }
        for n, step in enumerate(found.steps)
    ]


def _plain(value: object) -> Any:
    """`value` as JSON has it; a person's text in clear, for whoever may open the case."""
    if isinstance(value, Personal):
        return value.value
    if isinstance(value, Erased | Sealed):
        return None
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, frozenset | set):
        return sorted(_plain(item) for item in value)
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {
            i.name: _plain(getattr(value, i.name)) for i in fields(value) if i.name not in _NEVER
        }
    return value
