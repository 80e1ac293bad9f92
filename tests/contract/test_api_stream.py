"""The stream: whole states with the log's position as id, resumed, bounded, let go when it must."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from web_house import NOON, Told, WebHouse, fact, in_house, served, told

from core.limits import STREAM_CLIENTS_MAX
from webdesk import live, stream

S = timedelta(seconds=1)


async def next_whole(events: object) -> Told:
    async with asyncio.timeout(10):
        async for event in events:  # type: ignore[attr-defined]
            if event.event == "message":
                found: Told = event
                return found
    raise AssertionError("the stream ended")


@pytest.mark.requirement("R2")
@in_house()
async def test_a_client_gets_the_state_at_once_and_again_when_it_changes(house: WebHouse) -> None:
    async with served(house) as client, client.stream("GET", "/api/v1/stream") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        events = told(answer)
        first = await next_whole(events)
        assert first.data["total"]["waiting"] == 0
        assert first.id == first.data["position"]
        await house.results(fact("queued"))
        await house.caught_up()
        second = await next_whole(events)
        assert second.data["total"]["waiting"] == 1
        assert second.id.startswith("calls.0:1,")


@in_house()
async def test_a_burst_is_a_few_messages_and_the_last_is_the_truth(house: WebHouse) -> None:
    async with served(house) as client, client.stream("GET", "/api/v1/stream") as answer:
        events = told(answer)
        await next_whole(events)
        for n in range(60):
            await house.results(fact("queued", NOON - 1 * S, uniqueid=f"5.{n}"))
            await house.caught_up()
        seen = 0
        while (await next_whole(events)).data["total"]["waiting"] < 60:
            seen += 1
        assert seen < 59


@in_house()
async def test_nothing_new_is_said_in_short(house: WebHouse) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live, "STEADY_S", 0.2)
        async with served(house) as client, client.stream("GET", "/api/v1/stream") as answer:
            events = told(answer)
            await next_whole(events)
            async for event in events:
                assert event.event == "fresh"
                assert set(event.data) == {"as_of", "at", "age_s"}
                break


@in_house()
async def test_a_silent_stream_has_a_heartbeat(house: WebHouse) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live, "STEADY_S", 60)
        patch.setattr(stream, "HEARTBEAT_S", 0.2)
        async with served(house) as client, client.stream("GET", "/api/v1/stream") as answer:
            events = told(answer)
            await next_whole(events)
            async for event in events:
                assert (event.event, event.text) == (":", "heartbeat")
                break


@in_house()
async def test_who_comes_back_gets_the_state_at_once(house: WebHouse) -> None:
    await house.results(fact("queued"))
    await house.caught_up()
    async with served(house) as client:
        for last in ("calls.0:0,centre.0:1", "calls.0:1", "nonsense", "calls.0:1,centre.0:401"):
            headers = {"Last-Event-ID": last}
            async with client.stream("GET", "/api/v1/stream", headers=headers) as answer:
                assert (await next_whole(told(answer))).data["total"]["waiting"] == 1


@in_house()
async def test_who_has_seen_more_than_the_read_models_waits_for_them(house: WebHouse) -> None:
    await house.results(fact("queued"))
    await house.node.settle()
    async with served(house) as client:
        headers = {"Last-Event-ID": "calls.0:1"}
        async with client.stream("GET", "/api/v1/stream", headers=headers) as answer:
            first = asyncio.ensure_future(next_whole(told(answer)))
            await asyncio.sleep(0.3)
            assert not first.done()
            await house.caught_up()
            assert (await first).data["total"]["waiting"] == 1


@in_house()
async def test_one_client_too_many_is_told_to_come_back(house: WebHouse) -> None:
    feed = house.app.state.feed
    feed.clients = STREAM_CLIENTS_MAX
    try:
        answer = await house.client.get("/api/v1/stream")
    finally:
        feed.clients = 0
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) > 0


@in_house()
async def test_a_client_that_has_gone_is_forgotten(house: WebHouse) -> None:
    feed = house.app.state.feed
    async with served(house) as client:
        async with client.stream("GET", "/api/v1/stream") as answer:
            await next_whole(told(answer))
            assert feed.clients == 1
        async with asyncio.timeout(10):
            while feed.clients:  # noqa: ASYNC110 -- the server's own bookkeeping
                await asyncio.sleep(0.02)


@in_house()
async def test_a_server_that_stops_does_not_wait_for_streams(house: WebHouse) -> None:
    async with (
        asyncio.timeout(10),
        served(house) as client,
        client.stream("GET", "/api/v1/stream") as answer,
    ):
        events = told(answer)
        await next_whole(events)
        house.app.state.feed.release()
        assert [event.event async for event in events] == []


@in_house()
async def test_fifty_clients_share_one_working_out(house: WebHouse) -> None:
    worked = 0
    figures = house.app.state.feed._services.figures
    queues = figures.queues

    def counted(now: object) -> object:
        nonlocal worked
        worked += 1
        return queues(now)

    figures.queues = counted
    async with served(house) as client:

        async def watch() -> int:
            async with client.stream("GET", "/api/v1/stream") as answer:
                events = told(answer)
                await next_whole(events)
                found = await next_whole(events)
                waiting: int = found.data["total"]["waiting"]
                return waiting

        watching = [asyncio.ensure_future(watch()) for _ in range(50)]
        while house.app.state.feed.clients < 50:  # noqa: ASYNC110 -- as above
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.2)
        await house.results(fact("queued"))
        await house.caught_up()
        assert await asyncio.gather(*watching) == [1] * 50
    assert worked < 20
