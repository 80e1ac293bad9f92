"""`compose.yaml` and the image: there is no Docker where tests run, so they are read.

What is read is held against what `log check` wants, what the configuration takes, what the command
line knows.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from project import PACKAGES, ROOT
from typer.main import get_command

from core.eventlog.kafka_log import parse_address
from core.eventlog.kafka_log.topics import (
    IN_SYNC,
    REPLICATION,
    BrokerFound,
    Cluster,
    faults_of_cluster,
)
from kontaktcenter.cli import app
from kontaktcenter.config import Config, load

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
BROKERS = [name for name, s in SERVICES.items() if str(s.get("image", "")).startswith("apache/")]
NODES = [name for name, s in SERVICES.items() if s.get("command", [""])[0] == "serve"]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")


def settings(broker: str) -> dict[str, str]:
    """A broker's server.properties, as the image makes them of its environment."""
    return {
        name.removeprefix("KAFKA_").lower().replace("_", "."): str(value)
        for name, value in SERVICES[broker]["environment"].items()
        if name.startswith("KAFKA_")
    }


def config(node: str) -> Config:
    environ = {name: str(v) for name, v in SERVICES[node]["environment"].items()}
    return load(environ={"HOME": "/", **environ})


def test_there_are_three_brokers_and_two_nodes() -> None:
    assert (BROKERS, NODES) == (["kafka1", "kafka2", "kafka3"], ["node1", "node2"])


def test_the_brokers_are_such_that_log_check_finds_no_fault() -> None:
    found = [
        BrokerFound(n, f"{name}:9092", None, False, settings(name))
        for n, name in enumerate(BROKERS, start=1)
    ]

    assert list(faults_of_cluster(Cluster("c", tuple(found)))) == []
    for broker in found:
        own = broker.settings
        assert own["default.replication.factor"] == str(REPLICATION)
        assert own["min.insync.replicas"] == str(IN_SYNC)
        assert own["unclean.leader.election.enable"] == "false"
        assert own["offsets.topic.replication.factor"] == str(REPLICATION)


def test_each_broker_is_itself_and_all_know_the_same_controllers() -> None:
    voters = {settings(name)["controller.quorum.voters"] for name in BROKERS}
    named = {settings(name)["node.id"]: name for name in BROKERS}

    assert voters == {",".join(f"{n}@{name}:9093" for n, name in named.items())}
    for name in BROKERS:
        assert settings(name)["advertised.listeners"] == f"PLAINTEXT://{name}:9092"
        assert f"{name}:/var/lib/kafka/data" in SERVICES[name]["volumes"]
        assert settings(name)["log.dirs"] == "/var/lib/kafka/data"
    assert len({SERVICES[name]["environment"]["CLUSTER_ID"] for name in BROKERS}) == 1


def test_the_image_is_of_the_kafka_that_the_tests_run() -> None:
    version = SERVICES["kafka1"]["image"].partition(":")[2]
    jars = (ROOT / "deploy" / "kafka_lab" / "jars.txt").read_text(encoding="utf-8")

    assert re.search(rf"\b{re.escape(version)}\b", jars)


@pytest.mark.parametrize("node", [*NODES, "topics"])
def test_a_node_is_configured_with_settings_that_exist(node: str) -> None:
    found = config(node)

    assert found.on_kafka
    assert found.log_create == "never"
    assert [s.partition(":")[0] for s in parse_address(found.log).servers] == BROKERS
    assert found.master_key_file is not None
    assert found.master_key_file.name in COMPOSE["secrets"]
    assert found.protected_key_file is not None
    assert found.protected_key_file.name in COMPOSE["secrets"]


def test_nodes_have_names_folders_and_ports_of_their_own_on_loopback() -> None:
    for what in (
        [config(node).node_name for node in NODES],
        [SERVICES[node]["volumes"][0].partition(":")[0] for node in NODES],
        [SERVICES[node]["ports"][0] for node in NODES],
    ):
        assert len(set(what)) == len(NODES)
    for service in SERVICES.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_the_nodes_share_the_files_of_cases() -> None:
    assert {str(config(node).attachments_folder) for node in NODES} == {"/attachments"}
    assert {SERVICES[node]["volumes"][1] for node in NODES} == {"./data/attachments:/attachments"}


def test_every_command_is_one_that_the_command_line_knows() -> None:
    group: Any = get_command(app)
    assert group.commands["log"].commands["create"] is not None
    assert SERVICES["topics"]["command"] == ["log", "create"]
    known = {flag for p in group.commands["serve"].params for flag in p.opts}
    for node in NODES:
        assert {w for w in SERVICES[node]["command"] if w.startswith("--")} <= known


def test_nothing_starts_before_what_it_needs() -> None:
    assert set(SERVICES["topics"]["depends_on"]) == set(BROKERS)
    for node in NODES:
        assert SERVICES[node]["depends_on"]["topics"]["condition"] == (
            "service_completed_successfully"
        )


def test_the_image_has_every_package_and_no_more_of_this_folder_is_sent() -> None:
    copied = re.findall(r"^COPY (\w+) \1$", DOCKERFILE, re.MULTILINE)
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()

    assert sorted(copied) == sorted([*PACKAGES, "runbooks"])
    assert ignored[0] == "*"
    assert {f"!{name}" for name in copied} <= set(ignored)
    assert "!data" not in ignored
    assert "[fast]" in DOCKERFILE
