"""The archive of a closed period, read from the log and written as plain files.

Two passes over the authority's own book, up to one position: the first finds the cases that were
closed in the period and stand closed there, the second writes what happened to them. The same
position gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from core import archive
from core.case_rules import CASES
from core.case_state import CaseState
from core.cases import AttachmentAdded, CaseClosed
from core.commit import Recorded
from core.errors import Corrupt, NotFound, Refused
from core.eventlog.attachments import sync_folder
from core.eventlog.codec import decode_event, open_event
from core.personal import Personal
from core.vocabulary import CASES_PREFIX
from kontaktcenter import archive_reader
from kontaktcenter.words import _

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.eventlog.attachments import Attachments
    from core.eventlog.node import Node

_BATCH: Final = 500
_READER: Final = "read_archive.py"
_ZIP_TIME: Final = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Period:
    """Whose cases, closed when: from `begin`, before `end`. `upto` is the book's position."""

    authority: str
    begin: datetime
    end: datetime
    upto: int
    digest: str

    @property
    def shard(self) -> str:
        """The authority's own book."""
        return f"{CASES_PREFIX}{self.authority}/0"


@dataclass
class _Case:
    state: CaseState = CASES.initial
    version: int = 0
    events: int = 0
    closed_at: datetime | None = None
    caller_ref: str | None = None


@dataclass
class Chosen:
    """The cases of a period by their stream, and the callers whose they are, for the read log."""

    cases: dict[str, _Case] = field(default_factory=dict)

    @property
    def seen(self) -> list[tuple[str, str | None]]:
        """Case and caller of all that is shown."""
        return [(stream, case.caller_ref) for stream, case in sorted(self.cases.items())]


def chosen(node: Node, period: Period) -> Chosen:
    """The cases that were closed in the period and are still; never those of protected people.

    Who is protected counts as it stands now, whatever stood at the position.
    """
    found: dict[str, _Case] = {}
    for recorded in _recorded(node, period, None):
        case = found.setdefault(recorded.stream, _Case())
        case.state = CASES.evolve(case.state, recorded)
        case.version, case.events = recorded.version, case.events + 1
        if isinstance(recorded.event, CaseClosed):
            case.closed_at = recorded.occurred_at
        case.caller_ref = case.caller_ref or getattr(recorded.event, "caller_ref", None)
    return Chosen(
        {
            stream: case
            for stream, case in found.items()
            if case.state.outcome is not None
            and case.closed_at is not None
            and period.begin <= case.closed_at < period.end
            and not case.state.protected
            and not _folded(node, stream).protected
        }
    )


def _folded(node: Node, stream: str) -> CaseState:
    state = CASES.initial
    for recorded in node.load(stream):
        state = CASES.evolve(state, recorded)
    return state


def _recorded(node: Node, period: Period, streams: dict[str, _Case] | None) -> Iterator[Recorded]:
    """The book's events up to the position; opened where they are of `streams`, else sealed."""
    versions: dict[str, int] = {}
    after = 0
    while after < period.upto and (batch := node.read(period.shard, after, _BATCH)):
        for fed in batch:
            if fed.position > period.upto:
                return
            for nth, logged in enumerate(fed.commit.events):
                version = logged.version or versions.get(logged.stream, 0) + 1
                versions[logged.stream] = version
                if streams is not None and logged.stream not in streams:
                    continue
                event = decode_event(logged.type, logged.schema, logged.data)
                if event is None:
                    said = _("the log holds {type}, which this program does not know: upgrade it")
                    raise Corrupt(said.format(type=logged.type))
                if streams is not None:
                    event = open_event(event, fed.commit.id, nth, node.keyring.by_id)
                yield Recorded(
                    logged.stream, version, fed.shard, fed.position, fed.first_seq + nth,
                    fed.commit.id, fed.commit.actor, fed.commit.origin, fed.commit.recorded_at,
                    logged.occurred_at, event,
                )  # fmt: skip
        after = batch[-1].position


class _Writer:
    """Writes files of a folder, and knows their checksums."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written: dict[str, tuple[str, int]] = {}

    def write(self, name: str, pieces: Iterator[bytes]) -> str:
        """Write one file; its SHA-256."""
        path = self.folder / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        digest, size = hashlib.sha256(), 0
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(opened, "wb") as file:
            for piece in pieces:
                file.write(piece)
                digest.update(piece)
                size += len(piece)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(path.parent)
        self.written[name] = (digest.hexdigest(), size)
        return digest.hexdigest()


def export(
    node: Node, store: Attachments | None, period: Period, found: Chosen, to: Path
) -> dict[str, Any]:
    """Write the archive to `to`, a new folder, or a new file that ends in `.zip`.

    `store` is where the files of cases lie; None leaves them out. What cannot be finished is taken
    away again. Raises: Refused where there is something already, Corrupt, OSError.
    """
    if to.exists():
        raise Refused(_("{file} is there already: choose another name").format(file=to))
    with _beside(to) as folder:
        writer = _Writer(folder)
        counts = _write_rows(writer, node, store, period, found)
        content = archive.manifest(_about(period, counts, with_files=store is not None),
                                   writer.written)  # fmt: skip
        sha256 = writer.write(archive.MANIFEST, iter([content]))
        if to.suffix == ".zip":
            _pack(folder, to)
        else:
            folder.rename(to)
        sync_folder(to.parent)
    return {"to": str(to), "sha256": sha256, **counts}


@contextmanager
def _beside(to: Path) -> Iterator[Path]:
    """A folder for what is being written; gone afterwards, whatever happened."""
    to.parent.mkdir(parents=True, exist_ok=True)
    folder = to.with_name(f".{to.name}.partial")
    if folder.exists():  # an earlier one was stopped: its clear text goes first
        shutil.rmtree(folder)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        if folder.exists():
            shutil.rmtree(folder, ignore_errors=True)


def _write_rows(
    writer: _Writer, node: Node, store: Attachments | None, period: Period, found: Chosen
) -> dict[str, Any]:
    types: Counter[str] = Counter()
    attached: list[tuple[str, AttachmentAdded]] = []
    erased = 0

    def events() -> Iterator[bytes]:
        nonlocal erased
        for recorded in _recorded(node, period, found.cases):
            row = archive.event_row(_id(recorded.stream), recorded)
            types[recorded.event.TOPIC] += 1
            data = row["data"]
            assert isinstance(data, dict)
            erased += sum(value == {"erased": True} for value in data.values())
            if isinstance(recorded.event, AttachmentAdded):
                attached.append((_id(recorded.stream), recorded.event))
            yield archive.line(row)

    writer.write(archive.EVENTS_FILE, events())
    writer.write(archive.CASES, (archive.line(_case(s, c)) for s, c in sorted(found.cases.items())))
    rows = [_attachment(writer, node, store, case, event) for case, event in attached]
    writer.write(archive.ATTACHMENTS, map(archive.line, rows))
    for kind, schema in archive.schemas(types).items():
        text = json.dumps(schema, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
        writer.write(f"schemas/{kind}.json", iter([text.encode()]))
    writer.write(archive.README, iter([_readme(period).encode()]))
    reader = Path(archive_reader.__file__).read_bytes()
    writer.write(_READER, iter([reader]))
    by_case_type = Counter(case.state.case_type or "" for case in found.cases.values())
    return {
        "cases": len(found.cases), "events": types.total(), "attachments": len(attached),
        "erased_fields": erased, "by_type": dict(sorted(types.items())),
        "by_case_type": dict(sorted(by_case_type.items())),
    }  # fmt: skip


def _id(stream: str) -> str:
    return stream.split("/", 2)[2]


def _case(stream: str, case: _Case) -> dict[str, object]:
    state = case.state
    assert case.closed_at is not None
    return archive.case_row(
        _id(stream),
        {
            "number": state.number, "authority": stream.split("/")[1],
            "case_type": state.case_type, "outcome": state.outcome,
            "closed_at": case.closed_at.isoformat(), "registry": state.registry,
            "registry_number": state.registry_number, "complaint": state.complaint,
            "events": case.events,
        },
    )  # fmt: skip


def _attachment(
    writer: _Writer, node: Node, store: Attachments | None, case: str, event: AttachmentAdded
) -> dict[str, object]:
    """The row of a file of a case; the file itself goes in too, where it was asked for."""
    erased = node.keyring.is_erased(event.key)
    name: object = {"erased": True} if event.name is not None else None
    if isinstance(event.name, Personal):
        name = event.name.value
    place = sha256 = None
    if store is not None and not erased:
        place = f"attachments/{event.address}"
        if place in writer.written:
            sha256 = writer.written[place][0]
        else:
            sha256 = writer.write(place, store.chunks(event.address, node.keyring.by_id))
    return archive.attachment_row(
        case,
        {
            "address": event.address, "media_type": event.media_type,
            "size_bytes": event.size_bytes, "name": name, "file": place, "sha256": sha256,
            "erased": erased,
        },
    )  # fmt: skip


def _about(period: Period, counts: dict[str, Any], *, with_files: bool) -> dict[str, object]:
    return {
        "authority": period.authority,
        "closed_from": period.begin.astimezone(UTC).isoformat(),
        "closed_before": period.end.astimezone(UTC).isoformat(),
        "positions": {period.shard: {"position": period.upto, "digest": period.digest}},
        "with_attachments": with_files,
        "counts": counts,
    }


def _readme(period: Period) -> str:
    text = files("kontaktcenter").joinpath("data/archive_readme.sv.md").read_text(encoding="utf-8")
    return text.format(
        authority=period.authority, begin=period.begin.isoformat(), end=period.end.isoformat(),
        shard=period.shard, position=period.upto, digest=period.digest,
        protected=archive.PROTECTED_NOTE,
    )  # fmt: skip


def _pack(folder: Path, to: Path) -> None:
    """All files in one, stored as they are, in the order of their names, without times."""
    opened = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(opened, "wb") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as packed:
                for path in sorted(p for p in folder.rglob("*") if p.is_file()):
                    entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _ZIP_TIME)
                    entry.external_attr = 0o600 << 16
                    with path.open("rb") as source, packed.open(entry, "w") as target:
                        shutil.copyfileobj(source, target)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        to.unlink(missing_ok=True)
        raise


def verify(place: Path) -> dict[str, Any]:
    """Read an archive through, with the reader that lies in it. Raises: NotFound, Corrupt."""
    if not place.exists():
        raise NotFound(_("there is nothing at {file}").format(file=place))
    try:
        faults = archive_reader.check(place)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as e:
        raise Corrupt(_("{file} is no archive, or is damaged").format(file=place)) from e
    return {"ok": not faults, "place": str(place), "faults": faults}
