"""One file out of a form (`multipart/form-data`), piece by piece: nothing of it touches a disk."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from core.errors import Invalid, Unavailable
from core.limits import ATTACHMENT_BYTES_MAX, KIB
from webdesk.problems import Problem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

FIELD: Final = "file"
_FRAME_BYTES_MAX: Final = 64 * KIB  # what a form may hold beside its file


class Upload:
    """The form's field `file`: its name and kind once `begin` has returned, then its pieces.

    Raises: Problem 415, 413; Invalid where the form holds another field, several, or none.
    """

    def __init__(self, request: Request) -> None:
        kind, options = parse_options_header(request.headers.get("content-type", ""))
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary:
            raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send multipart/form-data.")
        length = request.headers.get("content-length", "")
        if length.isdigit() and int(length[:20]) > ATTACHMENT_BYTES_MAX + _FRAME_BYTES_MAX:
            raise _too_large()
        self._source = request.stream()
        self._parser = MultipartParser(boundary, _callbacks(self))
        self._header: list[bytes] = [b"", b""]
        self._headers: dict[str, str] = {}
        self._parts = 0
        self._frame_bytes = 0
        self._ended = False
        self._pieces: list[bytes] = []
        self.name = ""
        self.media_type = ""

    async def begin(self) -> None:
        """Read as far as the file's name and kind."""
        while not self.name and await self._more():
            pass
        if not self.name:
            raise Invalid(f"the form holds no field {FIELD} with a filename", field=FIELD)

    async def pieces(self) -> AsyncIterator[bytes]:
        """The file's content; the form is read to its end."""
        while True:
            pieces, self._pieces = self._pieces, []
            for piece in pieces:
                yield piece
            if not await self._more():
                break
        for piece in self._pieces:
            yield piece
        if not self._ended:
            raise Invalid("the form ends before its end", field=FIELD)

    async def _more(self) -> bool:
        try:
            data = await anext(self._source, b"")
            if not data:
                return False
            held = sum(map(len, self._pieces))
            self._parser.write(data)
            self._frame_bytes += len(data) - (sum(map(len, self._pieces)) - held)
        except ClientDisconnect as e:
            raise Unavailable("the client went away", neighbour="client") from e
        except FormParserError as e:
            raise Invalid("the form cannot be read", field=FIELD) from e
        if self._frame_bytes > _FRAME_BYTES_MAX:
            raise _too_large()
        return True

    # --- what the parser tells ------------------------------------------------------------------
    def part(self) -> None:
        """A part begins."""
        self._parts += 1
        self._headers = {}
        if self._parts > 1:
            raise Invalid("send one file at a time", field=FIELD)

    def header(self, nth: int, data: bytes) -> None:
        """A piece of a header's name (0) or value (1)."""
        self._header[nth] += data

    def header_ended(self) -> None:
        """A header is whole."""
        name, value = (text.decode("utf-8", "replace") for text in self._header)
        self._headers[name.lower()] = value
        self._header = [b"", b""]

    def headers_ended(self) -> None:
        """All headers of a part are there."""
        said = self._headers.get("content-disposition", "").encode()
        _kind, options = parse_options_header(said)
        if options.get(b"name") != FIELD.encode() or not options.get(b"filename"):
            raise Invalid(f"the form holds one field, {FIELD}, with a filename", field=FIELD)
        self.name = options[b"filename"].decode("utf-8", "replace")
        kind, _options = parse_options_header(self._headers.get("content-type", "").encode())
        self.media_type = kind.decode("latin-1").lower()

    def content(self, data: bytes) -> None:
        """A piece of the file."""
        self._pieces.append(data)

    def ended(self) -> None:
        """The form is whole."""
        self._ended = True


def _callbacks(upload: Upload):  # type: ignore[no-untyped-def]  # noqa: ANN202 -- the parser's own shape
    return {
        "on_part_begin": upload.part,
        "on_header_field": lambda data, start, end: upload.header(0, data[start:end]),
        "on_header_value": lambda data, start, end: upload.header(1, data[start:end]),
        "on_header_end": upload.header_ended,
        "on_headers_finished": upload.headers_ended,
        "on_part_data": lambda data, start, end: upload.content(data[start:end]),
        "on_end": upload.ended,
    }


def _too_large() -> Problem:
    return Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"The file is larger than {ATTACHMENT_BYTES_MAX} bytes.",
        limit=ATTACHMENT_BYTES_MAX,
    )
