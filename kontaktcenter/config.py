"""The configuration: the one place that reads the environment.

Defaults < `kontaktcenter.toml` < `KC_*` in the environment < flags; read once, frozen. Every value
knows where it came from, and every mistake says which key it is about and what is allowed.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from kontaktcenter.config_keys import (
    BUILTIN,
    KAFKA,
    KEYS,
    NEVER,
    NONE,
    PLAINTEXT,
    PRODUCTION,
    SASL_PLAINTEXT,
    TRIAL,
    ConfigError,
    Key,
    flag,
)
from kontaktcenter.words import _

__all__ = (
    "BUILTIN", "FILE_NAME", "KEYS", "NONE", "Config", "ConfigError", "Key", "default_data",
    "foreign", "language_asked", "load", "load_demo",
)  # fmt: skip

FILE_NAME: Final = "kontaktcenter.toml"
_NEIGHBOURS: Final = ("KC_CONFIG",)  # read here as well, but not a key of the file
_REAL: Final = (
    "KC_DATA",
    "KC_LOG",
    "KC_CONFIG",
    "KC_TAXONOMY",
    "KC_MASTER_KEY_FILE",
    "KC_PROTECTED_KEY_FILE",
    "KC_PROFILE",
)  # never the demo's
_UNSEALED: Final = (PLAINTEXT, SASL_PLAINTEXT)


@dataclass(frozen=True)
class Config:
    """Everything that a city may tune.

    `log` is a log's address (`memory:`, `sqlite:PATH` or `kafka://…`), `data` the folder of keys,
    index and read models. `public_board` shows the queues to whoever can reach the server. A
    session locks after `session_idle_s` and ends after `session_life_s`. `target_service_level` is
    a share, 0-1, answered within `target_within_s`. `profile=production` refuses what may do for a
    trial; `log_create` says whether a node may make a missing topic. `sources` tells for each key
    whether it is a default, or from a file, the environment or a flag.
    """

    data: Path
    log: str
    master_key_file: Path | None = None
    protected_key_file: Path | None = None
    attachments_folder: Path | None = None
    facts_token: str | None = field(default=None, repr=False)
    facts_token_file: Path | None = None
    language: str = "sv"
    taxonomy: str = BUILTIN
    host: str = "127.0.0.1"
    port: int = 8080
    hosts: tuple[str, ...] = ()
    public_board: bool = False
    session_idle_s: float = 900.0
    session_life_s: float = 43_200.0
    trusted_proxies: tuple[str, ...] = ()
    sign_on_issuer: str | None = None
    sign_on_client_id: str | None = None
    sign_on_secret_file: Path | None = None
    sign_on_name: str = "OpenID Connect"
    sign_on_ca_file: Path | None = None
    target_service_level: float = 0.8
    target_within_s: float = 20.0
    profile: str = TRIAL
    node_name: str | None = None
    log_create: str = NEVER
    kafka_security: str = PLAINTEXT
    kafka_ca_file: Path | None = None
    kafka_cert_file: Path | None = None
    kafka_key_file: Path | None = None
    kafka_sasl_mechanism: str = "SCRAM-SHA-512"
    kafka_username: str | None = None
    kafka_password_file: Path | None = None
    kafka_void: str | None = None
    file: Path | None = None
    sources: Mapping[str, str] = field(default_factory=dict)

    @property
    def on_kafka(self) -> bool:
        """Whether the log is on Kafka."""
        return self.log.startswith(f"{KAFKA}:")

    def shown(self) -> dict[str, dict[str, object]]:
        """Each key with value and source, fit to be shown: secrets are masked."""
        return {
            key.name: {
                "value": _shown(key, getattr(self, key.name)),
                "source": self.sources.get(key.name, "default"),
                "env": key.env,
            }
            for key in KEYS
        }


def _shown(key: Key, value: object) -> object:
    if value is None:
        return None
    if key.secret:
        return "********"
    if isinstance(value, tuple):
        return ", ".join(value) or None
    return str(value) if isinstance(value, Path) else value


_BY_NAME: Final = {key.name: key for key in KEYS}
_BY_ENV: Final = {key.env: key for key in KEYS}


def language_asked(environ: Mapping[str, str] | None = None) -> str:
    """The language of help texts, known before anything is parsed; a bad value is refused later."""
    asked = (os.environ if environ is None else environ).get("KC_LANG", "sv")
    return asked if asked in {"sv", "en"} else "sv"


def default_data(environ: Mapping[str, str]) -> Path:
    """The folder used where none is named: of the user's state, so that it hangs on no cwd."""
    state = environ.get("XDG_STATE_HOME", "")
    base = Path(state) if Path(state).is_absolute() else Path(environ.get("HOME", "~")).expanduser()
    folder = base if Path(state).is_absolute() else base / ".local" / "state"
    return folder / "kontaktcenter"


def load(
    flags: Mapping[str, object] | None = None,
    *,
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Config:
    """Read the configuration. `flags` are the keys given on the command line; None means not given.

    `file` is --config; else `KC_CONFIG`; else `kontaktcenter.toml` in the data folder, where there
    is one.

    Raises: ConfigError.
    """
    environ = os.environ if environ is None else environ
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    path = _file_asked(file, environ, given)
    values: dict[str, object] = {}
    sources: dict[str, str] = {}
    layers = (
        (_from_file(path), f"file {path}"),
        (_from_environment(environ), "environment"),
        (given, "flag"),
    )
    for layer, source in layers:
        for name, raw in layer.items():
            values[name] = _parsed(_BY_NAME[name], raw, source)
            sources[name] = f"{source} {_BY_NAME[name].env}" if source == "environment" else source
    data = values.setdefault("data", default_data(environ))
    values.setdefault("log", f"sqlite:{data}/log.db")
    if values.get("facts_token") and values.get("facts_token_file"):
        raise ConfigError(
            _("facts_token and facts_token_file are both set: keep one"), key="facts_token"
        )
    if (values.get("sign_on_issuer") is None) != (values.get("sign_on_client_id") is None):
        raise ConfigError(
            _("sign_on_issuer and sign_on_client_id belong together: set both, or neither"),
            key="sign_on_issuer",
        )
    config = Config(**values, file=path, sources=sources)  # type: ignore[arg-type]
    if config.profile == PRODUCTION:
        _require_production(config)
    if config.on_kafka:
        _require_whole(config)
    return config


def _require_production(config: Config) -> None:
    """Raises: ConfigError for what may do for a trial, and not for a city."""
    if config.log == "memory:":
        said = _("profile=production: a log in memory keeps nothing; use sqlite:PATH or kafka://…")
        raise ConfigError(said, key="log")
    if not config.on_kafka:
        return
    if config.kafka_security in _UNSEALED:
        said = _(
            "profile=production: kafka_security={protocol} would send everything readable over the "
            "network; use SASL_SSL or SSL"
        )
        raise ConfigError(said.format(protocol=config.kafka_security), key="kafka_security")
    if config.log_create == "unsafe":
        said = _("profile=production: log_create=unsafe makes topics that can lose data; use never")
        raise ConfigError(said, key="log_create")
    if config.master_key_file is None:
        said = _(
            "profile=production: on Kafka the city secret has to be a file that every node has; "
            "set master_key_file"
        )
        raise ConfigError(said, key="master_key_file")


def _require_whole(config: Config) -> None:
    """Raises: ConfigError where settings of Kafka contradict one another."""
    protocol = config.kafka_security
    sealed, named = protocol not in _UNSEALED, protocol.startswith("SASL_")
    signing_in = (config.kafka_username, config.kafka_password_file)
    if named and None in signing_in:
        said = _("kafka_security={protocol} needs kafka_username and kafka_password_file: set both")
        raise ConfigError(said.format(protocol=protocol), key="kafka_username")
    if not named and signing_in != (None, None):
        said = _(
            "kafka_security={protocol} signs nobody in: leave kafka_username and "
            "kafka_password_file out, or use SASL_SSL"
        )
        raise ConfigError(said.format(protocol=protocol), key="kafka_username")
    if (config.kafka_cert_file is None) != (config.kafka_key_file is None):
        said = _("kafka_cert_file and kafka_key_file belong together: set both, or neither")
        raise ConfigError(said, key="kafka_cert_file")
    if not sealed and (config.kafka_ca_file or config.kafka_cert_file):
        said = _(
            "kafka_security={protocol} has no TLS: leave kafka_ca_file, kafka_cert_file and "
            "kafka_key_file out, or use SASL_SSL or SSL"
        )
        raise ConfigError(said.format(protocol=protocol), key="kafka_security")


def load_demo(
    data: Path | None,
    port: int | None,
    environ: Mapping[str, str] | None = None,
    *,
    log: str | None = None,
) -> Config:
    """The demo's configuration: a folder and log of its own, whatever is said of real ones.

    A `log` that is asked for is a trial's: its topics are made where they are missing.
    Raises: ConfigError.
    """
    environ = os.environ if environ is None else environ
    kept = {name: value for name, value in environ.items() if name not in _REAL}
    folder = data or default_data(environ).with_name("kontaktcenter-demo")
    create = None if log is None else "unsafe"
    flags = {"data": folder, "port": port, "public_board": True, "log": log, "log_create": create}
    return load(flags, environ=kept)


def _file_asked(
    file: Path | None, environ: Mapping[str, str], flags: Mapping[str, object]
) -> Path | None:
    named = file or (Path(environ["KC_CONFIG"]) if environ.get("KC_CONFIG") else None)
    if named is not None:
        if not named.is_file():
            raise ConfigError(_("config: there is no file {file}").format(file=named), key="config")
        return named.absolute()
    data = flags.get("data") or environ.get("KC_DATA") or default_data(environ)
    beside = Path(str(data)).expanduser().absolute() / FILE_NAME
    return beside if beside.is_file() else None


def _from_file(path: Path | None) -> dict[str, object]:
    if path is None:
        return {}
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigError(
            _("{file}: cannot be read: {why}").format(file=path, why=e), key="config"
        ) from e
    except tomllib.TOMLDecodeError as e:
        raise ConfigError(
            _("{file}: not TOML: {why}").format(file=path, why=e), key="config"
        ) from e
    for name in table:
        if name not in _BY_NAME:
            raise ConfigError(_unknown(name, list(_BY_NAME), str(path)), key=name)
    return table


def _from_environment(environ: Mapping[str, str]) -> dict[str, object]:
    """What the environment sets. An empty variable counts as not set.

    Raises: ConfigError for a name that is nearly ours. Others beginning with `KC_` are somebody
    else's (Keycloak has many) and are listed by `foreign`.
    """
    for name in foreign(environ):
        if get_close_matches(name, list(_BY_ENV), n=1, cutoff=0.85):
            raise ConfigError(_unknown(name, list(_BY_ENV), "environment"), key=name)
    return {key.name: environ[key.env] for key in KEYS if environ.get(key.env)}


def foreign(environ: Mapping[str, str] | None = None) -> list[str]:
    """The variables that begin with `KC_` and that nothing here reads."""
    environ = os.environ if environ is None else environ
    return sorted(
        name
        for name in environ
        if name.startswith("KC_") and name not in _BY_ENV and name not in _NEIGHBOURS
    )


def _unknown(name: str, known: list[str], source: str) -> str:
    near = get_close_matches(name, known, n=1)
    meant = _(" Did you mean {near}?").format(near=near[0]) if near else ""
    said = _("{source}: there is no setting {name}.").format(source=source, name=name)
    return said + meant + " " + _("Known: {names}").format(names=", ".join(sorted(known)))


def _parsed(key: Key, raw: object, source: str) -> object:
    if isinstance(raw, list | dict) or (isinstance(raw, bool) and key.parse is not flag):
        raise ConfigError(_bad(key, raw, source), key=key.name)
    try:
        return key.parse(str(raw))
    except ValueError as e:
        raise ConfigError(_bad(key, raw, source), key=key.name) from e


def _bad(key: Key, raw: object, source: str) -> str:
    shown = "********" if key.secret else repr(str(raw))
    return _("{key} ({source}): {value} cannot be used; allowed: {allowed}").format(
        key=key.name, source=source, value=shown, allowed=_(key.allowed)
    )
