"""What the library's environment says of a log on Kafka: the names that the command line reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast, get_args

from core.errors import Refused
from core.eventlog.kafka_log import KafkaSecurity, KafkaSettings, parse_address
from core.eventlog.kafka_log.address import Create, Mechanism, Profile, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

_Value = TypeVar("_Value")
_NEVER: Final = "never"
_OPEN: Final = frozenset({"PLAINTEXT", "SASL_PLAINTEXT"})


def kafka_settings_of(log: str, get: Callable[[str], str | None]) -> KafkaSettings:
    """The settings of a log on Kafka; `get` gives a variable of the environment.

    Raises: Refused, which says which variable and what it may be.
    """
    protocol: Protocol = _one_of(get, "KC_KAFKA_SECURITY", Protocol, "PLAINTEXT")
    profile: Profile = _one_of(get, "KC_PROFILE", Profile, "trial")
    if profile == "production" and protocol in _OPEN:
        raise Refused(
            f"KC_PROFILE=production, and KC_KAFKA_SECURITY={protocol} would send everything "
            "readable over the network: set it to SASL_SSL or SSL"
        )
    mechanism: Mechanism = ""
    if protocol.startswith("SASL_"):
        mechanism = _one_of(get, "KC_KAFKA_SASL_MECHANISM", Mechanism, "SCRAM-SHA-512")
    security = KafkaSecurity(
        protocol,
        _path(get, "KC_KAFKA_CA_FILE"),
        _path(get, "KC_KAFKA_CERT_FILE"),
        _path(get, "KC_KAFKA_KEY_FILE"),
        mechanism,
        get("KC_KAFKA_USERNAME") or "",
        _password(get),
    )
    created = get("KC_LOG_CREATE")
    create: Create = ""
    if created not in {None, "", _NEVER}:
        create = _one_of(get, "KC_LOG_CREATE", Create, "")
    return KafkaSettings(parse_address(log), security, create, profile)


def _one_of(
    get: Callable[[str], str | None], name: str, kind: type[_Value] | Any, default: _Value
) -> _Value:
    value = get(name)
    if not value:
        return default
    allowed = [known for known in get_args(kind) if known]
    if value not in allowed:
        raise Refused(f"{name}={value}: it may be {', '.join(allowed)}")
    return cast(_Value, value)


def _path(get: Callable[[str], str | None], name: str) -> Path | None:
    value = get(name)
    return Path(value).expanduser() if value else None


def _password(get: Callable[[str], str | None]) -> str:
    file = _path(get, "KC_KAFKA_PASSWORD_FILE")
    if file is None:
        return ""
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as e:
        raise Refused(f"KC_KAFKA_PASSWORD_FILE={file} cannot be read: check path and rights") from e
