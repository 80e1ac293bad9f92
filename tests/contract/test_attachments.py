"""Files of cases: sealed, durable before they are named, bounded, and gone with their key."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from privacy_world import PDF, add_file, close, opened_case, registrar, worker
from web_house import WebHouse, in_house

from core.access import Asker, Grant, Role
from core.errors import Corrupt
from core.eventlog.attachments import AttachmentGone, Attachments, AttachmentTooLarge
from core.limits import ATTACHMENT_BYTES_MAX, ATTACHMENT_CHUNK_BYTES, ATTACHMENT_ORPHAN_S
from core.personal import DataKey

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEY = DataKey("case/TK/1/aa", bytes(range(32)))


def store(folder: Path) -> Attachments:
    return Attachments(folder / "attachments")


def put(files: Attachments, content: bytes, key: DataKey = KEY) -> str:
    incoming = files.begin(key)
    for start in range(0, len(content), 1000):
        incoming.write(content[start : start + 1000])
    return incoming.finish().address


def got(files: Attachments, address: str) -> bytes:
    return b"".join(files.chunks(address, {KEY.id: KEY}.get))


CHUNK = ATTACHMENT_CHUNK_BYTES


@pytest.mark.parametrize("size", [1, 999, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 7])
def test_a_file_comes_back_as_it_was(tmp_path: Path, size: int) -> None:
    files, content = store(tmp_path), os.urandom(size)
    address = put(files, content)
    assert got(files, address) == content
    files.verify(address)
    assert list(files.addresses()) == [address]


def test_nothing_of_a_file_is_on_disk_in_clear_at_any_time(tmp_path: Path) -> None:
    files, clear = store(tmp_path), b"Exempel Exempelsson " * 10_000
    incoming = files.begin(KEY)
    incoming.write(clear)
    on_disk = [p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()]
    assert on_disk
    assert not any(b"Exempelsson" in data for data in on_disk)
    address = incoming.finish().address
    data = files.path(address).read_bytes()
    assert b"Exempelsson" not in data
    assert files.path(address).stat().st_mode & 0o777 == 0o600


def flipped(data: bytes) -> bytes:
    changed = bytearray(data)
    changed[len(changed) // 2] ^= 1
    return bytes(changed)


@pytest.mark.parametrize(
    "damage",
    [
        flipped,
        lambda data: data[:-1],
        lambda data: data[: data.index(b"\n") + 1],
        lambda data: data[: data.index(b"\n") + 1 + 12 + CHUNK + 16],  # its last chunk cut off
        lambda data: b"no head at all",
        lambda data: data.replace(b'"layout":1', b'"layout":2'),
    ],
)
def test_a_damaged_file_is_never_taken_for_what_it_was(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    files = store(tmp_path)
    address = put(files, b"x" * (2 * CHUNK + 5))
    path = files.path(address)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(Corrupt):
        got(files, address)
    with pytest.raises(Corrupt):
        files.verify(address)


def test_chunks_cannot_be_moved_between_files_or_places(tmp_path: Path) -> None:
    files = store(tmp_path)
    one, two = (files.path(put(files, b"x" * 3 * CHUNK)) for _ in range(2))
    first, second = one.read_bytes(), two.read_bytes()
    head, box = first.index(b"\n") + 1, 12 + CHUNK + 16
    swapped = (
        first[:head] + first[head + box : head + 2 * box] + first[head : head + box]
        + first[head + 2 * box :]
    )  # fmt: skip
    for mixed in (swapped, first[:head] + second[head:]):
        one.write_bytes(mixed)
        with pytest.raises(Corrupt):
            got(files, one.name)


def test_a_file_beyond_the_limit_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    files = store(tmp_path)
    incoming = files.begin(KEY)
    with pytest.raises(AttachmentTooLarge):
        incoming.write(bytes(ATTACHMENT_BYTES_MAX + 1))
    incoming.give_up()
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_what_was_half_written_when_a_process_died_is_cleared(tmp_path: Path) -> None:
    files = store(tmp_path)
    files.begin(KEY).write(b"half a file")
    whole = put(files, b"a whole one")
    assert store(tmp_path).clear_incoming() == 1
    assert list(files.addresses()) == [whole]


def test_nodes_that_share_a_folder_find_each_others_files_and_leave_what_is_under_way(
    tmp_path: Path,
) -> None:
    one, other = (Attachments(tmp_path / "shared", node=name) for name in ("one", "other"))
    incoming = one.begin(KEY)
    incoming.write(b"half")
    assert other.clear_incoming() == 0
    incoming.write(b" and half")
    address = incoming.finish().address
    assert got(other, address) == b"half and half"
    assert list(other.addresses()) == [address]
    one.begin(KEY).write(b"never finished")
    assert one.clear_incoming() == 1


@pytest.mark.parametrize("address", ["", "../../city.key", "a" * 63, "A" * 64, "g" * 64, "a/" * 32])
def test_what_is_no_address_reaches_no_file(tmp_path: Path, address: str) -> None:
    from core.errors import Invalid

    with pytest.raises(Invalid):
        store(tmp_path).path(address)


def test_a_file_that_is_gone_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(AttachmentGone):
        got(store(tmp_path), "a" * 64)


# --- over HTTP ------------------------------------------------------------------------------------
@in_house()
async def test_a_file_is_added_listed_and_read_with_its_name_sealed(house: WebHouse) -> None:
    case = await opened_case(house)
    name = 'Ansökan "Exempel"; från Åsa.pdf'
    added = await add_file(house, case, PDF, name)
    assert added.status_code == 200, added.text
    path = f"/api/v1/cases/TK/{case}/attachments"

    async with house.as_(worker()) as client:
        (listed,) = (await client.get(path)).json()["attachments"]
        answer = await client.get(f"{path}/{added.json()['address']}")

    assert listed["size_bytes"] == len(PDF)
    assert (listed["media_type"], listed["erased"]) == ("application/pdf", False)
    assert answer.content == PDF
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-disposition"].startswith('attachment; filename="bilaga"')
    assert "\n" not in answer.headers["content-disposition"]
    assert '"Exempel"' not in answer.headers["content-disposition"]
    log = [
        json.dumps(str(commit.commit)).encode() for commit in house.node.read("cases.TK/0", 0, 99)
    ]
    assert not any("Ansökan".encode() in line or b"Ans\\u00f6kan" in line for line in log)


@in_house()
async def test_every_look_at_a_file_is_in_the_read_log_first(house: WebHouse) -> None:
    case = await opened_case(house)
    address = (await add_file(house, case)).json()["address"]
    before = len(house.node.load("look/house"))
    path = f"/api/v1/cases/TK/{case}/attachments"
    async with house.as_(worker()) as client:
        await client.get(path)
        await client.get(f"{path}/{address}")
    looks = [recorded.event for recorded in house.node.load("look/house")][before:]
    assert [(look.who, look.case) for look in looks] == [("olle", f"case/TK/{case}")] * 2  # type: ignore[attr-defined]


STRANGERS = [
    Asker("mia", (Grant(Role.CASE_OFFICER, "MF"),)),
    Asker("agnes", (Grant(Role.AGENT_1, groups=("tnh_miljo",)),)),
    Asker("ada", (Grant(Role.ANALYST, "TK"),)),
    Asker("adam", (Grant(Role.ADMINISTRATOR),)),
]


@pytest.mark.parametrize("stranger", STRANGERS, ids=lambda asker: asker.id)
def test_a_stranger_gets_the_answer_of_a_case_that_never_was(
    stranger: Asker, tmp_path: Path
) -> None:
    @in_house()
    async def run(house: WebHouse) -> None:
        case = await opened_case(house)
        address = (await add_file(house, case)).json()["address"]
        async with house.as_(stranger) as client:
            for verb, what, sent in (
                ("GET", "", {}),
                ("GET", f"/{address}", {}),
                ("POST", "", {"files": {"file": ("a.pdf", PDF, "application/pdf")}}),
            ):
                answers = [
                    await client.request(
                        verb,
                        f"/api/v1/cases/TK/{which}/attachments{what}",
                        headers={"Idempotency-Key": uuid4().hex},
                        **sent,  # type: ignore[arg-type]
                    )
                    for which in (case, "never-was")
                ]
                assert answers[0].status_code in {403, 404}
                assert answers[0].status_code == answers[1].status_code
                assert answers[0].json() == answers[1].json()

    run(tmp_path=tmp_path)


@in_house()
async def test_an_address_of_another_case_is_not_there(house: WebHouse) -> None:
    one, two = await opened_case(house), await opened_case(house)
    address = (await add_file(house, one)).json()["address"]
    async with house.as_(worker()) as client:
        for wrong in (address, "f" * 64, "..%2Fcity.key"):
            answer = await client.get(f"/api/v1/cases/TK/{two}/attachments/{wrong}")
            assert answer.status_code == 404


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"content": b"<script>", "kind": "text/html"}, 422),
        ({"content": b"GIF89a", "kind": "image/png"}, 422),
        ({"content": b"", "kind": "text/plain"}, 422),
        ({"content": b"x", "kind": "text/plain", "name": "a" * 201}, 422),
        ({"content": bytes(ATTACHMENT_BYTES_MAX + 1), "kind": "text/plain"}, 413),
    ],
)
def test_what_is_not_kept_is_refused_and_leaves_no_file(
    sent: dict[str, Any], status: int, tmp_path: Path
) -> None:
    @in_house()
    async def run(house: WebHouse) -> None:
        case = await opened_case(house)
        answer = await add_file(house, case, **sent)
        assert answer.status_code in {status, 422}, answer.text
        assert answer.json()["detail"]
        left = [p for p in (tmp_path / "attachments").rglob("*") if p.is_file()]
        assert not left
        assert len(house.node.load(f"case/TK/{case}")) == 1

    run(tmp_path=tmp_path)


TEXT = (
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n'
    b"Content-Type: text/plain\r\n\r\n"
)


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{}", "application/json", 415),
        (b"--x\r\n", "multipart/form-data; boundary=x", 422),
        (b"nothing", "multipart/form-data; boundary=x", 422),
        (b"", "multipart/form-data", 415),
        (
            b'--x\r\nContent-Disposition: form-data; name="other"\r\n\r\nhej\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
            422,
        ),
        (
            TEXT + b"cut off",
            "multipart/form-data; boundary=x",
            422,
        ),
        (
            TEXT + b"one\r\n" + TEXT + b"two\r\n--x--\r\n",
            "multipart/form-data; boundary=x",
            422,
        ),
    ],
)
def test_a_form_that_is_no_form_is_refused(
    body: bytes, kind: str, status: int, tmp_path: Path
) -> None:
    @in_house()
    async def run(house: WebHouse) -> None:
        case = await opened_case(house)
        async with house.as_(worker()) as client:
            answer = await client.post(
                f"/api/v1/cases/TK/{case}/attachments",
                content=body,
                headers={"Content-Type": kind, "Idempotency-Key": "k"},
            )
        assert answer.status_code == status, answer.text
        assert not [p for p in (tmp_path / "attachments").rglob("*") if p.is_file()]

    run(tmp_path=tmp_path)


@in_house()
async def test_the_same_file_sent_again_is_the_same_and_another_is_a_conflict(
    house: WebHouse,
) -> None:
    case = await opened_case(house)
    first = await add_file(house, case, key="once")
    again = await add_file(house, case, key="once")
    other = await add_file(house, case, PDF + b"more", key="once")
    assert first.json()["address"] == again.json()["address"]
    assert (first.json()["already"], again.json()["already"]) == (False, True)
    assert other.status_code == 409
    assert len(list(house.privacy.around.store.addresses())) == 1


@in_house()
async def test_a_file_that_no_case_names_goes_after_a_day_and_a_named_one_never(
    house: WebHouse,
) -> None:
    """kill -9 between the file's last byte and its event leaves one that nobody names."""
    case = await opened_case(house)
    named = (await add_file(house, case)).json()["address"]
    files, ring = house.privacy.around.store, house.node.keyring
    subject = f"case/TK/{case}"
    orphan = put(files, b"nobody names me", ring.for_subject(subject))
    now = house.clock().timestamp()
    for address in (named, orphan):
        os.utime(files.path(address), (now, now))

    assert await house.privacy.files.sweep() == 0
    house.clock.forward(ATTACHMENT_ORPHAN_S + 1)
    assert await house.privacy.files.sweep() == 1

    assert list(files.addresses()) == [named]
    await close(house, case)


@in_house()
async def test_a_file_of_a_protected_identity_is_sealed_with_its_own_key(house: WebHouse) -> None:
    case = await opened_case(house, protected=True)
    added = await add_file(house, case)
    assert added.status_code == 200, added.text
    head = house.privacy.around.store.head(added.json()["address"])
    assert head.key.startswith(f"protected/case/TK/{case}/")
    path = f"/api/v1/cases/TK/{case}/attachments"
    async with house.as_(worker()) as client:
        assert (await client.get(path)).status_code == 404
    async with house.as_(worker(protected=True)) as client:
        shown = await client.get(f"{path}/{added.json()['address']}")
    assert shown.content == PDF


@in_house()
async def test_many_files_at_once_are_all_there(house: WebHouse) -> None:
    case = await opened_case(house)
    added = await asyncio.gather(*(add_file(house, case, PDF + bytes([n])) for n in range(8)))
    assert {answer.status_code for answer in added} == {200}
    async with house.as_(registrar()) as client:
        listed = (await client.get(f"/api/v1/cases/TK/{case}/attachments")).json()
    assert {a["address"] for a in listed["attachments"]} == {a.json()["address"] for a in added}
