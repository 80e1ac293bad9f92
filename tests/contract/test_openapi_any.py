"""Whatever the description allows, or just does not, is asked by every role: never a fault.

Schemathesis makes the requests from the description; each is sent as everybody. The status has to
be one that the operation names, the body of the kind and shape that it says. Short here, with fixed
seeds; `--whole` asks for many more.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import requests
import schemathesis
from access_world import MF, TK, World, askers
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)
from web_house import web_house

from core.access import NOBODY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx
    from schemathesis import Case

CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
ENDLESS = {"/api/v1/stream"}
_PARTS = {"method", "url", "params", "headers", "json", "data", "files"}
_NOT_SENT = {"cookie", "authorization", "host", "content-length", "transfer-encoding", "origin"}


class Fuzzed:
    """A house on a loop of its own, driven from outside: hypothesis knows no coroutines."""

    def __init__(self, folder: Path) -> None:
        self.loop = asyncio.new_event_loop()
        self._open = web_house(folder)
        self.house = self.run(self._open.__aenter__())
        self.world = World(self.house)
        self.mine = self.run(self.world.plant("tk", "TK", TK))
        self.others = self.run(self.world.plant("mf", "MF", MF))
        self.run(self.house.caught_up())
        self.world.cases = [self.mine, self.others]
        self.schema = schemathesis.openapi.from_dict(self.house.app.openapi())

    def run(self, coroutine: Any) -> Any:
        return self.loop.run_until_complete(coroutine)

    def close(self) -> None:
        self.run(self._open.__aexit__(None, None, None))
        self.loop.close()

    def operations(self) -> list[Any]:
        found: list[Any] = [one.ok() for one in self.schema.get_all_operations()]  # type: ignore[union-attr]
        return [one for one in found if one.path not in ENDLESS]

    def sent(self, case: Case[Any], who: str) -> httpx.Response:
        """`case`, as `who` would send it."""
        given = case.as_transport_kwargs(base_url="http://localhost")
        made = requests.Request(**{k: v for k, v in given.items() if k in _PARTS}).prepare()
        headers: dict[str, str] = {
            name: str(value)
            for name, value in made.headers.items()
            if name.lower() not in _NOT_SENT and str(value).isascii() and str(value).isprintable()
        }
        body: Any = made.body or b""
        client = self.world.client(askers()[who])
        sending = client.request(str(made.method), str(made.url), headers=headers, content=body)
        answer: httpx.Response = self.run(sending)
        return answer


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    house = Fuzzed(tmp_path_factory.mktemp("fuzzed"))
    yield house
    house.close()


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_whoever_asks_whatever_is_answered_as_described(
    fuzzed: Fuzzed, mode: GenerationMode, whole: bool
) -> None:
    names, faults = sorted(askers()), []
    for operation in fuzzed.operations():
        try:
            cases = operation.as_strategy(generation_mode=mode)
            ask_all(fuzzed, cases, names, whole)
        except Unsatisfiable:  # there is no wrong way to ask for what takes nothing
            assert mode is GenerationMode.NEGATIVE
            assert not operation.definition.raw.get("parameters")
            assert "requestBody" not in operation.definition.raw
        except (Exception, FailureGroup) as e:  # noqa: BLE001 -- the others are asked too
            e.add_note(f"{operation.label} in {mode}")
            faults.append(e)
    if faults:
        raise BaseExceptionGroup(f"{len(faults)} operations are not as described", faults)


def ask_all(fuzzed: Fuzzed, cases: Any, names: list[str], whole: bool) -> None:
    @settings(
        max_examples=60 if whole else 2, derandomize=not whole, database=None, deadline=None,
        suppress_health_check=list(HealthCheck), phases=[Phase.generate],
    )  # fmt: skip
    @given(cases, st.integers(0, 3), st.integers(0, len(names) - 1))
    def ask(case: Case[Any], where: int, first: int) -> None:
        if where and case.path_parameters and "case" in case.path_parameters:
            planted = fuzzed.mine if where < 3 else fuzzed.others
            case.path_parameters = {
                **case.path_parameters, "authority": planted.authority, "case": planted.case,
            }  # fmt: skip
        chosen = names if whole else [names[(first + n * 7) % len(names)] for n in range(3)]
        for who in chosen:
            answer = fuzzed.sent(case, who)
            described = case.operation.definition.raw["responses"]
            assert str(answer.status_code) in described, (
                f"{who}: {answer.status_code} {answer.text}"
            )
            assert (answer.status_code == 401) == (
                askers()[who] is NOBODY and bool(case.operation.definition.raw["security"])
            )
            fuzzed.world.look_for_leaks(
                askers()[who], answer, case.operation.label, names="/looks" in case.path
            )
            case.validate_response(answer, checks=CHECKS)

    ask()
