"""A broker behind TLS: a CA, certificates, and doors for SCRAM and for client certificates."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from deploy.kafka_lab import Broker
from deploy.kafka_lab.broker import Listener

if TYPE_CHECKING:
    from collections.abc import Callable

PASSWORD: Final = "korrekt-hast-batteri"
NODE, ADMIN, READER = "kontaktcenter-node", "kontaktcenter-admin", "kontaktcenter-reader-TK"


class Authority:
    """A CA of a test's own, which keeps its files in `folder`."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(f"{name} of a test")
        self._certificate = _signed(self._name, self._name, self._key, self._key, ca=True)
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, hosts: tuple[str, ...] = ()) -> tuple[Path, Path]:
        """A certificate and its key, PEM, in two files."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = _signed(_named(name), self._name, key, self._key, hosts=hosts)
        cert_file, key_file = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        cert_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        key_file.chmod(0o600)
        return cert_file, key_file


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _signed(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    by: ec.EllipticCurvePrivateKey,
    *,
    ca: bool = False,
    hosts: tuple[str, ...] = (),
) -> x509.Certificate:
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if not ca:
        usage = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        made = made.add_extension(x509.ExtendedKeyUsage(usage), critical=False)
    if hosts:
        names: list[x509.GeneralName] = [_host(host) for host in hosts]
        made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return made.sign(by, hashes.SHA256())


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


@dataclass(frozen=True)
class Sealed:
    """A broker whose doors `SCRAM` (SASL_SSL) and `MUTUAL` (SSL) are behind TLS."""

    broker: Broker
    authority: Authority
    folder: Path

    @property
    def scram(self) -> str:
        return self.broker.servers_of("SCRAM")

    @property
    def mutual(self) -> str:
        return self.broker.servers_of("MUTUAL")


def sealed_broker(make: Callable[..., Broker], folder: Path, **more: Any) -> Sealed:
    """Start one: its certificate is for 127.0.0.1 and for no name."""
    authority = Authority(folder)
    cert, key = authority.issue("broker", ("127.0.0.1",))
    both = folder / "broker-both.pem"
    both.write_bytes(key.read_bytes() + cert.read_bytes())
    tls = {
        "ssl.keystore.type": "PEM", "ssl.keystore.location": str(both),
        "ssl.truststore.type": "PEM", "ssl.truststore.location": str(authority.file),
    }  # fmt: skip
    scram = {
        **tls,
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "scram-sha-512.sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        ),
    }
    accounts = [
        f"SCRAM-SHA-512=[name={name},password={PASSWORD}]" for name in (NODE, ADMIN, READER)
    ]
    broker = make(
        listeners=(
            Listener("SCRAM", "SASL_SSL", settings=scram),
            Listener("MUTUAL", "SSL", settings={**tls, "ssl.client.auth": "required"}),
        ),
        format_args=[word for account in accounts for word in ("--add-scram", account)],
        **more,
    )
    return Sealed(broker, authority, folder)
