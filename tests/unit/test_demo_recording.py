"""The recorded crisis laid out in time again, its clock, and its simulated people."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from project import ROOT

from core.calls import CallWrappedUp
from core.cases import CaseRegistered
from core.commit import Accepted, Answer, Draft, KeptFact, Recorded
from core.errors import Unavailable
from core.taxonomy import Directory, read_taxonomy
from kontaktcenter import demo_people
from kontaktcenter.demo_clock import DemoClock, LiveClock
from kontaktcenter.demo_player import Player
from kontaktcenter.demo_recording import Recording, next_start, parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

START = datetime(2027, 1, 1, 12, tzinfo=UTC)
FILE = ROOT / "kontaktcenter" / "data" / "crisis.queue_log"


@pytest.fixture(scope="module")
def recording() -> Recording:
    return parse(FILE.read_text(encoding="utf-8").splitlines())


@pytest.fixture(scope="module")
def directory() -> Directory:
    text = Path(ROOT / "kontaktcenter" / "data" / "taxonomy.toml").read_text(encoding="utf-8")
    drafts = read_taxonomy(text, START)
    return Directory.of(happened.event for draft in drafts for happened in draft.events)


def test_every_row_of_the_recording_is_played_at_its_own_distance_from_the_first(
    recording: Recording,
) -> None:
    played = list(recording.played_from(START))
    began = int(START.timestamp())

    assert len(played) == 3105
    assert played[0].at == START
    assert played[-1].at == START + timedelta(seconds=652)
    assert played[1].line == f"{began + 7}|{began + 6}.1|bygg|NONE|ENTERQUEUE||0700003128|1"


def test_played_where_it_was_recorded_it_is_the_file_itself(recording: Recording) -> None:
    played = recording.played_from(datetime.fromtimestamp(recording.epoch, UTC))

    assert "\n".join(due.line for due in played) + "\n" == FILE.read_text(encoding="utf-8")


def test_two_plays_share_no_uniqueid(recording: Recording) -> None:
    first = {due.line.split("|")[1] for due in recording.played_from(START)}
    second = {due.line.split("|")[1] for due in recording.played_from(START + recording.lasts)}

    assert first & second == {"NONE"}


def test_a_play_begins_after_everything_that_the_log_holds() -> None:
    last = START + timedelta(hours=3, milliseconds=500)

    assert next_start(START, None) == START
    assert next_start(START + timedelta(milliseconds=1), None) == START + timedelta(seconds=1)
    assert next_start(START, last) == START + timedelta(hours=3, seconds=2)


def test_every_agent_who_answers_is_known_with_the_queues_of_the_recording(
    recording: Recording,
) -> None:
    agents = recording.agents()

    assert agents
    assert all(agent.startswith("Agent ") for agent in agents)
    assert {queue for queues in agents.values() for queue in queues} >= {"kris", "avfall"}


def test_the_demo_clock_runs_at_its_speed() -> None:
    real = [100.0]
    clock = DemoClock(START, 10, lambda: real[0])

    assert clock() == START
    real[0] += 6
    assert clock() == START + timedelta(minutes=1)
    assert clock.real_s_until(START + timedelta(minutes=2)) == pytest.approx(6)
    assert clock.real_s_until(START) == 0


def test_where_others_read_along_the_clock_catches_up_with_the_world_and_stays_with_it() -> None:
    real = [100.0]

    def world() -> datetime:
        return START + timedelta(seconds=real[0])

    now = world()
    clock = LiveClock(world, timedelta(minutes=5), 10, lambda: real[0])

    real[0] += 3  # the log is opened
    assert clock() == now - timedelta(minutes=5)
    clock.begin_after(None)
    real[0] += 10
    assert clock() == now - timedelta(minutes=5) + timedelta(seconds=100)
    real[0] += 90
    assert clock() == world()


def test_a_demos_clock_goes_on_after_what_its_log_holds() -> None:
    real = [100.0]

    def world() -> datetime:
        return START + timedelta(seconds=real[0])

    last = world() - timedelta(seconds=30)
    clock = LiveClock(world, timedelta(minutes=5), 10, lambda: real[0])
    clock.begin_after(last)

    assert clock() == last
    real[0] += 1
    assert clock() == last + timedelta(seconds=10)


def test_the_same_dice_give_the_same_people(directory: Directory) -> None:
    call = demo_people.Answered("1.5", "avfall", "Agent 101", START)

    first = demo_people.after_call(call, directory, random.Random(7))
    again = demo_people.after_call(call, directory, random.Random(7))

    assert first == again
    assert isinstance(first[0].draft.events[0].event, CallWrappedUp)


@pytest.mark.parametrize(
    "queue", ["avfall", "trafik", "miljo", "livsmedel", "bygg", "parkering", "kris"]
)
def test_cases_are_registered_with_an_owner_of_the_group_or_a_usual_one(
    queue: str, directory: Directory
) -> None:
    group = directory.group_of_queue(queue)
    dice = random.Random(1)
    plans = [
        plan
        for n in range(60)
        for plan in demo_people.after_call(
            demo_people.Answered(f"{n}.1", queue, "Agent 101", START), directory, dice
        )
    ]

    registered = [
        h.event for p in plans for h in p.draft.events if isinstance(h.event, CaseRegistered)
    ]
    owners = set(group.partition) or {"TK", "MF", "FSK", "SBK"}
    assert registered
    assert {event.authority for event in registered} <= owners
    assert len({plan.draft.id for plan in plans}) == len(plans)


def test_nothing_is_registered_for_an_excluded_group(directory: Directory) -> None:
    call = demo_people.Answered("1.5", "social_vidare", "Agent 101", START)

    assert demo_people.after_call(call, directory, random.Random(7)) == []


class Recorder:
    """A port that keeps what is proposed; enough of `core.commit.Port` for the demo's player."""

    def __init__(self) -> None:
        self.drafts: list[Draft] = []
        self.now = 0.0

    async def propose(self, draft: Draft) -> Answer:
        return (await self.propose_many([draft]))[0]

    async def propose_many(self, drafts: Sequence[Draft]) -> Sequence[Answer]:
        self.drafts += drafts
        return [Answer(Accepted(1, range(1, 2)), "calls/0") for _draft in drafts]

    def load(self, stream: str, *, protected: bool = False) -> Sequence[Recorded]:
        return []

    def heads(self, streams: Iterable[str]) -> Mapping[str, int]:
        return {}

    def kept(self, stream: str) -> Sequence[KeptFact]:
        return ()

    def caller_ref(self, number: str) -> str:
        return f"ref-{number}"


def played(
    port: Recorder, recording: Recording, directory: Directory, *, patient: bool = False
) -> None:
    """The recording once, in made-up time."""
    clock = DemoClock(START, 1000, lambda: port.now)

    async def main() -> None:
        player = Player(port, directory, recording, clock, tick_s=0, patient=patient)
        playing = asyncio.create_task(player.play(once=True))
        while not playing.done():
            port.now += 0.002  # two seconds of the demo's clock for each turn of the loop
            await asyncio.sleep(0)
        await playing

    asyncio.run(main())


class Away(Recorder):
    """A log that takes the exchange's facts and, for a time, no decision of its people."""

    refused = 0

    async def propose_many(self, drafts: Sequence[Draft]) -> Sequence[Answer]:
        if 0.3 < self.now < 0.5 and any(not d.origin.startswith("telephony") for d in drafts):
            self.refused += 1
            raise Unavailable(neighbour="log")
        return await super().propose_many(drafts)


def test_played_once_every_row_becomes_a_fact_at_its_time_and_agents_work_after_calls(
    recording: Recording, directory: Directory
) -> None:
    port = Recorder()
    played(port, recording, directory)

    happened = [h for draft in port.drafts for h in draft.events]
    kinds = Counter(h.event.TOPIC for h in happened)
    assert (kinds["call.queued"], kinds["call.answered"], kinds["call.abandoned"]) == (
        1352,
        349,
        756,
    )
    assert kinds["shift.signed_on"] == kinds["shift.signed_off"] == 12
    assert kinds["call.wrapped_up"] == kinds["shift.wrap_up_started"] == 349
    assert kinds["case.registered"] == kinds["case.categorised"] > 100
    assert 0 < kinds["case.closed"] <= kinds["case.registered"]
    began = min(h.occurred_at for h in happened)
    assert began >= START
    assert max(h.occurred_at for h in happened) == began + recording.lasts
    assert len({draft.id for draft in port.drafts}) == len(port.drafts)


def test_what_the_log_does_not_take_while_it_is_away_is_done_later_by_who_is_patient(
    recording: Recording, directory: Directory
) -> None:
    there, away = Recorder(), Away()
    played(there, recording, directory)
    played(away, recording, directory, patient=True)

    assert away.refused > 10
    assert {draft.id for draft in away.drafts} == {draft.id for draft in there.drafts}
    with pytest.raises(Unavailable):
        played(Away(), recording, directory)
