"""What one node has worked out of the log, for another that begins: written, checked, taken over.

A snapshot is a folder, or the same in one file (`.tar`): `index/` with the index of each shard,
`read_models/` with the read models that hold no clear text, and `manifest.json`, written last.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sqlite3
import tarfile
from collections.abc import Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec

from core.errors import Corrupt, NeedsUpgrade, NotFound, Refused
from core.eventlog.index.index import LAYOUT as INDEX_LAYOUT
from core.eventlog.index.rows import Mark
from core.eventlog.index.snapshot import check_copy
from core.limits import FORMAT
from kontaktcenter.words import _

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MANIFEST: Final = "manifest.json"
INDEX: Final = "index"
READ_MODELS: Final = "read_models"
LAYOUT: Final = 1
_KIND: Final = "kontaktcenter index"
_CHUNK_BYTES: Final = 1 << 20
_MANIFEST_BYTES_MAX: Final = 1 << 20
_NAME: Final = re.compile(rf"({INDEX}|{READ_MODELS})/[A-Za-z0-9%._~-]+\.db")
_FINGERPRINT_CHARS: Final = 16


@dataclass(frozen=True)
class ShardPart:
    """The index of one shard: how far it has come, and of which log."""

    file: str
    position: int
    digest: str
    next_offset: int
    format: int
    genesis: str
    identity: str | None

    @classmethod
    def of(cls, file: str, mark: Mark) -> ShardPart:
        """What the manifest says of an index that ends at `mark`."""
        return cls(
            file, mark.position, mark.digest.hex(), mark.next_offset, mark.format,
            hashlib.sha256(mark.genesis or b"").hexdigest()[:_FINGERPRINT_CHARS], mark.identity,
        )  # fmt: skip


@dataclass(frozen=True)
class ModelPart:
    """One read model: its version, and how far it has come."""

    file: str
    version: int
    positions: dict[str, int]


@dataclass(frozen=True)
class FilePart:
    """One file, as it was written."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class Manifest:
    """What is in a snapshot, and by whom it was made."""

    layout: int
    kind: str
    program: str
    made_at: str
    index_layout: int
    format: int
    shards: dict[str, ShardPart]
    read_models: dict[str, ModelPart] = field(default_factory=dict)
    files: dict[str, FilePart] = field(default_factory=dict)


# --- writing --------------------------------------------------------------------------------------
class Writing:
    """A snapshot in the making, at a name that is no snapshot's until it is whole."""

    def __init__(self, to: Path) -> None:
        """Raises: Refused where something is there already."""
        if to.exists() and (not to.is_dir() or any(to.iterdir())):
            said = _("{file} is there already: choose another name")
            raise Refused(said.format(file=to))
        self.to = to
        self.folder = to.with_name(f".{to.name}.part")
        shutil.rmtree(self.folder, ignore_errors=True)  # of a process that was killed
        to.parent.mkdir(parents=True, exist_ok=True)
        for part in (self.folder, self.folder / INDEX, self.folder / READ_MODELS):
            part.mkdir(mode=0o700)

    def path(self, name: str) -> Path:
        """Where a file of the snapshot is written."""
        return self.folder / name

    def finish(self, manifest: Mapping[str, object]) -> int:
        """Write the manifest and give the snapshot its name; its size in bytes."""
        files = {}
        for part in (INDEX, READ_MODELS):
            for path in sorted((self.folder / part).iterdir()):
                path.chmod(0o600)
                _to_disk(path)
                files[f"{part}/{path.name}"] = {
                    "sha256": _sha256(path), "bytes": path.stat().st_size,
                }  # fmt: skip
        whole = {"layout": LAYOUT, "kind": _KIND, **manifest, "files": files}
        text = json.dumps(whole, indent=2, ensure_ascii=False) + "\n"
        (self.folder / MANIFEST).write_text(text, encoding="utf-8")
        (self.folder / MANIFEST).chmod(0o600)
        _to_disk(self.folder / MANIFEST)
        size = sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())
        if self.to.suffix == ".tar":
            self._pack([MANIFEST, *files])
        else:
            if self.to.exists():
                self.to.rmdir()  # it is empty
            self.folder.rename(self.to)
        _to_disk(self.to.parent)
        return size

    def _pack(self, names: list[str]) -> None:
        packed = self.folder / "packed"
        with tarfile.open(packed, "w", format=tarfile.PAX_FORMAT) as tar:
            for name in names:
                tar.add(self.folder / name, name, recursive=False)
                (self.folder / name).unlink()  # so that it is never there twice
        packed.chmod(0o600)
        _to_disk(packed)
        packed.rename(self.to)
        shutil.rmtree(self.folder)

    def drop(self) -> None:
        """Leave nothing of it."""
        shutil.rmtree(self.folder, ignore_errors=True)


# --- reading --------------------------------------------------------------------------------------
def manifest_of(content: bytes, where: Path) -> Manifest:
    """What a manifest says. Raises: Corrupt, NeedsUpgrade, Refused (an older format)."""
    try:
        found = json.loads(content)
        layouts = (found["layout"], found["index_layout"], found["format"])
        ours = found["kind"] == _KIND
        manifest = msgspec.convert(found, Manifest) if layouts[:2] == _LAYOUTS else None
    except (ValueError, KeyError, TypeError, msgspec.ValidationError) as e:
        raise Corrupt(_("{file} is not a snapshot of an index").format(file=where)) from e
    if not ours:
        raise Corrupt(_("{file} is not a snapshot of an index").format(file=where))
    program = found.get("program", "?")
    if manifest is None or manifest.format > FORMAT:
        newer = any(a > b for a, b in zip(layouts, (*_LAYOUTS, FORMAT), strict=True))
        if newer:
            said = _("{file} was made by a newer program ({program}): upgrade this one")
            raise NeedsUpgrade(said.format(file=where, program=program))
        said = _(
            "{file} was made by an older program ({program}), whose index is laid out otherwise: "
            "take a new snapshot from a node that runs this version"
        )
        raise Refused(said.format(file=where, program=program))
    named = {part.file for part in manifest.shards.values()}
    named |= {part.file for part in manifest.read_models.values()}
    if named != manifest.files.keys() or not all(map(_NAME.fullmatch, named)):
        raise Corrupt(_("{file} is not a snapshot of an index").format(file=where))
    return manifest


_LAYOUTS: Final = (LAYOUT, INDEX_LAYOUT)


@dataclass(frozen=True)
class Unpacked:
    """A snapshot whose files are in a folder of ours, each as it was written."""

    manifest: Manifest
    marks: Mapping[str, Mark]  # of each shard's index, which give the digests of the manifest


def unpack(source: Path, into: Path, progress: Callable[[str, int, int], None]) -> Unpacked:
    """Copy a snapshot into the folder `into` and check all of it.

    Raises: NotFound, Corrupt, NeedsUpgrade, Refused (an older format); each says what to do.
    """
    with _opened(source) as (content, copy):
        manifest = manifest_of(content, source)
        for part in (INDEX, READ_MODELS):
            (into / part).mkdir(mode=0o700)
        total = sum(one.bytes for one in manifest.files.values())
        done = 0
        for name, wanted in manifest.files.items():
            if copy(name, into / name, wanted.bytes) != (wanted.sha256, wanted.bytes):
                said = _("{file} is not as it was written (its SHA-256 differs): take a new one")
                raise Corrupt(said.format(file=f"{source}/{name}"))
            done += wanted.bytes
            progress(str(source.name), done, total)
    marks = {}
    for name, shard in manifest.shards.items():
        mark = check_copy(into / shard.file, lambda *at, name=name: progress(name, *at))
        if ShardPart.of(shard.file, mark) != shard:
            said = _("the index of {shard} in {file} is not the one that its manifest tells of")
            raise Corrupt(said.format(shard=name, file=source))
        marks[name] = mark
    for name, model in manifest.read_models.items():
        if _positions(into / model.file) != model.positions or any(
            at > marks[shard].position if shard in marks else True
            for shard, at in model.positions.items()
        ):
            said = _("the read model {name} in {file} does not fit the index: take a new snapshot")
            raise Corrupt(said.format(name=name, file=source))
    return Unpacked(manifest, marks)


def positions_of(path: Path) -> dict[str, int]:
    """How far a read model's file has come. Raises: sqlite3.Error."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as conn:
        return dict(conn.execute("SELECT shard, position FROM positions ORDER BY shard").fetchall())


def _positions(path: Path) -> dict[str, int] | None:
    try:
        return positions_of(path)
    except sqlite3.Error:
        return None


@contextmanager
def _opened(
    source: Path,
) -> Iterator[tuple[bytes, Callable[[str, Path, int], tuple[str, int]]]]:
    """The manifest of a snapshot, and what copies a file of it; folder or one file."""
    nothing = _("{file} holds no snapshot: there is no manifest.json in it, or it was not finished")
    if source.is_dir():
        path = source / MANIFEST
        if not path.is_file():
            raise NotFound(nothing.format(file=source))

        def from_folder(name: str, target: Path, limit: int) -> tuple[str, int]:
            try:
                with (source / name).open("rb") as file:
                    return _copied(file, target, limit)
            except FileNotFoundError as e:
                said = _("{file} is missing from the snapshot: take a new one")
                raise Corrupt(said.format(file=source / name)) from e

        yield path.read_bytes()[:_MANIFEST_BYTES_MAX], from_folder
        return
    if not source.is_file():
        raise NotFound(nothing.format(file=source))
    try:
        with tarfile.open(source, "r:") as tar:

            def from_tar(name: str, target: Path, limit: int) -> tuple[str, int]:
                return _copied(_member(tar, name, source), target, limit)

            yield _member(tar, MANIFEST, source).read(_MANIFEST_BYTES_MAX), from_tar
    except tarfile.TarError as e:
        said = _("{file} is damaged or was cut off: take a new snapshot ({why})")
        raise Corrupt(said.format(file=source, why=e)) from e


def _member(tar: tarfile.TarFile, name: str, source: Path) -> Any:
    try:
        member = tar.getmember(name)
    except KeyError as e:
        said = _("{file} is missing from the snapshot: take a new one")
        raise Corrupt(said.format(file=f"{source}/{name}")) from e
    if not member.isreg():
        raise Corrupt(_("{file} is not a snapshot of an index").format(file=source))
    return tar.extractfile(member)


def _copied(file: Any, target: Path, limit: int) -> tuple[str, int]:
    """Copy an open file; its SHA-256 and size. No more is written than little beyond `limit`."""
    digest, size = hashlib.sha256(), 0
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as new:
        while size <= limit and (chunk := file.read(_CHUNK_BYTES)):
            new.write(chunk)
            digest.update(chunk)
            size += len(chunk)
        new.flush()
        os.fsync(new.fileno())
    return digest.hexdigest(), size


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _to_disk(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def told(manifest: Manifest) -> dict[str, Any]:
    """A manifest as a command answers it."""
    shown = asdict(manifest)
    del shown["files"]
    return shown
