"""The page about read models: its examples run, and every table and column on it is there."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from case_world import of_case, opened
from figures_world import NOW, Figures, figures_at

from core.calls import CallAbandoned, CallAnswered, CallQueued
from core.cases import CaseHandedOver
from core.shifts import AgentPaused, AgentUnpaused
from core.taxonomy import EntrySet
from core.vocabulary import call_stream, catalogue_stream, shift_stream
from projections.read_models import all_projections

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = (Path(__file__).parent.parent.parent / "docs" / "reference" / "read-models.md").read_text(
    encoding="utf-8"
)
EXAMPLES = re.findall(r"^\$ (sqlite-utils .*)$", PAGE, re.MULTILINE)
FILES = [projection.name for projection in all_projections()]
INDEXES = re.compile(r"(words|parts|plain)_\d+|.*_fts.*")  # of each room, as the page says


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Figures]:
    with figures_at(tmp_path_factory.mktemp("data")) as world:
        later = NOW + timedelta(seconds=7)
        fields: dict[str, object] = {"name": "Avfall och hämtning", "authority": "TK"}
        shift = shift_stream("lab", "A1", NOW.date().isoformat())
        world.tell(
            [
                (catalogue_stream("case_type", "AVF"), EntrySet("case_type", "AVF", fields), NOW),
                (call_stream("lab", "1.1"), CallQueued("kris", "tnh_kris"), NOW),
                (call_stream("lab", "2.1"), CallQueued("kris", "tnh_kris"), NOW),
                (call_stream("lab", "2.1"), CallAbandoned("kris", 7.0), later),
                (call_stream("lab", "3.1"), CallAnswered("kris", "A1", 7.0), later),
                (shift, AgentPaused("A1", "rast"), NOW),
                (shift, AgentUnpaused("A1"), later),
                *opened("1", "Trasig lykta"),
                *of_case("1", CaseHandedOver("h", "anna", "SAM")),
            ]
        )
        yield world


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 8


@pytest.mark.parametrize("example", EXAMPLES)
def test_each_example_of_the_page_answers(figures: Figures, example: str) -> None:
    command = shutil.which("sqlite-utils", path=str(Path(sys.executable).parent)) or "sqlite-utils"
    words = shlex.split(example.replace("data/projections", str(figures.folder)))
    done = subprocess.run([command, *words[1:]], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    if "parked" not in example:
        assert done.stdout.strip()


@pytest.mark.parametrize("name", FILES)
def test_each_table_of_a_file_is_on_the_page_with_its_columns(figures: Figures, name: str) -> None:
    with figures.models.snapshot(name) as db:
        for table in db.tables:
            if table.name.startswith(("_", "sqlite_")) or INDEXES.match(table.name):
                continue
            part = PAGE.partition(f"\n## `{name}`")[2].partition("\n## ")[0] or PAGE
            row = re.search(rf"^\| `{table.name}` \|.*$", part, re.MULTILINE)
            row = row or re.search(rf"^\| `{table.name}` \|.*$", PAGE, re.MULTILINE)
            assert row, f"{table.name} is not on the page"
            missing = [c for c in table.columns_dict if f"`{c}`" not in row.group()]
            assert (table.name, []) == (table.name, missing)
