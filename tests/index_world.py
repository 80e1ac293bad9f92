"""A node with a snapshot of its index, and new nodes on the same log."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from cli_here import kc, kc_json
from cli_process import RECORDING

if TYPE_CHECKING:
    from pathlib import Path

MODELS = {"queue_entries", "agent_states", "case_figures", "case_work", "case_keeping", "looks",
          "persons", "reviews"}  # fmt: skip


class World:
    """A node whose log goes on after its snapshot; and new nodes on the same log."""

    def __init__(self, home: Path) -> None:
        self.home = home / "first"
        self.home.mkdir()
        self.folder, self.file = home / "snapshot", home / "snapshot.tar"
        part = home / "part.queue_log"
        part.write_text("".join(RECORDING.read_text().splitlines(keepends=True)[:600]))
        kc(self.home, "import", "queue-log", part, "--exchange", "tnh")
        kc(self.home, "projection", "list")  # the read models catch up
        self.made = kc_json(self.home, "index", "snapshot", "--to", self.folder)
        kc(self.home, "index", "snapshot", "--to", self.file)
        kc(self.home, "import", "queue-log", RECORDING, "--exchange", "tnh")

    def new_node(self, home: Path) -> Path:
        """A data folder with the same log and keys, and nothing worked out of it yet."""
        (home / "data").mkdir(parents=True)
        for name in ("log.db", "keys.db", "city.key", "protected.key"):
            shutil.copy(self.home / "data" / name, home / "data" / name)
        return home


def names(data: Path) -> set[str]:
    return {str(path.relative_to(data)) for path in data.rglob("*")}
