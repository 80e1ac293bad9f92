"""A seeded generator of `queue_log`s, realistic or nasty; the same seed gives the same bytes.

`make(seed)` gives a well-formed log: several queues for one call, transfers, ringing not answered,
restarts with callers waiting, calls open at the end and begun before the file, custom events,
refusals, members and pauses. `spoil(seed, data)` puts malformed rows, repeated rows and a torn last
row into it. Everybody is made up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

QUEUES = ("avfall", "trafik", "parkering", "miljo", "kris", "okand_ko")
AGENTS = ("Agent 101", "Agent 102", "PJSIP/1103", "SIP/1104", "Åsa Ö")
START = 1_795_321_170


@dataclass
class _Maker:
    random: Random
    start: int
    span_s: int
    restarts: list[int]
    rows: list[tuple[int, int, str]] = field(default_factory=list)  # time, order of making, row

    def row(
        self, at: int, uniqueid: str, queue: str, member: str, event: str, *given: object
    ) -> None:
        text = "|".join([str(at), uniqueid, queue, member, event, *map(str, given or [""])])
        self.rows.append((at, len(self.rows), text))

    def number(self) -> str:
        """A caller: some call again, some hide."""
        dice = self.random.random()
        if dice < 0.05:
            return self.random.choice(["", "anonymous", "<unknown>", "Unknown"])
        return f"070000{self.random.randrange(0, 4000 if dice < 0.6 else 60):04d}"


def make(
    seed: int,
    calls: int = 300,
    *,
    start: int = START,
    span_s: int = 3_600,
    restarts: int = 1,
    queues: tuple[str, ...] = QUEUES,
) -> bytes:
    """A well-formed log of so many calls. Rows are in order of time, each ends with a newline."""
    random = Random(seed)
    times = sorted(start + random.randrange(span_s // 4, span_s) for _ in range(restarts))
    maker = _Maker(random, start, span_s, times)
    maker.row(start, "NONE", "NONE", "NONE", "QUEUESTART")
    for at in times:
        maker.row(at, "NONE", "NONE", "NONE", "QUEUESTART")
    for n in range(calls):
        _call(maker, n, queues)
    _members(maker, queues)
    # A restart stands first in its second: what died in it has no row of that second or later.
    maker.rows.sort(key=lambda row: (row[0], "QUEUESTART" not in row[2], row[1]))
    end = start + span_s
    return "".join(f"{text}\n" for at, _, text in maker.rows if at <= end).encode()


def _call(maker: _Maker, n: int, queues: tuple[str, ...]) -> None:
    random = maker.random
    began = maker.start + random.randrange(maker.span_s)
    uniqueid = f"{began - random.randrange(2)}.{n * 2 + 1}"
    dies_at = next((r for r in maker.restarts if r > began), began + 10 * maker.span_s)
    number, at = maker.number(), began
    before = len(maker.rows)
    if random.random() < 0.03:  # begun before the file
        _way_out(maker, at, uniqueid, random.choice(queues), random.randrange(1, 90))
        at += 5
    for _ in range(random.choice((1, 1, 1, 1, 2, 3))):
        queue = random.choice(queues)
        if random.random() < 0.06:
            maker.row(at, uniqueid, queue, "NONE", random.choice(("FULL", "FULL", "JOINEMPTY")))
            at += 1
            continue
        name = ("Förnamn Efternamn",) if random.random() < 0.1 else ()
        maker.row(
            at, uniqueid, queue, "NONE", "ENTERQUEUE", "", number, random.randrange(1, 60), *name
        )
        wait_s = min(int(random.expovariate(1 / 40)), 300) if random.random() < 0.8 else 0
        _ringing(maker, at, wait_s, uniqueid, queue)
        if random.random() < 0.03:  # no row tells how it left
            break
        at = _way_out(maker, at + wait_s, uniqueid, queue, wait_s) + random.randrange(3)
        if random.random() < 0.04:
            maker.row(
                at, uniqueid, queue, "NONE", "SURVEY", random.randrange(1, 6), "0700000001", "Namn"
            )
    del maker.rows[before + sum(row[0] < dies_at for row in maker.rows[before:]) :]


def _ringing(maker: _Maker, at: int, wait_s: int, uniqueid: str, queue: str) -> None:
    for _ in range(maker.random.choice((0, 0, 0, 1, 3))):
        rung = at + maker.random.randrange(wait_s + 1)
        event = maker.random.choice(("RINGNOANSWER", "RINGNOANSWER", "RINGCANCELED"))
        agent = maker.random.choice(AGENTS)
        rows = [(rung, maker.random.choice((0, 8000, maker.random.randrange(8000))))]
        if maker.random.random() < 0.3 and rung + 1 <= at + wait_s:
            rows.append((rung + 1, 0))  # a busy telephone, asked again at once
        for when, ring_ms in rows:
            maker.row(when, uniqueid, queue, agent, event, ring_ms)
    made = maker.rows
    first = next(i for i, row in enumerate(made) if f"|{uniqueid}|" in row[2])
    made[first:] = sorted(made[first:], key=lambda row: row[0])
    made[first:] = [(at, first + i, text) for i, (at, _, text) in enumerate(made[first:])]


def _way_out(maker: _Maker, at: int, uniqueid: str, queue: str, wait_s: int) -> int:
    """One way out of a queue; the time of its last row."""
    random, place = maker.random, maker.random.randrange(1, 9)
    ways: list[tuple[float, Callable[[], int]]] = [
        (0.42, lambda: _talk(maker, at, uniqueid, queue, wait_s)),
        (0.30, lambda: _out(maker, at, uniqueid, queue, "ABANDON", place, place + 2, wait_s)),
        (0.12, lambda: _out(maker, at, uniqueid, queue, "EXITWITHTIMEOUT", place, place, wait_s)),
        (0.04, lambda: _out(maker, at, uniqueid, queue, "EXITWITHKEY", "1", place, place, wait_s)),
        (0.03, lambda: _out(maker, at, uniqueid, queue, "EXITEMPTY", place, place, wait_s)),
        (
            0.02,
            lambda: _out(maker, at, uniqueid, queue, "WITHDRAW", place, place, wait_s, "stängd|nu"),
        ),
        (0.03, lambda: _out(maker, at, uniqueid, queue, "CALLBACK", wait_s, "0700000002")),
        (0.02, lambda: _out(maker, at, uniqueid, queue, "DEFLECTED", wait_s)),
        (0.02, lambda: _out(maker, at, uniqueid, queue, "DIVERT_HOLDTIME", "204")),
    ]
    return random.choices([way for _, way in ways], [weight for weight, _ in ways])[0]()


def _out(maker: _Maker, at: int, uniqueid: str, queue: str, event: str, *given: object) -> int:
    maker.row(at, uniqueid, queue, "NONE", event, *given)
    return at


def _talk(maker: _Maker, at: int, uniqueid: str, queue: str, wait_s: int) -> int:
    random = maker.random
    agent, talk_s, place = random.choice(AGENTS), random.randrange(1, 400), random.randrange(1, 30)
    if random.random() < 0.02:
        maker.row(at, uniqueid, queue, agent, "AGENTDUMP")
    maker.row(at, uniqueid, queue, agent, "CONNECT", wait_s, f"{at}.9", random.randrange(8))
    end, figures = at + talk_s, (wait_s, talk_s, place)
    dice = random.random()
    if dice < 0.05:
        return at  # no row tells how the talk ended
    if dice < 0.12:
        for _ in range(random.choice((1, 1, 2))):  # now and then logged twice
            to = random.choice(("204", "0700000003"))
            maker.row(end, uniqueid, queue, agent, "BLINDTRANSFER", to, "specialist", *figures)
            end += random.randrange(2)
        return end
    if dice < 0.18:
        method = random.choice((("BRIDGE", "a1b2"), ("APP", "Queue"), ("LINK", "SIP/1|x", "SIP/2")))
        maker.row(end, uniqueid, queue, agent, "ATTENDEDTRANSFER", *method, *figures)
        return end
    maker.row(
        end, uniqueid, queue, agent, random.choice(("COMPLETEAGENT", "COMPLETECALLER")), *figures
    )
    return end


def _members(maker: _Maker, queues: tuple[str, ...]) -> None:
    random = maker.random
    for n, agent in enumerate(AGENTS):
        at, own = maker.start + n, random.sample(queues, k=min(2, len(queues)))
        for queue in own:
            maker.row(
                at,
                random.choice(("NONE", "MANAGER")),
                queue,
                agent,
                "ADDMEMBER",
                random.choice(("", "PAUSED")),
            )
        for _ in range(4):
            at += random.randrange(30, 600)
            for what in ("PAUSE", "UNPAUSE"):
                reason = random.choice(("lunch", "rast", ""))
                maker.row(at, "NONE", "NONE", agent, f"{what}ALL", reason)
                for queue in own:
                    maker.row(at, "NONE", queue, agent, what, reason)
                at += random.randrange(1, 300)
        maker.row(at, "NONE", own[0], agent, "PENALTY", random.randrange(9))
        maker.row(at + 1, "NONE", own[0], agent, "REMOVEMEMBER", "")
    maker.row(maker.start + 9, "NONE", "NONE", "NONE", "CONFIGRELOAD")
    maker.row(maker.start + 9, f"{maker.start}.0", "NONE", "2001", "AGENTLOGIN", "SIP/0700000004-1")
    maker.row(
        maker.start + 99, f"{maker.start}.0", "NONE", "2001", "AGENTLOGOFF", "SIP/0700000004-1", 90
    )


def faults(random: Random) -> list[bytes]:
    """One malformed row of every kind, without line ends."""
    at = str(START + random.randrange(3000)).encode()
    call = at + b"." + str(random.randrange(10**6, 10**7)).encode()
    return [
        b"",
        b"\x00" * 40,
        at + b"|" + call + b"|avfall|NONE|ENTERQUEUE||07000\x0000001|1",
        at + b"|" + call + b"|avfall|NONE|ENTERQUEUE||\xff\xfe|1",
        at + b"|" + call + b"|avfall|\xc5sa|CONNECT|1|2.3|1",
        at + b"|" + call + b"|avfall|NONE|ENTERQUEUE||" + b"0" * 5000 + b"|1",
        at,
        at + b"|" + call + b"|avfall|NONE",
        at + b"|" + call + b"|avfall|NONE|",
        at + b"|" + call + b"|avfall|NONE|ENTERQUEUE",
        at + b"|" + call + b"|avfall|NONE|ENTERQUEUE||0700000001|first",
        at + b"|" + call + b"|avfall|NONE|ENTERQUEUE||0700000001|1|Namn|extra",
        at + b"|NONE|avfall|NONE|ENTERQUEUE||0700000001|1",
        at + b"|" + call + b"|NONE|NONE|ENTERQUEUE||0700000001|1",
        b"soon|" + call + b"|avfall|NONE|ABANDON|1|1|1",
        b"|" + call + b"|avfall|NONE|ABANDON|1|1|1",
        b"-5|" + call + b"|avfall|NONE|ABANDON|1|1|1",
        b"12|" + call + b"|avfall|NONE|ABANDON|1|1|1",
        b"99999999999|" + call + b"|avfall|NONE|ABANDON|1|1|1",
        b"1e9|" + call + b"|avfall|NONE|ABANDON|1|1|1",
        b"1_795_321_170|" + call + b"|avfall|NONE|ABANDON|1|1|1",
        at + b"|" + call + b"|avfall|NONE|ABANDON|1|1",
        at + b"|" + call + b"|avfall|NONE|ABANDON|1|1|-3",
        at + b"|" + call + b"|avfall|NONE|ABANDON|1|1|nan",
        at + b"|" + call + b"|avfall|NONE|ABANDON|1|1|9|9|9|9",
        at + b"|" + call + b"|avfall|Agent 101|CONNECT|-1|2.3|1",
        at + b"|" + call + b"|avfall|NONE|CONNECT|1|2.3|1",
        at + b"|" + call + b"|avfall|Agent 101|COMPLETEAGENT|5|" + b"9" * 12 + b"|1",
        at + b"|" + call + b"|avfall|Agent 101|RINGNOANSWER|",
        at + b"|" + call + b"|avfall|Agent 101|BLINDTRANSFER|204|specialist|1",
        at + b"|" + call + b"|avfall|Agent 101|ATTENDEDTRANSFER|BRIDGE|a|b|c",
        at + b"|" + call + b"|avfall|Agent 101|0700000001|",
        at + b"|a/b|avfall|NONE|ABANDON|1|1|1",
        at + b"|" + b"|" * 60,
        # a row cut by a full disk, and the next one right after it
        at + b"|" + call + b"|avfall|NONE|ABAND" + at + b"|" + call + b"|kris|NONE|FULL|",
    ]  # fmt: skip


def spoil(seed: int, data: bytes, *, torn: bool = True) -> bytes:
    """`data` with a malformed row of every kind, repeated rows, and a torn last row."""
    random = Random(seed)
    lines = data.split(b"\n")[:-1]
    for line in random.sample(lines, k=min(len(lines), 20)):
        lines.insert(random.randrange(lines.index(line) + 1, len(lines) + 1), line)
    for fault in faults(random):
        lines.insert(random.randrange(len(lines) + 1), fault)
    end = b"\n" + lines[-1][: random.randrange(1, 30)] if torn else b"\n"
    return b"\n".join(lines) + end
