"""Every route of the server, and who may ask for it: the table that the access walk goes by.

A route that is not here fails the walk. Whoever adds one says here which deed it is, and how to ask
for it in earnest: with a body that is right, so that nothing but rights stands in the way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from core.access import Deed
from webdesk.case_bodies import VERBS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Key = tuple[str, str]
OPEN: Final = "open"  # to anybody at all
KNOWN: Final = "known"  # to whoever signed in
SELF: Final = "self"  # one's own account: `Place(person=…)`
CENTRE: Final = "centre"  # `Place()`: a deed of the centre, or a list of one's own rooms
ROOM: Final = "room"  # one authority's room: `{authority}` in path and body, each room in turn
CASE: Final = "case"  # one case, in its own place


@dataclass(frozen=True)
class Route:
    """One way in. `deed` is None where no deed is needed; `{asker}` in `path` is who asks.

    `bodies` are sent in turn, `command`s under a key. `endless` answers never end, and are asked
    for by those alone who are turned away. A `form` is taken from a page of the server alone. A
    `file` comes as one. `names` cases to whoever may, by their ids and numbers alone.
    """

    where: str
    deed: Deed | None = None
    path: str | None = None
    bodies: tuple[Mapping[str, Any], ...] = ()
    command: bool = False
    endless: bool = False
    form: bool = False
    file: bool = False
    names: bool = False


_VERB_BODIES: Final[Mapping[str, Mapping[str, Any]]] = {
    "add-contact": {"channel": "email"},
    "categorise": {"case_type": "nosuch"},
    "escalate": {"to_level": "specialist"},
    "guide": {"to": "eservice"},
    "answer": {"text": "Svar"},
    "connect": {"group": "tnh_ovrigt"},
    "hand-over": {"note": "Vidare"},
    "note-receipt": {"handover": "nosuch", "receipt": "received"},
    "take": {},
    "note": {"text": "Anteckning"},
    "ask": {"to": "caller", "text": "Var?"},
    "answer-question": {"question": "nosuch", "text": "Där."},
    "decide": {"outcome": "bifall"},
    "send-complaint": {},
    "note-complaint-receipt": {"delivery": "nosuch", "reference": "1"},
    "answer-complaint": {"delivery": "nosuch"},
    "promise-callback": {"promised_at": "2026-11-23T08:00:00Z", "number": "0700000001"},
    "keep-callback": {"promise": "nosuch"},
    "link": {"other": "nosuch", "kind": "duplicate"},
    "unlink": {"other": "nosuch"},
    "registry": {"outcome": "kept_unregistered", "rule": "OSL 5:1"},
    "close": {"outcome": "solved"},
    "reopen": {},
    "protect": {"protected": False},  # the last one: it opens what it is done to
}
_CASE: Final = "/api/v1/cases/{authority}/{case}"
_SHIFTS: Final = "/api/v1/shifts/{exchange}/{agent}/{on}/{verb}"
_FACT: Final = {"exchange": "tnh", "uniqueid": "1.1", "kind": "queued", "queue": "avfall",
                "occurred_at": "2026-11-22T12:00:00Z"}  # fmt: skip

ROUTES: Final[dict[Key, Route]] = {
    # open to anybody
    **{("GET", path): Route(OPEN) for path in ("/livez", "/readyz", "/version", "/favicon.ico")},
    ("GET", "/static"): Route(OPEN, path="/static/favicon.svg"),
    **{("GET", path): Route(OPEN) for path in ("/sign-in", "/sign-in/unlock")},
    **{
        ("POST", path): Route(OPEN)
        for path in ("/sign-in", "/sign-in/demo", "/sign-in/unlock", "/sign-out", "/lock")
    },
    # the centre
    ("GET", "/"): Route(CENTRE, Deed.READ_QUEUES),
    ("GET", "/api/v1/queues"): Route(CENTRE, Deed.READ_QUEUES),
    ("GET", "/api/v1/stream"): Route(CENTRE, Deed.READ_QUEUES, endless=True),
    ("GET", "/api/v1/statistics"): Route(CENTRE, Deed.READ_QUEUES),
    ("GET", "/metrics"): Route(CENTRE, Deed.READ_QUEUES),
    ("GET", "/api-docs"): Route(CENTRE, Deed.READ_CATALOGUE),
    ("GET", "/api/v1/openapi.json"): Route(CENTRE, Deed.READ_CATALOGUE),
    ("POST", "/api/v1/calls/facts"): Route(
        CENTRE, Deed.RECORD_FACTS, bodies=({"facts": [_FACT]},)
    ),
    ("POST", "/api/v1/calls/{exchange}/{uniqueid}/wrap-up"): Route(
        SELF, Deed.WORK_CALL, "/api/v1/calls/tnh/1.1/wrap-up", ({"outcome": "guided"},), True
    ),
    ("POST", _SHIFTS): Route(
        SELF, Deed.WORK_SHIFT, "/api/v1/shifts/desk/{asker}/2026-11-22/sign-on",
        ({"groups": ["tnh_avfall"]},), True,
    ),
    # the catalogue
    ("GET", "/api/v1/catalogue"): Route(CENTRE, Deed.READ_CATALOGUE),
    ("GET", "/api/v1/catalogue/changes"): Route(CENTRE, Deed.READ_CATALOGUE),
    ("GET", "/api/v1/catalogue/{section}"): Route(
        CENTRE, Deed.READ_CATALOGUE, "/api/v1/catalogue/case_type"
    ),
    ("GET", "/api/v1/catalogue/{section}/{key:path}"): Route(
        CENTRE, Deed.READ_CATALOGUE, "/api/v1/catalogue/conflict_pair/MF/TK"
    ),
    ("POST", "/api/v1/catalogue/changes"): Route(
        CENTRE, Deed.PROPOSE_CHANGE,
        bodies=({"section": "area", "key": "nosuch", "fields": None},), command=True,
    ),
    ("POST", "/api/v1/catalogue/entries"): Route(
        CENTRE, Deed.SET_CATALOGUE,
        bodies=({"section": "pause_reason", "key": "nosuch", "fields": None},), command=True,
    ),
    ("POST", "/api/v1/catalogue/changes/{change}/approve"): Route(
        CENTRE, Deed.APPROVE_CHANGE, "/api/v1/catalogue/changes/nosuch/approve", ({},), True
    ),
    ("POST", "/api/v1/catalogue/changes/{change}/refuse"): Route(
        CENTRE, Deed.APPROVE_CHANGE, "/api/v1/catalogue/changes/nosuch/refuse",
        ({"reason": "nej"},), True,
    ),
    ("POST", "/api/v1/catalogue/changes/{change}/take-back"): Route(
        CENTRE, Deed.PROPOSE_CHANGE, "/api/v1/catalogue/changes/nosuch/take-back",
        ({"reason": "nej"},), True,
    ),
    # oneself
    ("GET", "/account"): Route(SELF, Deed.OWN_ACCOUNT),
    ("POST", "/account/password"): Route(SELF, Deed.OWN_ACCOUNT, form=True),
    ("GET", "/api/v1/me"): Route(KNOWN),
    # cases
    ("POST", "/api/v1/cases"): Route(
        CENTRE, Deed.REGISTER_CASE, bodies=({"authority": "MF"}, {"authority": "TK"}), command=True
    ),
    ("GET", "/api/v1/cases"): Route(CENTRE, Deed.READ_WORK_LIST),
    ("GET", "/api/v1/cases/counts"): Route(CENTRE, Deed.READ_WORK_LIST),
    ("POST", "/api/v1/cases/search"): Route(
        CENTRE, Deed.SEARCH_CASES, bodies=({"text": "vatten"}, {"text": "läcka"}, {"text": "mf"})
    ),
    ("POST", "/api/v1/cases/history"): Route(
        CENTRE, Deed.READ_HISTORY, bodies=({"number": "0700001002"}, {"number": "0700001009"})
    ),
    ("POST", "/api/v1/suggestions"): Route(
        CENTRE, Deed.READ_CATALOGUE, bodies=({"text": "sopor"},)
    ),
    ("GET", "/api/v1/officers"): Route(CENTRE, Deed.READ_CATALOGUE),
    ("GET", "/api/v1/reports/{authority}/{month}"): Route(
        ROOM, Deed.READ_CASE_FIGURES, "/api/v1/reports/{authority}/2026-11"
    ),
    # privacy
    ("GET", "/api/v1/alarms"): Route(CENTRE, Deed.READ_ALARMS),
    ("GET", "/api/v1/reviews"): Route(CENTRE, Deed.REVIEW_FACTS),
    ("GET", "/api/v1/reviews/cases"): Route(CENTRE, Deed.REVIEW_CASES),
    ("POST", "/api/v1/reviews/{review}/close"): Route(
        CENTRE, Deed.REVIEW_FACTS, "/api/v1/reviews/nosuch/close",
        ({"outcome": "as_recorded"},), True,
    ),
    ("POST", "/api/v1/reviews/cases/{review}/close"): Route(
        CENTRE, Deed.REVIEW_CASES, "/api/v1/reviews/cases/nosuch/close",
        ({"outcome": "mistaken", "note": "fel"},), True,
    ),
    ("GET", "/api/v1/looks"): Route(CENTRE, Deed.READ_LOOKS, names=True),
    ("POST", "/api/v1/looks/search"): Route(
        CENTRE, Deed.READ_LOOKS, names=True, bodies=({}, {"number": "0700001001"})
    ),
    ("POST", "/api/v1/people/everything"): Route(
        CENTRE, Deed.SUBJECT_ACCESS, bodies=({"number": "0700000001"},)
    ),
    ("GET", "/api/v1/erasures"): Route(CENTRE, Deed.DECIDE_ERASURE),
    ("GET", "/api/v1/erasures/{number}"): Route(
        CENTRE, Deed.DECIDE_ERASURE, "/api/v1/erasures/nosuch"
    ),
    ("POST", "/api/v1/erasures"): Route(
        ROOM, Deed.DECIDE_ERASURE, command=True, bodies=(
            {"authority": "{authority}", "rule": "nosuch", "reference": "1", "purpose": "p",
             "caller": "0700000001"},
        ),
    ),
    ("GET", "/api/v1/retention/{authority}"): Route(ROOM, Deed.DECIDE_ERASURE),
    ("POST", "/api/v1/retention/{authority}/decide"): Route(
        ROOM, Deed.DECIDE_ERASURE, command=True,
        bodies=({"rule": "nosuch", "reference": "1", "purpose": "p"},),
    ),
    ("POST", f"{_CASE}/disclose"): Route(
        CASE, Deed.DISCLOSE_CASE, command=True, bodies=({"purpose": "begäran"},)
    ),
    ("POST", f"{_CASE}/attachments"): Route(CASE, Deed.WORK_CASE, command=True, file=True),
    ("GET", f"{_CASE}/attachments"): Route(CASE, Deed.READ_CASE),
    ("GET", f"{_CASE}/attachments/{{address}}"): Route(
        CASE, Deed.READ_CASE, f"{_CASE}/attachments/{'0' * 64}"
    ),
    # one case
    ("GET", _CASE): Route(CASE, Deed.READ_CASE),
    ("GET", f"{_CASE}/events"): Route(CASE, Deed.READ_CASE),
    **{
        ("POST", f"{_CASE}/{verb.name}"): Route(
            CASE, verb.command.DEED, bodies=(_VERB_BODIES[verb.name],), command=True
        )
        for verb in sorted(VERBS, key=lambda verb: list(_VERB_BODIES).index(verb.name))
    },
}  # fmt: skip
# What some lists are asked for beside nothing at all: the walk asks for each of these too.
QUESTIONS: Final[Mapping[Key, tuple[str, ...]]] = {
    ("GET", "/api/v1/cases"): (
        "?list=mine", "?list=registered", "?list=overdue", "?list=registrar", "?list=handovers",
        "?list=complaints", "?list=callbacks", "?list=questions", "?list=authority&authority=MF",
        "?list=authority&authority=TK", "?list=officer&officer=case_officer-mf",
        "?list=group&group=tnh_miljo", "?list=received&receiver=MF", "?list=received&receiver=TK",
        "?closed=true", "?limit=1", "?after=1.1", "?list=nosuch", "?nosuch=1",
    ),
    ("GET", "/api/v1/reviews"): ("?state=all", "?state=closed&limit=1", "?state=nosuch"),
    ("GET", "/api/v1/reviews/cases"): ("?state=all", "?state=closed&limit=1", "?after=1.1"),
    ("GET", "/api/v1/statistics"): ("?by=case_type", "?by=authority", "?by=agent", "?by=channel"),
}  # fmt: skip


def served(routes: Iterable[Any], prefix: str = "") -> Iterator[Key]:
    """Every way into an application, with those of its routers."""
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from served(inner.routes, prefix + route.include_context.prefix)
        else:
            for method in getattr(route, "methods", None) or {"GET"}:
                if method != "HEAD":
                    yield method, prefix + route.path
