"""What is wrong with a log on Kafka, in words for people: what it is, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from core.eventlog.kafka_log.topics import Kind
from kontaktcenter.words import _

if TYPE_CHECKING:
    from core.eventlog.kafka_log.topics import Fault


def told(fault: Fault) -> tuple[str, str]:
    """What is wrong, and what to do about it."""
    what, do = _texts(fault.kind)
    details = {"where": fault.where, **fault.details}
    return what.format(**details), do.format(**details)


def _brokers(kind: Kind) -> tuple[str, str]:
    if kind is Kind.FEW_BROKERS:
        return (
            _("brokers in the cluster: {found}; needed: {wanted}"),
            _("Add brokers; a trial may go on with --allow-unsafe."),
        )
    if kind is Kind.BROKER_AWAY:
        return (
            _("broker {where} is away"),
            _("Start it, or find out why it cannot: until then nothing more may break."),
        )
    if kind is Kind.AUTO_CREATE:
        return (
            _("broker {where} makes topics by itself when somebody asks for them"),
            _(
                "Set auto.create.topics.enable=false in every server.properties, and restart "
                "broker by broker: a topic that comes back by itself is empty and unsafe."
            ),
        )
    return (
        _("the settings of broker {where} cannot be seen"),
        _(
            "See whether it answers. If it does, let this user DescribeConfigs on the cluster "
            "(kontaktcenter log acls): auto.create.topics.enable has to be checked."
        ),
    )


def _topic(kind: Kind) -> tuple[str, str]:
    if kind is Kind.MISSING:
        return (
            _("there is no topic {where}"),
            _("Make it with kontaktcenter log create, unless this user may only not see it."),
        )
    if kind is Kind.SETTING:
        return (
            _("{where}: {name} is {found}, and should be {wanted}"),
            _("kafka-configs.sh --alter --topic {where} --add-config {name}={wanted}"),
        )
    if kind is Kind.PARTITIONS:
        return (
            _("{where} is empty and has {found} partitions; log create makes {wanted}"),
            _("If nobody asked for that, a client made it: delete it while it is empty."),
        )
    if kind is Kind.OTHER_NUMBER:
        return (
            _("{where} has {found} partitions, and {wanted} were asked for: it stays as it is"),
            _(
                "A log keeps its number of shards for good. Only an empty topic can be deleted "
                "and made anew."
            ),
        )
    if kind is Kind.GENESIS:
        return (
            _("{where} was made with {wanted} partitions and has {found}"),
            _(
                "Somebody changed that, and Kafka cannot undo it. The nodes stand still: copy the "
                "log into a new prefix from a backup, see docs/operating/kafka.md."
            ),
        )
    if kind is Kind.FOREIGN:
        return (
            _("{where} does not begin as a log of Kontaktcenter"),
            _("Use another prefix in KC_LOG, or a topic of its own for the other program."),
        )
    return (
        _("{where} begins at {found}: its first records were deleted"),
        _("Stop the nodes. Bring the log back from a backup, see docs/operating/kafka.md."),
    )


def _copies(kind: Kind) -> tuple[str, str]:
    if kind is Kind.REPLICATION:
        return (
            _("{where}: copies {found}, needed {wanted}"),
            _("Add copies with kafka-reassign-partitions.sh, see docs/operating/kafka.md."),
        )
    if kind is Kind.IN_SYNC:
        return (
            _("{where}: min.insync.replicas is {found}, and should be {wanted}"),
            _("kafka-configs.sh --alter --topic {where} --add-config min.insync.replicas={wanted}"),
        )
    if kind is Kind.EFFECTIVE_IN_SYNC:
        return (
            _(
                "{where}: min.insync.replicas={in_sync} means nothing, because there are only "
                "{copies} copies: Kafka takes the smaller number"
            ),
            _("Add copies with kafka-reassign-partitions.sh, see docs/operating/kafka.md."),
        )
    if kind is Kind.NO_LEADER:
        return (
            _("{where} has no leader: it can neither be written nor read"),
            _("Start the brokers that have it; see the runbook kafka-nere."),
        )
    if kind is Kind.NO_WRITES:
        return (
            _("{where}: {found} copies of {wanted} are in sync, and {needs} are needed to write"),
            _("Start the brokers that are away; see the runbook kafka-nere."),
        )
    return (
        _("{where}: {found} copies of {wanted} are in sync"),
        _("Start the broker that is away, or wait until it has caught up."),
    )


_BROKERS: Final = frozenset(
    {Kind.FEW_BROKERS, Kind.BROKER_AWAY, Kind.AUTO_CREATE, Kind.SETTINGS_HIDDEN}
)
_COPIES: Final = frozenset(
    {
        Kind.REPLICATION,
        Kind.IN_SYNC,
        Kind.EFFECTIVE_IN_SYNC,
        Kind.NO_LEADER,
        Kind.NO_WRITES,
        Kind.UNDER_REPLICATED,
    }
)


def _texts(kind: Kind) -> tuple[str, str]:
    if kind in _BROKERS:
        return _brokers(kind)
    return _copies(kind) if kind in _COPIES else _topic(kind)
