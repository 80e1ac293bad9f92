"""`doctor`: everything about an installation that can be checked, each with what to do about it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
from dataclasses import asdict
from datetime import datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from core.errors import Corrupt, Unavailable
from core.eventlog.attachments import AttachmentGone
from core.limits import LAG_TOLD_S, MIB
from kontaktcenter import local_socket
from kontaktcenter.commands import doctor_island
from kontaktcenter.commands.check import FAIL, OK, WARN, Check
from kontaktcenter.config import foreign
from kontaktcenter.config_keys import TRIAL
from kontaktcenter.dispatch import send
from kontaktcenter.edge import Exit, told
from kontaktcenter.erased_everywhere import waits_for
from kontaktcenter.out import Silent
from kontaktcenter.wiring import House, log_path, real_clock
from kontaktcenter.words import _, plural
from projections.review_queries import waiting

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from core.eventlog.lag import ShardLag
    from kontaktcenter.config import Config
    from kontaktcenter.out import Out

_PACKAGES: Final = ("core", "projections", "telephony", "webdesk", "fallback_tui", "kontaktcenter")
_FREE_WARN_BYTES: Final = 2_048 * MIB
_FREE_FAIL_BYTES: Final = 200 * MIB
_CLOCK_SLACK: Final = timedelta(seconds=5)
_READ_BYTES: Final = 1_024 * MIB  # of the files of cases: some seconds
_OTHERS: Final = 0o077


def examine(config: Config) -> dict[str, Any]:
    """All checks; `exit` is 0, 3 with warnings, 1 with failures."""
    checks = [
        _python(),
        *_packages(),
        *_environment(),
        _words(),
        *_folder(config),
        *_log_and_node(config),
    ]
    states = {check.state for check in checks}
    code = Exit.ERROR if FAIL in states else Exit.DEGRADED if WARN in states else Exit.DONE
    return {
        "ok": code == Exit.DONE,
        "checks": [asdict(check) for check in checks],
        "exit": int(code),
    }


def _python() -> Check:
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < (3, 11):  # noqa: UP036 -- pip can be told to ignore it
        return Check("python", FAIL, found, _("Install Python 3.11 or later."))
    return Check("python", OK, found)


def _packages() -> Iterator[Check]:
    """A rival package of the same name in site-packages wins over an editable install."""
    root = Path(__file__).resolve().parents[2]
    for name in _PACKAGES:
        spec = find_spec(name)
        origin = Path(spec.origin).resolve() if spec and spec.origin else None
        if origin is None:
            yield Check(f"package {name}", FAIL, _("not found"), _("Install Kontaktcenter again."))
        elif origin.parent.parent != root:
            do = _("Another package has this name: remove it, or use an environment of its own.")
            yield Check(f"package {name}", FAIL, str(origin), do)
    yield Check("packages", OK, str(root))


def _environment() -> Iterator[Check]:
    for name in foreign():
        yield Check(
            "environment", WARN, name, _("Nothing here reads it: remove it, or mend its name.")
        )


def _words() -> Check:
    root = Path(__file__).resolve().parents[2]
    missing = [
        str(source.relative_to(root))
        for source in root.glob("*/locale/*/LC_MESSAGES/*.po")
        if not source.with_suffix(".mo").is_file()
    ]
    if missing:
        do = _("Install again (pip install .), or screens are in English.")
        return Check("words", WARN, ", ".join(missing), do)
    return Check("words", OK, _("compiled"))


def _folder(config: Config) -> Iterator[Check]:
    data = config.data
    if not data.exists():
        yield Check("data folder", WARN, str(data), _("It is made by serve, demo or import."))
        return
    if not data.is_dir():
        yield Check(
            "data folder", FAIL, str(data), _("It is not a folder: choose another with --data.")
        )
        return
    if not os.access(data, os.R_OK | os.W_OK | os.X_OK):
        yield Check("data folder", FAIL, str(data), _("It cannot be written: mend its rights."))
    elif data.stat().st_mode & _OTHERS:
        yield Check(
            "data folder", WARN, str(data), _("Others can look into it: run chmod 700 on it.")
        )
    else:
        yield Check("data folder", OK, str(data))
    free = shutil.disk_usage(data).free
    state = FAIL if free < _FREE_FAIL_BYTES else WARN if free < _FREE_WARN_BYTES else OK
    do = "" if state == OK else _("Free some space: a full disk stops recording.")
    yield Check("free disk", state, f"{free // MIB} MiB", do)


def _log_and_node(config: Config) -> Iterator[Check]:
    path = log_path(config)
    if config.on_kafka:
        from kontaktcenter.commands import doctor_kafka  # noqa: PLC0415 -- a town needs none

        found = list(doctor_kafka.checks(config))
        yield from found
        reached = not any(check.state == FAIL for check in found)
        yield from _node(config, config.log, may_open=reached)
    elif path is None:
        do = _("A log in memory is gone when the program ends: only for trials.")
        yield Check("log", WARN, config.log, do)
    elif not path.exists():
        yield Check(
            "log", WARN, str(path), _("There is none yet: serve, demo or import begin one.")
        )
    else:
        yield from _node(config, str(path))


def _node(config: Config, log: str, *, may_open: bool = True) -> Iterator[Check]:
    """What the running node says, or one of our own where none runs and it may be opened."""
    client = local_socket.connect(config.data / local_socket.NAME)
    running = client is not None
    if client is not None:
        client.close()
    yield Check("node", OK, _("runs in this folder") if running else _("does not run"))
    if not running and not may_open:
        return
    try:
        answered = asyncio.run(send(config, "doctor.doctor", {}, Silent()))
    except Exception as e:  # noqa: BLE001 -- the edge of a process: nobody is shown a traceback
        yield Check("log", FAIL, log, told(e, config.data))
        return
    checks = answered["checks"]
    assert isinstance(checks, list)
    for check in checks:
        yield Check(**check)


async def doctor(house: House, _args: Mapping[str, object], _out: Out) -> dict[str, object]:
    """The checks that need the open node: it is asked where it runs."""
    await house.node.settle()
    await house.lags.sample()
    with contextlib.suppress(Unavailable):  # each read model tells for itself what is wrong
        await asyncio.to_thread(house.catch_up)
    checks = [*_shards(house, house.lags.now()), _secret(house), _protected(house)]
    checks += await asyncio.to_thread(lambda: list(doctor_island.checks(house.node)))
    checks += await asyncio.to_thread(lambda: list(_read_models(house)))
    checks.append(await asyncio.to_thread(_attachments, house))
    checks.append(await asyncio.to_thread(_clock, house))
    checks += await _erasures(house)
    checks.append(await _reviews(house))
    return {"checks": [asdict(check) for check in checks]}


async def _reviews(house: House) -> Check:
    """What contradicts the rest of the log waits for a person; also ids used for two things."""
    try:
        count = await asyncio.to_thread(waiting, house.read_models)
    except Unavailable as e:
        return Check("review items", WARN, e.message, _("See the read models above."))
    found = plural("{n} to review", "{n} to review", count)
    do = _("kontaktcenter review list shows them; cases' items are their authority's to look at.")
    return Check("review items", WARN if count else OK, found, do if count else "")


def _shards(house: House, lags: Mapping[str, ShardLag]) -> Iterator[Check]:
    for name in house.node.shards():
        shard = house.node.shard(name)
        lag = lags.get(name)
        trouble = str(shard.stopped) if shard.stopped is not None else shard.index_error
        at = _("position {n}").format(n=shard.state.position)
        if trouble:
            yield Check(f"shard {name}", FAIL, at, trouble)
            continue
        if shard.offline is not None:
            do = _("Its log has not been reached since the start: {why}")
            yield Check(f"shard {name}", FAIL, at, do.format(why=shard.offline))
            continue
        if lag is not None and lag.behind_s > LAG_TOLD_S:
            do = _(
                "It is {n} records behind its log, for {s} s: wait, and see whether it catches up."
            )
            unread = "?" if lag.unread_records is None else lag.unread_records
            yield Check(f"shard {name}", WARN, at, do.format(n=unread, s=round(lag.behind_s)))
            continue
        behind = shard.state.position - house.node.positions()[name]
        counts = shard.state.counts
        aside = {kind: counts[kind] for kind in ("fork", "void") if counts[kind]}
        if behind:
            do = _("The index is {n} behind the log: if that stays so, start the node again.")
            yield Check(f"shard {name}", WARN, at, do.format(n=behind))
        elif aside:
            do = _(
                "Kept aside since the start: {aside}. Somebody sent what is not ours: look into it."
            )
            yield Check(f"shard {name}", WARN, at, do.format(aside=aside))
        else:
            yield Check(f"shard {name}", OK, at)
    for path in house.node.set_aside:
        do = _("A damaged index was set aside and made anew. Check the disk; then delete the file.")
        yield Check("index", WARN, str(path), do)
    if house.config.on_kafka:
        yield Check("durability", OK, _("acks=all: what the topics' settings make of it"))
    else:
        yield Check("durability", OK, _("synchronous=FULL; the log does not start without it"))


def _secret(house: House) -> Check:
    file = house.config.master_key_file or house.config.data / "city.key"
    found = _("fingerprint {fingerprint}").format(fingerprint=house.node.secret.fingerprint)
    if not file.is_file() and house.config.on_kafka and house.config.master_key_file is None:
        do = _(
            "It stands in the log itself, where everyone who reads the log can read it: only for "
            "trials. Begin the real log with a file that every node has (KC_MASTER_KEY_FILE)."
        )
        return Check("city secret", WARN, found, do)
    if not file.is_file():
        do = _(
            "The file {file} is gone while the node runs: put it back at once from its safe place."
        )
        return Check("city secret", FAIL, found, do.format(file=file))
    return Check("city secret", OK, found)


def _protected(house: House) -> Check:
    """The secret of protected identities: without it all else goes on, so somebody has to say."""
    name = "secret of protected identities"
    fault = house.node.keyring.protected_fault()
    if fault is None:
        return Check(name, OK, _("it opens what is about protected identities"))
    if house.config.on_kafka:
        do = _(
            "Every node needs the same protected.key (KC_PROTECTED_KEY_FILE). Where there never "
            "was one, make it once: openssl rand -hex 32 > protected.key; chmod 600 protected.key"
        )
        return Check(name, WARN if house.config.profile == TRIAL else FAIL, fault, do)
    do = _("Put the right protected.key in place (KC_PROTECTED_KEY_FILE), and start again.")
    return Check(name, FAIL, fault, do)


def _read_models(house: House) -> Iterator[Check]:
    for name in house.runner.names():
        status = house.runner.status(name)
        found = status.state if status.reason is None else f"{status.state}: {status.reason}"
        command = f"kontaktcenter projection rebuild {name}"
        if status.state == "stopped":
            do = _("Make it anew: {command}").format(command=command)
            yield Check(f"read model {name}", FAIL, found, do)
        elif status.state == "paused":
            do = _("It goes on by itself when the disk can be written again.")
            yield Check(f"read model {name}", WARN, found, do)
        elif status.parked:
            do = _("{n} events could not be taken: kontaktcenter projection parked {name}")
            yield Check(f"read model {name}", WARN, found, do.format(n=status.parked, name=name))
        else:
            yield Check(f"read model {name}", OK, found)


def _attachments(house: House) -> Check:
    """The files of cases against their addresses; beyond `_READ_BYTES` their beginnings alone.

    A backup reads them all.
    """
    files = house.privacy.around.store
    found, damaged, left = 0, [], _READ_BYTES
    for address in files.addresses():
        try:
            files.head(address)
            if left > 0:
                left -= files.path(address).stat().st_size
                files.verify(address)
        except (AttachmentGone, FileNotFoundError):  # an erasure was faster
            continue
        except Corrupt:
            damaged.append(address)
        found += 1
    said = plural("{n} file", "{n} files", found)
    if damaged:
        do = _("Damaged: {files}. Put them back from a backup's folder attachments.")
        return Check("files of cases", FAIL, said, do.format(files=", ".join(damaged)))
    return Check("files of cases", OK, said)


def _keys(house: House) -> Check:
    """The keys that all nodes have in common: without them nobody new is recorded."""
    fault = house.node.keyring.fault()
    return Check("keys", OK if fault is None else FAIL, "" if fault is None else fault)


async def _erasures(house: House) -> list[Check]:
    """Erasures that some node has not carried out, or compaction not, after a day."""
    everywhere = house.privacy.erasures.everywhere
    if everywhere.here is None:
        return []
    keys = _keys(house)
    try:
        await everywhere.complete()
    except Unavailable as e:
        return [keys, Check("erasures", WARN, e.message, _("See whether Kafka is there."))]
    do = _(
        "Start the nodes that it waits for, or retire those that are gone: kontaktcenter node "
        "retire. For compaction: kontaktcenter log check."
    )
    late = [
        Check(f"erasure {p['number']}", WARN, ", ".join(waits_for(p)), do) for p in everywhere.late
    ]
    return [keys, *(late or [Check("erasures", OK, _("none waits for longer than a day"))])]


def _clock(house: House) -> Check:
    """A clock that was set back: the log then holds commits from what is now the future."""
    now, last = house.clock(), None
    for shard, position in house.node.positions().items():
        for found in house.node.read(shard, max(0, position - 20), 20):
            at: datetime = found.commit.recorded_at
            last = at if last is None else max(last, at)
    if last is not None and last > now + _CLOCK_SLACK and house.clock is real_clock:
        do = _(
            "The log has commits from {last}: this clock was set back, or it is a demo's log. "
            "Check the time service."
        )
        return Check("clock", WARN, now.isoformat(), do.format(last=last.isoformat()))
    return Check("clock", OK, now.isoformat())
