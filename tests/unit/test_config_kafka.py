"""The configuration of a log on Kafka: what contradicts itself, or is not fit for production."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.errors import Corrupt
from core.eventlog.kafka_log import KafkaAddress
from kontaktcenter.config import Config, ConfigError, load
from kontaktcenter.log_parts import kafka_settings, remarks

if TYPE_CHECKING:
    from pathlib import Path

FAR = "kafka://kafka1:9092,kafka2:9092/tnh"
SIGNING_IN = {"kafka_username": "node", "kafka_password_file": "/p"}
PRODUCTION = {
    "log": FAR,
    "profile": "production",
    "kafka_security": "SASL_SSL",
    "master_key_file": "/etc/kontaktcenter/city.key",
    **SIGNING_IN,
}


def config(tmp_path: Path, **settings: object) -> Config:
    return load(settings, environ={"HOME": str(tmp_path)})


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"kafka_security": "PLAINTEXT"} | dict.fromkeys(SIGNING_IN), "kafka_security"),
        ({"kafka_security": "SASL_PLAINTEXT"}, "kafka_security"),
        ({"log": "memory:"}, "log"),
        ({"log_create": "unsafe"}, "log_create"),
        ({"master_key_file": None}, "master_key_file"),
    ],
)
def test_production_refuses_what_may_do_for_a_trial(
    settings: dict[str, object], key: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as refused:
        config(tmp_path, **(PRODUCTION | settings))

    assert (key, True) == (refused.value.details["key"], "production" in refused.value.message)
    assert config(tmp_path, **PRODUCTION).on_kafka


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"kafka_security": "SASL_SSL"}, "kafka_username"),
        ({"kafka_security": "SASL_SSL", "kafka_username": "n"}, "kafka_username"),
        ({"kafka_security": "SSL", **SIGNING_IN}, "kafka_username"),
        (SIGNING_IN, "kafka_username"),
        ({"kafka_security": "SSL", "kafka_cert_file": "/c"}, "kafka_cert_file"),
        ({"kafka_ca_file": "/ca"}, "kafka_security"),
        ({"kafka_cert_file": "/c", "kafka_key_file": "/k"}, "kafka_security"),
    ],
)
def test_settings_that_contradict_one_another_are_refused(
    settings: dict[str, object], key: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as refused:
        config(tmp_path, log=FAR, **settings)

    assert key == refused.value.details["key"]


def test_settings_of_kafka_are_left_alone_where_the_log_is_elsewhere(tmp_path: Path) -> None:
    found = config(tmp_path, kafka_security="SASL_SSL")

    assert kafka_settings(found) is None
    assert remarks(found) == []


def test_the_password_is_read_from_its_file_and_shown_nowhere(tmp_path: Path) -> None:
    password, ca = tmp_path / "password", tmp_path / "ca.pem"
    password.write_text("tr0ub4dor\n")
    password.chmod(0o600)
    ca.write_text("-")
    found = config(
        tmp_path, **PRODUCTION | {"kafka_password_file": str(password), "kafka_ca_file": str(ca)}
    )

    settings = kafka_settings(found)

    assert settings is not None
    assert KafkaAddress(("kafka1:9092", "kafka2:9092"), "tnh") == settings.address
    security = settings.security
    assert (security.protocol, security.mechanism) == ("SASL_SSL", "SCRAM-SHA-512")
    assert ("node", "tr0ub4dor", ca) == (security.username, security.password, security.ca_file)
    assert (settings.create, settings.profile) == ("", "production")
    assert "tr0ub4dor" not in repr(settings) + repr(found) + str(found.shown())


def test_a_password_that_others_may_read_is_refused(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("tr0ub4dor\n")
    password.chmod(0o644)

    with pytest.raises(Corrupt, match="kafka_password_file") as refused:
        kafka_settings(config(tmp_path, **PRODUCTION | {"kafka_password_file": str(password)}))

    assert "tr0ub4dor" not in refused.value.message


@pytest.mark.parametrize("key", ["kafka_ca_file", "kafka_cert_file", "kafka_password_file"])
def test_a_file_that_is_missing_is_told_with_its_key(key: str, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_text("x")
    there.chmod(0o600)
    files = dict.fromkeys(
        ("kafka_ca_file", "kafka_cert_file", "kafka_key_file", "kafka_password_file"), str(there)
    )

    with pytest.raises(ConfigError) as refused:
        kafka_settings(config(tmp_path, **PRODUCTION | files | {key: str(tmp_path / "nowhere")}))

    assert key == refused.value.details["key"]


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (FAR, 2),
        ("kafka://127.0.0.1:9092", 0),
        ("kafka://localhost:9092,[::1]:9092", 0),
        ("kafka://127.0.0.1:9092,10.0.0.7:9092", 2),
    ],
)
def test_a_trial_says_so_when_it_reaches_beyond_this_machine(
    log: str, said: int, tmp_path: Path
) -> None:
    assert said == len(remarks(config(tmp_path, log=log)))


def test_another_log_is_reached_in_the_same_way(tmp_path: Path) -> None:
    settings = kafka_settings(config(tmp_path, log_create="unsafe"), FAR)

    assert settings is not None
    assert (settings.create, settings.address.prefix) == ("unsafe", "tnh")


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    cert, key = tmp_path / "node.crt", tmp_path / "node.key"
    cert.write_text("-")
    key.write_text("-")
    key.chmod(0o640)
    files = {"kafka_cert_file": str(cert), "kafka_key_file": str(key)}
    settings = config(tmp_path, log=FAR, kafka_security="SSL", **files)

    with pytest.raises(Corrupt, match="chmod 600"):
        kafka_settings(settings)
    key.chmod(0o600)
    assert kafka_settings(settings) is not None
