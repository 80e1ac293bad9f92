"""Looks for text in every byte of files, however it may be written there."""

from __future__ import annotations

import base64
import bz2
import contextlib
import gzip
import io
import lzma
import urllib.parse
import zipfile
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


def forms_of(text: str) -> dict[str, bytes]:
    """How a text may stand in a file, by the name of the form."""
    raw = text.encode()
    forms = {
        "utf-8": raw,
        "utf-16-le": text.encode("utf-16-le"),
        "utf-16-be": text.encode("utf-16-be"),
        "latin-1": text.encode("latin-1", "ignore"),
        "json": text.encode("ascii", "backslashreplace"),
        "url": urllib.parse.quote(text).encode(),
        "hex": raw.hex().encode(),
    }
    for shift in range(3):
        # What stands before it decides where its groups of three begin; the ends may be another's.
        whole = base64.b64encode(bytes(shift) + raw)
        first = 4 if shift else 0
        forms[f"base64+{shift}"] = whole[first : len(whole) - 4]
        forms[f"base64url+{shift}"] = whole[first : len(whole) - 4].translate(
            bytes.maketrans(b"+/", b"-_")
        )
    return forms


def found_in(data: bytes, texts: Iterable[str]) -> list[str]:
    """Which texts stand in `data`, in any case, and in which form."""
    lower = data.lower()
    found = []
    for text in texts:
        for name, form in forms_of(text).items():
            exact = name.startswith("base64")
            if (form in data) if exact else (form.lower() in lower):
                found.append(f"{text} as {name}")
    return found


def layers(data: bytes) -> Iterator[bytes]:
    """The bytes themselves, and what is packed in them."""
    yield data
    if data[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            for name in packed.namelist():
                yield from layers(packed.read(name))
    for begins, opened in ((b"\x1f\x8b", gzip), (b"\xfd7zXZ", lzma), (b"BZh", bz2)):
        if data.startswith(begins):
            yield from layers(opened.decompress(data))
    at = data.find(b"\x1f\x8b\x08")
    while at >= 0:  # one that was put into another file
        with contextlib.suppress(zlib.error):
            yield zlib.decompressobj(31).decompress(data[at:])
        at = data.find(b"\x1f\x8b\x08", at + 1)


def scan(folders: Iterable[Path], texts: Iterable[str]) -> dict[str, list[str]]:
    """Where texts stand in any file below `folders`, names of files included; empty: nowhere."""
    wanted = list(texts)
    found: dict[str, list[str]] = {}
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            here = found_in(str(path.relative_to(folder)).encode(), wanted)
            if path.is_file() and not path.is_symlink():
                for layer in layers(path.read_bytes()):
                    here += found_in(layer, wanted)
            if here:
                found[str(path)] = sorted(set(here))
    return found
