"""An independent recount of a `queue_log`, the oracle for import and statistics.

It imports nothing of ours. `recount(data)` reads whole files (bytes, in the order given) with plain
string handling and answers with the figures by queue, or by queue and interval of entry
(`interval_s`). What it takes for granted:

- an identical row counts once; a last row without its line end is not read; rows are taken by time,
  and of the same second in the order of the files;
- an ENTERQUEUE opens an entry; the first way out of the call's latest entry of that queue is its
  outcome;
- a COMPLETE or a transfer where the CONNECT is missing says that it was answered, with its wait;
- the first row that ends an agent's part gives the talk; a transfer counts once for each entry;
- at QUEUESTART every entry without an outcome is `other` (lost), and stays so;
- FULL and JOINEMPTY are `refused`, at their own time; RINGNOANSWER belongs to the latest entry;
- rows about an entry that nobody saw begin are left out: the unit is the entry.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

OUTCOMES = (
    "answered",
    "abandoned",
    "timed_out",
    "refused",
    "callback",
    "deflected",
    "diverted",
    "other",
    "in_progress",
)
NOBODY = {
    "",
    "unknown",
    "<unknown>",
    "anonymous",
    "unavailable",
    "restricted",
    "private",
    "withheld",
    "none",
}

# Event: least and most parameters, and which are numbers (negative places count from the end).
SHAPES: dict[str, tuple[int, int, tuple[int, ...]]] = {
    "ENTERQUEUE": (2, 4, ()),
    "CONNECT": (1, 3, (0,)),
    "COMPLETEAGENT": (2, 3, (0, 1)),
    "COMPLETECALLER": (2, 3, (0, 1)),
    "ABANDON": (3, 3, (2,)),
    "EXITWITHTIMEOUT": (3, 3, (2,)),
    "EXITEMPTY": (3, 3, (2,)),
    "EXITWITHKEY": (4, 4, (3,)),
    "WITHDRAW": (3, 99, (2,)),
    "RINGNOANSWER": (1, 1, (0,)),
    "RINGCANCELED": (1, 1, (0,)),
    "BLINDTRANSFER": (5, 99, (-3, -2)),
    "TRANSFER": (5, 99, (-3, -2)),
    "ATTENDEDTRANSFER": (4, 99, (-3, -2)),
    "CALLBACK_MADE": (1, 1, ()),
    "PAUSE": (0, 1, ()),
    "PAUSEALL": (0, 1, ()),
    "UNPAUSE": (0, 1, ()),
    "UNPAUSEALL": (0, 1, ()),
    "ADDMEMBER": (0, 1, ()),
    "REMOVEMEMBER": (0, 1, ()),
    "QUEUESTART": (0, 0, ()),
}
POSITIONS: dict[str, tuple[int, ...]] = {
    "ENTERQUEUE": (2,), "COMPLETEAGENT": (2,), "COMPLETECALLER": (2,), "ABANDON": (0, 1),
    "EXITWITHTIMEOUT": (0, 1), "EXITEMPTY": (0, 1), "EXITWITHKEY": (1, 2), "WITHDRAW": (0, 1),
    "BLINDTRANSFER": (-1,), "TRANSFER": (-1,), "ATTENDEDTRANSFER": (-1,),
}  # fmt: skip
NEEDS_MEMBER = {
    "CONNECT",
    "COMPLETEAGENT",
    "COMPLETECALLER",
    "RINGNOANSWER",
    "RINGCANCELED",
    "BLINDTRANSFER",
    "TRANSFER",
    "ATTENDEDTRANSFER",
    "PAUSE",
    "PAUSEALL",
    "UNPAUSE",
    "UNPAUSEALL",
    "ADDMEMBER",
    "REMOVEMEMBER",
    "CALLBACK_MADE",
    "AGENTLOGIN",
    "AGENTLOGOFF",
    "PENALTY",
    "RINGINUSE",
}
OF_A_CALL = {
    "ENTERQUEUE",
    "CONNECT",
    "COMPLETEAGENT",
    "COMPLETECALLER",
    "ABANDON",
    "EXITWITHTIMEOUT",
    "EXITEMPTY",
    "EXITWITHKEY",
    "WITHDRAW",
    "RINGNOANSWER",
    "RINGCANCELED",
    "BLINDTRANSFER",
    "TRANSFER",
    "ATTENDEDTRANSFER",
    "FULL",
    "JOINEMPTY",
    "CALLBACK",
    "CALLBACK_REQUESTED",
    "CALLBACK_MADE",
    "DEFLECTED",
}
EXITS = {
    "CONNECT": "answered",
    "ABANDON": "abandoned",
    "EXITWITHTIMEOUT": "timed_out",
    "EXITEMPTY": "other",
    "EXITWITHKEY": "other",
    "WITHDRAW": "other",
    "CALLBACK": "callback",
    "CALLBACK_REQUESTED": "callback",
    "DEFLECTED": "deflected",
}
TRANSFERS = {"BLINDTRANSFER", "TRANSFER", "ATTENDEDTRANSFER"}


@dataclass
class Counts:
    """The figures of one queue, or of one queue in one interval."""

    entered: int = 0
    outcomes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(OUTCOMES, 0))
    waits_answered: list[float] = field(default_factory=list)
    waits_abandoned: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)  # of all exits
    talks: list[float] = field(default_factory=list)
    callers: set[str] = field(default_factory=set)
    transferred: int = 0
    not_taken: int = 0

    @property
    def offered(self) -> int:
        return self.entered + self.outcomes["refused"]

    def as_row(self, answer_within_s: float = 20, short_abandon_s: float = 5) -> dict[str, object]:
        """The figures under the names that `kontaktcenter statistics` gives them."""
        return {
            "offered": self.offered,
            **self.outcomes,
            "answered_within": sum(w <= answer_within_s for w in self.waits_answered),
            "abandoned_within": sum(w <= answer_within_s for w in self.waits_abandoned),
            "short_abandoned": sum(w < short_abandon_s for w in self.waits_abandoned),
            "wait_s_answered_sum": sum(self.waits_answered),
            "wait_s_max": max(self.waits, default=None),
            "talk_s_sum": sum(self.talks),
            "transferred": self.transferred,
            "not_taken": self.not_taken,
            "unique_callers": len(self.callers),
        }


@dataclass
class Entry:
    queue: str
    at: float
    outcome: str = "in_progress"
    wait_s: float | None = None
    talk_s: float | None = None
    number: str | None = None
    transferred: bool = False
    not_taken: int = 0


@dataclass
class Row:
    at: float
    uniqueid: str
    queue: str
    member: str
    event: str
    given: list[str]


@dataclass
class Recount:
    """All that was counted: `malformed` as (file, line) from 1, `rows` the different good ones."""

    entries: list[Entry]
    refused: list[Entry]
    malformed: list[tuple[int, int]]
    lines: int
    well_formed: int
    rows: list[Row]

    @property
    def calls(self) -> int:
        """How many different calls the rows name."""
        of_shifts = {
            "PAUSE",
            "PAUSEALL",
            "UNPAUSE",
            "UNPAUSEALL",
            "ADDMEMBER",
            "REMOVEMEMBER",
            "AGENTLOGIN",
            "AGENTLOGOFF",
            "PENALTY",
            "RINGINUSE",
            "QUEUESTART",
        }
        return len({r.uniqueid for r in self.rows if r.uniqueid and r.event not in of_shifts})

    def by_queue(self, excluded: Iterable[str] = ()) -> dict[str, Counts]:
        """Queue to figures over all time."""
        return {queue: c for (queue, _), c in self.by_interval(None, excluded).items()}

    def by_interval(
        self, interval_s: int | None, excluded: Iterable[str] = ()
    ) -> dict[tuple[str, int], Counts]:
        """(queue, start of interval as epoch) to figures. `excluded` queues keep no callers."""
        found: dict[tuple[str, int], Counts] = defaultdict(Counts)
        without = set(excluded)
        for entry in self.entries + self.refused:
            start = int(entry.at // interval_s * interval_s) if interval_s else 0
            counts = found[entry.queue, start]
            counts.outcomes[entry.outcome] += 1
            if entry.outcome == "refused":
                continue
            counts.entered += 1
            counts.transferred += entry.transferred
            counts.not_taken += entry.not_taken
            if entry.number and entry.queue not in without:
                counts.callers.add(entry.number)
            if entry.talk_s is not None:
                counts.talks.append(entry.talk_s)
            if entry.wait_s is not None:
                counts.waits.append(entry.wait_s)
                if entry.outcome == "answered":
                    counts.waits_answered.append(entry.wait_s)
                elif entry.outcome == "abandoned":
                    counts.waits_abandoned.append(entry.wait_s)
        return dict(found)


def recount(*files: bytes) -> Recount:
    """Count the files, in their order, as one log of one exchange."""
    seen: set[bytes] = set()
    rows: list[Row] = []
    malformed: list[tuple[int, int]] = []
    lines = well_formed = 0
    for file_no, data in enumerate(files, start=1):
        for line_no, line in enumerate(data.split(b"\n")[:-1], start=1):
            lines += 1
            row = read_row(line)
            if row is None:
                malformed.append((file_no, line_no))
                continue
            well_formed += 1
            if line not in seen:
                seen.add(line)
                rows.append(row)
    entries, refused = play(sorted(rows, key=lambda row: row.at))
    return Recount(entries, refused, malformed, lines, well_formed, rows)


def play(rows: list[Row]) -> tuple[list[Entry], list[Entry]]:
    """Entries and refusals of rows that stand in their order."""
    entries: list[Entry] = []
    refused: list[Entry] = []
    latest: dict[tuple[str, str], Entry] = {}
    for row in rows:
        if row.event == "QUEUESTART":
            for entry in latest.values():
                if entry.outcome == "in_progress":
                    entry.outcome = "other"
        elif row.event == "ENTERQUEUE":
            number = row.given[1].strip()
            known = number if number.lower() not in NOBODY and len(number) <= 200 else None
            entry = latest[row.uniqueid, row.queue] = Entry(row.queue, row.at, number=known)
            entries.append(entry)
        elif row.event in {"FULL", "JOINEMPTY"}:
            refused.append(Entry(row.queue, row.at, "refused"))
        elif (row.uniqueid, row.queue) in latest:
            happen(latest[row.uniqueid, row.queue], row)
    return entries, refused


def happen(entry: Entry, row: Row) -> None:
    if row.event == "RINGNOANSWER":
        entry.not_taken += 1
        return
    agent_part = row.event in TRANSFERS or row.event.startswith("COMPLETE")
    outcome = EXITS.get(row.event)
    if row.event.startswith("DIVERT_"):
        outcome = "diverted"
    if entry.outcome == "in_progress" and (outcome or agent_part):
        entry.outcome = outcome or "answered"
        entry.wait_s = wait_of(row)
    if agent_part and entry.outcome == "answered":
        entry.transferred = entry.transferred or row.event in TRANSFERS
        if entry.talk_s is None:
            entry.talk_s = float(row.given[-2] if row.event in TRANSFERS else row.given[1])


def wait_of(row: Row) -> float | None:
    if row.event in TRANSFERS:
        return float(row.given[-3])
    if row.event.startswith("DIVERT_"):
        return None
    if row.event in {"CALLBACK", "CALLBACK_REQUESTED", "DEFLECTED"}:
        return float(row.given[0]) if row.given and row.given[0] else None
    if row.event == "EXITWITHKEY":
        return float(row.given[3])
    if row.event in {"ABANDON", "EXITWITHTIMEOUT", "EXITEMPTY", "WITHDRAW"}:
        return float(row.given[2])
    return float(row.given[0])


def read_row(line: bytes) -> Row | None:
    """The row, or None where it is malformed."""
    line = line.removesuffix(b"\r")
    if not line or len(line) > 4096 or re.search(rb"[\x00-\x1f\x7f]", line):
        return None
    try:
        fields = line.decode("utf-8").split("|")
    except UnicodeDecodeError:
        return None
    if not 5 <= len(fields) <= 25 or not re.fullmatch(r"[0-9]{1,10}(\.[0-9]+)?", fields[0]):
        return None
    at = float(fields[0])
    if not 946684800 <= at < 4102444800:
        return None
    uniqueid, queue, member = fields[1:4]
    if "/" in uniqueid or " " in uniqueid or "/" in queue:
        return None
    if uniqueid in {"NONE", "REALTIME", "MANAGER", "CLI"}:
        uniqueid = ""
    event, given = fields[4], fields[5:]
    if not re.fullmatch(r"[A-Za-z][\w .:-]{0,79}", event) or re.search(r"\d{7,}", event):
        return None
    of_a_call = event in OF_A_CALL or event.startswith("DIVERT_")
    if of_a_call and (not uniqueid or queue in {"", "NONE"}):
        return None
    if event in NEEDS_MEMBER and member in {"", "NONE"}:
        return None
    return Row(at, uniqueid, queue, member, event, given) if fits(event, given) else None


def fits(event: str, given: list[str]) -> bool:
    """Whether the parameters are as Asterisk writes them for this event."""
    least, most, numbers = SHAPES.get(event, (0, 99, ()))
    if len(given) < least or any(given[most:]):
        return False
    for place in numbers:
        if not is_number(given[place]):
            return False
    for place in POSITIONS.get(event, ()):
        if -len(given) <= place < len(given) and not re.fullmatch(r"[0-9]{0,8}", given[place]):
            return False
    if event == "CONNECT" and len(given) > 2 and given[2] and not is_number(given[2]):
        return False
    if event in {"CALLBACK", "CALLBACK_REQUESTED", "DEFLECTED"} and given and given[0]:
        return is_number(given[0])
    if event == "CALLBACK_MADE" and given[0] not in {"0", "1"}:
        return False
    return not (event in TRANSFERS and set(given) & (OF_A_CALL | NEEDS_MEMBER | {"QUEUESTART"}))


def is_number(text: str) -> bool:
    return bool(re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", text)) and float(text) <= 10_000_000
