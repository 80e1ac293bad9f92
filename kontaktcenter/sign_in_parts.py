"""What signing in is wired from: the sessions of the data folder, and the city's provider."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kontaktcenter.secret_file import read_secret
from webdesk.services import SignOnSettings
from webdesk.sessions import Sessions, SessionTimes

if TYPE_CHECKING:
    from core.commit import Clock
    from kontaktcenter.config import Config


def sessions(config: Config, clock: Clock, *, keep: bool) -> Sessions:
    """Who has signed in; kept in the data folder, or for a log in memory in memory.

    `clock` is the real one: a session lives in real time, whatever clock a demo has.
    """
    path = config.data / "sessions.db" if keep else None
    times = SessionTimes(config.session_idle_s, config.session_life_s)
    return Sessions(path, clock, os.urandom, times)


def sign_on(config: Config) -> SignOnSettings | None:
    """The provider that people sign in at, if the city has one. Raises: ConfigError, Corrupt."""
    if config.sign_on_issuer is None or config.sign_on_client_id is None:
        return None
    file, ca_file = config.sign_on_secret_file, config.sign_on_ca_file
    return SignOnSettings(
        config.sign_on_issuer,
        config.sign_on_client_id,
        None if file is None else read_secret(file, "sign_on_secret_file"),
        config.sign_on_name,
        None if ca_file is None else str(ca_file),
    )
