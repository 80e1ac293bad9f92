"""The log on Kafka behind TLS: SCRAM, mTLS, and what is refused before anything is sent."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from kafka_kinds import CLIENTS, made_store, settings_on
from kafka_security import MECHANISM, SecureDoors, secure_doors
from log_world import story

from core.errors import Refused, Unavailable
from core.eventlog.kafka_log import KafkaSecurity, KafkaSettings
from core.eventlog.kafka_log.options import connection_options
from core.eventlog.kafka_log.store import KafkaStore
from deploy.kafka_lab import Broker, Listener

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from certificates import Authority

    from deploy.kafka_lab import Software

PASSWORD = "three words together"
pytestmark = [pytest.mark.kafka, pytest.mark.slow]


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> SecureDoors:
    return secure_doors(tmp_path_factory.mktemp("doors"), {"nod1": PASSWORD})


@pytest.fixture(scope="module")
def broker(
    kafka_software: Software, doors: SecureDoors, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Broker]:
    options: Any = dict(doors.options)
    signed = options["listeners"][1]
    # Its certificate is for 127.0.0.1 and localhost.
    elsewhere = Listener("ELSEWHERE", signed.protocol, host="127.0.0.2", settings=signed.settings)
    options["listeners"] = (*options["listeners"], elsewhere)
    with Broker(kafka_software, tmp_path_factory.mktemp("kafka"), **options) as broker:
        yield broker


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def scram(doors: SecureDoors, **changes: Any) -> KafkaSecurity:
    security = KafkaSecurity(
        "SASL_SSL", doors.ca_file, mechanism="SCRAM-SHA-512", username="nod1", password=PASSWORD
    )
    return replace(security, **changes)


def through(broker: Broker, door: str, client: str, security: KafkaSecurity) -> KafkaSettings:
    settings = settings_on(broker.servers_of(door), f"s{client[0]}", client)
    return replace(settings, security=security)


async def works(settings: KafkaSettings) -> None:
    store = await made_store(settings)
    log = await store.open_shard("centre", 0)
    start = await log.end()
    assert await log.append(b"sealed on the way") == start
    assert [r.body for r in await log.read(start, 10, 1)] == [b"sealed on the way"]
    await store.close()


@story
async def test_a_node_signs_in_with_scram_over_tls(
    broker: Broker, doors: SecureDoors, client: str
) -> None:
    assert scram(doors).mechanism == MECHANISM
    await works(through(broker, "SCRAM", client, scram(doors)))


@story
async def test_a_node_signs_in_with_its_certificate(
    broker: Broker, doors: SecureDoors, client: str
) -> None:
    cert, key = doors.client("nod1")
    security = KafkaSecurity("SSL", doors.ca_file, cert, key)
    await works(through(broker, "MTLS", client, security))


@pytest.mark.parametrize("wrong", ["password", "authority", "host"])
@story
async def test_who_is_not_let_in_or_is_not_sure_of_the_broker_gets_nowhere(
    broker: Broker, doors: SecureDoors, client: str, wrong: str, tmp_path: Path
) -> None:
    security = scram(doors)
    if wrong == "password":
        security = scram(doors, password="another")
    elif wrong == "authority":
        security = scram(doors, ca_file=another(tmp_path).ca_file)
    door = "ELSEWHERE" if wrong == "host" else "SCRAM"
    settings = replace(through(broker, door, client, security), create="")
    store = KafkaStore(settings)
    log = store.known_shard("centre", 0)
    for act in (log.end, lambda: log.append(b"x"), store.books):
        with pytest.raises(Unavailable) as raised:
            await act()
        assert PASSWORD not in str(raised.value)
    async with asyncio.timeout(5):
        await store.close()


def another(folder: Path) -> Authority:
    from certificates import Authority

    return Authority(folder)


def test_files_that_cannot_be_used_are_refused_in_words(doors: SecureDoors, tmp_path: Path) -> None:
    cert, key = doors.client("nod2")
    other_key = tmp_path / "other.key"
    shutil.copy(doors.client("nod3")[1], other_key)
    (tmp_path / "not.pem").write_text("no certificate")
    for security, said in (
        (KafkaSecurity("SSL", tmp_path / "missing.pem"), "cannot be read"),
        (KafkaSecurity("SSL", tmp_path / "not.pem"), "must be PEM"),
        (KafkaSecurity("SSL", doors.ca_file, cert, other_key), "belong to the certificate"),
    ):
        settings = replace(settings_on("127.0.0.1:1", "x", "kafka-python"), security=security)
        with pytest.raises(Refused, match=said):
            connection_options(settings)
    options = connection_options(
        replace(
            settings_on("127.0.0.1:1", "x", "kafka-python"),
            security=KafkaSecurity("SSL", doors.ca_file, cert, key),
        )
    )
    assert options["ssl_context"].check_hostname
    assert options["ssl_context"].verify_mode.name == "CERT_REQUIRED"
