"""Everybody who works in the simulated city, with the rights that the product gives by role."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from given import city

from core.access import Asker, Grant, Role

if TYPE_CHECKING:
    import random

    from core.taxonomy import AnswerGroup

# Of a hundred calls so many go to a group; the others get one now and then.
_SHARES = {
    "tnh_avfall": 14, "tnh_trafik": 14, "tnh_parkering": 10, "tnh_miljo": 8, "tnh_bygg": 6,
    "tnh_fritid": 6, "tnh_ovrigt": 8, "tnh_vaxel": 5, "tnh_park": 4, "sdn_aldre": 5,
    "sdn_forskola": 4, "sdn_allmant": 5, "sdn_vaxel": 3, "tnh_livsmedel": 3, "tnh_projekt": 3,
    "tnh_foretag": 3, "ext_soc": 2,
}  # fmt: skip
_SELDOM = 0.7


@dataclass(frozen=True)
class Staff:
    """Who answers in each group (level 1 before level 2), and who works for each authority."""

    level_1: Mapping[str, tuple[Asker, ...]]
    level_2: Mapping[str, tuple[Asker, ...]]
    officers: Mapping[str, tuple[Asker, ...]]
    experts: Mapping[str, tuple[Asker, ...]]
    registrars: Mapping[str, Asker]

    def answering(self, group: AnswerGroup) -> tuple[Asker, ...]:
        """Who takes the calls of a group: its agents, or the owner's own people."""
        agents = (*self.level_1.get(group.id, ()), *self.level_2.get(group.id, ()))
        if agents:
            return agents
        owners = self.experts if group.id.startswith("jour_") else self.officers
        own = tuple(asker for code in group.partition for asker in owners.get(code, ()))
        return own or (Asker(f"{group.id}-0"),)  # of an excluded area: with no rights here


def written_groups() -> list[str]:
    """Groups whose work comes in writing."""
    return [key for key, row in city().rows("answer_group").items() if row.get("written") is True]


def shares() -> dict[str, float]:
    """How often the telephone rings in each group."""
    return {
        name: _SHARES.get(name, _SELDOM) for name in city().groups if name not in written_groups()
    }


def levels(group: str) -> set[str]:
    """The levels that a group answers at."""
    found = city().rows("answer_group")[group]["levels"]
    assert isinstance(found, list)
    return {str(level) for level in found}


def staff_for(calls: int) -> Staff:
    """As many as `calls` in a day keep busy, with every group and authority manned."""
    per_share = calls / 100 / 85  # an agent takes about 85 calls in a working day
    level_1: dict[str, tuple[Asker, ...]] = {}
    level_2: dict[str, tuple[Asker, ...]] = {}
    for name in city().groups:
        heads = max(1, round(shares().get(name, _SELDOM) * per_share))
        if "1" in levels(name):
            level_1[name] = tuple(_agent(name, 1, n) for n in range(heads))
        if "2" in levels(name):
            level_2[name] = tuple(_agent(name, 2, n) for n in range(max(1, heads // 2)))
    codes = [code for code, row in city().rows("authority").items() if not row.get("excluded")]
    return Staff(
        level_1,
        level_2,
        {code: tuple(_of(code, Role.CASE_OFFICER, n) for n in range(3)) for code in codes},
        {code: (_of(code, Role.ON_CALL_EXPERT, 0),) for code in codes},
        {code: _of(code, Role.REGISTRAR, 0) for code in codes},
    )


def _agent(group: str, level: int, n: int) -> Asker:
    role = Role.AGENT_1 if level == 1 else Role.AGENT_2
    return Asker(f"{group}-{level}-{n}", (Grant(role, groups=(group,)),))


def _of(authority: str, role: Role, n: int) -> Asker:
    return Asker(f"{authority.lower()}-{role}-{n}", (Grant(role, authority),))


def one_of(dice: random.Random, askers: tuple[Asker, ...], but: str = "") -> Asker:
    """One of them; another than `but` where there is one."""
    others = tuple(asker for asker in askers if asker.id != but)
    return dice.choice(others or askers)
