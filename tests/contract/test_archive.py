"""An archive of a closed period: the same position, the same bytes; a fresh program reads it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from privacy_world import (
    NUMBER,
    PDF,
    WHY,
    add_file,
    close,
    closed_case,
    opened_case,
    post,
    registrar,
    worker,
)
from web_house import NOON, WebHouse, in_house

from core.access import NoSuchCase, NotAllowed
from core.errors import Corrupt, Invalid, NotFound, Refused
from core.retention import ArchiveExported
from kontaktcenter import archive
from kontaktcenter.archive_reader import misfit

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

BEGIN, END = NOON - timedelta(days=1), NOON + timedelta(days=1)


async def export(
    house: WebHouse, to: Path, *, files: bool = True, begin: datetime = BEGIN, **more: Any
) -> Any:
    asker = more.get("asker", registrar())
    authority = more.get("authority", "TK")
    end = more.get("end", END)
    return await house.privacy.export(asker, authority, begin, end, to, with_files=files)


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def rows(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


async def filled(house: WebHouse) -> dict[str, str]:
    """Cases of every kind that matters, and the clock a week later."""
    found = {"plain": await opened_case(house), "erased": await opened_case(house)}
    for case in found.values():
        await add_file(house, case)
        await close(house, case)
    found["protected"] = await closed_case(house, protected=True)
    found["open"] = await opened_case(house)
    found["reopened"] = await closed_case(house)
    found["private"] = await opened_case(house)
    async with house.as_(worker()) as client:
        await post(client, f"cases/TK/{found['reopened']}/reopen")
        await post(client, f"cases/TK/{found['private']}/note", text="Min egen", private=True)
    await close(house, found["private"])
    found["other"] = await closed_case(house, "MF")
    async with house.as_(registrar()) as client:
        await post(client, "erasures", authority="TK", cases=[found["erased"]], **WHY)
    house.clock.forward(timedelta(days=7).total_seconds())
    found["late"] = await closed_case(house)
    house.clock.forward(timedelta(days=7).total_seconds())
    return found


@pytest.mark.requirement("R40", "R53")
@in_house()
async def test_it_holds_what_was_closed_in_the_period_and_nothing_else(house: WebHouse) -> None:
    cases = await filled(house)
    to = house.folder / "uttag"
    told = await export(house, to)

    listed = {row["case"]: row for row in rows(to, "cases.jsonl")}
    assert set(listed) == {cases["plain"], cases["erased"], cases["private"]}
    assert told["cases"] == 3
    everything = b"".join(content(to).values()).decode("utf-8", "replace")
    for never in ("protected", "open", "other", "late", "reopened"):
        assert cases[never] not in everything
    assert NUMBER not in everything.replace("070-000 00 07", "")
    assert house.node.caller_ref(NUMBER) not in everything
    assert "Min egen" not in everything
    (private,) = [
        row for row in rows(to, "events.jsonl")
        if row["case"] == cases["private"] and row["kind"] == "case.noted"
    ]  # fmt: skip
    assert private["data"]["text"] == {"withheld": "private"}


@in_house()
async def test_what_was_erased_says_so_and_its_file_is_not_there(house: WebHouse) -> None:
    cases = await filled(house)
    to = house.folder / "uttag"
    await export(house, to)
    files = {row["case"]: row for row in rows(to, "attachments.jsonl")}
    plain, erased = files[cases["plain"]], files[cases["erased"]]
    assert (to / plain["file"]).read_bytes() == PDF
    assert plain["name"].endswith("Exempelsson.pdf")
    assert (erased["erased"], erased["file"], erased["name"]) == (True, None, {"erased": True})
    registered = next(
        row for row in rows(to, "events.jsonl")
        if row["case"] == cases["erased"] and row["kind"] == "case.registered"
    )  # fmt: skip
    assert registered["data"]["text"] == {"erased": True}
    assert json.loads((to / "manifest.json").read_text())["counts"]["erased_fields"] == 3


@in_house()
async def test_the_same_position_gives_the_same_bytes(house: WebHouse) -> None:
    await filled(house)
    first, second = house.folder / "a", house.folder / "b"
    told = [await export(house, first)]
    house.clock.forward(3600)
    told.append(await export(house, second))
    assert content(first) == content(second)
    assert told[0]["sha256"] == told[1]["sha256"]
    packed = [house.folder / "a.zip", house.folder / "b.zip"]
    for to in packed:
        await export(house, to)
    assert packed[0].read_bytes() == packed[1].read_bytes()
    with zipfile.ZipFile(packed[0]) as archived:
        assert {n: archived.read(n) for n in archived.namelist()} == content(first)


@pytest.mark.parametrize("name", ["uttag", "uttag.zip"])
def test_a_fresh_program_reads_it_with_python_alone(name: str, tmp_path: Path) -> None:
    @in_house()
    async def run(house: WebHouse) -> None:
        await filled(house)
        await export(house, house.folder / name)

    run(tmp_path=tmp_path)
    to = tmp_path / name
    if name.endswith(".zip"):
        with zipfile.ZipFile(to) as archived:
            (tmp_path / "read.py").write_bytes(archived.read("read_archive.py"))
    else:
        shutil.copy(to / "read_archive.py", tmp_path / "read.py")
    command = [sys.executable, "-I", "-S", str(tmp_path / "read.py"), str(to)]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "whole" in done.stdout


def damage_row(folder: Path) -> None:
    path = folder / "events.jsonl"
    path.write_text(path.read_text().replace('"case.closed"', '"case.opened"'))


def drop_file(folder: Path) -> None:
    next((folder / "attachments").iterdir()).unlink()


def add_file_to(folder: Path) -> None:
    (folder / "more.txt").write_text("not ours")


def drop_row(folder: Path) -> None:
    path = folder / "cases.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))
    _mend(folder, "cases.jsonl")


def misfitting_row(folder: Path) -> None:
    path = folder / "cases.jsonl"
    path.write_text(path.read_text().replace('"complaint":false', '"complaint":"no"'))
    _mend(folder, "cases.jsonl")


def _mend(folder: Path, name: str) -> None:
    """Give a changed file its right checksum: only schema and counts can tell."""
    manifest = json.loads((folder / "manifest.json").read_text())
    from core.archive import sha256_of

    manifest["files"][name]["sha256"] = sha256_of((folder / name).read_bytes())
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (damage_row, "not as it was written"),
        (drop_file, "only in the manifest"),
        (add_file_to, "only here"),
        (drop_row, "the count differs"),
        (misfitting_row, "does not fit"),
    ],
)
def test_what_was_changed_is_found(damage: Any, said: str, tmp_path: Path) -> None:
    @in_house()
    async def run(house: WebHouse) -> None:
        await filled(house)
        await export(house, house.folder / "uttag")

    run(tmp_path=tmp_path)
    to = tmp_path / "uttag"
    assert archive.verify(to)["ok"]
    damage(to)
    found = archive.verify(to)
    assert not found["ok"]
    assert any(said in fault for fault in found["faults"]), found["faults"]


@in_house()
async def test_whoever_may_not_gets_none_and_nothing_is_written(house: WebHouse) -> None:
    await filled(house)
    to = house.folder / "uttag"
    for asker, refusal in ((worker(), NotAllowed), (registrar("MF", "mia"), NoSuchCase)):
        with pytest.raises(refusal):
            await export(house, to, asker=asker)
    with pytest.raises(Invalid):
        await export(house, to, end=house.clock() + timedelta(days=1))
    with pytest.raises(Invalid):
        await export(house, to, begin=END, end=BEGIN)
    with pytest.raises(NotFound):
        await export(house, to, asker=registrar("FSK"), authority="FSK")
    to.mkdir()
    with pytest.raises(Refused):
        await export(house, to)
    assert not list(to.iterdir())
    assert not [p for p in house.folder.iterdir() if p.name.startswith(".")]


@in_house()
async def test_that_it_was_made_and_every_look_is_recorded(house: WebHouse) -> None:
    cases = await filled(house)
    before = len(house.node.load("look/house"))
    told = await export(house, house.folder / "uttag")
    looks = [r.event for r in house.node.load("look/house")][before:]
    seen = {look.case for look in looks}  # type: ignore[attr-defined]
    assert seen == {f"case/TK/{cases[name]}" for name in ("plain", "erased", "private")}
    (made,) = [r.event for r in house.node.load("archive/TK")]
    assert isinstance(made, ArchiveExported)
    assert (made.sha256, made.cases, made.registrar) == (told["sha256"], 3, "rut")


@in_house()
async def test_files_that_were_not_asked_for_are_listed_and_left_out(house: WebHouse) -> None:
    await filled(house)
    to = house.folder / "uttag"
    await export(house, to, files=False)
    assert not (to / "attachments").exists()
    assert all(row["file"] is None for row in rows(to, "attachments.jsonl"))
    assert archive.verify(to)["ok"]


@in_house()
async def test_an_archive_that_lacks_a_file_is_not_made(house: WebHouse) -> None:
    await filled(house)
    files = house.privacy.around.store
    for address in list(files.addresses()):
        files.path(address).unlink()
    with pytest.raises(Corrupt):
        await export(house, house.folder / "uttag")
    assert not (house.folder / "uttag").exists()
    assert not [p for p in house.folder.iterdir() if "partial" in p.name]


@pytest.mark.parametrize(
    ("value", "schema", "fits"),
    [
        (1, {"type": "integer"}, True),
        (1.5, {"type": "integer"}, False),
        (True, {"type": "integer"}, False),
        ("x", {"const": "x"}, True),
        ({"a": 1}, {"type": "object", "properties": {}, "additionalProperties": False}, False),
        ({}, {"type": "object", "required": ["a"]}, False),
        ([1, "x"], {"type": "array", "items": {"type": "integer"}}, False),
        (None, {"anyOf": [{"type": "string"}, {"type": "null"}]}, True),
    ],
)
def test_the_reader_knows_the_schemas_it_needs(value: Any, schema: Any, fits: bool) -> None:
    assert (misfit(value, schema) is None) is fits


def test_what_is_no_archive_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        archive.verify(tmp_path / "nothing")
    with pytest.raises(Corrupt):
        archive.verify(tmp_path)
    (tmp_path / "a.zip").write_bytes(b"PK no")
    with pytest.raises(Corrupt):
        archive.verify(tmp_path / "a.zip")
