"""The application: routes, guards, errors, and the live feed's life."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from webdesk import (
    alarms,
    answers,
    assets,
    case_history,
    case_lists,
    cases,
    catalogue,
    commands,
    facts,
    health,
    looks,
    pages,
    people,
    privacy,
    problems,
    queries,
    reviews,
    sign_in,
    suggesting,
)
from webdesk.authentication import Authentication
from webdesk.describe import describe
from webdesk.desk import CommandsDesk
from webdesk.even_time import EvenTime
from webdesk.guards import Guards
from webdesk.live import LiveFeed
from webdesk.metrics import Metrics
from webdesk.passwords import Passwords
from webdesk.sign_in_desk import SignInDesk
from webdesk.who import WhoIs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.responses import Response
    from starlette.types import Scope

    from webdesk.services import Services

_DESCRIPTION = """The contact centre's HTTP API. Errors are problem details (RFC 9457). Every answer
tells which position of the log it rests on; times carry their offset; units stand last in names
(`wait_s`)."""
_FOR_EVER = "public, max-age=31536000, immutable"


class _Assets(StaticFiles):
    """Static files; asked for with the hash of their content they may be kept for ever."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        if scope["query_string"].startswith(b"v="):
            response.headers["Cache-Control"] = _FOR_EVER
        else:
            response.headers["Cache-Control"] = "no-cache"
        return response


def _include_pages(app: FastAPI, services: Services, feed: LiveFeed) -> None:
    templates = pages.environments()
    passwords = services.passwords or Passwords(services.entropy)
    desk = SignInDesk(services, passwords)
    who_is = WhoIs(services, desk.load)
    signing_in = sign_in.SignInPages(services, desk, who_is, templates)
    app.include_router(sign_in.router(signing_in))
    if services.sign_on is not None:
        from webdesk import oidc, oidc_pages  # noqa: PLC0415 -- a tenth of the start, if needed

        provider = oidc.Provider(services.sign_on, services.clock, services.entropy)
        app.include_router(oidc_pages.router(oidc_pages.OidcPages(services, provider, signing_in)))
    app.include_router(pages.router(services, feed, app.openapi, who_is, templates))


def create_app(services: Services) -> FastAPI:
    """The web application on what the composition root wired. `app.state.feed` is its live feed."""
    feed = LiveFeed(services)
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        del app
        feed.start()
        try:
            yield
        finally:
            await feed.close()

    app = FastAPI(
        title="Kontaktcenter",
        version=services.version,
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,  # described to whoever signed in, like everything else
        separate_input_output_schemas=False,
        responses={"default": {"model": answers.Problem, "description": "A problem (RFC 9457)"}},
    )
    app.state.feed = feed
    describe(app)
    app.include_router(queries.router(services, feed))
    app.include_router(facts.router(services, metrics))
    desk = CommandsDesk(services, metrics)
    app.include_router(commands.router(desk))
    app.include_router(catalogue.router(services, desk))
    app.include_router(case_lists.router(services, desk.gate))
    app.include_router(case_history.router(services, desk.gate))
    app.include_router(alarms.router(services, desk.gate))
    app.include_router(reviews.router(services, desk))
    app.include_router(suggesting.router(services, desk.gate))
    app.include_router(looks.router(services, desk.gate))
    app.include_router(people.router(services, desk.gate))
    app.include_router(cases.router(services, desk))
    app.include_router(privacy.router(services, desk))
    app.include_router(health.router(services, feed, metrics))
    _include_pages(app, services, feed)
    app.mount(assets.PREFIX, _Assets(directory=assets.STATIC_FOLDER), name="static")
    problems.install(app)
    app.add_middleware(Authentication, services=services)
    app.add_middleware(EvenTime)
    app.add_middleware(Guards, hosts=services.hosts, seen=metrics.answered)
    return app
