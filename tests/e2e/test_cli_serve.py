"""The server as a process: it takes other commands' work, stops cleanly, survives a kill."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import stat
import urllib.request
from typing import TYPE_CHECKING

import pytest
from cli_process import RECORDING, Running, kc, kc_json

if TYPE_CHECKING:
    from pathlib import Path


def get(address: str, path: str, data: Path | None = None) -> dict[str, object]:
    """An answer; with the token of the data folder, where one is named."""
    token = (data / "facts.token").read_text().strip() if data else ""
    headers = {"Authorization": f"Bearer {token}"} if data else {}
    request = urllib.request.Request(address + path, headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        found: dict[str, object] = json.load(answer)
        return found


def serving(tmp_path: Path, **env: str) -> Running:
    args = ("serve", "--port", 0, "--data", tmp_path / "data")
    return Running(tmp_path, *args, KC_PUBLIC_BOARD="true", **env)


def test_the_board_answers_and_sigterm_stops_it_cleanly(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        address = server.address()

        assert get(address, "livez")
        assert get(address, "api/v1/queues")["groups"]
        assert server.stop(signal.SIGTERM) == 0
    assert not (tmp_path / "data" / "node.sock").exists()


def test_an_open_stream_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        stream = urllib.request.urlopen(server.address() + "api/v1/stream", timeout=10)
        assert stream.readline()

        assert server.stop(signal.SIGINT, within_s=10) == 130
        stream.close()


def test_the_token_for_facts_is_made_once_for_the_owner_alone(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        server.address()
        file = tmp_path / "data" / "facts.token"
        token = file.read_text()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert str(file) in server.wait_for("facts.token")
        server.stop()
    with serving(tmp_path) as server:
        server.address()
        assert file.read_text() == token
        assert token.strip() not in "".join(server.lines + server.errors)


@pytest.mark.requirement("R42")
def test_commands_work_in_the_running_node(tmp_path: Path) -> None:
    data = ("--data", tmp_path / "data")
    with serving(tmp_path) as server:
        address = server.address()
        report = kc_json(tmp_path, "import", "queue-log", RECORDING, "--exchange", "lab", *data)
        again = kc_json(tmp_path, "import", "queue-log", RECORDING, "--exchange", "lab", *data)
        figures = kc_json(tmp_path, "statistics", *data)
        digest = kc_json(tmp_path, "log", "digest", *data)
        verified = kc_json(tmp_path, "log", "verify", *data)
        models = kc_json(tmp_path, "projection", "list", *data)
        replayed = kc_json(tmp_path, "replay", "--until", "2026-11-22T04:25:00Z", *data)
        checked = kc_json(tmp_path, "doctor", *data)
        over_http = get(address, "api/v1/statistics", tmp_path / "data")

    assert (report["facts"], report["calls"]) == (3105, 1352)
    assert (again["facts"], again["already_known"]) == (0, 3105)
    assert sum(row["offered"] for row in figures["total"]) == 1352
    assert over_http["total"] == figures["total"]
    assert figures["as_of"]["calls/0"] == digest["shards"]["calls/0"]["position"]
    assert verified["ok"]
    assert all(model["behind"] == 0 for model in models["projections"])
    assert 0 < sum(row["offered"] for row in replayed["statistics"]["total"]) < 1352
    assert {check["state"] for check in checked["checks"]} == {"ok"}


def test_killed_in_the_middle_of_an_import_it_starts_again_with_all_that_was_recorded(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    with serving(tmp_path) as server:
        server.address()
        kc(tmp_path, "import", "queue-log", RECORDING, "--exchange", "lab", "--data", data)
        before = kc_json(tmp_path, "log", "digest", "--data", data)
        with Running(
            tmp_path, "import", "queue-log", RECORDING, "--exchange", "other", "--data", data
        ):
            server.process.kill()
            server.process.wait()
    with serving(tmp_path) as server:
        server.address()
        after = kc_json(tmp_path, "log", "digest", "--data", data)
        kc(tmp_path, "import", "queue-log", RECORDING, "--exchange", "other", "--data", data)
        figures = kc_json(tmp_path, "statistics", "--data", data)

    assert after["shards"]["calls/0"]["position"] >= before["shards"]["calls/0"]["position"]
    assert sum(row["offered"] for row in figures["total"]) == 2 * 1352


def test_a_second_server_in_the_same_folder_says_that_it_is_in_use(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        server.address()
        second = kc(tmp_path, "serve", "--port", 0, "--data", tmp_path / "data", code=4)

    assert "in use" in second.stderr


def test_a_busy_port_is_said_with_what_to_do(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        ended = kc(tmp_path, "serve", "--port", port, "--data", tmp_path / "data", code=4)

    assert str(port) in ended.stderr
    assert "--port" in ended.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "board.example"])
def test_another_address_than_loopback_has_to_be_asked_for(host: str, tmp_path: Path) -> None:
    refused = kc(tmp_path, "serve", "--host", host, "--data", tmp_path / "data", code=2)

    assert "--insecure" in refused.stderr
    assert not (tmp_path / "data").exists()


def test_asked_for_it_listens_on_every_address(tmp_path: Path) -> None:
    args = ("serve", "--host", "0.0.0.0", "--insecure", "--port", 0, "--data", tmp_path / "data")
    with Running(tmp_path, *args) as server:
        port = server.address().rstrip("/").rpartition(":")[2]
        assert get(f"http://127.0.0.1:{port}/", "livez")


def test_the_log_can_be_followed_while_it_grows(tmp_path: Path) -> None:
    data = ("--data", tmp_path / "data")
    with serving(tmp_path) as server:
        server.address()
        with Running(tmp_path, "log", "tail", "--shard", "calls/0", "--lines", 0, *data) as tail:
            kc(tmp_path, "import", "queue-log", RECORDING, "--exchange", "lab", *data)
            line = json.loads(tail.wait_for("call.queued"))
            assert tail.stop(signal.SIGINT) == 130

    assert line["shard"] == "calls/0"
    assert "07000" not in json.dumps(line)


def test_an_impatient_second_ctrl_c_ends_as_quietly_as_the_first(tmp_path: Path) -> None:
    with Running(tmp_path, "serve", "--data", tmp_path / "data", "--port", 0) as serving:
        serving.address()
        serving.process.send_signal(signal.SIGINT)
        assert serving.stop(signal.SIGINT) == 130


def test_a_log_in_memory_keeps_nothing_and_meets_nothing_of_a_real_one(tmp_path: Path) -> None:
    data = tmp_path / "data"
    kc(tmp_path, "import", "queue-log", RECORDING, "--exchange", "lab", "--data", data)
    before = kc_json(tmp_path, "log", "digest", "--data", data)
    for _time in range(2):
        with serving(tmp_path, KC_LOG="memory:") as server:
            answered = get(server.address(), "api/v1/statistics", data)
            server.stop()
        assert answered["total"] == []

    assert kc_json(tmp_path, "log", "digest", "--data", data) == before


def test_read_models_of_a_longer_log_are_not_believed(tmp_path: Path) -> None:
    short, long = tmp_path / "short", tmp_path / "long"
    file = tmp_path / "queue_log"
    file.write_text("".join(RECORDING.read_text().splitlines(keepends=True)[:500]))
    kc(tmp_path, "import", "queue-log", file, "--exchange", "lab", "--data", short)
    wanted = kc_json(tmp_path, "statistics", "--data", short)
    kc(tmp_path, "import", "queue-log", RECORDING, "--exchange", "lab", "--data", long)
    # Somebody put the older log in place and deleted the index, as the node advises.
    shutil.rmtree(long / "index")
    for name in ("log.db", "keys.db", "city.key"):
        shutil.copy(short / name, long / name)

    assert kc_json(tmp_path, "statistics", "--data", long)["total"] == wanted["total"]


def test_served_after_a_demo_the_board_says_that_it_was_one(tmp_path: Path) -> None:
    with Running(
        tmp_path, "demo", "--data", tmp_path / "data", "--port", 0, "--speed", 400, "--once"
    ) as demo:
        demo.wait_for("http://")
        assert demo.process.wait(60) == 0
    with serving(tmp_path) as server:
        page = urllib.request.urlopen(server.address(), timeout=10).read().decode()

    assert "nothing here is real" in page
