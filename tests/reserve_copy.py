"""The terminal's copy of answer groups; `make docs` writes it anew."""

from __future__ import annotations

import json
import tomllib
from typing import Any

from project import ROOT

TAXONOMY = ROOT / "kontaktcenter" / "data" / "taxonomy.toml"
COPY = ROOT / "fallback_tui" / "groups.json"


def made() -> str:
    """The copy's text: groups that people call, in the taxonomy's order, with their matters."""
    taxonomy = tomllib.loads(TAXONOMY.read_text(encoding="utf-8"))
    closed = {a["code"] for a in taxonomy["authority"] if a["excluded"]}
    groups = [
        {
            "id": g["id"],
            "name": g["name"],
            "excluded": bool(closed.intersection(g["partition"])),
            "matters": [] if closed.intersection(g["partition"]) else _matters(taxonomy, g["id"]),
        }
        for g in taxonomy["answer_group"]
        if _is_called(g, closed)
    ]
    copy = {"as_of": str(taxonomy["meta"]["as_of"]), "groups": groups}
    return json.dumps(copy, ensure_ascii=False, indent=1) + "\n"


def _is_called(group: dict[str, Any], closed: set[str]) -> bool:
    answered_here = {"1", "2"}.intersection(group["levels"]) and not group.get("written")
    return bool(answered_here or closed.intersection(group["partition"]))


def _matters(taxonomy: dict[str, Any], group: str) -> list[list[str]]:
    return [
        [c["code"], c["name"]]
        for c in taxonomy["case_type"]
        if any(step.get("group") == group for step in c["steps"])
    ]


if __name__ == "__main__":
    COPY.write_text(made(), encoding="utf-8")
