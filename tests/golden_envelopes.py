"""A golden log: its records, written once and never again, and what each of them was judged to be.

`python tests/golden_envelopes.py` adds what is missing, with its hash; it changes nothing.
A new format of envelopes begins a folder of its own beside `1`.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import msgspec
from log_world import GENESIS, T0, At, an_id, commit, record

from core.eventlog.envelope import LoggedCommit, LoggedEvent, encode_genesis
from core.eventlog.log import Record
from core.eventlog.verify import Refold

FOLDER = Path(__file__).parent / "golden" / "envelopes" / "1"
MANIFEST, EXPECTED = FOLDER / "manifest.json", FOLDER / "expected.json"
CALL, SHIFT = "call/stockholm/1795000001.7", "call/stockholm/1795000002.9"
SEALED = (
    b'{"queue":"avfall","group":"tnh_avfall","caller":{"key":"caller/golden/1","box":"AAECAwQF"}}'
)


def _whole() -> LoggedCommit:
    """A commit with every field of its frame."""
    event = LoggedEvent(CALL, "call.queued", 1, T0, msgspec.Raw(SEALED))
    plain = commit("whole", tracking=("process/callbacks", 3))
    cause = str(an_id("cause"))
    return msgspec.structs.replace(
        plain, events=[event], cause=cause, correlation="corr-1", origin="telephony:kc"
    )


def records() -> dict[str, bytes]:
    """The records of the golden log, in order, by the names of their files."""
    late = commit("late", tracking=("process/callbacks", 3))
    zero = commit("zero", At("call/stockholm/3", 0), At("call/stockholm/3"))
    fact, decision = commit("fact", At(CALL), At(SHIFT)), commit("decision", At(CALL, 3))
    return {
        "00-genesis.json": encode_genesis(GENESIS),
        "01-whole.json": record(_whole()),
        "02-facts.json": record(fact, commit("empty")),
        "03-decision.json": record(decision),
        "04-stale.json": record(commit("stale", At(CALL, 3)), late),
        "05-duplicates.json": record(fact, commit("stale", At(CALL, 4))),
        "06-fork.json": record(commit("decision", At(SHIFT), intent="another")),
        "07-void.json": b"not an envelope",
        "08-later-genesis.json": encode_genesis(GENESIS),
        "09-higher-format.json": record(commit("future", At(CALL)), fmt=2),
        "10-start-at-zero.json": record(zero),
    }


def judged(bodies: list[bytes]) -> dict[str, object]:
    """What a golden log comes to: the verdicts of each record, position, number and digest."""
    state = Refold(GENESIS, bodies[0])
    verdicts = [[str(v) for v in state.record(Record(n, b))] for n, b in enumerate(bodies) if n]
    return {
        "verdicts": verdicts,
        "position": state.position,
        "seq": state.seq,
        "digest": state.digest.hex(),
        "heads": state.heads,
    }


def golden() -> list[bytes]:
    """The golden records, in order."""
    return [path.read_bytes() for path in sorted(FOLDER.glob("[0-9]*.json"))]


def write_missing() -> list[str]:
    """Write what is not there yet; the names of what was written."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    manifest = json.loads(MANIFEST.read_text("utf-8")) if MANIFEST.exists() else {}
    added = []
    for name, body in records().items():
        if name not in manifest:
            (FOLDER / name).write_bytes(body)
            manifest[name] = hashlib.sha256(body).hexdigest()
            added.append(name)
    MANIFEST.write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n", "utf-8")
    if added or not EXPECTED.exists():
        EXPECTED.write_text(json.dumps(judged(golden()), indent=2) + "\n", "utf-8")
    return added


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    sys.stdout.write("\n".join(write_missing()) + "\n")
