"""The topic of keys where no broker answers: said in words, and nothing left behind."""

from __future__ import annotations

import gc
import threading
from pathlib import Path

import pytest
from keys_world import keys_settings

from core.errors import Unavailable
from core.eventlog.kafka_log import keys_topic
from core.eventlog.kafka_log.keys_topic import KeysTopic
from core.eventlog.kafka_log.replica import Entry, Knew


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_brokers_that_are_away_leave_neither_threads_nor_files_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A node asks again and again through an outage: each attempt that leaks ends it in minutes."""
    monkeypatch.setattr(keys_topic, "_REQUEST_MS", 100)
    topic = KeysTopic(keys_settings("127.0.0.1:1", "away"))

    def ask_all() -> None:
        with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1"):
            topic.end()
        with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1"), topic.reader():
            pass
        with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1"):
            topic.publish([Entry("caller/a/1", b"wrapped", Knew())], 0.1)

    ask_all()
    before = threading.active_count(), open_files()
    for _ in range(3):
        ask_all()
    gc.collect()
    assert threading.active_count() <= before[0]
    assert open_files() <= before[1]
    topic.close()
