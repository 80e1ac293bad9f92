"""`report`: the month of an administration, for whoever may read its figures."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from core.access import Deed, NotAllowed, rooms
from kontaktcenter.report import report_of
from kontaktcenter.report_files import as_csv, as_html
from kontaktcenter.words import _
from projections.monthly import authority_month

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kontaktcenter.out import Out
    from kontaktcenter.wiring import House


async def report(house: House, args: Mapping[str, object], _out: Out) -> dict[str, object]:
    """A month's figures at the log's end, as HTML and CSV.

    Raises: NotAllowed, NotFound, Invalid.
    """
    authority, month = str(args["authority"]), str(args["month"])
    asker = house.asker(str(args["as"]))
    if authority not in rooms(asker, Deed.READ_CASE_FIGURES, house.directory()):
        raise NotAllowed(_("These figures are not for you."), deed=Deed.READ_CASE_FIGURES.value)
    await house.node.settle()
    await asyncio.to_thread(house.catch_up)
    found = await asyncio.to_thread(
        authority_month, house.read_models, house.directory(), authority, month,
        public=bool(args["public"]),
    )  # fmt: skip
    made = report_of(found)
    return {
        "number": made.number,
        "as_of": dict(found.as_of),
        "whole": found.whole,
        "html": as_html(made),
        "csv": as_csv(made),
        "rows": [
            {"name": row.cells[0].text, "value": row.cells[1].text, "formula": row.cells[2].text}
            for row in made.parts[0].rows
        ],
    }
