"""Cases to erase, keep and give out, for the tests of the archivist's desk."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from given import city
from web_house import NOON, WebHouse

from core.access import Asker, Grant, Role
from core.commit import Draft, Happened
from core.directory import Directory
from core.entries import EntrySet
from core.vocabulary import case_stream

if TYPE_CHECKING:
    import httpx

    from core.commit import Event

NUMBER = "0700000007"
NAME = "Exempel Exempelsson"
SECRET = "Hemlig text om Exempel Exempelsson, ring 070-000 00 07"
WHY: dict[str, Any] = {
    "rule": "Gallringsplan 4.2",
    "reference": "Beslut 2026/17",
    "purpose": "Gallring efter avslutat ärende",
}
PDF = b"%PDF-1.7\n" + bytes(range(256)) * 600


def registrar(authority: str = "TK", name: str = "rut", *, protected: bool = False) -> Asker:
    """The registrar of an authority."""
    return Asker(name, (Grant(Role.REGISTRAR, authority, protected=protected),))


def worker(authority: str = "TK", name: str = "olle", *, protected: bool = False) -> Asker:
    """Somebody who registers, works on and closes cases of an authority."""
    return Asker(name, (Grant(Role.CASE_OFFICER, authority, protected=protected),))


async def post(client: httpx.AsyncClient, path: str, **body: Any) -> httpx.Response:
    """Ask for something under a key of its own."""
    key = {"Idempotency-Key": uuid4().hex}
    return await client.post(f"/api/v1/{path}", json=body, headers=key)


async def opened_case(house: WebHouse, authority: str = "TK", **more: Any) -> str:
    """An open case with text about somebody; its id."""
    body = {"authority": authority, "caller": NUMBER, "title": NAME, "text": SECRET, **more}
    async with house.as_(worker(authority, protected=True)) as client:
        answer = await post(client, "cases", **body)
        assert answer.status_code == 200, answer.text
        found: str = answer.json()["case"]
        return found


async def closed_case(
    house: WebHouse, authority: str = "TK", kind: str | None = None, **more: Any
) -> str:
    """A case that is done with, of a type; its id."""
    case = await opened_case(house, authority, **more)
    await close(house, case, authority, kind)
    return case


async def close(house: WebHouse, case: str, authority: str = "TK", kind: str | None = None) -> None:
    """The owner's officer categorises and closes a case."""
    async with house.as_(worker(authority, protected=True)) as client:
        kind = kind or a_case_type(authority)
        answer = await post(client, f"cases/{authority}/{case}/categorise", case_type=kind)
        assert answer.status_code == 200, answer.text
        answer = await post(client, f"cases/{authority}/{case}/close", outcome="solved")
        assert answer.status_code == 200, answer.text


def a_case_type(authority: str) -> str:
    """A plain case type of an authority: nothing but answering."""
    rows = city().rows("case_type").items()
    return next(
        code for code, row in rows if row.get("authority") == authority and not row.get("complaint")
    )


async def add_file(
    house: WebHouse,
    case: str,
    content: bytes = PDF,
    name: str = "Ansökan från Exempel Exempelsson.pdf",
    kind: str = "application/pdf",
    key: str | None = None,
) -> httpx.Response:
    """Send a file to a case of TK."""
    async with house.as_(worker(protected=True)) as client:
        return await client.post(
            f"/api/v1/cases/TK/{case}/attachments",
            files={"file": (name, content, kind)},
            headers={"Idempotency-Key": key or uuid4().hex},
        )


def texts(house: WebHouse, case: str, authority: str = "TK") -> list[Any]:
    """What the personal fields of a case read as now."""
    events = house.node.load(case_stream(authority, case), protected=True)
    return [
        value
        for recorded in events
        for value in vars(recorded.event).values()
        if type(value).__name__ in {"Personal", "Erased", "Sealed"}
    ]


TO_REGISTER = "TK-PAR-03"


def with_rules(*rows: dict[str, Any]) -> Directory:
    """The city with retention rules, and a case type that has to be registered."""
    kind = {**city().rows("case_type")[TO_REGISTER], "registry": True}
    sets = [EntrySet("retention_rule", str(row["id"]), row) for row in rows]
    sets.append(EntrySet("case_type", TO_REGISTER, kind))
    return replace(Directory.of(sets, city()), as_of=NOON)


def fact(stream: str, event: Event, at: Any = NOON, origin: str = "reserve:7") -> Draft:
    """A fact about a stream."""
    return Draft(uuid4(), uuid4().hex, "anna", origin, (Happened(stream, event, at),))
