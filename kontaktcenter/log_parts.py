"""What a log is wired from: the settings of a log on Kafka, and what should be said about them."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final, cast

from core.errors import Corrupt
from core.eventlog.kafka_log import KafkaSecurity, KafkaSettings, parse_address, parse_void
from kontaktcenter.config_keys import KAFKA, NEVER, PLAINTEXT, SASL_PLAINTEXT, TRIAL, ConfigError
from kontaktcenter.secret_file import read_secret
from kontaktcenter.words import _

if TYPE_CHECKING:
    from pathlib import Path

    from core.eventlog.kafka_log.address import Create, Mechanism, Profile, Protocol
    from kontaktcenter.config import Config


_OTHERS: Final = 0o077


def kafka_settings(config: Config, address: str | None = None) -> KafkaSettings | None:
    """What the log on Kafka is opened with; None where it is not on Kafka.

    `address` is another log than the configuration's, reached in the same way.
    Raises: ConfigError (a file that is missing), Corrupt (a password's file others may read).
    """
    address = config.log if address is None else address
    if not address.startswith(f"{KAFKA}:"):
        return None
    named = config.kafka_security.startswith("SASL_")
    for key in ("kafka_ca_file", "kafka_cert_file", "kafka_key_file"):
        _require_file(key, getattr(config, key))
    password = ""
    if config.kafka_password_file is not None:
        password = read_secret(config.kafka_password_file, "kafka_password_file")
    security = KafkaSecurity(
        cast("Protocol", config.kafka_security),
        config.kafka_ca_file,
        config.kafka_cert_file,
        config.kafka_key_file,
        cast("Mechanism", config.kafka_sasl_mechanism if named else ""),
        config.kafka_username or "",
        password,
    )
    create = "" if config.log_create == NEVER else config.log_create
    return KafkaSettings(
        parse_address(address), security, cast("Create", create), cast("Profile", config.profile),
        parse_void(config.kafka_void) if config.kafka_void else frozenset(),
    )  # fmt: skip


def _require_file(key: str, file: Path | None) -> None:
    if file is None:
        return
    try:
        file.open("rb").close()
        mode = file.stat().st_mode
    except OSError as e:
        said = _("{key}: {file} cannot be read: {why}").format(key=key, file=file, why=e.strerror)
        raise ConfigError(said, key=key) from e
    if key == "kafka_key_file" and mode & _OTHERS:
        said = _("{key}: {file} can be read by others: run chmod 600 on it")
        raise Corrupt(said.format(key=key, file=file))


def remarks(config: Config) -> list[str]:
    """What is allowed in a trial, and should be said to whoever starts it."""
    if not config.on_kafka or config.profile != TRIAL:
        return []
    found = []
    far = [server for server in parse_address(config.log).servers if not _near(server)]
    if far and config.kafka_security in {PLAINTEXT, SASL_PLAINTEXT}:
        said = _(
            "kafka_security={protocol}: everything goes readable over the network to {servers}. "
            "Only for trials; profile=production refuses it"
        )
        found.append(said.format(protocol=config.kafka_security, servers=", ".join(far)))
    if far and config.master_key_file is None:
        found.append(
            _(
                "master_key_file is not set: the city secret stands in the log itself, where "
                "everyone who reads the log can read it. Only for trials"
            )
        )
    return found


def _near(server: str) -> bool:
    """Whether `HOST:PORT` is on this machine."""
    host = server.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
