"""Texts of every kind are kept whole, shown as text, and gone from every file once erased."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from clear_text import scan
from privacy_world import WHY, closed_case, post, registrar, texts
from web_house import WebHouse, in_house

from core.personal import ERASED
from kontaktcenter import archive

if TYPE_CHECKING:
    from pathlib import Path

WORD = "Xqvzzelinord"
TEXTS = {
    "nul": f"före\x00{WORD} efter\x00",
    "controls": "".join(map(chr, range(1, 32))) + WORD + "\x7f\x80\x85",
    "separators": f"a\u2028{WORD}\u2029b\ufeff\u200b\u00a0c",
    "right to left": f"\u202e{WORD}\u202c שלום مرحبا",
    "beyond": f"\U0001f4a9\U0010ffff{WORD}𝄞 👩‍👩‍👧",
    "combining": f"e\u0301{WORD}a\u030a\u0308o\u0308",
    "markup": f"<script>alert('{WORD}')</script> & \"x\" ]]> -->",
    "quotes": f'\'; DROP TABLE docs; -- "{WORD}" * ^ NEAR( OR AND {{}}',
    "json": f'{{"{WORD}": "\\u0000\\ud83d"}}\\n',
    "long": (WORD + " åäö ") * 1_100,
    "lines": f"\r\n{WORD}\n\n\r\t{WORD}",
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_is_kept_whole_and_goes_whole(name: str, tmp_path: Path) -> None:
    text = TEXTS[name][:20_000]

    @in_house()
    async def run(house: WebHouse) -> None:
        case = await closed_case(house, text=text, title=text.strip()[:200] or WORD)
        await house.caught_up()
        assert texts(house, case)[-1].value == text
        assert scan([tmp_path / "projections"], [WORD])
        async with house.as_(registrar()) as client:
            copy = await post(client, f"cases/TK/{case}/disclose", purpose="Begäran")
            assert copy.json()["rows"][0]["fields"]["text"] == text
        house.clock.forward(60)
        period = _period(house)
        found = archive.chosen(house.node, period)
        archive.export(house.node, None, period, found, tmp_path / "uttag")
        lines = (tmp_path / "uttag" / "events.jsonl").read_bytes().split(b"\n")
        kept = [json.loads(line)["data"].get("text") for line in lines if line]
        assert text in kept
        assert archive.verify(tmp_path / "uttag")["ok"]

        async with house.as_(registrar()) as client:
            erased = await post(client, "erasures", authority="TK", cases=[case], **WHY)
        assert erased.status_code == 200, erased.text
        assert set(texts(house, case)) == {ERASED}
        assert scan([tmp_path / "projections", tmp_path / "data"], [WORD]) == {}

    run(tmp_path=tmp_path)


def _period(house: WebHouse) -> archive.Period:
    position, digest = house.node.digests()["cases.TK/0"]
    now = house.clock()
    return archive.Period("TK", now - timedelta(days=1), now, position, digest)
