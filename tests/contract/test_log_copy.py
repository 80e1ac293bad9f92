"""`log copy`: byte for byte, in order, from a file to Kafka and back, killed anywhere."""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from cli_here import kc, kc_json
from copy_world import (
    BACK,
    GONE,
    KEY,
    LATE,
    config_of,
    digests,
    fill,
    in_file,
    killed_copy,
    log_in_file,
    on_kafka,
    settings_of,
)
from log_world import T0

from core.errors import Corrupt, InUse, NotFound, Refused
from core.eventlog.keys import SqliteKeys
from core.eventlog.memory_log import MemoryStore
from core.eventlog.sqlite_log import SqliteStore
from kontaktcenter import key_copy, log_file, words
from kontaktcenter.commands.copies import copy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from deploy.kafka_lab import SharedBroker

pytestmark = pytest.mark.kafka


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    """What is refused is asserted as it stands in the code."""
    words.choose("en")
    yield
    words.choose("sv")


@pytest.fixture
def kafka(kafka_broker: SharedBroker, kafka_prefix: str) -> str:
    """An address under which nothing is yet."""
    return f"kafka://{kafka_broker.servers}/{kafka_prefix}"


@pytest.mark.parametrize(("client", "shards"), [("aiokafka", 4), ("kafka-python", 1)])
def test_a_log_goes_to_kafka_and_comes_back_byte_for_byte(
    client: str, shards: int, kafka: str, tmp_path: Path
) -> None:
    source, back = tmp_path / "a" / "log.db", tmp_path / "b" / "log.db"
    log_in_file(source, shards=shards)
    config = config_of(tmp_path)

    there = copy(config, f"sqlite:{source}", f"{kafka}?client={client}", "with")
    again = copy(config, f"sqlite:{source}", f"{kafka}?client={client}", "with")
    home = copy(config, f"{kafka}?client={client}", f"sqlite:{back}", "with")

    assert there == again
    assert digests(there) == digests(home) == asyncio.run(log_file.digests(source))[0]
    assert len(there["shards"]) == shards + 1
    assert in_file(source) == on_kafka(kafka) == in_file(back)


def test_destroyed_keys_stay_destroyed_and_later_ones_live(kafka: str, tmp_path: Path) -> None:
    from core.eventlog.kafka_log.keys import open_keys

    source, back = tmp_path / "a" / "log.db", tmp_path / "b" / "log.db"
    log_in_file(source)
    config = config_of(tmp_path)
    there = copy(config, f"sqlite:{source}", kafka, "with")
    _shards, erasures = read_erasures(source)
    # what a new node does: it carries every decision of the log out on its own copy of the keys
    with closing(open_keys(settings_of(kafka), new_folder(tmp_path / "node"))) as keys:
        keys.erase(erasures.decided, erasures.upto, erasures.places)
        live = {key for key, _wrapped in keys.live([GONE, BACK, LATE, "subject3"])}
        assert keys.wrapped(f"{GONE}/1") is None
    copy(config, kafka, f"sqlite:{back}", "with")

    assert live == {f"{BACK}/2", "subject3/1"}
    assert there["keys"] == {"live": 22, "destroyed": 2}
    with closing(SqliteKeys(back.with_name("keys.db"), may_make=False)) as keys:
        assert {k for k, _w in keys.live([GONE, BACK, LATE])} == {f"{BACK}/2"}
        assert [keys.wrapped(f"{s}/1") for s in (GONE, BACK, LATE)] == [None, None, None]
        assert keys.erased_upto() == erasures.upto
        assert keys.decided([GONE]) == {GONE: T0}


def read_erasures(path: Path) -> tuple[object, key_copy.Erasures]:
    from kontaktcenter import log_copy

    config = config_of(path.parent)
    source = log_copy.place(config, f"sqlite:{path}")
    return asyncio.run(log_copy.read(config, source, lambda *_told: None))


def new_folder(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


def test_what_was_decided_and_not_carried_out_is_carried_out_by_the_way_back(
    kafka: str, tmp_path: Path
) -> None:
    source, back = tmp_path / "a" / "log.db", tmp_path / "b" / "log.db"
    log_in_file(source)
    copy(config_of(tmp_path), f"sqlite:{source}", kafka, "with")
    copy(config_of(tmp_path), kafka, f"sqlite:{back}", "with")

    with closing(SqliteKeys(back.with_name("keys.db"), may_make=False)) as keys:
        assert keys.wrapped(f"{LATE}/1") is None
        assert keys.wrapped(f"{BACK}/2") == KEY


@pytest.mark.fault
def test_a_copy_that_is_killed_anywhere_goes_on_where_it_ended(
    kafka: str, tmp_path: Path, whole: bool
) -> None:
    source, back = tmp_path / "a" / "log.db", tmp_path / "b" / "log.db"
    log_in_file(source, shards=2, records=200)
    dice = random.Random(5)
    for target, way in ((kafka, f"sqlite:{source}"), (f"sqlite:{back}", kafka)):
        for _n in range(25 if whole else 4):
            when = dice.choice(["before", "during", "after"])
            status = killed_copy(way, target, tmp_path, dice.randint(1, 20), when)
            assert status in {0, -9}
        copy(config_of(tmp_path), way, target, "with")

    assert in_file(source) == on_kafka(kafka) == in_file(back)


def test_a_target_with_other_content_is_refused_and_left_alone(kafka: str, tmp_path: Path) -> None:
    source, other = tmp_path / "a" / "log.db", tmp_path / "b" / "log.db"
    log_in_file(source, records=20)
    log_in_file(other, records=30)
    copy(config_of(tmp_path), f"sqlite:{other}", kafka, "with")

    with pytest.raises(Refused, match="target holds 31 records"):
        copy(config_of(tmp_path), f"sqlite:{source}", kafka, "with")
    with closing(sqlite3.connect(other)) as conn:
        conn.execute("UPDATE record_1 SET body = x'7b7d', crc = 2745614147 WHERE offset = 3")
        conn.commit()
    with pytest.raises(Refused, match="record 3 is another"):
        copy(config_of(tmp_path), f"sqlite:{other}", kafka, "with")
    assert len(on_kafka(kafka)["calls/0"]) == 31


def test_keys_of_another_log_are_not_written_over(kafka: str, tmp_path: Path) -> None:
    source, other = tmp_path / "a" / "log.db", tmp_path / "b" / "log.db"
    log_in_file(source, records=20)
    shutil.copytree(source.parent, other.parent)
    with closing(SqliteKeys(other.with_name("keys.db"))) as keys:
        keys.add([("stranger/1", KEY)])
    copy(config_of(tmp_path), f"sqlite:{other}", kafka, "with")

    with pytest.raises(Refused, match="1 keys that the source has not"):
        copy(config_of(tmp_path), f"sqlite:{source}", kafka, "with")
    before = other.with_name("keys.db").read_bytes()
    with pytest.raises(Refused, match="1 keys that the source has not"):
        copy(config_of(tmp_path), f"sqlite:{source}", f"sqlite:{other}", "with")
    assert before == other.with_name("keys.db").read_bytes()


def test_topics_with_another_number_of_shards_are_refused(kafka: str, tmp_path: Path) -> None:
    from core.eventlog.kafka_log.admin import ensure_topics

    source = tmp_path / "a" / "log.db"
    log_in_file(source, shards=4, records=5)
    ensure_topics(settings_of(kafka), {"calls": 8})

    with pytest.raises(Refused, match="8 shards in the target and 4 in the source"):
        copy(config_of(tmp_path), f"sqlite:{source}", kafka, "with")


def test_topics_are_made_only_where_that_is_allowed(kafka: str, tmp_path: Path) -> None:
    source = tmp_path / "a" / "log.db"
    log_in_file(source, shards=4, records=5)

    with pytest.raises(Refused, match="log create --shards calls=4"):
        copy(config_of(tmp_path, log_create="never"), f"sqlite:{source}", kafka, "with")


def test_a_damaged_source_is_not_copied_beyond_the_damage(kafka: str, tmp_path: Path) -> None:
    source = tmp_path / "a" / "log.db"
    log_in_file(source, records=50)
    with closing(sqlite3.connect(source)) as conn:
        conn.execute("UPDATE record_1 SET body = x'00' WHERE offset = 20")
        conn.commit()

    with pytest.raises(Corrupt, match="record 20"):
        copy(config_of(tmp_path), f"sqlite:{source}", kafka, "with")
    assert len(on_kafka(kafka)["calls/0"]) <= 20


def test_a_wrong_city_secret_is_told_before_anything_is_written(kafka: str, tmp_path: Path) -> None:
    source = tmp_path / "a" / "log.db"
    log_in_file(source, records=5)
    wrong = tmp_path / "city.key"
    wrong.write_text("ab" * 32)
    wrong.chmod(0o600)

    with pytest.raises(Refused, match="fingerprint"):
        copy(config_of(tmp_path), f"sqlite:{source}", kafka, "with")
    assert on_kafka(kafka) == {}
    wrong.write_text(bytes(range(32)).hex())
    copy(config_of(tmp_path), f"sqlite:{source}", kafka, "with")


def test_a_source_that_a_node_works_on_is_refused(kafka: str, tmp_path: Path) -> None:
    source = tmp_path / "a" / "log.db"
    log_in_file(source, records=5)
    store = SqliteStore(source)
    try:
        with pytest.raises(InUse):
            copy(config_of(tmp_path), f"sqlite:{source}", kafka, "with")
    finally:
        store.close_now()


def test_a_log_that_is_not_there_is_not_made_by_copying_it(kafka: str, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        copy(config_of(tmp_path), f"sqlite:{tmp_path}/none.db", kafka, "with")
    with pytest.raises(Refused, match="same log"):
        copy(config_of(tmp_path), kafka, kafka, "with")
    assert not (tmp_path / "none.db").exists()


def test_a_log_on_kafka_that_grows_is_copied_up_to_a_position(kafka: str, tmp_path: Path) -> None:
    from core.eventlog.kafka_log.store import KafkaStore

    stop = threading.Event()

    async def grow() -> None:
        store = KafkaStore(settings_of(kafka))
        await fill(store, 1, 30)
        log = await store.open_shard("calls", 0)
        started.set()
        while not stop.is_set():
            await log.append(b"{}")
        await store.close()

    started = threading.Event()
    growing = threading.Thread(target=lambda: asyncio.run(grow()))
    growing.start()
    started.wait(60)
    try:
        copied = copy(config_of(tmp_path), kafka, f"sqlite:{tmp_path}/log.db", "without")
    finally:
        stop.set()
        growing.join()

    upto = copied["shards"]["calls/0"]["records"]
    assert in_file(tmp_path / "log.db")["calls/0"] == on_kafka(kafka)["calls/0"][:upto]
    assert upto >= 31


def test_a_backup_is_the_log_in_one_folder_and_the_keys_in_another(
    kafka: str, tmp_path: Path
) -> None:
    source = tmp_path / "a" / "log.db"
    log_in_file(source, records=30)
    copy(config_of(tmp_path), f"sqlite:{source}", kafka, "with")
    log, keys = tmp_path / "backup" / "log.db", tmp_path / "apart" / "log.db"

    copy(config_of(tmp_path), kafka, f"sqlite:{log}", "without")
    only = copy(config_of(tmp_path), kafka, f"sqlite:{keys}", "only")

    assert sorted(p.name for p in log.parent.glob("*.db")) == ["log.db"]
    assert sorted(p.name for p in keys.parent.glob("*.db")) == ["keys.db"]
    assert only["shards"] == {}
    again = f"{kafka}.again"
    copy(config_of(tmp_path), f"sqlite:{log}", again, "without")
    restored = copy(config_of(tmp_path), f"sqlite:{keys}", again, "only")
    assert on_kafka(again) == in_file(source)
    assert restored["keys"] == only["keys"]
    with pytest.raises(NotFound, match="--keys without"):
        copy(config_of(tmp_path), f"sqlite:{log}", again, "with")
    assert not list(tmp_path.rglob(".keys-*"))


def test_a_log_whose_topic_got_more_partitions_is_saved_by_a_copy(
    kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.eventlog.kafka_log.admin import ensure_topics
    from core.eventlog.kafka_log.store import KafkaStore

    ensure_topics(settings_of(kafka), {"calls": 8, "keys": 1, "looks": 1})

    async def begin() -> None:
        store = KafkaStore(settings_of(kafka))
        await fill(store, 4, 10)
        await store.close()

    asyncio.run(begin())
    monkeypatch.setenv("KC_LOG", kafka)
    monkeypatch.setenv("KC_TAXONOMY", "none")
    faults = kc_json(tmp_path, "log", "check", "--allow-unsafe", code=1)["faults"]
    copied = copy(config_of(tmp_path), kafka, f"{kafka}.new", "without")

    assert [f["kind"] for f in faults if f["weight"] == "broken"] == ["genesis"]
    assert sorted(copied["shards"]) == [*(f"calls/{n}" for n in range(4)), "centre/0"]
    made = on_kafka(f"{kafka}.new")
    assert [name for name in made if name.startswith("calls/")] == [f"calls/{n}" for n in range(4)]


def test_a_second_cluster_is_a_copy_that_goes_on(kafka: str, tmp_path: Path) -> None:
    source = tmp_path / "a" / "log.db"
    log_in_file(source, records=30)
    copy(config_of(tmp_path), f"sqlite:{source}", kafka, "with")
    first = copy(config_of(tmp_path), kafka, f"{kafka}.second", "with")
    more = asyncio.run(grown(kafka))
    second = copy(config_of(tmp_path), kafka, f"{kafka}.second", "with")

    assert first["keys"] == second["keys"] == {"live": 21, "destroyed": 3}
    assert second["shards"]["calls/0"]["records"] == more + 1
    assert on_kafka(f"{kafka}.second") == on_kafka(kafka)


async def grown(address: str) -> int:
    """One more record; its offset."""
    from core.eventlog.kafka_log.store import KafkaStore

    store = KafkaStore(settings_of(address))
    try:
        return await (await store.open_shard("calls", 0)).append(b"{}")
    finally:
        await store.close()


def test_a_copy_from_the_command_line_says_what_it_did(
    kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_in_file(tmp_path / "data" / "log.db", records=30)
    monkeypatch.setenv("KC_LOG_CREATE", "unsafe")
    source = f"sqlite:{tmp_path}/data/log.db"
    said = kc(tmp_path, "log", "copy", "--from", source, "--to", kafka).stdout
    told = kc_json(tmp_path, "log", "copy", "--from", source, "--to", kafka)

    assert "calls/0" in said
    assert told["shards"]["calls/0"]["digest"] in said
    assert "same digests" in said
    assert "--keys" in kc(
        tmp_path, "log", "copy", "--from", source, "--to", kafka, "--keys", "x", code=1
    ).stderr  # fmt: skip
    assert "memory:" in kc(
        tmp_path, "log", "copy", "--from", source, "--to", "memory:", code=1
    ).stderr  # fmt: skip


def test_a_book_that_was_never_begun_is_left_out() -> None:
    from kontaktcenter.log_copy import _shards_of

    async def look() -> list[object]:
        store = MemoryStore()
        await store.open_shard("looks", 0)
        return list(await _shards_of(store, "looks"))

    assert asyncio.run(look()) == []
