"""The configuration: the one place that reads the environment.

Defaults < `kontaktcenter.toml` < `KC_*` in the environment < flags; read once, frozen. Every value
knows where it came from, and every mistake says which key it is about and what is allowed.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from core.errors import Invalid
from kontaktcenter.words import _

FILE_NAME: Final = "kontaktcenter.toml"
BUILTIN: Final = "builtin"
NONE: Final = "none"
_NEIGHBOURS: Final = ("KC_CONFIG",)  # read here as well, but not a key of the file
_REAL: Final = (
    "KC_DATA",
    "KC_LOG",
    "KC_CONFIG",
    "KC_TAXONOMY",
    "KC_MASTER_KEY_FILE",
    "KC_PROTECTED_KEY_FILE",
)  # never the demo's
_PORT_MAX: Final = 65_535
_SECOND_IN_A_DAY: Final = 86_400


class ConfigError(Invalid):
    """The configuration cannot be used: the message says key, source and what is allowed."""


@dataclass(frozen=True, slots=True)
class Key:
    """One setting: its name in the file and as a flag, in the environment, and what it takes."""

    name: str
    env: str
    allowed: str
    parse: Callable[[str], object]
    secret: bool = False


@dataclass(frozen=True)
class Config:
    """Everything that a city may tune.

    `log` is a log's address (`memory:` or `sqlite:PATH`), `data` the folder of keys, index and read
    models. `public_board` shows the queues to whoever can reach the server. A session locks after
    `session_idle_s` and ends after `session_life_s`. `target_service_level` is a share, 0-1,
    answered within `target_within_s`. `sources` tells for each key whether it is a default, or from
    a file, the environment or a flag.
    """

    data: Path
    log: str
    master_key_file: Path | None = None
    protected_key_file: Path | None = None
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
    file: Path | None = None
    sources: Mapping[str, str] = field(default_factory=dict)

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


def _path(text: str) -> Path:
    if not text or "\0" in text:
        raise ValueError(text)
    return Path(text).expanduser().absolute()


def _log(text: str) -> str:
    if text == "memory:":
        return text
    scheme, colon, rest = text.partition(":")
    if scheme == "kafka" and colon:
        raise ConfigError(
            _(
                "log: a log on Kafka is not in this version; use sqlite:PATH, or memory: for a "
                "trial"
            ),
            key="log",
        )
    if scheme != "sqlite" or not rest:
        raise ValueError(text)
    return f"sqlite:{_path(rest)}"


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(text)
        return text

    return parse


def _taxonomy(text: str) -> str:
    return text if text in {BUILTIN, NONE} else str(_path(text))


def _number(low: float, high: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        number = float(text)
        if not low <= number <= high:
            raise ValueError(text)
        return number

    return parse


def _flag(text: str) -> bool:
    word = text.strip().lower()
    if word not in {"true", "false", "1", "0"}:
        raise ValueError(text)
    return word in {"true", "1"}


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= _PORT_MAX:
        raise ValueError(text)
    return port


def _word(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError
    return text.strip()


def _issuer(text: str) -> str:
    parts = urlsplit(text)
    near = parts.hostname in {"localhost", "127.0.0.1", "::1"}
    if parts.scheme not in ({"http", "https"} if near else {"https"}) or not parts.hostname:
        raise ValueError(text)
    return text


def _names(text: str) -> tuple[str, ...]:
    return tuple(_word(name).lower() for name in text.split(","))


KEYS: Final = (
    Key("data", "KC_DATA", "a folder", _path),
    Key("log", "KC_LOG", "memory: or sqlite:PATH", _log),
    Key("master_key_file", "KC_MASTER_KEY_FILE", "a file", _path),
    Key("protected_key_file", "KC_PROTECTED_KEY_FILE", "a file", _path),
    Key("facts_token", "KC_FACTS_TOKEN", "a word that is hard to guess", _word, secret=True),
    Key("facts_token_file", "KC_FACTS_TOKEN_FILE", "a file", _path),
    Key("language", "KC_LANG", "sv or en", _one_of("sv", "en")),
    Key("taxonomy", "KC_TAXONOMY", "builtin, none or a TOML file", _taxonomy),
    Key("host", "KC_HOST", "an address to listen on, such as 127.0.0.1", _word),
    Key("port", "KC_PORT", "a whole number from 0 to 65535; 0 is any free port", _port),
    Key("hosts", "KC_HOSTS", "names, with commas between them", _names),
    Key("public_board", "KC_PUBLIC_BOARD", "true or false", _flag),
    Key("session_idle_s", "KC_SESSION_IDLE_S", "seconds from 60 to 86400", _number(60, 86_400)),
    Key("session_life_s", "KC_SESSION_LIFE_S", "seconds from 300 to 604800", _number(300, 604_800)),
    Key("trusted_proxies", "KC_TRUSTED_PROXIES", "addresses, with commas between them", _names),
    Key("sign_on_issuer", "KC_SIGN_ON_ISSUER", "an https address, without a query", _issuer),
    Key("sign_on_client_id", "KC_SIGN_ON_CLIENT_ID", "the client's id at the issuer", _word),
    Key("sign_on_secret_file", "KC_SIGN_ON_SECRET_FILE", "a file", _path),
    Key("sign_on_name", "KC_SIGN_ON_NAME", "a name for people", _word),
    Key("sign_on_ca_file", "KC_SIGN_ON_CA_FILE", "a file", _path),
    Key("target_service_level", "KC_TARGET_SERVICE_LEVEL", "a share from 0 to 1", _number(0, 1)),
    Key(
        "target_within_s",
        "KC_TARGET_WITHIN_S",
        "seconds from 0 to 86400",
        _number(0, _SECOND_IN_A_DAY),
    ),
)
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
    return Config(**values, file=path, sources=sources)  # type: ignore[arg-type]


def load_demo(
    data: Path | None, port: int | None, environ: Mapping[str, str] | None = None
) -> Config:
    """The demo's configuration: a folder and log of its own, whatever is said of real ones.

    Raises: ConfigError.
    """
    environ = os.environ if environ is None else environ
    kept = {name: value for name, value in environ.items() if name not in _REAL}
    folder = data or default_data(environ).with_name("kontaktcenter-demo")
    return load({"data": folder, "port": port, "public_board": True}, environ=kept)


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
    if isinstance(raw, list | dict) or (isinstance(raw, bool) and key.parse is not _flag):
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
