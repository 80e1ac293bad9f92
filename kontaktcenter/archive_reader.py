"""Reads an archive of Kontaktcenter and checks it: checksums, schemas, counts. Python alone.

`python3 read_archive.py FOLDER-OR-ZIP`. It lies in every archive, and needs nothing of the program
that made it. A schema says little: type, const, required, properties, anyOf, items.
"""

from __future__ import annotations

import hashlib
import json
import sys
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

_TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
_ROWS = ("cases", "events", "attachments")


def files(place: Path) -> dict[str, bytes]:
    """The files of an archive by their names."""
    if place.is_file():
        with zipfile.ZipFile(place) as packed:
            return {name: packed.read(name) for name in packed.namelist()}
    found = (path for path in place.rglob("*") if path.is_file())
    return {path.relative_to(place).as_posix(): path.read_bytes() for path in found}


def misfit(value: Any, schema: dict[str, Any], where: str = "$") -> str | None:
    """Where `value` does not fit `schema`; None where it fits."""
    if "anyOf" in schema:
        fits = any(misfit(value, each, where) is None for each in schema["anyOf"])
        return None if fits else where
    kind, number = schema.get("type"), type(value) in {int, float}
    if kind in {"integer", "number"} and not (number and (kind == "number" or value % 1 == 0)):
        return where
    if kind in _TYPES and not isinstance(value, _TYPES[kind]):
        return where
    if schema.get("const", value) != value:
        return where
    parts: list[tuple[Any, dict[str, Any], object]] = []
    if isinstance(value, list):
        parts = [(item, schema.get("items", {}), n) for n, item in enumerate(value)]
    elif isinstance(value, dict):
        known = schema.get("properties", {})
        unknown = schema.get("additionalProperties") is False and set(value) - set(known)
        if unknown or set(schema.get("required", ())) - set(value):
            return where
        parts = [(item, known.get(name, {}), name) for name, item in value.items()]
    return next((bad for v, s, n in parts if (bad := misfit(v, s, f"{where}.{n}"))), None)


def check(place: Path) -> list[str]:
    """What is wrong with an archive, each as a line; empty where it is whole."""
    found = files(place)
    manifest = json.loads(found.pop("manifest.json"))
    listed = manifest["files"]
    faults = [f"{name}: only here, or only in the manifest" for name in set(found) ^ set(listed)]
    faults += [
        f"{name}: is not as it was written"
        for name in set(found) & set(listed)
        if hashlib.sha256(found[name]).hexdigest() != listed[name]["sha256"]
    ]
    lines = {name: found.get(f"{name}.jsonl", b"").split(b"\n")[:-1] for name in _ROWS}
    rows = {name: [json.loads(line) for line in lines[name]] for name in _ROWS}
    schemas = {n[8:-5]: json.loads(found[n]) for n in found if n.startswith("schemas/")}
    for row in (row for name in _ROWS for row in rows[name]):
        bad = misfit(row, schemas[row["kind"]]) if row["kind"] in schemas else "no schema"
        if bad:
            faults.append(f"{row['kind']} of {row['case']}: {bad} does not fit")
    erased = [v for row in rows["events"] for v in row["data"].values() if v == {"erased": True}]
    counts = {
        **{name: len(rows[name]) for name in _ROWS},
        "erased_fields": len(erased),
        "by_type": Counter(row["kind"] for row in rows["events"]),
        "by_case_type": Counter(row["case_type"] or "" for row in rows["cases"]),
    }
    wrong = [name for name, n in counts.items() if n != manifest["counts"].get(name)]
    return sorted(faults) + [f"{name}: the count differs" for name in wrong]


if __name__ == "__main__":
    told = check(Path(sys.argv[1]))
    sys.stdout.write("\n".join(told or ["The archive is whole."]) + "\n")
    sys.exit(1 if told else 0)
