"""`node list`, `retire`, `refill-keys`: who has the log, and whom nobody waits for any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cli_here import kc, kc_json, with_accounts
from keys_world import until

if TYPE_CHECKING:
    from pathlib import Path

    from deploy.kafka_lab import SharedBroker


def test_a_log_on_one_machine_has_no_other_nodes(tmp_path: Path) -> None:
    with_accounts(tmp_path, {"adam": ("administrator",)})
    assert kc_json(tmp_path, "node", "list") == {"here": None, "nodes": []}
    assert "this machine alone" in kc(tmp_path, "node", "list").stdout
    assert "not on Kafka" in kc(tmp_path, "node", "refill-keys", code=1).stderr
    assert "no node nosuch" in kc(tmp_path, "node", "retire", "nosuch", code=1).stderr


@pytest.mark.kafka
def test_nodes_are_listed_and_one_that_is_gone_is_retired(
    kafka_broker: SharedBroker,
    kafka_prefix: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KC_LOG", f"kafka://{kafka_broker.servers}/{kafka_prefix}")
    monkeypatch.setenv("KC_LOG_CREATE", "unsafe")
    homes = {name: tmp_path / name for name in ("norr", "soder")}

    def nodes(home: str) -> dict[str, dict[str, Any]]:
        return {n["name"]: n for n in kc_json(homes[home], "node", "list")["nodes"]}

    for name, home in homes.items():
        home.mkdir()
        monkeypatch.setenv("KC_NODE_NAME", name)
        kc(home, "node", "list")
        until(lambda name=name: name in nodes(name), "it has told of itself")  # type: ignore[misc]
    monkeypatch.setenv("KC_NODE_NAME", "soder")
    until(lambda: set(nodes("soder")) == set(homes), "both are known")
    found = nodes("soder")
    assert (found["soder"]["here"], found["norr"]["here"]) == (True, False)
    assert found["norr"]["erasures_waiting"] == []
    assert "is this node" in kc(homes["soder"], "node", "retire", "soder", code=1).stderr
    told = kc(homes["soder"], "node", "retire", "norr", "--reason", "Skrotad")
    assert "norr is retired" in told.stdout
    assert "Destroy its data folder" in told.stdout
    norr = nodes("soder")["norr"]
    assert norr["retired_at"] is not None
    assert norr["reason"] == "Skrotad"
    assert "retired" in kc(homes["soder"], "node", "list").stdout
    kc(homes["soder"], "node", "retire", norr["node"][:8])  # once more is no mistake
    told = kc_json(homes["norr"], "node", "refill-keys")
    assert told == {"ok": True, "live": 0, "destroyed": 0}
    assert "every other node" in kc(homes["norr"], "node", "refill-keys").stdout
