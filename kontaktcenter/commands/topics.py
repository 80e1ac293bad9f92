"""`log create|describe|check|acls`: the topics of a log on Kafka. No node is needed, or opened."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

from core.errors import KontaktcenterError, Refused
from core.eventlog.envelope import Unreadable, decode_commit, decode_envelope
from core.eventlog.kafka_log import topic_of
from core.eventlog.kafka_log.acls import command, rules
from core.eventlog.kafka_log.admin import KafkaAdmin
from core.eventlog.kafka_log.topics import (
    REPLICATION,
    SHARDS_MAX,
    Fault,
    Kind,
    Weight,
    books_wanted,
    default_shards,
    faults_of_cluster,
    faults_of_topic,
    settings_of,
)
from core.limits import READ_RECORDS_MAX
from core.taxonomy import read_entries
from core.vocabulary import CALLS, CASES_PREFIX, CENTRE, catalogue_stream
from kontaktcenter.catalogue import text_of
from kontaktcenter.config_keys import NONE, PRODUCTION
from kontaktcenter.edge import Exit
from kontaktcenter.log_faults import told
from kontaktcenter.log_parts import kafka_settings
from kontaktcenter.words import _

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Mapping

    from core.eventlog.kafka_log import KafkaSettings
    from core.eventlog.kafka_log.topics import Cluster, Topic
    from core.eventlog.log import Log
    from kontaktcenter.config import Config

_AUTHORITY: Final = "authority"
_CODE_CHARS_MAX: Final = 64  # more is a foreign producer's
# What a trial on a single broker cannot have; --allow-unsafe says that this is known.
_OF_TRIALS: Final = frozenset(
    {Kind.FEW_BROKERS, Kind.REPLICATION, Kind.IN_SYNC, Kind.EFFECTIVE_IN_SYNC, Kind.AUTO_CREATE}
)
_BAD: Final = frozenset({Weight.LOSES, Weight.BROKEN})


def settings_for(config: Config) -> KafkaSettings:
    """The settings of the log on Kafka. Raises: Refused where it is another one."""
    settings = kafka_settings(config)
    if settings is None:
        said = _(
            "{log} is not on Kafka: a log in a file makes its books by itself. Set KC_LOG to "
            "kafka://HOST:PORT/PREFIX"
        )
        raise Refused(said.format(log=config.log))
    return settings


def shards_asked(asked: Iterable[str]) -> dict[str, int]:
    """What `--shards calls=8` says. Raises: Refused."""
    shards = {}
    for text in asked:
        book, _equals, number = text.partition("=")
        if (
            book != CALLS
            or not number.isascii()
            or not number.isdigit()
            or not 0 < int(number) <= SHARDS_MAX
        ):
            said = _("--shards {text}: write it as BOOK=NUMBER, such as calls=8; at most {most}")
            raise Refused(said.format(text=text, most=SHARDS_MAX))
        shards[book] = int(number)
    return shards


def create(config: Config, shards: Mapping[str, int], *, allow_unsafe: bool) -> dict[str, Any]:
    """Make what is missing, change nothing that is there, and tell what of it differs.

    Raises: Refused for a cluster that could lose data, unless that was asked for; Unavailable.
    """
    settings = settings_for(config)
    if allow_unsafe and config.profile == PRODUCTION:
        raise Refused(_("profile=production: --allow-unsafe is for tests and trials"))
    with KafkaAdmin(settings) as admin:
        cluster, there = admin.cluster(), admin.topics()
        _require_safe(cluster, allow_unsafe=allow_unsafe)
        authorities, remarks = _authorities(config, settings, there)
        wanted = books_wanted(authorities, shards)
        living = sum(not broker.fenced for broker in cluster.brokers)
        copies = min(REPLICATION, living) if allow_unsafe else REPLICATION
        made = admin.make(wanted, copies)
        now = admin.topics()
    differing = [
        fault
        for book, topic in now.items()
        if book not in made
        for fault in (*faults_of_topic(topic, None), *_other_number(topic, shards))
    ]
    faults = [*faults_of_cluster(cluster), *differing]
    return {
        "made": made,
        "there": sorted(set(wanted) - set(made)),
        "replication": copies,
        "remarks": remarks,
        **_told(faults, allow_unsafe=allow_unsafe),
    }


def _other_number(topic: Topic, shards: Mapping[str, int]) -> Iterable[Fault]:
    found = len(topic.partitions)
    if shards.get(topic.book, found) != found:
        details = {"found": found, "wanted": shards[topic.book]}
        yield Fault(topic.name, Kind.OTHER_NUMBER, Weight.DIFFERS, details)


def _require_safe(cluster: Cluster, *, allow_unsafe: bool) -> None:
    if allow_unsafe:
        return
    bad = [told(fault) for fault in faults_of_cluster(cluster) if fault.weight is Weight.LOSES]
    if bad:
        said = _("this Kafka cluster could lose what was recorded, so no topics are made on it: ")
        raise Refused(said + " ".join(f"{what}. {do}" for what, do in bad))


def describe(config: Config) -> dict[str, Any]:
    """The cluster and every topic of the log. Raises: Refused, Unavailable."""
    with KafkaAdmin(settings_for(config)) as admin:
        cluster, topics = admin.cluster(), admin.topics()
    return {
        "cluster": {
            "id": cluster.identity,
            "brokers": [
                {"id": b.number, "address": b.address, "rack": b.rack, "running": not b.fenced}
                for b in cluster.brokers
            ],
        },
        "topics": [_shown(topic) for topic in topics.values()],
    }


def _shown(topic: Topic) -> dict[str, Any]:
    ours = settings_of(topic.book, REPLICATION)
    return {
        "book": topic.book,
        "topic": topic.name,
        "id": topic.identity,
        "shards": len(topic.partitions),
        "shards_of_genesis": topic.genesis_shards,
        "replication": topic.replication,
        "settings": {name: topic.settings.get(name) for name in ours},
        "partitions": [
            {
                "shard": f"{topic.book}/{p.number}",
                "leader": p.leader,
                "replicas": list(p.replicas),
                "in_sync": list(p.in_sync),
                "start": p.start,
                "end": p.end,
            }
            for p in topic.partitions
        ],
    }


def check(config: Config, *, allow_unsafe: bool) -> dict[str, Any]:
    """Every fault of cluster and topics; `exit` is 1 where data could be lost or nothing goes.

    With `allow_unsafe` what a trial cannot have is told and not counted as such.
    Raises: Refused, Unavailable.
    """
    settings = settings_for(config)
    with KafkaAdmin(settings) as admin:
        cluster, there = admin.cluster(), admin.topics()
    faults = list(faults_of_cluster(cluster))
    authorities, remarks = _authorities(config, settings, there)
    wanted = books_wanted(authorities, {})
    faults += _missing(settings, set(wanted) - set(there))
    for book, topic in there.items():
        faults += faults_of_topic(topic, None if book == CALLS else default_shards(book))
    return {"topics": len(there), "remarks": remarks, **_told(faults, allow_unsafe=allow_unsafe)}


def _missing(settings: KafkaSettings, books: Iterable[str]) -> list[Fault]:
    prefix = settings.address.prefix
    return [Fault(topic_of(prefix, b), Kind.MISSING, Weight.BROKEN) for b in sorted(books)]


def _told(faults: Iterable[Fault], *, allow_unsafe: bool) -> dict[str, Any]:
    """Faults as rows, and the exit code that they make."""
    rows, code = [], Exit.DONE
    for fault in faults:
        known = allow_unsafe and fault.kind in _OF_TRIALS
        weight = Weight.DEGRADED if known else fault.weight
        what, do = told(fault)
        rows.append({"where": fault.where, "kind": str(fault.kind), "weight": str(weight),
                     "what": what, "do": do})  # fmt: skip
        code = Exit.ERROR if weight in _BAD or code == Exit.ERROR else Exit.DEGRADED
    return {"ok": code == Exit.DONE, "faults": rows, "exit": int(code)}


def acls(config: Config, tools_config: str) -> dict[str, Any]:
    """What each role needs at the brokers, as commands to type. Raises: Refused, Unavailable."""
    settings = settings_for(config)
    try:
        with KafkaAdmin(settings) as admin:
            there = admin.topics()
    except KontaktcenterError:  # rights are given before anything can be looked at
        there = {}
    authorities, _remarks = _authorities(config, settings, there)
    books = books_wanted(authorities, {}).keys() | there.keys()
    address = settings.address
    made = rules(address.prefix, books, {})
    return {
        "rules": [
            {
                "principal": rule.principal,
                "operations": list(rule.operations),
                "topic": rule.resource,
                "prefixed": rule.prefixed,
                "command": command(rule, address.servers, tools_config),
            }
            for rule in made
        ]
    }


def _authorities(
    config: Config, settings: KafkaSettings, there: Mapping[str, Topic]
) -> tuple[set[str], list[str]]:
    """The authorities of the configured taxonomy, of the log's own catalogue, and of its topics.

    And what could not be asked.
    """
    found = {book.removeprefix(CASES_PREFIX) for book in there if book.startswith(CASES_PREFIX)}
    remarks = []
    if config.taxonomy != NONE:
        entries = read_entries(text_of(config.taxonomy))
        found |= {entry.key for entry in entries if entry.section == _AUTHORITY}
    centre = there.get(CENTRE)
    if centre is not None and centre.genesis_shards:
        try:
            found |= asyncio.run(_authorities_of_log(settings, len(centre.partitions)))
        except KontaktcenterError as e:
            said = _("the log's own catalogue was not asked for authorities: {why}")
            remarks.append(said.format(why=e.message))
    return found, remarks


async def _authorities_of_log(settings: KafkaSettings, shards: int) -> set[str]:
    """The authorities that the log's catalogue ever named; a topic too many does no harm."""
    from core.eventlog.kafka_log.store import KafkaStore  # noqa: PLC0415 -- create needs none

    beginning = catalogue_stream(_AUTHORITY, "")
    found = set()
    store = KafkaStore(settings)
    try:
        for number in range(shards):
            log = await store.open_shard(CENTRE, number)
            async with aclosing(_streams(log)) as streams:
                async for stream in streams:
                    code = stream.removeprefix(beginning)
                    if code != stream and len(code) <= _CODE_CHARS_MAX:
                        found.add(code)
    finally:
        await store.close()
    return found


async def _streams(log: Log) -> AsyncGenerator[str, None]:
    offset, end = 0, await log.end()
    while offset < end:
        for record in await log.read(offset, READ_RECORDS_MAX, 1):
            offset = record.offset + 1
            try:
                for raw in decode_envelope(record.body).commits:
                    for event in decode_commit(raw).events:
                        yield event.stream
            except Unreadable:
                continue
