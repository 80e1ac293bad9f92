"""The proxy in front of a broker does what it is told, and nothing else."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import Producer
from kafka_ledger import read_topic
from tcp_proxy import PRODUCE, Proxy

from deploy.kafka_lab import Listener, wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from deploy.kafka_lab import Broker

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


class Told(list[str]):
    """What a producer was told of its records."""

    def of(self, error: Any, _message: Any) -> None:
        self.append("accepted" if error is None else error.name())


def producer(servers: str, **settings: Any) -> Producer:
    # As ours is told to be: a lost reply is not asked for again by the client.
    named = {"acks": "all", "message.send.max.retries": 0, "log_level": 0, "linger.ms": 0}
    quick = {"socket.timeout.ms": 1_500, "message.timeout.ms": 4_000, "reconnect.backoff.ms": 50}
    return Producer({"bootstrap.servers": servers, **named, **quick, **settings})


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with Proxy() as made:
        yield made


@pytest.fixture
def proxied(own_broker: Callable[..., Broker], proxy: Proxy) -> Broker:
    broker = own_broker(advertised_port=proxy.port, listeners=[Listener("BESIDE")])
    proxy.target = broker.address
    wire.create_topic(broker.address, "calls")
    return broker


def test_the_proxy_loses_replies_falls_silent_refuses_and_passes_on(
    proxied: Broker, proxy: Proxy
) -> None:
    assert proxied.servers == proxy.servers
    assert proxied.metadata().brokers == {1: ("127.0.0.1", proxy.port)}
    told, sender = Told(), producer(proxied.servers)

    def send(value: bytes) -> str:
        sender.produce("calls", value, partition=0, on_delivery=told.of)
        assert sender.flush(20) == 0
        return told[-1]

    assert send(b"passed on") == "accepted"
    proxy.drop_replies(1)
    assert send(b"reply lost with its connection") != "accepted"
    assert send(b"after it") == "accepted"
    proxy.drop_replies(1, close=False)
    assert send(b"reply lost in silence") != "accepted"
    assert (proxy.dropped, proxy.requests[PRODUCE]) == (2, 4)
    assert send(b"again") == "accepted"
    proxy.slow(0.3)
    assert send(b"slow") == "accepted"
    proxy.pass_on()

    proxy.blackhole()
    assert send(b"kept back") == "_MSG_TIMED_OUT" or told[-1] == "_TIMED_OUT"
    proxy.pass_on()
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", proxy.port), timeout=2)
    assert send(b"refused") == "_MSG_TIMED_OUT"
    proxy.pass_on()
    assert send(b"at last") == "accepted"

    # Not through the proxy: a reader goes where the broker tells it to.
    found = [body for _offset, body in read_topic(proxied.servers_of("BESIDE"), "calls")]
    sure = [v for v in found if v != b"kept back"]  # which may or may not have been under way
    assert sure == [
        b"passed on",
        b"reply lost with its connection",
        b"after it",
        b"reply lost in silence",
        b"again",
        b"slow",
        b"at last",
    ]
    assert threading.active_count() < 40


def test_what_a_black_hole_held_back_arrives_when_it_is_mended(
    proxied: Broker, proxy: Proxy
) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as door:
        proxy.blackhole()
        door.sendall(b"\0\0\0\x0f\0\x12\0\0\0\0\0\x07\0\x05hello")  # ApiVersions, number 7
        door.settimeout(0.5)
        with pytest.raises(TimeoutError):
            door.recv(1)
        proxy.pass_on()
        door.settimeout(10)
        wire.exactly(door, 4)
        assert wire.exactly(door, 4) == b"\0\0\0\x07"
        proxy.cut()
        with pytest.raises(OSError, match=r"closed|reset"):
            wire.exactly(door, 1 << 20)
