"""A house with marked cases in every room, people of every role, and a detector of leaks.

Every case holds marks: words that stand nowhere else. Whatever the house answers to somebody who
may not open that case must not hold one of them, in body or headers, whatever was asked for.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
from given import city
from web_house import WebHouse

from core.access import NOBODY, PROGRAM_SCOPES, Asker, Deed, Grant, Place, Role, Verdict, verdict
from core.case_rules import CASES
from webdesk.case_bodies import VERBS
from webdesk.even_time import EvenTime

GROUPS = {"TK": "tnh_avfall", "MF": "tnh_miljo", "EXPL": "tnh_projekt", "SBK": "tnh_bygg"}
PEOPLE = [role for role in Role if role is not Role.PROGRAM]
SPOKEN = {"cases", *(verb.name for verb in VERBS)}  # what a program says for an agent


def of_role(role: Role, *authorities: str, name: str = "", **more: Any) -> Asker:
    """Somebody with one role in some authorities; agents in one of their answer groups."""
    grants = tuple(Grant(role, code, (GROUPS[code],), **more) for code in authorities)
    return Asker(name or f"{role}-{'-'.join(authorities).lower()}", grants)


def askers() -> dict[str, Asker]:
    """Everybody: each role in TK, some in other rooms, those with both sides, programs, nobody."""
    everybody = [of_role(role, "TK", approves=True) for role in PEOPLE]
    everybody += [of_role(role, "MF") for role in (Role.AGENT_1, Role.CASE_OFFICER, Role.REGISTRAR)]
    everybody += [
        of_role(Role.CASE_OFFICER, "EXPL"),
        of_role(Role.CASE_OFFICER, "TK", name="protected-tk", protected=True),
        of_role(Role.CASE_OFFICER, "TK", "MF", name="both-sides"),
        dataclasses.replace(
            of_role(Role.CASE_OFFICER, "TK", "MF", name="one-closed"), closed_to=frozenset({"MF"})
        ),
        Asker("no-room", (Grant(Role.AGENT_1),)),
        Asker("whole-city", (Grant(Role.ANALYST),)),
    ]
    scopes = frozenset(deed.value for deed in PROGRAM_SCOPES)
    everybody += [
        Asker("program-tk", (Grant(Role.PROGRAM, "TK"),), scopes=scopes),
        Asker("program-facts", (Grant(Role.PROGRAM, "TK"),), scopes=frozenset({"record_facts"})),
    ]
    return {asker.id: asker for asker in (*everybody, NOBODY)}


@functools.cache
def judged(asker: Asker, deed: Deed, place: Place) -> Verdict:
    """The verdict of the rules, in the city that the product ships."""
    return verdict(asker, deed, place, city())


@dataclass(frozen=True)
class Planted:
    """One case, what stands in it and nowhere else, and what it is called by (`names`)."""

    name: str
    authority: str
    case: str
    marks: frozenset[str]
    names: frozenset[str]

    @property
    def path(self) -> str:
        """Its address."""
        return f"/api/v1/cases/{self.authority}/{self.case}"

    @property
    def stream(self) -> str:
        """Its stream."""
        return f"case/{self.authority}/{self.case}"


class Leak(AssertionError):
    """An answer holds what whoever asked may not open."""


@dataclass
class World:
    """The house, its people and what was planted."""

    house: WebHouse
    clients: dict[str, httpx.AsyncClient] = field(default_factory=dict)
    cases: list[Planted] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        without_waiting(self.house)

    def client(self, asker: Asker) -> httpx.AsyncClient:
        """A client signed in as `asker`; the same one each time."""
        if asker.id not in self.clients:
            unknown = asker is NOBODY
            self.clients[asker.id] = self.house.nobody() if unknown else self.house.as_(asker)
        return self.clients[asker.id]

    async def send(self, asker: Asker, path: str, body: dict[str, Any]) -> httpx.Response:
        """Send a command under a key that nobody used."""
        spoken = path.startswith("/api/v1/cases") and path.rpartition("/")[2] in SPOKEN
        if spoken and asker.is_a(Role.PROGRAM):
            body = {"agent": "agent_1-tk", **body}
        headers = {"Idempotency-Key": f"walk {next(self.numbers)}"}
        return await self.client(asker).post(path, json=body, headers=headers)

    async def plant(
        self, name: str, authority: str, by: Asker, *verbs: tuple[str, Asker, dict[str, Any]],
        protected: bool = False,
    ) -> Planted:  # fmt: skip
        """A case with a mark in every text, after some commands; `{mark}` stands for a mark."""
        mark = f"zq{name}{next(self.numbers)}x"
        number = f"07000{1000 + next(self.numbers) % 3000:05}"
        told = await self.send(
            by, "/api/v1/cases",
            {"authority": authority, "title": f"{mark}title vatten", "text": f"{mark}text läcka",
             "caller": number, "protected": protected},
        )  # fmt: skip
        assert told.status_code == 200, told.text
        case = told.json()["case"]
        path = f"/api/v1/cases/{authority}/{case}"
        for nth, (verb, who, body) in enumerate(verbs):
            given = {k: v.format(mark=f"{mark}{verb}{nth}") if isinstance(v, str) else v
                     for k, v in body.items()}  # fmt: skip
            done = await self.send(who, f"{path}/{verb}", given)
            assert done.status_code == 200, (verb, done.text)
        shown = self.house.node.load(f"case/{authority}/{case}")[0].event
        marks = {mark, number, self.house.node.caller_ref(number)}
        names = {case, str(shown.number).lower()}  # type: ignore[attr-defined]
        return Planted(name, authority, case, frozenset(marks), frozenset(names))

    def place(self, planted: Planted) -> Place:
        """Where a case is now."""
        state = CASES.initial
        for recorded in self.house.node.load(planted.stream):
            state = CASES.evolve(state, recorded)
        return state.place

    def verdict(self, asker: Asker, deed: Deed, planted: Planted) -> Verdict:
        """What the rules say of a deed to a case, as it is now."""
        return judged(asker, deed, self.place(planted))

    def look_for_leaks(
        self, asker: Asker, answer: httpx.Response, asked: str, *, names: bool = False
    ) -> None:
        """Raises: Leak, where the answer holds a mark of a case that `asker` may not open.

        `names`: what cases are called may be told.
        """
        whole = answer.content + b"\n" + repr(answer.headers.multi_items()).encode()
        text = whole.decode("utf-8", "replace").lower()
        for planted in self.cases:
            marks = planted.marks if names else planted.marks | planted.names
            found = [mark for mark in marks if mark in text]
            if found and self.verdict(asker, Deed.READ_CASE, planted) is not Verdict.ALLOWED:
                raise Leak(f"{asker.id} asked {asked} and saw {found} of {planted.name}")
        for code in GROUPS:
            opened = judged(asker, Deed.READ_CASE, Place(code)) is Verdict.ALLOWED
            opened |= judged(asker, Deed.READ_CASE_FIGURES, Place(code)) is Verdict.ALLOWED
            if f"cases.{code.lower()}" in text and not opened:
                raise Leak(f"{asker.id} asked {asked} and saw how much happens in {code}")


def without_waiting(house: WebHouse) -> None:
    """What leaves at an even time leaves at once; the time itself is tested elsewhere."""

    async def at_once(seconds: float) -> None:
        del seconds
        await asyncio.sleep(0)

    for middleware in house.app.user_middleware:
        if getattr(middleware.cls, "__name__", "") == EvenTime.__name__:
            middleware.kwargs["sleep"] = at_once


TK, MF, EXPL = (
    of_role(Role.CASE_OFFICER, code, name=f"planter-{code.lower()}")
    for code in ("TK", "MF", "EXPL")
)
SEES_PROTECTED = of_role(Role.CASE_OFFICER, "TK", name="protected-tk", protected=True)


async def planted_for(world: World, asker: Asker) -> list[Planted]:
    """Cases in every room, planted anew for whoever is to walk among them."""
    note = ("note", {"text": "{mark} Zqsson"})
    cases = [
        await world.plant("tk", "TK", TK, (note[0], TK, note[1]), ("take", TK, {})),
        await world.plant("mf", "MF", MF, (note[0], MF, note[1]), ("take", MF, {})),
        await world.plant("expl", "EXPL", EXPL, (note[0], EXPL, note[1])),
        await world.plant(
            "received", "EXPL", EXPL, ("hand-over", EXPL, {"receiver": "TK", "note": "{mark}"})
        ),
        await world.plant("protected", "TK", SEES_PROTECTED, protected=True),
    ]
    if judged(asker, Deed.REGISTER_CASE, Place()) is Verdict.ALLOWED:
        cases += [await world.plant(f"own{code.lower()}", code, asker) for code in ("TK", "MF")]
    return cases
