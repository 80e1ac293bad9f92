"""What a topic must be, and what of a cluster could lose data: judged without a broker."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from core.eventlog.kafka_log.acls import command, rules
from core.eventlog.kafka_log.topics import (
    BrokerFound,
    Cluster,
    Fault,
    Kind,
    Partition,
    Topic,
    Weight,
    books_wanted,
    faults_of_cluster,
    faults_of_topic,
    settings_of,
)
from kontaktcenter.log_faults import told

QUIET = {"auto.create.topics.enable": "false"}
BROKERS = tuple(BrokerFound(n, f"kafka{n}:9092", None, False, QUIET) for n in (1, 2, 3))


def topic(book: str = "calls", shards: int = 4, **settings: Any) -> Topic:
    """One that is as it should be, but for `settings`."""
    partitions = tuple(Partition(n, 1, (1, 2, 3), (1, 2, 3), 0, 7) for n in range(shards))
    named = {name.replace("_", "."): value for name, value in settings.items()}
    genesis = None if book == "keys" else shards
    return Topic(book, f"tnh.{book}", "an id", partitions, settings_of(book, 3) | named, genesis)


def with_partition(made: Topic, **differing: object) -> Topic:
    changed = replace(made.partitions[0], **differing)  # type: ignore[arg-type]
    return replace(made, partitions=(changed, *made.partitions[1:]))


def kinds(made: Topic, shards: int | None = None) -> list[tuple[str, str]]:
    return [(str(f.kind), str(f.weight)) for f in faults_of_topic(made, shards)]


def test_the_books_of_a_city_are_its_four_and_one_for_each_authority() -> None:
    wanted = books_wanted(["TK", "SOC"], {"calls": 8})

    assert wanted == {
        "calls": 8, "centre": 1, "looks": 1, "keys": 1, "cases.SOC": 1, "cases.TK": 1,
    }  # fmt: skip


def test_records_are_kept_for_ever_and_keys_are_compacted_within_a_day() -> None:
    calls, keys = settings_of("calls", 3), settings_of("keys", 3)

    assert (calls["retention.ms"], calls["retention.bytes"]) == ("-1", "-1")
    assert (calls["cleanup.policy"], keys["cleanup.policy"]) == ("delete", "compact")
    assert (calls["min.insync.replicas"], calls["max.message.bytes"]) == ("2", "8388608")
    assert calls["unclean.leader.election.enable"] == "false"
    assert int(keys["segment.ms"]) < int(keys["max.compaction.lag.ms"]) == 86_400_000
    assert int(keys["delete.retention.ms"]) > 10 * 365 * 86_400_000  # a tombstone stays


@pytest.mark.parametrize("book", ["calls", "centre", "looks", "cases.TK", "keys"])
def test_what_log_create_makes_has_no_fault(book: str) -> None:
    assert kinds(topic(book, 1), 1) == []


@pytest.mark.parametrize(
    ("settings", "weight"),
    [
        ({"retention_ms": "604800000"}, "loses"),
        ({"retention_bytes": "1073741824"}, "loses"),
        ({"cleanup_policy": "compact"}, "loses"),
        ({"cleanup_policy": "compact,delete"}, "loses"),
        ({"unclean_leader_election_enable": "true"}, "loses"),
        ({"max_message_bytes": "1048588"}, "broken"),
        ({"message_timestamp_type": "CreateTime"}, "differs"),
        ({"max_message_bytes": "16777216"}, None),
    ],
)
def test_a_setting_that_could_lose_data_is_a_fault(
    settings: dict[str, Any], weight: str | None
) -> None:
    assert kinds(topic(**settings)) == ([("setting", weight)] if weight else [])


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"delete_retention_ms": "86400000"}, [("setting", "loses")]),
        ({"max_compaction_lag_ms": "9223372036854775807"}, [("setting", "loses")]),
        ({"cleanup_policy": "delete"}, [("setting", "loses")]),
        ({"max_compaction_lag_ms": "3600000", "min_cleanable_dirty_ratio": "0.01"}, []),
    ],
)
def test_keys_that_come_back_or_live_on_are_a_fault(
    settings: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert kinds(topic("keys", 1, **settings)) == expected


def test_an_acknowledgement_from_one_disk_is_a_fault_however_it_is_set() -> None:
    one = with_partition(topic(), replicas=(1,), in_sync=(1,))

    assert kinds(topic(min_insync_replicas="1")) == [("in_sync", "loses")]
    assert kinds(one) == [("replication", "loses"), ("effective_in_sync", "loses")]


@pytest.mark.parametrize(
    ("differing", "expected"),
    [
        ({"in_sync": (1, 2)}, ("under_replicated", "degraded")),
        ({"in_sync": (1,)}, ("no_writes", "broken")),
        ({"leader": None, "in_sync": ()}, ("no_leader", "broken")),
        ({"start": 3}, ("beginning", "loses")),
    ],
)
def test_what_a_partition_lacks_is_told(
    differing: dict[str, object], expected: tuple[str, str]
) -> None:
    assert kinds(with_partition(topic(), **differing)) == [expected]


def test_a_compacted_topic_may_begin_later() -> None:
    assert kinds(with_partition(topic("keys", 1), start=3)) == []


@pytest.mark.parametrize(
    ("genesis", "shards", "expected"),
    [
        (4, None, []),
        (4, 1, []),  # it was begun so, and stays so
        (8, None, [("genesis", "broken")]),
        (0, None, [("foreign", "broken")]),
        (None, 1, [("partitions", "degraded")]),
        (None, None, []),
    ],
)
def test_the_number_of_partitions_is_what_the_first_record_says(
    genesis: int | None, shards: int | None, expected: list[tuple[str, str]]
) -> None:
    assert kinds(replace(topic(), genesis_shards=genesis), shards) == expected


@pytest.mark.parametrize(
    ("brokers", "expected"),
    [
        (BROKERS, []),
        (BROKERS[:2], ["few_brokers"]),
        ((*BROKERS[:2], replace(BROKERS[2], fenced=True, settings={})), ["broker_away"]),
        ((*BROKERS[:2], replace(BROKERS[2], settings={})), ["settings_hidden"]),
        (
            (*BROKERS[:2], replace(BROKERS[2], settings={"auto.create.topics.enable": "true"})),
            ["auto_create"],
        ),
    ],
)
def test_a_cluster_that_could_lose_data_is_told(
    brokers: tuple[BrokerFound, ...], expected: list[str]
) -> None:
    assert [str(f.kind) for f in faults_of_cluster(Cluster("c", brokers))] == expected


@pytest.mark.parametrize("kind", list(Kind))
def test_every_fault_has_words_and_something_to_do(kind: Kind) -> None:
    details = {
        "found": 1, "wanted": 2, "name": "retention.ms", "in_sync": 2, "copies": 1, "needs": 2,
    }  # fmt: skip
    what, do = told(Fault("tnh.calls", kind, Weight.LOSES, details))

    assert what and do
    assert "{" not in what + do


def test_the_rights_of_a_node_are_for_its_prefix_and_a_reader_sees_one_authority() -> None:
    made = rules("tnh", ["calls", "cases.TK", "cases.SOC"], {"reader:TK": "User:CN=tk"})

    assert ("User:kontaktcenter-node", "tnh.", True) in [
        (r.principal, r.resource, r.prefixed) for r in made
    ]
    readers = [r for r in made if "Write" not in r.operations and "Create" not in r.operations]
    assert [(r.principal, r.resource) for r in readers] == [
        ("User:kontaktcenter-admin", None),
        ("User:kontaktcenter-reader-SOC", "tnh.cases.SOC"),
        ("User:CN=tk", "tnh.cases.TK"),
    ]
    assert {op for r in made for op in r.operations} & {"Delete", "Alter", "All"} == set()


def test_without_a_prefix_no_right_is_for_all_topics() -> None:
    made = rules("", ["calls", "keys"], {})

    assert {r.resource for r in made} == {"calls", "keys", None}
    assert not any(r.prefixed for r in made)


def test_a_command_for_rights_is_one_for_a_shell() -> None:
    rule = rules("tnh", [], {"node": "User:CN=node, O=Staden"})[0]

    assert command(rule, ["k1:9092", "k2:9092"], "admin.properties") == (
        "kafka-acls.sh --bootstrap-server k1:9092,k2:9092 --command-config admin.properties --add "
        "--allow-principal 'User:CN=node, O=Staden' --operation Read --operation Write "
        "--operation Describe --operation DescribeConfigs --topic tnh. "
        "--resource-pattern-type prefixed"
    )
