"""The reserve journal's rules, pure: entries chained by hashes, and the numbers given to callers.

An entry says what an agent registered while the house was cut off. Its bytes are canonical JSON
(RFC 8785 for what we allow: no fractions, ASCII keys), its hash is over those bytes, and each names
the hash before it. So a journal that lost, gained or changed an entry shows it, on the device and
wherever it is sent.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Final

from core.errors import Corrupt, Invalid, Refused
from core.limits import (
    NAME_CHARS_MAX,
    RESERVE_ENTRY_BYTES_MAX,
    RESERVE_NOTE_CHARS_MAX,
    RESERVE_NUMBERS_MAX,
)
from core.vocabulary import WrapUpOutcome

if TYPE_CHECKING:
    from datetime import datetime

    from core.personal import Sealed

CALL_REGISTERED: Final = "reserve.call_registered"
SCHEMA: Final = 1
FIRST_PREVIOUS: Final = "0" * 64
INTEGER_MAX: Final = 2**53 - 1  # beyond it JSON's readers differ

_TAG: Final = b"kontaktcenter reserve entry 1\n"
_DEVICE: Final = re.compile(r"[0-9]{3}")
_NUMBER: Final = re.compile(r"R?([0-9]{3})([0-9]{4})([0-9]{2})")

Json = None | bool | int | str | list["Json"] | dict[str, "Json"]


class NumbersUsedUp(Refused):
    """the device has given all its reserve numbers: it needs a new device number."""


class ChainBroken(Corrupt):
    """the journal's chain does not hold: an entry is missing or changed."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry.

    `seq` is 1, 2, 3 … on a device and epoch; `monotonic_ns` and `boot` tell its clock's jumps.

    `occurred_at` is wall time with its offset: information, never order.
    """

    device: str
    epoch: int
    seq: int
    prev_hash: str
    kind: str
    schema: int
    occurred_at: str
    actor: str
    monotonic_ns: int
    boot: str
    payload: dict[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Head:
    """Where a journal stands: its last `seq` and hash, and how many reserve numbers are given."""

    device: str
    epoch: int
    seq: int = 0
    hash: str = FIRST_PREVIOUS
    numbers: int = 0


@dataclass(frozen=True, slots=True)
class Group:
    """An answer group of the terminal's copy; `matters` are its case types as (code, name)."""

    id: str
    name: str
    excluded: bool = False
    matters: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class RegisterCall:
    """The command: one call, as the agent typed it.

    For an excluded group `caller` and `note` must be empty.
    """

    group: Group
    outcome: WrapUpOutcome
    caller: str = ""
    matter: str = ""
    note: str = ""


def check(command: RegisterCall) -> None:
    """Whether `command` may be registered.

    Raises: Refused or Invalid, with `field` among the details.
    """
    if command.group.excluded and (command.caller or command.note or command.matter):
        raise Refused(
            "no number, matter or text is kept for this group",
            field="group",
            group=command.group.id,
        )
    if command.matter and command.matter not in {code for code, _ in command.group.matters}:
        raise Invalid("the group has no such type of matter", field="matter")
    if command.caller and not is_number(command.caller):
        raise Invalid("a telephone number has 5 to 15 digits", field="caller")
    if len(command.note) > RESERVE_NOTE_CHARS_MAX:
        raise Invalid(f"a note has at most {RESERVE_NOTE_CHARS_MAX} characters", field="note")


def decide(
    head: Head, command: RegisterCall, caller: Sealed | None, note: Sealed | None
) -> dict[str, Json]:
    """What the next entry holds.

    `caller` and `note` are the command's, sealed by whoever has the key.

    Raises: Refused or Invalid as `check`; NumbersUsedUp.
    """
    check(command)
    assert bool(command.caller) >= (caller is not None)
    assert bool(command.note) >= (note is not None)
    payload: dict[str, Json] = {
        "number": reserve_number(head.device, head.numbers + 1),
        "group": command.group.id,
        "outcome": command.outcome.value,
    }
    if command.matter:
        payload["matter"] = command.matter
    for name, sealed in (("caller", caller), ("note", note)):
        if sealed is not None:
            payload[name] = {"key": sealed.key, "box": sealed.box}
    return payload


def start(device: str, epoch: int) -> Head:
    """The head of a journal that has nothing yet.

    Raises: Invalid where the device is not three digits.
    """
    if not _DEVICE.fullmatch(device):
        raise Invalid("a device number has three digits", field="device")
    return Head(device, epoch)


def evolve(head: Head, entry: Entry) -> Head:
    """The head after `entry`. Raises: ChainBroken where it does not follow."""
    where = {"device": head.device, "seq": entry.seq}
    if (entry.device, entry.epoch) != (head.device, head.epoch):
        raise ChainBroken("an entry of another device or epoch stands in the journal", **where)
    if entry.seq != head.seq + 1:
        raise ChainBroken(f"entry {entry.seq} stands where {head.seq + 1} should", **where)
    if entry.prev_hash != head.hash:
        raise ChainBroken(f"entry {entry.seq} does not follow the one before it", **where)
    given = 1 if "number" in entry.payload else 0
    return Head(head.device, head.epoch, entry.seq, entry_hash(entry), head.numbers + given)


def entry_bytes(entry: Entry) -> bytes:
    """The entry's canonical bytes.

    Raises: Invalid where it is too large or holds what JSON tells unclearly.
    """
    packed = canonical(asdict(entry))
    if len(packed) > RESERVE_ENTRY_BYTES_MAX:
        raise Invalid(f"an entry has at most {RESERVE_ENTRY_BYTES_MAX} bytes", field="note")
    return packed


def entry_of(packed: bytes) -> Entry:
    """The entry that `packed` holds.

    Raises: ChainBroken where it is not an entry in canonical form.
    """
    try:
        raw = json.loads(packed)
        entry = Entry(**raw)
        same = canonical(raw) == packed
    except (ValueError, TypeError, Invalid) as e:
        raise ChainBroken("an entry of the journal cannot be read") from e
    if not same:
        raise ChainBroken("an entry of the journal is not in its canonical form")
    return entry


def entry_hash(entry: Entry) -> str:
    """The entry's hash, 64 hexadecimal digits."""
    return hash_of(entry_bytes(entry))


def hash_of(packed: bytes) -> str:
    """The hash of an entry's canonical bytes."""
    return hashlib.sha256(_TAG + packed).hexdigest()


def canonical(value: Json) -> bytes:
    """`value` as canonical JSON: keys sorted, no blanks, UTF-8.

    Raises: Invalid for what has no one form.
    """
    _only_plain(value)
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    try:
        return text.encode()
    except UnicodeEncodeError as e:
        raise Invalid("half a character cannot be kept") from e


def _only_plain(value: object) -> None:
    """Fractions print, and keys beyond ASCII sort, differently in other languages: not allowed."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if not (isinstance(key, str) and key.isascii()):
                raise Invalid("a key of an entry is plain ASCII")
            _only_plain(inner)
    elif isinstance(value, list):
        for inner in value:
            _only_plain(inner)
    elif isinstance(value, int):
        if abs(value) > INTEGER_MAX:
            raise Invalid("a whole number of an entry is below 2^53")
    elif not (value is None or isinstance(value, str)):
        raise Invalid(f"an entry cannot hold a {type(value).__name__}")


def reserve_number(device: str, n: int) -> str:
    """The n-th reserve number of a device, `R-DDD-SSSS-CC`; CC is by ISO 7064 MOD 97-10.

    Raises: NumbersUsedUp beyond 9,999.
    """
    if not 1 <= n <= RESERVE_NUMBERS_MAX:
        raise NumbersUsedUp(device=device)
    digits = f"{device}{n:04d}"
    return f"R-{device}-{n:04d}-{98 - int(digits) * 100 % 97:02d}"


def parse_reserve_number(text: str) -> tuple[str, int]:
    """Device and counter of a number as somebody typed or read it.

    Raises: Invalid where a digit is wrong.
    """
    match = _NUMBER.fullmatch(re.sub(r"[\s–-]", "", text).upper())
    if match is None:
        raise Invalid("a reserve number is written R-DDD-SSSS-CC", field="number")
    device, counter, digits = match.groups()
    n = int(counter)
    if n == 0 or int(device + counter + digits) % 97 != 1:
        raise Invalid("the reserve number is not right: read it out once more", field="number")
    return device, n


def plain_number(text: str) -> str:
    """A telephone number without blanks and hyphens, as it is kept."""
    return re.sub(r"[\s()/–-]", "", text)


def is_number(text: str) -> bool:
    """Whether `text` could be a telephone number (ITU-T E.164: at most 15 digits)."""
    return re.fullmatch(r"\+?[0-9]{5,15}", text) is not None


def as_occurred(when: datetime) -> str:
    """Wall time as an entry holds it: ISO 8601 with its offset, to the millisecond."""
    assert when.tzinfo is not None
    return when.isoformat(timespec="milliseconds")


def clip_actor(name: str) -> str:
    """Who registers, as an entry holds it."""
    return name.strip()[:NAME_CHARS_MAX]
