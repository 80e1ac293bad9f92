"""The screens' own parts: words, formats, files of others; both languages say everything."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po
from project import ROOT

from core.calls import KINDS
from webdesk import assets
from webdesk.fact_shapes import data_shape
from webdesk.formats import Formats
from webdesk.translations import LANGUAGES, LOCALE_FOLDER, catalogue, choose_language
from webdesk.words import script_texts

WEBDESK = ROOT / "webdesk"
SV = Formats("sv", ZoneInfo("Europe/Stockholm"))
EN = Formats("en", ZoneInfo("Europe/Stockholm"))


def po(language: str) -> Any:
    with (LOCALE_FOLDER / language / "LC_MESSAGES" / "webdesk.po").open("rb") as file:
        return read_po(file)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_of_the_screens_is_in_the_catalogue(language: str) -> None:
    methods = [("*.py", "python"), ("templates/**.html", "jinja2")]
    options = {"**.html": {"newstyle_gettext": "true"}}
    used = {
        message
        for _name, _line, message, _comments, _context in extract_from_dir(
            str(WEBDESK), methods, options, keywords={"_": None, "gettext": None}
        )
    }
    known = po(language)
    assert {m for m in used if not (known.get(m) and known.get(m).string)} == set()
    assert {m.id for m in known if m.id} - used == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_fills_in_the_same_values(language: str) -> None:
    for message in po(language):
        if message.id:
            names = re.findall(r"{(\w+)}", message.id)
            assert sorted(names) == sorted(re.findall(r"{(\w+)}", message.string)), message.id


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_compiled_catalogue_is_that_of_its_source(language: str) -> None:
    compiled = catalogue(language)
    for message in po(language):
        if message.id:
            assert compiled.gettext(message.id) == message.string


def test_the_script_finds_every_text_that_it_names() -> None:
    script = "".join(
        (assets.STATIC_FOLDER / name).read_text(encoding="utf-8")
        for name in ("board.js", "chart.js")
    )
    named = set(re.findall(r"(?:texts|labels)\.(\w+)", script))
    data = {
        re.sub(r"-(\w)", lambda m: m[1].upper(), name)
        for name in script_texts(catalogue("sv"), "sv")
    }
    assert named - data == set()


def test_files_of_others_are_what_the_manifest_says_and_nothing_else() -> None:
    expected = assets.vendored()
    found = {
        str(path.relative_to(assets.VENDOR_FOLDER)): assets.sha256_of(path)
        for path in assets.VENDOR_FOLDER.rglob("*")
        if path.is_file() and path != assets.MANIFEST
    }
    assert found == expected
    packages = json.loads(assets.MANIFEST.read_text(encoding="utf-8"))["packages"]
    for package in packages:
        assert f"{package['name']}-{package['version']}/LICENSE" in found


def test_no_file_of_ours_leads_to_another_server() -> None:
    for path in [*WEBDESK.rglob("*.html"), *assets.STATIC_FOLDER.glob("*.*")]:
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://", text), path


def test_numbers_are_written_as_in_swedish_and_english() -> None:
    assert [SV.whole(n) for n in (0, 999, 1234, 1234567)] == [
        "0",
        "999",
        "1\xa0234",
        "1\xa0234\xa0567",
    ]
    assert [EN.whole(n) for n in (0, 1234)] == ["0", "1,234"]
    assert [SV.share(x) for x in (0.0, 0.625, 1.0)] == ["0\xa0%", "63\xa0%", "100\xa0%"]
    assert EN.share(0.8) == "80%"
    assert [SV.duration(s) for s in (0, 7.9, 205, 3729)] == ["0:00", "0:07", "3:25", "1:02:09"]
    assert (SV.decimal(3.46), EN.decimal(3.46)) == ("3,5", "3.5")


def test_nothing_measured_is_no_value_and_never_nought() -> None:
    assert {SV.whole(None), SV.share(None), SV.duration(None), SV.decimal(None)} == {"–"}


@pytest.mark.skipif(shutil.which("node") is None, reason="no node here: the script is not compared")
def test_the_script_writes_figures_as_the_server_does() -> None:
    numbers, shares, waits = (
        [0, 12, 999, 1000, 45678901],
        [0, 0.004, 0.005, 0.5, 0.625, 0.996, 1],
        [0, 59.9, 60, 3600, 90061],
    )
    source = (assets.STATIC_FOLDER / "formats.js").read_text(encoding="utf-8")
    for formats in (SV, EN):
        page = {
            "documentElement": {"lang": formats.language},
            "body": {"dataset": {"zone": "Europe/Stockholm"}},
        }
        script = (
            f"const document = {json.dumps(page)};\n{source}\n"
            f"console.log(JSON.stringify([{json.dumps(numbers)}.map(formats.whole),"
            f"{json.dumps(shares)}.map(formats.share), {json.dumps(waits)}.map(formats.duration),"
            "formats.clock('2026-07-01T10:00:05Z'), formats.whole(null)]));"
        )
        done = subprocess.run(["node", "-e", script], capture_output=True, text=True, check=True)
        assert json.loads(done.stdout) == [
            [formats.whole(n) for n in numbers],
            [formats.share(x) for x in shares],
            [formats.duration(s) for s in waits],
            formats.clock_of("2026-07-01T10:00:05+00:00"),
            "–",
        ]


@pytest.mark.parametrize(
    ("asked", "default", "language"),
    [
        ("en", "sv", "en"),
        (None, "sv", "sv"),
        ("de", "sv", "sv"),
        ("", "en", "en"),
        ("sv", "en", "sv"),
    ],
)
def test_the_language_is_the_one_asked_for_else_the_citys(
    asked: str | None, default: str, language: str
) -> None:
    assert choose_language(asked, default) == language


def test_the_reference_tells_every_kind_of_fact_with_its_fields() -> None:
    page = (ROOT / "docs" / "reference" / "api.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ((?:`[a-z_]+`(?:, )?)+) \| [a-z, ]*\|(.*)\|$", page, re.MULTILINE)
    told = {
        kind: set(re.findall(r"`(\w+)`(?:\?| \(|,|$)", re.sub(r"\(.*?\)", "(", fields.strip())))
        for kinds, fields in rows
        for kind in re.findall(r"`(\w+)`", kinds)
    }
    expected = {kind: set(data_shape(kind).__struct_fields__) for kind in KINDS}
    assert {kind: told.get(kind) for kind in KINDS} == expected
