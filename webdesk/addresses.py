"""Where a request comes from: the peer itself, or what a proxy that is trusted says."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from starlette.requests import Request

_NETWORK_BITS: Final = 64


def address_of(request: Request, trusted: tuple[str, ...]) -> str:
    """The client's address. `X-Forwarded-For` counts only from a trusted proxy: anybody writes it.

    What the last trusted proxy saw is taken, never what the client itself put in front; of IPv6
    the network.
    """
    peer = request.client.host if request.client else ""
    if peer not in trusted:
        return _counted(peer)
    said = request.headers.get("x-forwarded-for", "")
    for part in reversed([one.strip() for one in said.split(",")]):
        try:
            address = str(ipaddress.ip_address(part))
        except ValueError:
            return _counted(peer)
        if address not in trusted:
            return _counted(address)
    return _counted(peer)


def _counted(address: str) -> str:
    """The address as it is counted: of IPv6 the network, whose 2**64 addresses one person has."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        mapped = found.ipv4_mapped
        return str(mapped or ipaddress.ip_network((found, _NETWORK_BITS), strict=False))
    return address


def is_own_machine(request: Request) -> bool:
    """Whether a person at this very machine asks, with no proxy in between."""
    if "x-forwarded-for" in request.headers or "forwarded" in request.headers:
        return False
    try:
        peer = ipaddress.ip_address(request.client.host if request.client else "")
        name = request.url.hostname or ""
    except ValueError:
        return False
    return peer.is_loopback and name in {"localhost", "127.0.0.1", "::1"}
