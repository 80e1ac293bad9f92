"""Somebody at work with cases over HTTP, for tests of the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from given import city

if TYPE_CHECKING:
    import httpx
    from web_house import WebHouse

    from core.access import Asker

PATH = "/api/v1/cases"
TYPE = next(
    code for code, row in sorted(city().rows("case_type").items()) if row["authority"] == "TK"
)
PROBLEM = "urn:kontaktcenter:problem:"


class Desk:
    """Somebody at work: sends commands under keys of its own."""

    def __init__(self, house: WebHouse, asker: Asker) -> None:
        self.house, self.asker = house, asker
        self.client = house.as_(asker)
        self.keys = 0

    async def post(
        self, path: str, body: dict[str, Any], key: str | None = None, **headers: str
    ) -> httpx.Response:
        self.keys += 1
        headers["Idempotency-Key"] = key or f"key {self.keys}"
        return await self.client.post(f"{PATH}{path}", json=body, headers=headers)

    async def did(self, path: str, body: dict[str, Any], **more: str) -> dict[str, Any]:
        answer = await self.post(path, body, **more)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def register(self, authority: str = "TK", **body: Any) -> str:
        """The path of a new case."""
        told = await self.did("", {"authority": authority, **body})
        return f"/{authority}/{told['case']}"

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.client.get(f"{PATH}{path}", headers=headers)

    async def case(self, path: str) -> dict[str, Any]:
        answer = await self.get(path)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found
