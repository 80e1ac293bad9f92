"""Who may do what at the brokers, as few rights as each role needs, and as commands to type.

Nobody may delete a topic or its records: whoever has to, does it with the cluster's own rights.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from core.eventlog.kafka_log.address import topic_of
from core.vocabulary import CASES_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NODE: Final = "kontaktcenter-node"
ADMINISTRATOR: Final = "kontaktcenter-admin"
READER: Final = "kontaktcenter-reader-"
_CLUSTER: Final = "kafka-cluster"

_NODE_MAY: Final = ("Read", "Write", "Describe", "DescribeConfigs")
_ADMINISTRATOR_MAY: Final = ("Create", "Read", "Describe", "DescribeConfigs", "AlterConfigs")
_ADMINISTRATOR_OF_CLUSTER: Final = ("Describe", "DescribeConfigs")
_READER_MAY: Final = ("Read", "Describe")


@dataclass(frozen=True)
class Rule:
    """One principal may do these operations on one resource.

    `resource` is a topic's name, the beginning of names where it is `prefixed`, or None: the
    cluster.
    """

    principal: str
    operations: tuple[str, ...]
    resource: str | None
    prefixed: bool = False


def rules(prefix: str, books: Iterable[str], principals: Mapping[str, str]) -> list[Rule]:
    """What each role needs: a node, an administrator, and a reader of each authority's cases.

    `principals` gives other names to the roles `node`, `administrator` and `reader:CODE`. Without a
    prefix every topic is named: a rule for all of them would be one for other programs' too.
    """
    books = sorted(books)
    node = principals.get("node", f"User:{NODE}")
    administrator = principals.get("administrator", f"User:{ADMINISTRATOR}")
    places: list[tuple[str, bool]] = (
        [(f"{prefix}.", True)] if prefix else [(topic_of(prefix, book), False) for book in books]
    )
    made = [Rule(node, _NODE_MAY, *place) for place in places]
    made += [Rule(administrator, _ADMINISTRATOR_MAY, *place) for place in places]
    made.append(Rule(administrator, _ADMINISTRATOR_OF_CLUSTER, None))
    for book in books:
        if book.startswith(CASES_PREFIX):
            code = book.removeprefix(CASES_PREFIX)
            reader = principals.get(f"reader:{code}", f"User:{READER}{code}")
            made.append(Rule(reader, _READER_MAY, topic_of(prefix, book)))
    return made


def command(rule: Rule, servers: Iterable[str], config: str) -> str:
    """The rule as a line for a shell on a machine with Kafka's own tools.

    `config` is the file that the tools sign in with.
    """
    words = ["kafka-acls.sh", "--bootstrap-server", ",".join(servers), "--command-config", config]
    words += ["--add", "--allow-principal", rule.principal]
    for operation in rule.operations:
        words += ["--operation", operation]
    if rule.resource is None:
        words += ["--cluster", _CLUSTER]
    else:
        words += ["--topic", rule.resource]
        words += ["--resource-pattern-type", "prefixed"] if rule.prefixed else []
    return shlex.join(words)
