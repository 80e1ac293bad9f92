"""The cable between a node and its brokers: cut, it is silent to the node alone; then mended."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from deploy.kafka_lab import Listener, wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from net_namespace import Namespace

    from deploy.kafka_lab import Broker

pytestmark = pytest.mark.root


@pytest.mark.kafka
def test_a_cut_cable_is_silent_inside_and_nothing_to_the_others(
    own_broker: Callable[..., Broker], namespace: Namespace
) -> None:
    broker = own_broker(listeners=[Listener("CABLE", host=namespace.outside)])
    there = namespace.outside, broker.port_of("CABLE")
    assert broker.servers_of("CABLE") == f"{there[0]}:{there[1]}"
    with namespace.inside():
        assert wire.metadata(there).brokers == {1: there}
        with pytest.raises(ConnectionRefusedError):
            wire.metadata(broker.address)  # another loopback
    namespace.cut()
    with namespace.inside(), pytest.raises(TimeoutError):
        wire.metadata(there, timeout_s=1)
    assert broker.ready()
    namespace.mend()
    with namespace.inside():
        assert wire.metadata(there, timeout_s=10).brokers == {1: there}


def test_what_is_started_inside_stays_there_and_ends_with_it(namespace: Namespace) -> None:
    with namespace.inside():
        inside = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    outside = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    assert namespace.pids() == [inside.pid]
    outside.kill()
    outside.wait()
    namespace.__exit__(None, None, None)
    assert inside.wait(10) == -9
    namespace.__enter__()
