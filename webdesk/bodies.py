"""The body of a request: bounded, and decoded with errors that never repeat what it held."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

import msgspec
from starlette.requests import ClientDisconnect

from core.errors import Invalid, Unavailable
from core.limits import BODY_BYTES_MAX
from webdesk.problems import Problem

if TYPE_CHECKING:
    from starlette.requests import Request

Shape = TypeVar("Shape")
JSON_TYPE = "application/json"
_PLAIN_FIELD = re.compile(r"unknown field `[a-z][a-z_]{0,30}`")


async def read_body(request: Request) -> bytes:
    """The whole body. Raises: Problem 413 beyond BODY_BYTES_MAX, 415 where it is not JSON."""
    said = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if said != JSON_TYPE:
        # Also what keeps a plain form on another site from being taken for a command.
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Send {JSON_TYPE}.")
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length[:20]) > BODY_BYTES_MAX:
        raise _too_large()
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > BODY_BYTES_MAX:
                raise _too_large()
    except ClientDisconnect as e:
        raise Unavailable("the client went away", neighbour="client") from e
    return bytes(body)


def decode(body: bytes | msgspec.Raw, shape: type[Shape]) -> Shape:
    """`body` as `shape`. Raises: Invalid, with the path to what is wrong."""
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as e:
        raise Invalid(reason_of(e)) from e


def reason_of(error: Exception) -> str:
    """What is wrong, by path and expected type; a value that was sent is never repeated."""
    if isinstance(error, RecursionError):
        return "the JSON is nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return "the JSON is not UTF-8"
    text = str(error)
    if text.startswith("Invalid enum value"):
        where = text.rpartition(" - at ")[2] if " - at " in text else "the body"
        return f"not one of the allowed words - at {where}"
    if text.startswith("Object contains unknown field"):
        # The name was sent too: it comes back only where it cannot be anything but a name.
        field = _PLAIN_FIELD.search(text)
        return text if field else "the object holds an unknown field"
    return text


def _too_large() -> Problem:
    return Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"The body is larger than {BODY_BYTES_MAX} bytes.",
        limit=BODY_BYTES_MAX,
    )
