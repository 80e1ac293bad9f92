"""A form of one of our own pages: small, and read strictly."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect

from core.errors import Invalid, Unavailable
from webdesk.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

_TYPE: Final = "application/x-www-form-urlencoded"
_BYTES_MAX: Final = 16_384
_FIELDS_MAX: Final = 20


async def read_form(request: Request) -> Mapping[str, str]:
    """The fields of a form that was sent from a page of this server.

    Raises: Problem 403 where no browser vouches for that, 415, 413; Invalid.
    """
    # `Guards` has turned away what a browser says is another site's; here it has to say so.
    if "origin" not in request.headers and request.headers.get("sec-fetch-site") != "same-origin":
        raise Problem(HTTPStatus.FORBIDDEN, "A form is sent from a page of this server.")
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _TYPE:
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Send {_TYPE}.")
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > _BYTES_MAX:
                raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The form is too large.")
    except ClientDisconnect as e:
        raise Unavailable("the client went away", neighbour="client") from e
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict",
            max_num_fields=_FIELDS_MAX,
        )  # fmt: skip
    except ValueError as e:
        raise Invalid("the form cannot be read", field="form") from e
    return dict(pairs)
