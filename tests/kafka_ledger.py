"""The oracle of the faults: what was meant and answered, against the log read by another client.

A process of a test writes what it means to do before, and what it was answered after, into a file
of its own (`Ledger`). Afterwards the topic is read whole with confluent-kafka (`read_book`), judged
anew here, by the standard library alone (`judge_book`), and compared (`compare`). Nothing of this
imports the product: a fault in its rule would otherwise prove itself right.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

Records = list[tuple[int, bytes]]
NO_MARKERS: Mapping[int, frozenset[int]] = {}
_ID: Final = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_NUMBER_MAX: Final = (1 << 63) - 1
_READ_S: Final = 60.0
_AT_ONCE: Final = 500


# --- what a process of a test writes --------------------------------------------------------------


class Ledger:
    """A file of JSON lines that only grows, and outlives a kill -9 of who writes it."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def intend(self, commit_id: object, **what: Any) -> None:
        """Before it is proposed."""
        self._write({"intent": str(commit_id), **what})

    def told(self, commit_id: object, answer: str, **what: Any) -> None:
        """After it was answered.

        `answer` is accepted, stale, kept, unknown, unavailable or refused; for the first two
        `shard` (`calls/0`) and `position` are given with it.
        """
        self._write({"told": str(commit_id), "answer": answer, **what})

    def tell_answer(self, commit_id: object, answer: Any) -> None:
        """The same from the answer of a node: its verdict's name tells which it is."""
        verdict = answer.verdict
        verdict = getattr(verdict, "first", verdict)
        if type(verdict).__name__ == "Kept":
            self.told(commit_id, "kept")
            return
        name = {"Accepted": "accepted", "StaleVerdict": "stale"}[type(verdict).__name__]
        self.told(commit_id, name, shard=answer.shard, position=verdict.position)

    def _write(self, line: Mapping[str, Any]) -> None:
        os.write(self._file, json.dumps(line).encode() + b"\n")

    def close(self) -> None:
        os.close(self._file)


def read_ledgers(paths: Iterable[Path]) -> list[dict[str, Any]]:
    """All lines of all ledgers, each with its file's name; a line that was cut off is left out."""
    return [
        {**json.loads(raw), "ledger": path.name}
        for path in sorted(paths)
        for raw in path.read_bytes().split(b"\n")[:-1]
    ]


# --- the log, by a client that we do not ship -----------------------------------------------------


def read_topic(
    servers: str,
    topic: str,
    partition: int = 0,
    markers: frozenset[int] = frozenset(),
    **settings: Any,
) -> Records:
    """Everything in a partition up to its end as it is now: offsets and bytes, b"" for null.

    `markers` are offsets where transactions ended, `settings` confluent-kafka's, `_` for `.`.
    Raises: KafkaException; AssertionError where another offset is missing.
    """
    named = {key.replace("_", "."): value for key, value in settings.items()}
    reader = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "another-client",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "check.crcs": True,
            "log_level": 0,
            **named,
        }
    )
    try:
        at = TopicPartition(topic, partition, 0)
        first, end = reader.get_watermark_offsets(at, timeout=_READ_S)
        assert first == 0, f"{topic}/{partition} begins at {first}"
        reader.assign([at])
        found: Records = []
        while len(found) < end - len(markers):
            wanted = min(
                _AT_ONCE, end - len(markers) - len(found)
            )  # it waits until it has them all
            for record in reader.consume(wanted, timeout=_READ_S) or _nothing(
                topic, len(found), end
            ):
                if (error := record.error()) is not None:
                    raise KafkaException(error)
                found.append((record.offset() or 0, record.value() or b""))
    finally:
        reader.close()
    offsets = [offset for offset, _body in found]
    assert offsets == sorted(set(range(end)) - markers), f"{topic}/{partition} has a gap"
    return found


def _nothing(topic: str, got: int, end: int) -> list[Any]:
    raise KafkaException(KafkaError(KafkaError._TIMED_OUT, f"{topic}: {got} of {end}"))


def read_book(
    servers: str, topic: str, markers: Mapping[int, frozenset[int]] = NO_MARKERS, **settings: Any
) -> dict[int, Records]:
    """Every partition of a topic; `markers` as for `read_topic`."""
    asking = Consumer({"bootstrap.servers": servers, "group.id": "another-client", "log_level": 0})
    try:
        found = asking.list_topics(topic, timeout=_READ_S).topics[topic]
    finally:
        asking.close()
    if found.error is not None:
        raise KafkaException(found.error)
    return {
        n: read_topic(servers, topic, n, markers.get(n, frozenset()), **settings)
        for n in sorted(found.partitions)
    }


# --- judged anew ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class First:
    """What became of an id where it stood first; `commit` is as it was written."""

    shard: str
    answer: str  # accepted or stale
    position: int
    offset: int
    commit: Mapping[str, Any] = field(repr=False)


@dataclass
class Judged:
    """One shard, folded: what every node must have come to."""

    shard: str
    shards: int = 1
    format: int = 1
    position: int = 0
    digest: str = bytes(32).hex()
    heads: dict[str, int] = field(default_factory=dict)
    first: dict[str, First] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    _intents: dict[str, str] = field(default_factory=dict, repr=False)
    _trackings: dict[str, int] = field(default_factory=dict, repr=False)

    def take(self, offset: int, commit: Any, raw: bytes) -> None:
        """Judge the next commit."""
        if not _is_commit(commit) or self._is_elsewhere(commit):
            self.counts["void"] += 1
            return
        name = commit["id"]
        if name in self.first:
            same = self._intents[name] == commit["intent"]
            self.counts["duplicate" if same else "fork"] += 1
            return
        heads = self._heads_after(commit)
        answer = "stale" if heads is None else "accepted"
        self.counts[answer] += 1
        self.position += 1
        letter = b"S" if heads is None else b"A"
        self.digest = sha256(bytes.fromhex(self.digest) + letter + raw).hexdigest()
        self.first[name] = First(self.shard, answer, self.position, offset, commit)
        self._intents[name] = commit["intent"]
        if heads is not None:
            self.heads.update(heads)
            if (tracking := commit.get("tracking")) is not None:
                self._trackings[tracking["name"]] = tracking["position"]
            if commit.get("raises_format") == self.format + 1:
                self.format += 1

    def _is_elsewhere(self, commit: Mapping[str, Any]) -> bool:
        n = int(self.shard.rpartition("/")[2])
        return any(crc32(e["stream"].encode()) % self.shards != n for e in commit["events"])

    def _heads_after(self, commit: Mapping[str, Any]) -> dict[str, int] | None:
        """The heads of the streams that it goes on with; None where somebody was first."""
        tracking = commit.get("tracking")
        if tracking is not None and tracking["position"] <= self._trackings.get(
            tracking["name"], -_NUMBER_MAX - 1
        ):
            return None
        heads: dict[str, int] = {}
        for event in commit["events"]:
            stream, version = event["stream"], event.get("version")
            head = heads.get(stream, self.heads.get(stream))
            if version is None:
                version = 1 if head is None else head + 1
            elif version < 0 if head is None else version != head + 1:
                return None
            heads[stream] = version
        return heads


def judge_shard(records: Records, upto: int | None = None) -> Judged:
    """Fold one shard from its genesis on, or only up to a position.

    Raises: AssertionError where it has no genesis.
    """
    assert records, "the shard is empty"
    genesis = json.loads(records[0][1])["genesis"]
    state = Judged(f"{genesis['book']}/{genesis['shard']}", genesis["shards"], genesis["format"])
    ours = (genesis["book"], genesis["shard"])
    for offset, body in records[1:]:
        envelope, raws = _opened(body)
        if (
            envelope is None
            or "genesis" in envelope
            or envelope["format"] != state.format
            or (envelope["book"], envelope["shard"]) != ours
        ):
            state.counts["void"] += 1
        else:
            for raw in raws:
                if state.position == upto:
                    return state
                state.take(offset, json.loads(raw), raw)
    return state


def judge_book(partitions: Mapping[int, Records]) -> dict[str, Judged]:
    """Every shard of a book, by its name, such as `calls/3`."""
    judged = [judge_shard(records) for records in partitions.values()]
    return {one.shard: one for one in judged}


def _opened(body: bytes) -> tuple[dict[str, Any] | None, list[bytes]]:
    """An envelope and its commits' own bytes; None where it is no envelope."""
    try:
        text = body.decode()
        envelope = json.loads(text)
        commits = envelope.get("commits", [])
        assert isinstance(commits, list)
        assert isinstance(envelope["format"], int)
        assert isinstance(envelope["book"], str)
        assert isinstance(envelope["shard"], int)
    except (ValueError, AttributeError, KeyError, AssertionError, RecursionError):
        return None, []
    if not commits:
        return envelope, []
    at, raws, decoder = _first_commit(text), [], json.JSONDecoder()
    for _ in commits:
        _commit, end = decoder.raw_decode(text, at)
        raws.append(text[at:end].encode())
        at = end + re.compile(r"[\s,\]]*").match(text, end).end() - end  # type: ignore[union-attr]
    return envelope, raws


def _first_commit(text: str) -> int:
    """Where the first commit begins: the envelope's own keys are walked, one by one."""
    decoder, at = json.JSONDecoder(), text.index("{") + 1
    gap = re.compile(r"[\s,:]*")
    while True:
        at = gap.match(text, at).end()  # type: ignore[union-attr]
        key, at = decoder.raw_decode(text, at)
        at = gap.match(text, at).end()  # type: ignore[union-attr]
        if key == "commits":
            return re.compile(r"\[\s*").match(text, at).end()  # type: ignore[union-attr]
        _value, at = decoder.raw_decode(text, at)


def _is_commit(commit: Any) -> bool:
    """Whether it has a commit's frame; what has not is void."""
    try:
        return (
            _ID.fullmatch(commit["id"]) is not None
            and all(isinstance(commit[key], str) for key in ("intent", "actor", "origin"))
            and _is_zoned(commit["recorded_at"])
            and all(_is_event(event) for event in commit["events"])
            and _is_tracking(commit.get("tracking"))
        )
    except (KeyError, TypeError, AttributeError, ValueError):
        return False


def _is_event(event: Mapping[str, Any]) -> bool:
    version = event.get("version")
    return (
        all(isinstance(event[key], str) for key in ("stream", "type"))
        and type(event["schema"]) is int
        and _is_zoned(event["occurred_at"])
        and "data" in event
        and (version is None or (type(version) is int and abs(version) <= _NUMBER_MAX))
    )


def _is_tracking(tracking: Any) -> bool:
    return tracking is None or (
        isinstance(tracking["name"], str)
        and type(tracking["position"]) is int
        and abs(tracking["position"]) <= _NUMBER_MAX
    )


def _is_zoned(text: Any) -> bool:
    return datetime.fromisoformat(text).tzinfo is not None


# --- compared -------------------------------------------------------------------------------------


def compare(
    lines: Iterable[Mapping[str, Any]],
    shards: Mapping[str, Judged],
    *,
    is_others: Callable[[Mapping[str, Any]], bool] = lambda _commit: False,
    settled: bool = True,
) -> list[str]:
    """Where what was answered and what the log holds differ; empty where all is well.

    | told | in the log |
    |---|---|
    | accepted, stale | just that, in that shard at that position, and in no other shard |
    | kept | accepted, once; not looked for while the journals still wait (`settled=False`) |
    | refused, unavailable | never accepted, unless another answer of the same id says so |
    | unknown, or nothing | anything |

    And nothing is accepted that nobody meant, but for commits of which `is_others` says so.
    """
    lines = list(lines)
    found: dict[str, list[First]] = {}
    for judged in shards.values():
        for name, first in judged.first.items():
            found.setdefault(name, []).append(first)
    intents = {line["intent"] for line in lines if "intent" in line}
    told: dict[str, list[Mapping[str, Any]]] = {}
    for line in lines:
        if "told" in line:
            told.setdefault(line["told"], []).append(line)
    faults = [
        fault
        for name, answers in told.items()
        for fault in _against(name, answers, found.get(name, []), settled=settled)
    ]
    faults += [f"{name}: told, but never meant" for name in told.keys() - intents]
    faults += [
        f"{name}: {first.answer} at {first.shard} {first.position}, and nobody meant it"
        for name, places in found.items()
        for first in places
        if name not in intents and not is_others(first.commit)
    ]
    return sorted(faults)


def _against(
    name: str, answers: list[Mapping[str, Any]], places: list[First], *, settled: bool
) -> list[str]:
    """What is wrong with one id."""
    stands = [(first.answer, first.shard, first.position) for first in places]
    faults = [f"{name}: in more than one shard: {stands}"] if len(stands) > 1 else []
    kinds = {answer["answer"] for answer in answers}
    for answer in answers:
        if answer["answer"] in {"accepted", "stale"}:
            said = (answer["answer"], answer["shard"], answer["position"])
            if said not in stands:
                faults.append(f"{name}: told {said}, in the log {stands} ({answer['ledger']})")
    if "kept" in kinds and settled and [first.answer for first in places] != ["accepted"]:
        faults.append(f"{name}: kept in a journal, in the log {stands}")
    if kinds <= {"refused", "unavailable"} and any(f.answer == "accepted" for f in places):
        faults.append(f"{name}: told {sorted(kinds)}, in the log {stands}")
    return faults
