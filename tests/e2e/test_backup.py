"""Backups, by destroying the folder: what was recorded comes back, and what needs the secret."""

from __future__ import annotations

import json
import shutil
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from cli_process import RECORDING, Running, kc, kc_json

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the recording in it, to be copied."""
    folder = tmp_path_factory.mktemp("imported") / "data"
    kc(folder.parent, "import", "queue-log", RECORDING, "--exchange", "lab", "--data", folder)
    return folder


@pytest.fixture
def data(imported: Path, tmp_path: Path) -> Path:
    """A data folder with the recording in it, to be destroyed."""
    return shutil.copytree(imported, tmp_path / "data", symlinks=True)


def create(tmp_path: Path, data: Path, *more: object) -> Any:
    log, keys = tmp_path / "log", tmp_path / "keys"
    return kc_json(tmp_path, "backup", "create", log, "--keys-to", keys, "--data", data, *more)


def figures(tmp_path: Path, data: Path) -> Any:
    return kc_json(tmp_path, "statistics", "--data", data)["total"]


def test_a_destroyed_folder_comes_back_with_every_figure_and_digest(
    tmp_path: Path, data: Path
) -> None:
    before = kc_json(tmp_path, "log", "digest", "--data", data), figures(tmp_path, data)
    made = create(tmp_path, data)
    shutil.rmtree(data)

    log, keys = tmp_path / "log", tmp_path / "keys"
    restored = kc_json(tmp_path, "backup", "restore", log, "--keys", keys, "--data", data)

    told = before[0]["shards"].items()
    shards = {name: {"position": at["position"], "digest": at["digest"]} for name, at in told}
    assert made["shards"] == shards == restored["shards"]
    assert (kc_json(tmp_path, "log", "digest", "--data", data), figures(tmp_path, data)) == before
    again = kc_json(tmp_path, "import", "queue-log", RECORDING, "--exchange", "lab", "--data", data)
    assert again["facts"] == 0
    assert "ok" in kc(tmp_path, "doctor", "--data", data).stdout


def test_a_backup_made_while_the_node_records_is_whole(tmp_path: Path, data: Path) -> None:
    with Running(tmp_path, "serve", "--port", 0, "--data", data) as server:
        server.address()
        with Running(
            tmp_path, "import", "queue-log", RECORDING, "--exchange", "busy", "--data", data
        ) as importing:
            made = create(tmp_path, data)
            assert importing.process.wait(60) == 0
        server.stop()

    found = kc_json(tmp_path, "backup", "verify", tmp_path / "log", "--keys", tmp_path / "keys")
    assert found["shards"] == made["shards"]
    assert found["secret_fits"]


def test_the_secret_is_never_with_the_log(tmp_path: Path, data: Path) -> None:
    secret = (data / "city.key").read_bytes().strip()

    made = create(tmp_path, data)

    assert made["secret_included"]
    assert sorted(path.name for path in (tmp_path / "log").iterdir()) == ["log.db", "manifest.json"]
    assert all(secret not in path.read_bytes() for path in (tmp_path / "log").iterdir())
    assert (tmp_path / "keys" / "city.key").stat().st_mode & 0o777 == 0o600


def test_without_the_city_secret_nothing_starts_and_that_is_said_at_every_step(
    tmp_path: Path, data: Path
) -> None:
    log, keys = tmp_path / "log", tmp_path / "keys"
    said = kc(
        tmp_path, "backup", "create", log, "--keys-to", keys, "--data", data, "--without-secret"
    )
    assert "NOT in the backup" in said.stderr
    shutil.rmtree(data)

    lost = kc(tmp_path, "backup", "restore", log, "--keys", keys, "--data", data, code=1)
    assert "--secret" in lost.stderr
    assert not data.exists()

    other = tmp_path / "other.key"
    other.write_text("00" * 32 + "\n")
    other.chmod(0o600)
    wrong = kc(
        tmp_path,
        "backup",
        "restore",
        log,
        "--keys",
        keys,
        "--secret",
        other,
        "--data",
        data,
        code=1,
    )
    assert "fingerprint" in wrong.stderr
    assert not data.exists()


def test_a_secret_kept_elsewhere_is_never_copied_and_restores_from_there(
    tmp_path: Path,
) -> None:
    data, secret = tmp_path / "data", tmp_path / "safe" / "city.key"
    env: dict[str, Any] = {"KC_MASTER_KEY_FILE": str(secret)}
    kc(tmp_path, "import", "queue-log", RECORDING, "--exchange", "lab", "--data", data, **env)
    log, keys = tmp_path / "log", tmp_path / "keys"
    kc(tmp_path, "backup", "create", log, "--keys-to", keys, "--data", data, **env)
    assert not (keys / "city.key").exists()
    shutil.rmtree(data)

    kc(tmp_path, "backup", "restore", log, "--keys", keys, "--data", data, **env)

    assert not (data / "city.key").exists()
    assert kc_json(tmp_path, "log", "digest", "--data", data, **env)["shards"]["calls/0"][
        "position"
    ]


def test_a_folder_with_something_in_it_is_never_written_over(tmp_path: Path, data: Path) -> None:
    create(tmp_path, data)
    log, keys = tmp_path / "log", tmp_path / "keys"
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")

    kc(tmp_path, "backup", "create", log, "--keys-to", tmp_path / "k2", "--data", data, code=1)
    kc(tmp_path, "backup", "create", tmp_path / "l2", "--keys-to", mine, "--data", data, code=1)
    kc(tmp_path, "backup", "restore", log, "--keys", keys, "--data", mine, code=1)
    kc(tmp_path, "backup", "restore", log, "--keys", keys, "--data", data, code=1)

    assert (mine / "thesis.txt").read_text() == "years of work"
    assert [path.name for path in mine.iterdir()] == ["thesis.txt"]
    assert not (tmp_path / "l2").exists()


@pytest.mark.parametrize("inner", ["keys", "log"])
def test_keys_and_log_are_kept_apart(inner: str, tmp_path: Path, data: Path) -> None:
    outer = tmp_path / "both"
    folders = (outer, outer / "k") if inner == "keys" else (outer / "l", outer)

    kc(tmp_path, "backup", "create", folders[0], "--keys-to", folders[1], "--data", data, code=1)

    assert not outer.exists()


def flip(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)


def test_a_changed_byte_is_found(tmp_path: Path, data: Path) -> None:
    create(tmp_path, data)
    flip(tmp_path / "log" / "log.db")

    found = kc(tmp_path, "backup", "verify", tmp_path / "log", code=1)

    assert "SHA-256" in found.stderr


def test_a_record_taken_out_with_its_checksum_mended_is_found_by_the_digest(
    tmp_path: Path, data: Path
) -> None:
    create(tmp_path, data)
    log = tmp_path / "log"
    with sqlite3.connect(log / "log.db") as conn:
        (table,) = conn.execute("SELECT 'record_' || id FROM shard WHERE book = 'calls'").fetchone()
        conn.execute(f"DELETE FROM {table} WHERE offset = (SELECT max(offset) FROM {table})")
    conn.close()
    manifest = json.loads((log / "manifest.json").read_text())
    from kontaktcenter.backup import _sha256

    manifest["files"]["log.db"]["sha256"] = _sha256(log / "log.db")
    (log / "manifest.json").write_text(json.dumps(manifest))

    found = kc(tmp_path, "backup", "verify", log, code=1)

    assert "digests" in found.stderr


def test_keys_of_another_backup_are_refused(tmp_path: Path, data: Path) -> None:
    create(tmp_path, data)
    args = ("backup", "create", tmp_path / "log2", "--keys-to", tmp_path / "keys2")
    kc(tmp_path, *args, "--data", data)

    found = kc(tmp_path, "backup", "verify", tmp_path / "log", "--keys", tmp_path / "keys2", code=1)

    assert "another backup" in found.stderr


def test_what_is_no_backup_is_said_to_be_none(tmp_path: Path, data: Path) -> None:
    assert "manifest" in kc(tmp_path, "backup", "verify", data, code=1).stderr
