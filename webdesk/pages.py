"""The pages: the coordinators' board, and a plain page about the API."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request  # noqa: TC002 -- FastAPI reads annotations
from starlette.responses import HTMLResponse, RedirectResponse, Response

from core.access import Deed
from core.errors import Unavailable
from core.limits import STALE_AFTER_S
from webdesk import answers, assets
from webdesk.board import Page
from webdesk.formats import Formats
from webdesk.gate import Gate
from webdesk.problems import RETRY_AFTER_S
from webdesk.translations import LANGUAGES, catalogue, choose_language
from webdesk.words import formulas, script_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from webdesk.live import LiveFeed
    from webdesk.services import Services
    from webdesk.who import WhoIs

_TEMPLATES: Final = Path(__file__).parent / "templates"


def environments() -> dict[str, Environment]:
    """One set of templates for each language, everything in them escaped."""
    found = {}
    for language in LANGUAGES:
        environment = Environment(
            loader=FileSystemLoader(_TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            extensions=["jinja2.ext.i18n"],
            trim_blocks=True,
            lstrip_blocks=True,
        )
        install = environment.install_gettext_translations  # type: ignore[attr-defined]
        install(catalogue(language), newstyle=True)
        environment.globals["assets"] = assets.address
        environment.globals["language"] = language
        environment.globals["other_language"] = next(x for x in LANGUAGES if x != language)
        found[language] = environment
    return found


def router(
    services: Services,
    feed: LiveFeed,
    openapi: Callable[[], dict[str, Any]],
    who_is: WhoIs,
    templates: Mapping[str, Environment],
) -> APIRouter:
    """The routes of the pages; `openapi` gives the API's description."""
    routes = APIRouter(include_in_schema=False)
    gate = Gate(services)

    def language_of(request: Request) -> str:
        return choose_language(request.query_params.get("lang"), services.language)

    @routes.get("/")
    async def board(request: Request) -> Response:
        gate.watch(request)
        language = language_of(request)
        try:
            published = await feed.now()
        except Unavailable:
            html = templates[language].get_template("unavailable.html").render()
            return HTMLResponse(html, 503, headers={"Retry-After": str(RETRY_AFTER_S)})
        formats = Formats(language, services.zone)
        words = catalogue(language)
        target = published.state["target"]
        html = templates[language].get_template("board.html").render(
            page=Page(published.state, formats, words).shown(),
            texts=script_texts(words, language),
            formulas=formulas(words, str(target["answer_within_s"])),
            goal=round(target["share"] * 100),
            at_iso=published.state["at"],
            at_clock=formats.clock_of(published.state["at"]),
            demo_note=services.demo_note,
            zone=str(services.zone),
            stale_after_s=STALE_AFTER_S,
            version=services.version,
            who=who_is.of(request),
        )  # fmt: skip
        return _page(html, language)

    @routes.get("/api-docs")
    async def api_docs(request: Request) -> Response:
        gate.require(request, Deed.READ_CATALOGUE)
        language = language_of(request)
        html = (
            templates[language]
            .get_template("api_docs.html")
            .render(api=openapi(), who=who_is.of(request))
        )
        return _page(html, language)

    @routes.get("/api/v1/openapi.json")
    async def description(request: Request) -> Response:
        gate.require(request, Deed.READ_CATALOGUE)
        return answers.json_answer(openapi())

    @routes.get("/favicon.ico")
    async def favicon() -> Response:
        return RedirectResponse(assets.address("favicon.svg"), status_code=308)

    return routes


def _page(html: str, language: str) -> Response:
    return HTMLResponse(html, headers={"Content-Language": language})
