"""Golden files of events: one for each type and version, written once and never again.

`python tests/golden_events.py` adds the files that are missing, with their hashes; it changes none.
"""

from __future__ import annotations

import hashlib
import json
import sys
import typing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

FOLDER = Path(__file__).parent / "golden" / "events"
MANIFEST = FOLDER.parent / "manifest.json"
CLEAR = "Exempel Exempelsson 0700000001"  # what must not be found in a golden file
SUBJECT = "caller/golden"
COMMIT = UUID("00000000-0000-4000-8000-00000000601d")
SECRET = b"golden files are read, not safe!"


def sample(event_class: type[Any]) -> Any:
    """An event of the class with every field set to something that is not its default."""
    from core.catalogue import fields_of

    return event_class(**{item.name: _value(item) for item in fields_of(event_class)})


def _value(item: Any) -> Any:
    from core.personal import Personal

    if item.personal:
        return Personal(CLEAR, SUBJECT)
    kinds = [k for k in typing.get_args(item.type) if k is not type(None)] or [item.type]
    origin = typing.get_origin(item.type)
    if origin is tuple:
        return (f"{item.name} 1", f"{item.name} 2")
    if origin is dict:
        return {"name": "Åäö", "levels": ["1", "2"], "excluded": False}
    if kinds[0] is bool:
        return item.default is not True
    known = {str: item.name, int: 7, float: 12.5, datetime: datetime(2026, 11, 22, 8, tzinfo=UTC)}
    return known[kinds[0]]


def write_missing() -> list[Path]:
    """Write the golden files that are missing, and their hashes into the manifest; these files."""
    from core.catalogue import EVENT_CLASSES
    from core.eventlog.codec import seal_event
    from core.personal import DataKey

    FOLDER.mkdir(parents=True, exist_ok=True)
    manifest = read_manifest()
    added = []
    for event_class in EVENT_CLASSES:
        path = FOLDER / f"{event_class.TOPIC}.{event_class.SCHEMA}.json"
        if path.exists() or path.name in manifest:
            continue
        key = DataKey(f"{SUBJECT}/1", SECRET)
        data = seal_event(sample(event_class), COMMIT, 0, {SUBJECT: key}.__getitem__, Nonces())
        path.write_bytes(data + b"\n")
        add_to_manifest(path.name, path)
        added.append(path)
    return added


def add_to_manifest(name: str, path: Path) -> None:
    """Write the hash of a new golden file into the manifest."""
    hashes = read_manifest()
    assert name not in hashes, "a golden file never changes"
    text = json.dumps({**hashes, name: digest(path)}, indent=2, sort_keys=True) + "\n"
    MANIFEST.write_text(text, encoding="utf-8")


class Nonces:
    """12 bytes at each call, never the same: 1, 2, 3 …"""

    def __init__(self) -> None:
        self._last = 0

    def __call__(self) -> bytes:
        self._last += 1
        return self._last.to_bytes(12, "big")


def read_manifest() -> dict[str, str]:
    """The SHA-256 of each golden file, by name."""
    if not MANIFEST.exists():
        return {}
    hashes: dict[str, str] = json.loads(MANIFEST.read_text(encoding="utf-8"))
    return hashes


def digest(path: Path) -> str:
    """The SHA-256 of a file, hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    for new in write_missing():
        print(new.name)
