"""Every setting: its name, its place in the environment, and what it may be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from core.errors import Invalid, Refused

BUILTIN: Final = "builtin"
NONE: Final = "none"
KAFKA: Final = "kafka"
NEVER: Final = "never"
TRIAL: Final = "trial"
PRODUCTION: Final = "production"
PLAINTEXT: Final = "PLAINTEXT"
SASL_PLAINTEXT: Final = "SASL_PLAINTEXT"
_PROTOCOLS: Final = (PLAINTEXT, "SSL", SASL_PLAINTEXT, "SASL_SSL")
_MECHANISMS: Final = ("SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN")
_NAME_CHARS_MAX: Final = 64
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


def _path(text: str) -> Path:
    if not text or "\0" in text:
        raise ValueError(text)
    return Path(text).expanduser().absolute()


def _log(text: str) -> str:
    if text == "memory:":
        return text
    scheme, _colon, rest = text.partition(":")
    if scheme == KAFKA:
        return _kafka(text)
    if scheme != "sqlite" or not rest:
        raise ValueError(text)
    return f"sqlite:{_path(rest)}"


def _kafka(text: str) -> str:
    from core.eventlog.kafka_log import parse_address  # noqa: PLC0415 -- a town on SQLite needs none

    try:
        return str(parse_address(text))
    except Refused as e:
        raise ConfigError(e.message, key="log") from e


def _void(text: str) -> str:
    from core.eventlog.kafka_log import parse_void  # noqa: PLC0415 -- as above

    parse_void(text)
    return text


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


def flag(text: str) -> bool:
    """A word as true or false. Raises: ValueError."""
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


def _name(text: str) -> str:
    name = _word(text)
    if len(name) > _NAME_CHARS_MAX:
        raise ValueError(text)
    return name


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
    Key("log", "KC_LOG", "sqlite:PATH, kafka://HOST:PORT/PREFIX, or memory: for a trial", _log),
    Key("master_key_file", "KC_MASTER_KEY_FILE", "a file", _path),
    Key("protected_key_file", "KC_PROTECTED_KEY_FILE", "a file", _path),
    Key("attachments_folder", "KC_ATTACHMENTS_FOLDER", "a folder that all nodes share", _path),
    Key("facts_token", "KC_FACTS_TOKEN", "a word that is hard to guess", _word, secret=True),
    Key("facts_token_file", "KC_FACTS_TOKEN_FILE", "a file", _path),
    Key("language", "KC_LANG", "sv or en", _one_of("sv", "en")),
    Key("taxonomy", "KC_TAXONOMY", "builtin, none or a TOML file", _taxonomy),
    Key("host", "KC_HOST", "an address to listen on, such as 127.0.0.1", _word),
    Key("port", "KC_PORT", "a whole number from 0 to 65535; 0 is any free port", _port),
    Key("hosts", "KC_HOSTS", "names, with commas between them", _names),
    Key("public_board", "KC_PUBLIC_BOARD", "true or false", flag),
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
    Key("profile", "KC_PROFILE", "trial or production", _one_of(TRIAL, PRODUCTION)),
    Key("node_name", "KC_NODE_NAME", "a name of at most 64 characters", _name),
    Key("log_create", "KC_LOG_CREATE", "never, safe or unsafe", _one_of(NEVER, "safe", "unsafe")),
    Key("kafka_security", "KC_KAFKA_SECURITY", ", ".join(_PROTOCOLS), _one_of(*_PROTOCOLS)),
    Key("kafka_ca_file", "KC_KAFKA_CA_FILE", "a file", _path),
    Key("kafka_cert_file", "KC_KAFKA_CERT_FILE", "a file", _path),
    Key("kafka_key_file", "KC_KAFKA_KEY_FILE", "a file", _path),
    Key(
        "kafka_sasl_mechanism",
        "KC_KAFKA_SASL_MECHANISM",
        ", ".join(_MECHANISMS),
        _one_of(*_MECHANISMS),
    ),
    Key("kafka_username", "KC_KAFKA_USERNAME", "the node's name at the brokers", _word),
    Key("kafka_password_file", "KC_KAFKA_PASSWORD_FILE", "a file", _path),
    Key("kafka_void", "KC_KAFKA_VOID", "BOOK/SHARD:OFFSET, with commas between them", _void),
)
