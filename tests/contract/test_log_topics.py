"""`kontaktcenter log create|describe|check|acls` on a real broker."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from cli_here import kc, kc_json

from core.errors import Refused, Unavailable
from core.eventlog.kafka_log import KafkaSettings, parse_address
from core.eventlog.kafka_log.admin import KafkaAdmin, ensure_topics

if TYPE_CHECKING:
    from pathlib import Path

    from deploy.kafka_lab import SharedBroker

pytestmark = pytest.mark.kafka


@pytest.fixture
def home(
    kafka_broker: SharedBroker, kafka_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A home whose log is on the broker, under a prefix of its own."""
    monkeypatch.setenv("KC_LOG", f"kafka://{kafka_broker.servers}/{kafka_prefix}")
    monkeypatch.setenv("KC_TAXONOMY", "none")
    return tmp_path


@pytest.fixture
def settings(kafka_broker: SharedBroker, kafka_prefix: str) -> KafkaSettings:
    address = parse_address(f"kafka://{kafka_broker.servers}/{kafka_prefix}")
    return KafkaSettings(address, create="unsafe")


def test_a_single_broker_is_refused_and_nothing_is_made(home: Path) -> None:
    done = kc(home, "log", "create", code=1)

    assert "--allow-unsafe" in done.stderr
    assert kc_json(home, "log", "describe")["topics"] == []


def test_topics_are_made_once_and_what_is_there_is_left_alone(home: Path) -> None:
    made = kc_json(home, "log", "create", "--allow-unsafe", code=3)
    before = kc_json(home, "log", "describe")["topics"]
    again = kc_json(home, "log", "create", "--allow-unsafe", "--shards", "calls=8", code=3)

    assert made["made"] == ["calls", "centre", "keys", "looks"]
    assert [(t["book"], t["shards"]) for t in before] == [
        ("calls", 4), ("centre", 1), ("keys", 1), ("looks", 1),
    ]  # fmt: skip
    assert again["made"] == []
    assert "other_number" in [fault["kind"] for fault in again["faults"]]
    assert kc_json(home, "log", "describe")["topics"] == before
    assert before[0]["settings"]["retention.ms"] == "-1"
    assert before[2]["settings"]["cleanup.policy"] == "compact"


def test_every_authority_of_the_taxonomy_gets_a_book(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KC_TAXONOMY", "builtin")
    made = kc_json(home, "log", "create", "--allow-unsafe", code=3)["made"]

    assert len(made) == 22
    assert {"cases.TK", "cases.SOC"} < set(made)
    assert kc(home, "log", "check", "--allow-unsafe", code=3).stdout == "22 topics looked at\n"


def test_a_check_says_what_is_missing_and_what_to_do(home: Path) -> None:
    done = kc(home, "log", "check", "--allow-unsafe", code=1)

    assert "kontaktcenter log create" in done.stderr


def test_a_topic_that_forgets_is_a_fault(
    home: Path, settings: KafkaSettings, kafka_broker: SharedBroker
) -> None:
    kc(home, "log", "create", "--allow-unsafe", code=3)
    name = f"{settings.address.prefix}.calls"
    with KafkaAdmin(settings) as admin:
        from kafka.admin import ConfigResource, ConfigResourceType

        change = ConfigResource(ConfigResourceType.TOPIC, name, {"retention.ms": "3600000"})
        admin._client.alter_configs([change])

    faults = kc_json(home, "log", "check", "--allow-unsafe", code=1)["faults"]
    bad = [fault for fault in faults if fault["weight"] == "loses"]
    assert [(f["where"], f["kind"]) for f in bad] == [(name, "setting")]
    assert f"--topic {name} --add-config retention.ms=-1" in bad[0]["do"]


@pytest.mark.parametrize("asked", ["calls", "calls=0", "calls=x", "calls=65", "=3", "nobody=2"])
def test_a_number_of_shards_that_cannot_be_is_refused(home: Path, asked: str) -> None:
    assert "--shards" in kc(
        home, "log", "create", "--allow-unsafe", "--shards", asked, code=1
    ).stderr  # fmt: skip


def test_rights_can_be_printed_before_anything_is_there(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KC_LOG", "kafka://127.0.0.1:1/tnh")
    lines = kc(home, "log", "acls").stdout.splitlines()

    assert all(line.startswith("kafka-acls.sh --bootstrap-server 127.0.0.1:1 ") for line in lines)
    assert len(lines) == 3


def test_a_log_in_a_file_has_no_topics(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KC_LOG", f"sqlite:{home}/log.db")

    assert "KC_LOG" in kc(home, "log", "create", code=1).stderr


def test_where_nothing_listens_that_is_said_in_seconds(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KC_LOG", "kafka://127.0.0.1:1/tnh")

    assert "127.0.0.1:1" in kc(home, "log", "check", code=4).stderr


def test_a_node_makes_topics_only_where_it_was_told_to(settings: KafkaSettings) -> None:
    address = settings.address
    with pytest.raises(Unavailable, match="kontaktcenter log create"):
        ensure_topics(KafkaSettings(address), {"calls": None})
    with pytest.raises(Refused, match="could lose"):
        ensure_topics(KafkaSettings(address, create="safe"), {"calls": None})

    assert ensure_topics(settings, {"calls": None, "cases.TK": 2}) == ["calls", "cases.TK"]
    assert ensure_topics(settings, {"calls": 9}) == []
    with KafkaAdmin(settings) as admin:
        assert [len(t.partitions) for t in admin.topics().values()] == [4, 2]


def test_two_nodes_that_make_the_same_topics_at_once_have_them_once(
    settings: KafkaSettings,
) -> None:
    made: list[list[str]] = []
    nodes = [
        threading.Thread(target=lambda: made.append(ensure_topics(settings, {"calls": 4})))
        for _ in range(4)
    ]
    for node in nodes:
        node.start()
    for node in nodes:
        node.join()

    assert sorted(made) == [[], [], [], ["calls"]]


def test_a_broker_that_is_away_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1"):
        KafkaAdmin(KafkaSettings(parse_address("kafka://127.0.0.1:1")))

    assert threading.active_count() == before


def test_an_authority_that_only_the_log_knows_gets_its_book(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kc(home, "log", "create", "--allow-unsafe", code=3)
    monkeypatch.setenv("KC_TAXONOMY", "builtin")
    monkeypatch.setenv("KC_LOG_CREATE", "unsafe")
    kc(home, "catalogue", "show", "authority")  # a node starts, and records its taxonomy
    monkeypatch.setenv("KC_TAXONOMY", "none")
    missing = kc_json(home, "log", "check", "--allow-unsafe", code=1)
    made = kc_json(home, "log", "create", "--allow-unsafe", code=3)
    cases = {book for book in made["made"] if book.startswith("cases.")}
    assert {f"cases.{f['where'].rpartition('.')[2]}" for f in missing["faults"]
            if f["kind"] == "missing"} == cases  # fmt: skip
    assert {"cases.TK", "cases.SOC"} < cases
    assert made["remarks"] == []
