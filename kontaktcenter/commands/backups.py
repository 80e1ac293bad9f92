"""`backup create`: a consistent copy of the log and, apart from it, of the keys."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from core.errors import Refused
from kontaktcenter import __version__, backup, log_file
from kontaktcenter.wiring import log_path
from kontaktcenter.words import _

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kontaktcenter.out import Out
    from kontaktcenter.wiring import House


async def create(house: House, args: Mapping[str, object], out: Out) -> dict[str, object]:
    """Copy log and keys into new folders, `to` and `keys_to`; with `secret`, that one too.

    What cannot be finished is taken away again. Raises: Refused, OSError.
    """
    path = log_path(house.config)
    if house.config.on_kafka:
        said = _(
            "the log is on Kafka: keep it with kontaktcenter log copy --from {log} "
            "--to sqlite:FOLDER/log.db, see docs/operating/kafka.md"
        )
        raise Refused(said.format(log=house.config.log))
    if path is None:
        raise Refused(_("a log in memory cannot be kept: use sqlite:PATH"))
    to, keys_to = Path(str(args["to"])), Path(str(args["keys_to"]))
    backup.require_apart(to, keys_to)
    for folder in (to, keys_to):
        backup.require_new(folder)
    try:
        for folder in (to, keys_to):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return await _create(house, path, to, keys_to, out, with_secret=bool(args["secret"]))
    except BaseException:
        # Only what was made here: both folders were new or empty.
        for folder in (to, keys_to):
            if folder.is_dir() and not (folder / backup.MANIFEST).exists():
                shutil.rmtree(folder, ignore_errors=True)
        raise


def _judged(path: Path, out: Out) -> tuple[log_file.Digests, str | None]:
    """The copy's digests, on a loop of its own: the node's has its own work to do."""
    return asyncio.run(log_file.digests(path, out.progress))


async def _create(  # noqa: PLR0913 -- where from, where to, and how
    house: House, path: Path, to: Path, keys_to: Path, out: Out, *, with_secret: bool
) -> dict[str, object]:
    # First the log, then the keys: a key is kept before a commit uses it, so the later copy of the
    # keys
    # holds every key that the earlier copy of the log needs.
    await asyncio.to_thread(backup.copy_database, path, to / backup.LOG)
    # The files before the keys: one that an erasure removes in between has lost its key there too.
    files, damaged = await asyncio.to_thread(
        backup.copy_attachments, house.privacy.around.store.folder, to / backup.ATTACHMENTS
    )
    for address in damaged:
        said = _(
            "the file {address} of a case is damaged and was left out: look in an older backup"
        )
        await out.warn(said.format(address=address))
    await asyncio.to_thread(
        backup.copy_database, path.with_name(backup.KEYS), keys_to / backup.KEYS
    )
    secret = house.config.data / backup.SECRET
    included = with_secret and house.config.master_key_file is None and secret.is_file()
    if included:
        backup.copy_secret(secret, keys_to / backup.SECRET)
    protected = house.config.data / backup.PROTECTED
    if with_secret and house.config.protected_key_file is None and protected.is_file():
        backup.copy_secret(protected, keys_to / backup.PROTECTED)
    found, fingerprint = await asyncio.to_thread(_judged, to / backup.LOG, out)
    about = {
        "backup": str(uuid4()),
        "made_at": house.clock().isoformat(),
        "program": __version__,
        "secret_fingerprint": fingerprint,
    }
    shards = {name: {"position": at[0], "digest": at[1]} for name, at in found.items()}
    await asyncio.to_thread(
        backup.write_manifest, keys_to, {**about, "holds": "keys", "secret_included": included}
    )
    await asyncio.to_thread(backup.write_manifest, to, {**about, "holds": "log", "shards": shards})
    return {
        **about,
        "log": str(to),
        "keys": str(keys_to),
        "secret_included": included,
        "attachments": files,
        "damaged": damaged,
        "shards": shards,
    }
