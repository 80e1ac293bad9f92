"""`node refill-keys`: a topic of keys that was deleted is filled from this node's copy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.errors import Refused
from kontaktcenter.log_parts import kafka_settings
from kontaktcenter.wiring import held
from kontaktcenter.words import _

if TYPE_CHECKING:
    from kontaktcenter.config import Config


def refill_keys(config: Config) -> dict[str, Any]:
    """Write what the topic of keys lacks. Raises: Refused, InUse, Unavailable, Corrupt."""
    from core.eventlog.kafka_log.keys_refill import refill  # noqa: PLC0415 -- it loads Kafka's client

    settings = kafka_settings(config)
    if settings is None:
        said = _("{log} is not on Kafka: its keys are in a file, and have a backup")
        raise Refused(said.format(log=config.log))
    if not config.data.is_dir():
        raise Refused(_("there is no data folder {path}").format(path=config.data))
    with held(config):
        live, destroyed = refill(settings, config.data)
    return {"ok": True, "live": live, "destroyed": destroyed}
