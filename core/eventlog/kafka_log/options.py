"""What every client of Kafka is told about brokers and security; the names are common to both."""

from __future__ import annotations

import logging
import ssl
from typing import TYPE_CHECKING, Any

from core.errors import Refused

if TYPE_CHECKING:
    from pathlib import Path

    from core.eventlog.kafka_log.address import KafkaSecurity, KafkaSettings

# In an outage they repeat themselves ten times a second. Our own errors say what matters, and
# `kontaktcenter doctor` finds out why.
for _library in ("kafka", "aiokafka"):
    logging.getLogger(_library).setLevel(logging.CRITICAL)


def connection_options(settings: KafkaSettings) -> dict[str, Any]:
    """Keyword arguments for every client of kafka-python and aiokafka.

    Make them once: the TLS context in them is shared. Raises: Refused where a file cannot be used.
    """
    security = settings.security
    options: dict[str, Any] = {
        "bootstrap_servers": list(settings.address.servers),
        "client_id": "kontaktcenter",
        "security_protocol": security.protocol,
    }
    if security.protocol in {"SSL", "SASL_SSL"}:
        options["ssl_context"] = tls_context(security)
    if security.protocol.startswith("SASL_"):
        options["sasl_mechanism"] = security.mechanism or "SCRAM-SHA-512"
        options["sasl_plain_username"] = security.username
        options["sasl_plain_password"] = security.password
    return options


def tls_context(security: KafkaSecurity) -> ssl.SSLContext:
    """The TLS context: chain and host name are checked. Raises: Refused."""
    named = [security.ca_file, security.cert_file, security.key_file]
    for file in named:
        _check_readable(file)
    try:
        context = ssl.create_default_context(
            cafile=str(security.ca_file) if security.ca_file else None
        )
        if security.cert_file:
            key = str(security.key_file) if security.key_file else None
            # a key with a password would ask at the terminal of a service that has none
            context.load_cert_chain(str(security.cert_file), key, password=_no_password)
    except (ssl.SSLError, OSError, ValueError) as e:
        files = ", ".join(str(f) for f in named if f)
        raise Refused(
            f"the files for TLS to Kafka cannot be used ({files}: {e}): they must be PEM, the key "
            "must belong to the certificate and have no password"
        ) from e
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _no_password() -> str:
    raise ValueError("the key has a password")


def _check_readable(file: Path | None) -> None:
    if file is None:
        return
    try:
        file.read_bytes()
    except OSError as e:
        raise Refused(
            f"the file {file} for TLS to Kafka cannot be read ({e.strerror}): check the path and "
            "its rights"
        ) from e
