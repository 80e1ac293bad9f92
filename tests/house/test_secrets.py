"""No name, number or secret that could be somebody's stands in what git keeps."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from project import ROOT, kept_files

if TYPE_CHECKING:
    from collections.abc import Iterator

# Numbers set aside for fiction by the Swedish telecom authority, and the recording's own made-up
# ones.
FICTIONAL = (
    re.compile(r"^(?:46|0)?8?46500[456]\d{2}$"),  # 08-465 004 xx
    re.compile(r"^(?:46|0)70000[0-4]\d{3}$"),  # 0700000000 to 0700004999
    re.compile(r"^(?:46|0)7017406(?:0[5-9]|[1-9]\d)$"),  # 070-174 06 05 to 99
)
PHONE = re.compile(r"(?<![\d.:/_+-])(?:\+46[ -]?|0)(?:\d[ -]?){7,10}(?![\d.:_/-])")
SWEDISH_FIRST = re.compile(r"^(?:46|0)(?:7[02369]|8|[1-6]\d)")
PERSON = re.compile(r"(?<![\d.])(?:19|20)?(\d{2})(\d{2})(\d{2})[-+]?(\d{4})(?!\d|\.\d)")
SECRET = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----|AKIA[0-9A-Z]{16}"
    r"|gh[pousr]_[A-Za-z0-9]{36}|xox[bap]-[0-9A-Za-z-]{20}"
)
RECORDING = {
    "crisis.queue_log"
}  # its README says that every number in it is made up: 0700000000 and on
BINARY = {".png", ".ico", ".gz", ".woff2", ".mo", ".whl", ".min.js", ".svg"}


def texts() -> Iterator[tuple[str, str]]:
    for path in kept_files():
        name = str(path.relative_to(ROOT))
        if any(name.endswith(s) for s in BINARY) or "/vendor/" in name or path.name in RECORDING:
            continue
        yield name, path.read_text(encoding="utf-8", errors="replace")


def is_fictional(digits: str) -> bool:
    return any(p.match(digits) for p in FICTIONAL)


def phones(text: str) -> list[str]:
    """What reads as a Swedish telephone number and is not set aside for fiction."""
    found = []
    for match in PHONE.finditer(text):
        written = match[0].rstrip(" -")
        digits = re.sub(r"\D", "", written)
        separated = written.startswith("+46") or re.match(r"0\d{1,3}[- ]", written)
        mobile = re.match(r"07[02369]\d{7}$", digits)
        if (separated or mobile) and SWEDISH_FIRST.match(digits) and not is_fictional(digits):
            found.append(written)
    return found


def persons(text: str) -> list[str]:
    """What reads as a personal identity number: a date that can be, and the right check digit."""
    return [
        m[0]
        for m in PERSON.finditer(text)
        if 1 <= int(m[2]) <= 12 and 1 <= int(m[3]) <= 31 and _luhn(m[1] + m[2] + m[3] + m[4])
    ]


def _luhn(digits: str) -> bool:
    doubled = [int(d) * (2 if n % 2 == 0 else 1) for n, d in enumerate(digits)]
    return sum(d // 10 + d % 10 for d in doubled) % 10 == 0


def is_exact_number(name: str, hit: str) -> bool:
    """Figures of an example may happen to pass the check digit: they stand in data files."""
    return (
        name.endswith((".json", ".toml", ".csv", ".queue_log"))
        and "-" not in hit
        and "+" not in hit
    )


def test_no_telephone_number_is_anybodys() -> None:
    others = ((name, text) for name, text in texts() if not name.endswith("test_secrets.py"))
    assert {name: hits for name, text in others if (hits := phones(text))} == {}


def test_no_personal_identity_number_is_anybodys() -> None:
    found = {
        name: hits
        for name, text in texts()
        if not name.endswith("test_secrets.py")
        and (hits := [h for h in persons(text) if not is_exact_number(name, h) and _is_written(h)])
    }
    assert found == {}


def _is_written(hit: str) -> bool:
    """With its hyphen or its century; ten bare digits are as likely a time or a count."""
    return bool(re.search(r"[-+]", hit)) or len(hit) >= 12


def test_no_key_or_token_is_kept() -> None:
    assert [name for name, text in texts() if SECRET.search(text)] == []


def test_no_secret_file_is_kept() -> None:
    names = {p.name for p in kept_files()}
    assert names & {"city.key", "device.key", "keys.db", "journal.db", ".env"} == set()


@pytest.mark.parametrize(
    "number", ["08-123 456 78", "070-123 45 67", "+46 70 123 45 67", "0701234567"]
)
def test_a_number_that_may_be_somebodys_is_seen(number: str) -> None:
    assert phones(f"ring {number} nu")


@pytest.mark.parametrize(
    "number", ["08-465 004 12", "0700000000", "0700003999", "+46 8 465 004 12"]
)
def test_a_number_set_aside_for_fiction_is_left_alone(number: str) -> None:
    assert phones(f"ring {number} nu") == []


def test_a_personal_identity_number_is_seen() -> None:
    number = "811218-9876"  # the example in everybody's textbook of the check digit
    assert persons(f"nr {number}.") == [number]
    assert persons("nr " + number[:-1] + "5.") == []
