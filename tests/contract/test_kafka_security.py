"""TLS, SCRAM, client certificates and rights, on a real broker, with both clients."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from certificates import Authority
from cli_here import kc
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    KafkaAdminClient,
    ResourcePattern,
    ResourceType,
)
from kafka_security import SecureDoors, secure_doors
from keys_world import keys_of

from core.errors import KontaktcenterError, Refused, Unavailable
from core.eventlog.kafka_log import KafkaSecurity, KafkaSettings, parse_address
from core.eventlog.kafka_log.acls import Rule, rules
from core.eventlog.kafka_log.admin import KafkaAdmin, ensure_topics
from core.eventlog.kafka_log.store import KafkaStore
from deploy.kafka_lab import Broker, Listener

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from core.eventlog.kafka_log.address import ClientName
    from core.eventlog.log import Record
    from deploy.kafka_lab import Software

pytestmark = pytest.mark.kafka
CLIENTS = ("aiokafka", "kafka-python")
BOOKS = {"calls": 1, "centre": 1, "keys": 1, "looks": 1, "cases.TK": 1, "cases.SOC": 1}
NODE, ADMIN, READER = "kontaktcenter-node", "kontaktcenter-admin", "kontaktcenter-reader-TK"
PASSWORD = "korrekt-hast-batteri"


@dataclass(frozen=True)
class Sealed:
    """A broker with doors that ask who comes; one of them shows the certificate of another."""

    broker: Broker
    doors: SecureDoors


@pytest.fixture(scope="module")
def sealed(kafka_software: Software, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sealed]:
    """A broker on which everybody has the rights of `log acls`, and no more."""
    folder = tmp_path_factory.mktemp("sealed")
    doors = secure_doors(folder / "tls", dict.fromkeys((NODE, ADMIN, READER), PASSWORD), acl=True)
    listeners = doors.options["listeners"]
    elsewhere = str(doors.authority.sign("elsewhere", "kafka9.example"))
    settings = {**listeners[1].settings, "ssl.keystore.location": elsewhere}
    wrong = Listener("ELSEWHERE", "SASL_SSL", settings=settings)
    options = {**doors.options, "listeners": (*listeners, wrong)}
    with Broker(kafka_software, folder / "broker", **options) as broker:
        found = Sealed(broker, doors)
        grant(found, rules("tnh", BOOKS, {}))
        ensure_topics(settings_of(found, ADMIN), dict(BOOKS))
        yield found


def grant(sealed: Sealed, wanted: list[Rule]) -> None:
    """What the commands of `log acls` do, through the door of the cluster's own administrator."""
    admin = KafkaAdminClient(bootstrap_servers=sealed.broker.servers)
    admin.create_acls(
        [
            ACL(
                rule.principal,
                "*",
                ACLOperation[re.sub(r"(?<!^)([A-Z])", r"_\1", operation).upper()],
                ACLPermissionType.ALLOW,
                ResourcePattern(ResourceType.CLUSTER, "kafka-cluster")
                if rule.resource is None
                else ResourcePattern(
                    ResourceType.TOPIC,
                    rule.resource,
                    ACLResourcePatternType.PREFIXED
                    if rule.prefixed
                    else ACLResourcePatternType.LITERAL,
                ),
            )
            for rule in wanted
            for operation in rule.operations
        ]
    )
    admin.close()


def settings_of(
    sealed: Sealed, name: str = NODE, client: ClientName = "aiokafka", **changes: object
) -> KafkaSettings:
    """As a node signs in with SCRAM, but for `changes` of its security."""
    security = KafkaSecurity(
        "SASL_SSL", sealed.doors.ca_file, None, None, "SCRAM-SHA-512", name, PASSWORD
    )
    server = sealed.broker.servers_of("SCRAM")
    address = parse_address(f"kafka://{server}/tnh?client={client}")
    return KafkaSettings(address, replace(security, **changes), create="unsafe")  # type: ignore[arg-type]


def certified(sealed: Sealed, client: ClientName, name: str = NODE) -> KafkaSettings:
    """As a node shows its certificate."""
    cert, key = sealed.doors.client(name)
    security = KafkaSecurity("SSL", sealed.doors.ca_file, cert, key)
    server = sealed.broker.servers_of("MTLS")
    return KafkaSettings(parse_address(f"kafka://{server}/tnh?client={client}"), security)


async def work(settings: KafkaSettings, book: str, body: bytes) -> list[Record]:
    """Append a record, read the book to its end."""
    store = KafkaStore(settings)
    try:
        log = await store.open_shard(book, 0)
        offset = await log.append(body)
        return list(await log.read(offset, 1, 2))
    finally:
        await store.close()


async def read(settings: KafkaSettings, book: str) -> int:
    """How many records a book holds, by reading them."""
    store = KafkaStore(settings)
    try:
        log = await store.open_shard(book, 0)
        return len(await log.read(0, 100, 1))
    finally:
        await store.close()


@pytest.mark.parametrize("client", CLIENTS)
def test_a_node_signs_in_with_scram_over_tls(client: ClientName, sealed: Sealed) -> None:
    records = asyncio.run(work(settings_of(sealed, client=client), "calls", client.encode()))

    assert [r.body for r in records] == [client.encode()]


@pytest.mark.parametrize("client", CLIENTS)
def test_a_node_shows_its_certificate(client: ClientName, sealed: Sealed) -> None:
    records = asyncio.run(work(certified(sealed, client), "centre", client.encode()))

    assert [r.body for r in records] == [client.encode()]


def test_an_administrator_sees_the_cluster_and_every_topic(sealed: Sealed) -> None:
    with KafkaAdmin(settings_of(sealed, ADMIN)) as admin:
        assert admin.cluster().brokers[0].settings["auto.create.topics.enable"] == "false"
        found = admin.topics()
        assert admin.make(dict.fromkeys([*BOOKS, "cases.FSK"], 1), 1) == ["cases.FSK"]

    assert set(found) >= set(BOOKS)
    assert found["calls"].settings["retention.ms"] == "-1"


@pytest.mark.parametrize("client", CLIENTS)
def test_an_authority_reads_its_own_cases_and_nothing_else(
    client: ClientName, sealed: Sealed
) -> None:
    asyncio.run(work(settings_of(sealed, client=client), "cases.TK", b"own"))
    reader = replace(settings_of(sealed, READER, client), create="")

    assert asyncio.run(read(reader, "cases.TK")) >= 1
    for book in ("cases.SOC", "calls", "keys", "centre"):
        with pytest.raises(KontaktcenterError):
            asyncio.run(read(reader, book))
    with pytest.raises(KontaktcenterError):
        asyncio.run(work(reader, "cases.TK", b"not ours"))


def test_a_node_can_neither_make_nor_delete_a_topic(sealed: Sealed) -> None:
    node = settings_of(sealed)
    with KafkaAdmin(node) as admin:
        with pytest.raises(Refused, match="log acls"):
            admin.make({"cases.NEW": 1}, 1)
        told = admin._client.delete_topics(["tnh.calls"], raise_errors=False)

    assert [t["error_code"] for t in told["topics"]] != [0]


def test_a_nodes_keys_need_no_more_than_its_rights(sealed: Sealed, tmp_path: Path) -> None:
    node = replace(settings_of(sealed), create="")
    with keys_of(node, tmp_path / "a") as keys, keys_of(node, tmp_path / "b") as other:
        keys.add([("caller/a/1", b"one")])
        keys.rewrap([("caller/a/1", b"anew")], None)
        assert other.wrapped("caller/a/1") == b"anew"
        assert keys.erase({"caller/a": datetime(2026, 11, 22, tzinfo=UTC)}, 1) == 1
        assert other.remaining(["caller/a"]) > 0
        assert keys.compaction_s() is not None
    nobody = replace(settings_of(sealed, READER), create="")
    with keys_of(nobody, tmp_path / "c") as keys, pytest.raises(Unavailable):
        keys.add([("caller/b/1", b"one")])


CA, HOST, NAME, TLS, MECHANISM, CERTIFICATE = (
    "not from the CA", "for another name", "kafka_username", "wants TLS", "kafka_sasl_mechanism",
    "kafka_cert_file",
)  # fmt: skip


def wrong(sealed: Sealed, fault: str, folder: Path) -> KafkaSettings:
    """A node's settings with one mistake."""
    good = settings_of(sealed)
    other = Authority(folder / "other", "somebody else")
    other.sign(NODE)
    cert, key = folder / "other" / f"{NODE}.crt", folder / "other" / f"{NODE}.key"
    elsewhere = (sealed.broker.servers_of("ELSEWHERE"),)
    mutual = certified(sealed, "aiokafka")
    return {
        CA: settings_of(sealed, ca_file=other.ca_file),
        HOST: replace(good, address=replace(good.address, servers=elsewhere)),
        NAME: settings_of(sealed, password="hemligt-fel"),
        TLS: replace(good, security=KafkaSecurity()),
        MECHANISM: settings_of(sealed, mechanism="PLAIN"),
        CERTIFICATE: replace(mutual, security=replace(mutual.security, cert_file=cert,
                                                      key_file=key)),
    }[fault]  # fmt: skip


@pytest.mark.parametrize(
    ("fault", "client"),
    [
        (CA, "aiokafka"),
        (HOST, "kafka-python"),
        (NAME, "aiokafka"),
        (NAME, "kafka-python"),
        (TLS, "aiokafka"),
        (MECHANISM, "kafka-python"),
        (CERTIFICATE, "aiokafka"),
    ],
)
def test_what_is_wrong_is_told_within_seconds_and_no_secret_is(
    fault: str,
    client: ClientName,
    sealed: Sealed,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = wrong(sealed, fault, tmp_path)
    with pytest.raises(Unavailable, match=fault) as told:
        KafkaAdmin(settings)
    address = replace(settings.address, client=client)
    with pytest.raises(Unavailable) as refused:
        asyncio.run(read(replace(settings, address=address), "calls"))

    said = told.value.message + refused.value.message
    secrets = (PASSWORD, "hemligt-fel")
    assert not any(secret in said + caplog.text + repr(settings) for secret in secrets)


def test_files_that_cannot_be_used_are_told_at_once(sealed: Sealed, tmp_path: Path) -> None:
    cert, _key = sealed.doors.client("one")
    _cert, other = sealed.doors.client("two")
    broken = tmp_path / "broken.pem"
    broken.write_text("no certificate\n")
    for security in (
        KafkaSecurity("SSL", broken),
        KafkaSecurity("SSL", sealed.doors.ca_file, cert, other),
        KafkaSecurity("SSL", tmp_path / "nowhere.pem"),
    ):
        with pytest.raises(Refused, match=r"TLS to Kafka"):
            KafkaAdmin(replace(settings_of(sealed), security=security))


def test_the_command_line_signs_in_as_the_configuration_says(
    sealed: Sealed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    password = tmp_path / "password"
    password.write_text(f"{PASSWORD}\n")
    password.chmod(0o600)
    for name, value in {
        "KC_LOG": f"kafka://{sealed.broker.servers_of('SCRAM')}/tnh",
        "KC_TAXONOMY": "none",
        "KC_KAFKA_SECURITY": "SASL_SSL",
        "KC_KAFKA_CA_FILE": str(sealed.doors.ca_file),
        "KC_KAFKA_USERNAME": ADMIN,
        "KC_KAFKA_PASSWORD_FILE": str(password),
    }.items():
        monkeypatch.setenv(name, value)

    told = kc(tmp_path, "log", "describe")
    shown = kc(tmp_path, "config", "show")
    assert PASSWORD not in told.stdout + told.stderr + shown.stdout
    password.write_text("hemligt-fel")
    refused = kc(tmp_path, "log", "check", code=4)
    assert "kafka_username" in refused.stderr
    assert "hemligt-fel" not in refused.stderr
