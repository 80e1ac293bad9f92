"""What the documentation says is there, and what is there is said."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING

import pytest
from project import ROOT, kept_files, markdown

if TYPE_CHECKING:
    from pathlib import Path

from core.catalogue import EVENT_CLASSES

DOCS = ROOT / "docs"
RUNBOOKS = sorted(p for p in (ROOT / "runbooks").glob("*.md") if p.name != "README.md")
DECISIONS = sorted((DOCS / "decisions").glob("*.md"))
LINK = re.compile(r"\]\(([^)#]+?)(#[^)]*)?\)")


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def headings(path: Path) -> list[str]:
    return re.findall(r"^## (.+)$", text(path), re.MULTILINE)


@pytest.mark.parametrize("topic", sorted(c.TOPIC for c in EVENT_CLASSES))
def test_every_event_stands_in_the_glossary(topic: str) -> None:
    assert f"| `{topic}` |" in text(DOCS / "glossary.md")


def test_the_glossary_names_no_event_that_is_not_there() -> None:
    named = set(re.findall(r"^\| `([a-z]+\.[a-z_]+)` \|", text(DOCS / "glossary.md"), re.MULTILINE))
    assert named == {c.TOPIC for c in EVENT_CLASSES}


@pytest.mark.parametrize("record", DECISIONS, ids=lambda p: p.stem)
def test_a_decision_record_has_its_parts_and_fits_a_page(record: Path) -> None:
    assert headings(record) == [
        "Context",
        "Decision",
        "Consequences",
        "We would change our minds if",
    ]
    assert text(record).startswith(f"# {record.name[:4]} ")
    assert len(text(record).splitlines()) <= 60


def test_decision_records_are_numbered_without_a_gap() -> None:
    assert [int(p.name[:4]) for p in DECISIONS] == [*range(1, len(DECISIONS) + 1)]


def test_the_changelog_tells_of_this_version_and_of_what_is_to_come() -> None:
    from kontaktcenter import __version__

    released = headings(ROOT / "CHANGELOG.md")
    assert released[0] == "[Unreleased]"
    assert any(r.startswith(f"[{__version__}] - 20") for r in released)


@pytest.mark.parametrize("runbook", RUNBOOKS, ids=lambda p: p.stem)
def test_a_runbook_says_first_what_not_to_do_and_then_what_to_do(runbook: Path) -> None:
    assert headings(runbook) == [
        "Gör inte",
        "När",
        "Påverkan",
        "Gör nu",
        "Kontrollera",
        "Återgå",
        "Efteråt",
    ]
    front = re.match(r"---\nowner: (.+)\nlast_drilled: (\d{4}-\d{2}-\d{2})\n---\n", text(runbook))
    assert front is not None
    assert dt.date.fromisoformat(front[2]).year >= 2026


@pytest.mark.parametrize("runbook", RUNBOOKS, ids=lambda p: p.stem)
def test_a_runbook_stands_in_the_index_by_symptom(runbook: Path) -> None:
    assert f"({runbook.name})" in text(ROOT / "runbooks" / "README.md")


@pytest.mark.parametrize("page", markdown(), ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_to_something(page: Path) -> None:
    targets = [t for t, _ in LINK.findall(text(page)) if "://" not in t]
    assert [t for t in targets if not (page.parent / t).exists()] == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    todo = [ROOT / "README.md"]
    while todo:
        page = todo.pop().resolve()
        if page in seen or page.suffix != ".md" or not page.exists():
            continue
        seen.add(page)
        for target, _ in LINK.findall(text(page)):
            if "://" not in target:
                there = (page.parent / target).resolve()
                todo += [*there.glob("*.md")] if there.is_dir() else [there]
    kept = {p for p in kept_files() if p.suffix == ".md" and p.is_relative_to(DOCS)}
    assert {str(p.relative_to(ROOT)) for p in kept - seen} == set()


def test_the_licence_is_the_eupl() -> None:
    licence = text(ROOT / "LICENSE")
    assert "EUROPEAN UNION PUBLIC LICENCE v. 1.2" in licence
    assert "Appendix" in licence
