"""`doctor` on Kafka: what stands in the way of the brokers, and what of their topics is unsafe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from core.errors import KontaktcenterError
from core.eventlog.kafka_log.topics import Weight
from kontaktcenter import log_parts
from kontaktcenter.commands import topics
from kontaktcenter.commands.check import FAIL, OK, WARN, Check
from kontaktcenter.config_keys import TRIAL
from kontaktcenter.words import _, plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kontaktcenter.config import Config

_BAD: Final = frozenset({Weight.LOSES.value, Weight.BROKEN.value})
_TOLD_MAX: Final = 2  # alike faults of many topics are one line


def checks(config: Config) -> Iterator[Check]:
    """The brokers and their topics; ends with the first check that fails where nothing answers."""
    for remark in log_parts.remarks(config):
        do = _("Use TLS, and a file with the city secret, before anything real is recorded.")
        yield Check("kafka", WARN, remark, do)
    if config.log_create == "unsafe":
        do = _("Topics made by a node may have one copy: only for trials; else log_create=never.")
        yield Check("kafka", WARN, "log_create=unsafe", do)
    try:
        found = topics.check(config, allow_unsafe=config.profile == TRIAL)
    except KontaktcenterError as e:
        do = _("Mend what it says; see the runbook kafka-nere.")
        yield Check("kafka", FAIL, e.message, do)
        return
    faults: dict[tuple[str, str], list[dict[str, str]]] = {}
    for fault in found["faults"]:
        faults.setdefault((fault["kind"], fault["weight"]), []).append(fault)
    for (_kind, weight), alike in faults.items():
        where = "; ".join(fault["what"] for fault in alike[:_TOLD_MAX])
        if len(alike) > _TOLD_MAX:
            where += _(" and {n} more alike").format(n=len(alike) - _TOLD_MAX)
        state = FAIL if weight in _BAD else WARN
        yield Check("kafka", state, where, alike[0]["do"])
    if not faults:
        n = found["topics"]
        yield Check("kafka", OK, plural("{n} topic, all as it should be",
                                        "{n} topics, all as they should be", n))  # fmt: skip
