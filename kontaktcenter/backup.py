"""Backups: the log in one folder, the keys in another, and how both come back.

The log's folder holds `log.db`, the sealed files of cases (`attachments`) and `manifest.json`; the
keys' folder `keys.db`, `manifest.json`
and, unless they were left out, `city.key` and `protected.key`, which never go into the log's
folder; a secret that is kept elsewhere comes back with the other one beside it. Read
models and the index are not kept: they are folded from the log again.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from core.errors import Corrupt, NotFound, Refused
from core.eventlog.attachments import Attachments
from core.eventlog.parts import PROTECTED_KEY
from core.eventlog.secret import load_secret
from kontaktcenter import log_file
from kontaktcenter.words import _

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from kontaktcenter.config import Config

MANIFEST: Final = "manifest.json"
LOG: Final = "log.db"
KEYS: Final = "keys.db"
ATTACHMENTS: Final = "attachments"
SECRET: Final = "city.key"  # noqa: S105 -- a file's name
PROTECTED: Final = PROTECTED_KEY  # the secret of protected identities
LAYOUT: Final = 1
_CHUNK_BYTES: Final = 1 << 20


def require_new(path: Path) -> None:
    """Raises: Refused where there is something at `path` already."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        said = _(
            "{folder} is not empty: a backup is never written over another; choose a new folder"
        )
        raise Refused(said.format(folder=path))


def require_apart(log: Path, keys: Path) -> None:
    """Raises: Refused where one folder is the other, or in it: who finds one must not have both."""
    if log == keys or log in keys.parents or keys in log.parents:
        said = _("the keys must be kept apart from the log: {keys} and {log} are in one another")
        raise Refused(said.format(keys=keys, log=log))


def copy_database(source: Path, target: Path) -> None:
    """A consistent copy of a SQLite file that may be in use, whole in one file and on disk."""
    with (
        closing(sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True)) as old,
        closing(sqlite3.connect(target)) as new,
    ):
        old.backup(new)  # in one step: a writer in between would make it begin again and again
        new.execute("PRAGMA journal_mode=DELETE")
    target.chmod(0o600)
    _to_disk(target)


def copy_secret(source: Path, target: Path) -> None:
    """A copy that only the owner can read."""
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(source.read_bytes())
    _to_disk(target)


def _to_disk(path: Path) -> None:
    for each, how in ((path, os.O_RDONLY), (path.parent, os.O_RDONLY | os.O_DIRECTORY)):
        opened = os.open(each, how)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def write_manifest(folder: Path, content: Mapping[str, object]) -> None:
    """The manifest of a finished folder, with the SHA-256 of its files; written last."""
    files = {
        path.relative_to(folder).as_posix(): {
            "sha256": _sha256(path), "bytes": path.stat().st_size,
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }  # fmt: skip
    manifest = folder / MANIFEST
    whole = {"layout": LAYOUT, **content, "files": files}
    manifest.write_text(json.dumps(whole, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    _to_disk(manifest)


def copy_attachments(source: Path, target: Path) -> tuple[int, list[str]]:
    """Copy the sealed files of cases; how many, and the addresses of those that are damaged.

    One that an erasure removes meanwhile is left out; so is one that is not as it was written.
    """
    files, copies = Attachments(source), Attachments(target)
    copied, damaged = 0, []
    for address in list(files.addresses()):
        path = copies.path(address)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            shutil.copyfile(files.path(address), path)
            copies.verify(address)
        except FileNotFoundError:
            path.unlink(missing_ok=True)
        except Corrupt:
            path.unlink()
            damaged.append(address)
        else:
            path.chmod(0o600)
            _to_disk(path)
            copied += 1
    return copied, damaged


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a folder whose files match it. Raises: NotFound, Corrupt."""
    path = folder / MANIFEST
    if not path.is_file():
        said = _(
            "{folder} holds no backup: there is no manifest.json in it, or it was never finished"
        )
        raise NotFound(said.format(folder=folder))
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        files = manifest["files"]
        layout = manifest["layout"]
    except (ValueError, KeyError, TypeError) as e:
        raise Corrupt(_("{file} is damaged: use another backup").format(file=path)) from e
    if layout != LAYOUT:
        said = _("{file} was written by another version of the program")
        raise Corrupt(said.format(file=path))
    for name, wanted in files.items():
        file = folder / name
        if not file.is_file():
            raise Corrupt(_("{file} is missing from the backup: use another one").format(file=file))
        if _sha256(file) != wanted["sha256"]:
            said = _("{file} is not as it was written (its SHA-256 differs): use another backup")
            raise Corrupt(said.format(file=file))
    return manifest


def verify(
    folder: Path,
    keys: Path | None,
    secret: Path | None,
    progress: Callable[[str, int, int], None] | None = None,
) -> dict[str, object]:
    """Read a backup through: checksums, every digest, and whether keys and secret fit the log.

    Raises: NotFound, Corrupt; each says what differs.
    """
    manifest = _manifest(folder)
    found, fingerprint = asyncio.run(log_file.digests(folder / LOG, progress))
    shards = {name: {"position": at[0], "digest": at[1]} for name, at in found.items()}
    files = Attachments(folder / ATTACHMENTS)
    kept_files = list(files.addresses())
    for address in kept_files:
        files.verify(address)
    if shards != manifest["shards"]:
        raise Corrupt(
            _("the log in {folder} does not give the digests of its manifest").format(folder=folder)
        )
    if keys is not None and _manifest(keys)["backup"] != manifest["backup"]:
        said = _("the keys in {keys} belong to another backup than the log in {folder}")
        raise Corrupt(said.format(keys=keys, folder=folder))
    kept = _secret(keys, secret)
    if kept is not None:
        _require_secret(kept, fingerprint)
    return {
        "ok": True,
        "backup": manifest["backup"],
        "made_at": manifest["made_at"],
        "secret_fingerprint": fingerprint,
        "secret_fits": kept is not None,
        "keys": keys is not None,
        "attachments": len(kept_files),
        "shards": shards,
    }


def _secret(keys: Path | None, secret: Path | None) -> Path | None:
    """The file of the city secret: the one named, else the one among the keys."""
    if secret is not None:
        if not secret.is_file():
            raise NotFound(_("there is no city secret {file}").format(file=secret))
        return secret
    beside = None if keys is None else keys / SECRET
    return beside if beside is not None and beside.is_file() else None


def _require_secret(file: Path, fingerprint: str | None) -> None:
    found = load_secret(file, may_make=False, entropy=b"").fingerprint
    if fingerprint is not None and found != fingerprint:
        said = _(
            "the city secret {file} (fingerprint {found}) is not the one that this log was made "
            "with ({wanted}): find that one. Nothing was changed"
        )
        raise Refused(said.format(file=file, found=found, wanted=fingerprint))


def restore(
    config: Config,
    folder: Path,
    keys: Path | None,
    secret: Path | None,
    progress: Callable[[str, int, int], None] | None = None,
) -> dict[str, object]:
    """Bring a verified backup into the data folder, which must be empty.

    Index and read models are made again by the node.

    Raises: Refused (a folder in use, a wrong secret, keys or secret that were not given), NotFound,
    Corrupt.
    """
    target = config.data
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        said = _(
            "{folder} is not empty: restore only into a new data folder, and move the old one "
            "aside first"
        )
        raise Refused(said.format(folder=target))
    if keys is None:
        raise Refused(
            _(
                "the keys' folder is missing: name it with --keys. Without the keys no personal "
                "data in the log could be read again"
            )
        )
    kept = _secret(keys, secret) or _outside(config)
    if kept is None:
        raise Refused(
            _(
                "the city secret is not among the keys: name its file with --secret, or set "
                "KC_MASTER_KEY_FILE. Without it this log cannot be started"
            )
        )
    result = verify(folder, keys, kept, progress)
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    for source, name in ((keys / KEYS, KEYS), (folder / LOG, LOG)):
        shutil.copyfile(source, target / name)
        (target / name).chmod(0o600)
        _to_disk(target / name)
    copied, _damaged = copy_attachments(folder / ATTACHMENTS, target / ATTACHMENTS)
    if config.master_key_file is None:
        copy_secret(kept, target / SECRET)
    beside = kept.with_name(PROTECTED)
    if config.protected_key_file is None and beside.is_file():
        copy_secret(beside, target / PROTECTED)
    return {**result, "data": str(target), "attachments": copied}


def _outside(config: Config) -> Path | None:
    file = config.master_key_file
    return file if file is not None and file.is_file() else None
