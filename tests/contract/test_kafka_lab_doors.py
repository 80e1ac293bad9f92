"""The lab's doors with locks: who may come in, and who not, by a client that we do not ship."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from kafka_security import MECHANISM, SecureDoors, secure_doors

from deploy.kafka_lab import wire

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from deploy.kafka_lab import Broker

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


IN_VAIN_S = 1.5  # a client that is turned away knocks again until it is told to leave off


def topics(servers: str, within_s: float = 20, **settings: Any) -> set[str]:
    """What a client of confluent-kafka sees."""
    named = {key.replace("_", "."): str(value) for key, value in settings.items()}
    quiet = {"log_level": 0, "socket.timeout.ms": 3_000}
    seen = AdminClient({"bootstrap.servers": servers, **quiet, **named}).list_topics(
        timeout=within_s
    )
    return set(seen.topics)


def test_only_who_is_known_comes_in_and_sees_only_what_was_granted(
    own_broker: Callable[..., Broker], tmp_path: Path
) -> None:
    doors = secure_doors(tmp_path / "pki", {"desk": "a-password-for-tests"}, acl=True)
    broker = own_broker(**doors.options)
    wire.create_topic(broker.address, "calls")
    scram: dict[str, Any] = {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": MECHANISM,
        "sasl_username": "desk",
        "ssl_ca_location": doors.ca_file,
    }
    at = broker.servers_of("SCRAM")
    assert topics(at, **scram, sasl_password="a-password-for-tests") == set()  # nothing granted
    with pytest.raises(KafkaException):
        topics(at, IN_VAIN_S, **scram, sasl_password="another")
    assert topics(broker.servers) == {"calls"}  # the lab's own door
    _only_with_a_certificate(broker, doors, tmp_path)


def _only_with_a_certificate(broker: Broker, doors: SecureDoors, folder: Path) -> None:
    at = broker.servers_of("MTLS")
    tls: dict[str, Any] = {"security_protocol": "SSL"}
    cert, key = doors.client("desk-7")
    mine: dict[str, Any] = {"ssl_certificate_location": cert, "ssl_key_location": key}
    assert topics(at, **tls, **mine, ssl_ca_location=doors.ca_file) == set()
    with pytest.raises(KafkaException):
        topics(at, IN_VAIN_S, **tls, ssl_ca_location=doors.ca_file)
    stranger = secure_doors(folder / "other")
    cert, key = stranger.client("desk-7")
    theirs: dict[str, Any] = {"ssl_certificate_location": cert, "ssl_key_location": key}
    with pytest.raises(KafkaException):
        topics(at, IN_VAIN_S, **tls, **theirs, ssl_ca_location=doors.ca_file)
    with pytest.raises(KafkaException):
        topics(at, IN_VAIN_S, **tls, **mine, ssl_ca_location=stranger.ca_file)
