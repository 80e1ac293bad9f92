"""Whatever is sent as facts: an answer in the agreed shape, never a fault of the server."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import TYPE_CHECKING, Any

import msgspec
from given import city
from hypothesis import given, settings
from hypothesis import strategies as st
from web_house import AUTH, fact, web_house

from core.calls import KINDS
from core.errors import Invalid
from webdesk.fact_shapes import Fact, checked, data_shape, to_event

if TYPE_CHECKING:
    from pathlib import Path

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=8,
)
FIELDS = ("exchange", "uniqueid", "queue", "kind", "member", "n", "occurred_at", "data")
KIND_NAMES = st.sampled_from([*KINDS, "call.queued", "x"])
NEARLY = st.fixed_dictionaries(
    {},
    optional={
        "exchange": st.sampled_from(["tnh", "", "a/b", "\x00"]) | JUNK,
        "uniqueid": st.sampled_from(["1.1", "1.2", " "]) | JUNK,
        "queue": st.sampled_from(["avfall", "NONE", None]) | st.text(max_size=5),
        "kind": KIND_NAMES | JUNK,
        "member": st.sampled_from(["Anna", None]) | st.text(max_size=5),
        "n": st.integers(-1, 3) | JUNK,
        "occurred_at": st.datetimes().map(lambda at: at.isoformat() + "Z") | JUNK,
        "data": st.dictionaries(
            st.sampled_from(sorted({f for k in KINDS for f in data_shape(k).__struct_fields__})),
            JUNK | st.floats(0, 99) | st.just("blind") | st.just("agent"),
            max_size=4,
        ),
    },
)


def test_any_body_gets_an_answer_in_the_agreed_shape(tmp_path: Path) -> None:
    numbers = itertools.count()

    async def ask(bodies: list[bytes]) -> list[Any]:
        async with web_house(tmp_path / str(next(numbers))) as house:
            headers = {**AUTH, "Content-Type": "application/json"}
            path = "/api/v1/calls/facts"
            return [await house.client.post(path, content=body, headers=headers) for body in bodies]

    @settings(max_examples=12)
    @given(
        st.lists(
            st.binary(max_size=40)
            | st.lists(JUNK | NEARLY, max_size=4).map(
                lambda facts: json.dumps({"facts": facts}).encode()
            )
            | JUNK.map(lambda junk: json.dumps(junk).encode()),
            min_size=5,
            max_size=25,
        )
    )
    def never_a_fault(bodies: list[bytes]) -> None:
        for answer in asyncio.run(ask(bodies)):
            assert answer.status_code in {200, 422}, answer.text
            if answer.status_code == 200:
                for result in answer.json()["results"]:
                    assert result["status"] in {"accepted", "duplicate", "fork", "invalid"}
                    assert (result["position"] is None) is (
                        result["status"] == "invalid" or result["reason"] is not None
                    )

    never_a_fault()


@given(NEARLY)
def test_a_fact_becomes_an_event_or_says_what_is_wrong(sent: dict[str, Any]) -> None:
    body = json.dumps({**fact("queued"), **sent}).encode()
    try:
        read = msgspec.json.decode(body, type=Fact)
        checked(read)
        event = to_event(read, city(), lambda number: f"ref{len(number)}")
    except (Invalid, msgspec.MsgspecError) as e:
        told: object = str(e)
    else:
        told = type(event) in KINDS.values()
    assert told
