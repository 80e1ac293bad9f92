"""The mark of a folder with a demo's made-up calls, so that they never get among real ones.

Topics of a demo on Kafka have it in their names: their prefix begins with `demo`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from core.errors import Refused
from core.eventlog.kafka_log import parse_address
from kontaktcenter.words import _

if TYPE_CHECKING:
    from kontaktcenter.config import Config

_MARK: Final = "demo"


def claim(config: Config) -> None:
    """Mark the folder as the demo's. Raises: Refused where it, or the log, is not a demo's."""
    if config.on_kafka and not _is_demos(config):
        said = _(
            "{log} may be a real log, and the demo would write made-up calls into it: give it a "
            "prefix that begins with demo, such as kafka://HOST:PORT/demo"
        )
        raise Refused(said.format(log=config.log))
    mark, log = config.data / _MARK, config.data / "log.db"
    if log.exists() and not mark.exists():
        said = _(
            "{folder} holds a log that is not the demo's, and the demo would write made-up calls "
            "into it: choose another folder with --data"
        )
        raise Refused(said.format(folder=config.data))
    config.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    mark.touch()


def note(config: Config) -> str | None:
    """What a board says of a demo's calls; None for any other."""
    found = (config.data / _MARK).exists() or _is_demos(config)
    return _("From a demo: nothing here is real.") if found else None


def _is_demos(config: Config) -> bool:
    return config.on_kafka and parse_address(config.log).prefix.startswith(_MARK)
