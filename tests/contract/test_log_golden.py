"""Records of years ago are read as they were, and judged as they were, for ever."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING

import pytest
from golden_envelopes import EXPECTED, FOLDER, MANIFEST, golden, judged, records
from log_world import GENESIS

from core.eventlog.envelope import Unreadable, decode_commit, decode_envelope, encode_envelope
from core.eventlog.index.index import Index
from core.eventlog.memory_log import MemoryLog
from core.eventlog.shard import Shard

if TYPE_CHECKING:
    from pathlib import Path


def test_no_golden_record_was_changed_or_lost() -> None:
    manifest = json.loads(MANIFEST.read_text(encoding="utf-8"))
    found = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in FOLDER.glob("[0-9]*.json")}
    assert manifest == found
    assert set(records()) <= set(found), "run python tests/golden_envelopes.py"


def test_the_golden_log_is_judged_as_it_was() -> None:
    assert json.loads(EXPECTED.read_text(encoding="utf-8")) == judged(golden())


def test_this_program_still_writes_these_bytes() -> None:
    assert golden() == list(records().values())


def test_a_running_shard_comes_to_the_same_digest(tmp_path: Path) -> None:
    import asyncio

    async def read() -> str:
        log = MemoryLog()
        for body in golden():
            await log.append(body)
        shard = Shard(log, Index(tmp_path / "golden.db"), GENESIS, lambda: None)
        await shard.open()
        await shard.close()
        return shard.state.digest.hex()

    expected = json.loads(EXPECTED.read_text(encoding="utf-8"))
    assert expected["digest"] == asyncio.run(read())


@pytest.mark.parametrize("name", [n for n in records() if "void" not in n and "genesis" not in n])
def test_an_envelope_made_of_the_commits_as_they_were_read_has_the_same_bytes(name: str) -> None:
    body = (FOLDER / name).read_bytes()
    envelope = decode_envelope(body)
    raws = [bytes(raw) for raw in envelope.commits]
    assert body == encode_envelope(envelope.book, envelope.shard, raws, envelope.format)
    for raw in raws:
        assert decode_commit(raw).events is not None


def test_a_record_can_be_read_by_a_person() -> None:
    for body in golden():
        try:
            decode_envelope(body)
        except Unreadable:
            continue
        text = body.decode()
        assert text.isprintable()
        assert json.loads(text)["format"] in {1, 2}


def test_nothing_personal_stands_in_a_golden_record_in_clear() -> None:
    number = re.compile(rb"\b0[78][0-9]{2}[- ]?[0-9]{2,3}")
    assert [body for body in golden() if number.search(body)] == []
