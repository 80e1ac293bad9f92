"""Doors of a broker that ask who comes: TLS with a client's certificate, and SCRAM over TLS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from certificates import Authority

from deploy.kafka_lab import Listener

MECHANISM = "SCRAM-SHA-512"
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
_AUTHORIZER = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"


@dataclass(frozen=True)
class SecureDoors:
    """Two doors beside the plain one: `MTLS` (SSL) and `SCRAM` (SASL_SSL).

    `own_broker(**doors.options)` makes a broker of them; `broker.servers_of("SCRAM")` is where. The
    plain door stays open on loopback, for the lab and as the administrator who may do anything;
    with `acl` everybody else may do only what was granted to their name: `User:NAME`, be it the
    user of SCRAM or the common name of a certificate.
    """

    authority: Authority
    folder: Path
    options: Mapping[str, Any]

    @property
    def ca_file(self) -> Path:
        return self.authority.ca_file

    def client(self, name: str) -> tuple[Path, Path]:
        """The files of certificate and key of a client of that name."""
        self.authority.sign(name)
        return self.folder / f"{name}.crt", self.folder / f"{name}.key"


def secure_doors(
    folder: Path, users: Mapping[str, str] | None = None, *, acl: bool = False
) -> SecureDoors:
    """Make the certificates, and the options for a broker; `users` are names and passwords."""
    authority = Authority(folder)
    server = authority.sign("broker", "127.0.0.1", "localhost")
    tls = {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(server),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(authority.ca_file),
    }
    mtls = {
        **tls,
        "ssl.client.auth": "required",
        "ssl.principal.mapping.rules": "RULE:^CN=([^,]+).*$/$1/,DEFAULT",
    }
    scram = {
        **tls,
        "sasl.enabled.mechanisms": MECHANISM,
        f"{MECHANISM.lower()}.sasl.jaas.config": _SCRAM,
    }
    properties = {"super.users": "User:ANONYMOUS"}
    if acl:
        properties["authorizer.class.name"] = _AUTHORIZER
    known = [
        part
        for name, password in (users or {}).items()
        for part in ("--add-scram", f"{MECHANISM}=[name={name},password={password}]")
    ]
    return SecureDoors(
        authority,
        folder,
        {
            "listeners": (
                Listener("MTLS", "SSL", settings=mtls),
                Listener("SCRAM", "SASL_SSL", settings=scram),
            ),
            "format_args": tuple(known),
            "properties": properties,
        },
    )
