"""Why a broker does not let us in, found out step by step: name, port, TLS, signing in.

The clients' libraries only say that nothing answered in time. Asks with sockets of its own, and
never says a secret. Blocking.
"""

from __future__ import annotations

import socket
import ssl
import struct
from contextlib import closing
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from core.eventlog.kafka_log.options import tls_context

if TYPE_CHECKING:
    from core.eventlog.kafka_log.address import KafkaSecurity, KafkaSettings

_LIMIT_S: Final = 1.5  # for one step at one broker
_API_VERSIONS: Final = 18
_SASL_HANDSHAKE: Final = 17
_ANSWER_BYTES_MAX: Final = 1 << 20
_HEAD_BYTES: Final = 8  # length and correlation id
_TLS_ALERT: Final = 0x15
_CORRELATION: Final = 7


class Obstacle(StrEnum):
    """What stands in the way."""

    NAME = "name"
    REFUSED = "refused"
    SILENT = "silent"
    AUTHORITY = "authority"
    HOST = "host"
    CERTIFICATE = "certificate"
    NOT_TLS = "not_tls"
    TLS = "tls"
    OWN_CERTIFICATE = "own_certificate"
    MECHANISM = "mechanism"
    NOT_KAFKA = "not_kafka"
    SIGNING_IN = "signing_in"


class Found(NamedTuple):
    """What was found at one broker; `obstacle` None: it answers, and wants to know who asks."""

    server: str
    obstacle: Obstacle | None
    said: str = ""  # in the words of the system or the broker


def look(settings: KafkaSettings) -> list[Found]:
    """Each broker of the address, with what stands in the way there. Raises: Refused (files)."""
    security = settings.security
    sealed = security.protocol in {"SSL", "SASL_SSL"}
    context = tls_context(security) if sealed else None
    return [_look(server, security, context) for server in settings.address.servers]


def why(settings: KafkaSettings) -> str:
    """One line: what stands in the way at each broker, where the clients' libraries got nowhere."""
    signs_in = settings.security.protocol.startswith("SASL_")
    return "; ".join(
        f"{found.server}: {_words(found, signs_in=signs_in)}" for found in look(settings)
    )


def _words(found: Found, *, signs_in: bool) -> str:
    obstacle = found.obstacle
    if obstacle is None:
        obstacle = Obstacle.SIGNING_IN if signs_in else Obstacle.SILENT
    said = f" ({found.said})" if found.said else ""
    return _SAYS[obstacle] + said


_SAYS: Final = {
    Obstacle.NAME: "the name is not known here",
    Obstacle.REFUSED: "nothing listens there",
    Obstacle.SILENT: "no answer in time",
    Obstacle.AUTHORITY: "its certificate is not from the CA in kafka_ca_file",
    Obstacle.HOST: "its certificate is for another name than this one",
    Obstacle.CERTIFICATE: "its certificate is not valid",
    Obstacle.NOT_TLS: "it does not speak TLS on this port, and kafka_security asks for it",
    Obstacle.TLS: "it wants TLS on this port: set kafka_security to SASL_SSL or SSL",
    Obstacle.OWN_CERTIFICATE: "it does not accept the certificate in kafka_cert_file, or wants one",
    Obstacle.MECHANISM: "it does not know this kafka_sasl_mechanism, or nobody signs in there",
    Obstacle.NOT_KAFKA: "what listens there is not Kafka, or not with this kafka_security",
    Obstacle.SIGNING_IN: (
        "it answers, so it is kafka_username or the password that it does not accept"
    ),
}


def _look(server: str, security: KafkaSecurity, context: ssl.SSLContext | None) -> Found:
    host, _colon, port = server.rpartition(":")
    host = host.strip("[]")
    try:
        plain = socket.create_connection((host, int(port)), timeout=_LIMIT_S)
    except socket.gaierror as e:
        return Found(server, Obstacle.NAME, str(e.strerror))
    except TimeoutError:
        return Found(server, Obstacle.SILENT)
    except OSError as e:
        return Found(server, Obstacle.REFUSED, str(e.strerror))
    try:
        with closing(plain if context is None else _wrapped(context, plain, host)) as opened:
            return Found(server, *_asked(opened, security))
    except ssl.SSLCertVerificationError as e:
        return Found(server, _of_certificate(e), e.verify_message)
    except (ssl.SSLError, OSError) as e:
        plain.close()
        return Found(server, _of_tls(e, context), getattr(e, "reason", None) or "")


def _wrapped(context: ssl.SSLContext, plain: socket.socket, host: str) -> ssl.SSLSocket:
    try:
        return context.wrap_socket(plain, server_hostname=host)
    except BaseException:
        plain.close()
        raise


def _of_certificate(error: ssl.SSLCertVerificationError) -> Obstacle:
    message = error.verify_message.lower()
    if "mismatch" in message:
        return Obstacle.HOST
    foreign = any(word in message for word in ("issuer", "self", "signature"))
    return Obstacle.AUTHORITY if foreign else Obstacle.CERTIFICATE


def _of_tls(error: OSError, context: ssl.SSLContext | None) -> Obstacle:
    if context is None:
        return Obstacle.SILENT if isinstance(error, TimeoutError) else Obstacle.NOT_KAFKA
    reason = str(getattr(error, "reason", "") or "").upper()
    if "ALERT" in reason and "PROTOCOL" not in reason:
        return Obstacle.OWN_CERTIFICATE
    if isinstance(error, TimeoutError):
        return (
            Obstacle.NOT_TLS
        )  # a broker without TLS waits for more of what it takes for a request
    return Obstacle.NOT_TLS


def _asked(opened: socket.socket, security: KafkaSecurity) -> tuple[Obstacle | None, str]:
    """What the broker says to a request that it answers before anybody has signed in."""
    answer = _answer(opened, _API_VERSIONS, b"")
    if answer is None:
        return Obstacle.NOT_KAFKA, ""
    if answer[:1] == bytes([_TLS_ALERT]):
        return Obstacle.TLS, ""
    if not security.protocol.startswith("SASL_"):
        return None, ""
    mechanism = (security.mechanism or "SCRAM-SHA-512").encode()
    told = _answer(opened, _SASL_HANDSHAKE, struct.pack(">h", len(mechanism)) + mechanism, 1)
    if told is None or len(told) < _HEAD_BYTES + 2:
        return Obstacle.MECHANISM, ""
    (code,) = struct.unpack_from(">h", told, _HEAD_BYTES)
    return (Obstacle.MECHANISM, f"error {code}") if code else (None, "")


def _answer(opened: socket.socket, key: int, body: bytes, version: int = 0) -> bytes | None:
    """A whole answer, or its first bytes where it is none of Kafka's; None where there was none."""
    head = struct.pack(">hhih", key, version, _CORRELATION, -1) + body
    opened.sendall(struct.pack(">i", len(head)) + head)
    found = b""
    wanted = _HEAD_BYTES
    while len(found) < wanted:
        more = opened.recv(65_536)
        if not more:
            return None if found[:1] != bytes([_TLS_ALERT]) else found
        found += more
        if found[:1] == bytes([_TLS_ALERT]):
            return found
        if len(found) >= _HEAD_BYTES:
            size, correlation = struct.unpack_from(">ii", found)
            if correlation != _CORRELATION or not 0 < size < _ANSWER_BYTES_MAX:
                return None
            wanted = size + 4
    return found
