"""`erasure`, `retention`, `archive`, `case disclose`: what the archivist does on the command line.

Whoever sits at the machine acts with the rights of the account that `--as` names, and in its name.
"""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from core.disclosure import Choices, Mask
from core.errors import Invalid
from kontaktcenter.erasures import Wanted
from kontaktcenter.privacy_desk import as_document, proposal_row
from kontaktcenter.words import _

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kontaktcenter.out import Out
    from kontaktcenter.wiring import House

_FORMS = {"json", "html", "markdown"}


def _texts(found: object) -> tuple[str, ...]:
    return tuple(str(each) for each in found) if isinstance(found, list | tuple) else ()


def _id(args: Mapping[str, object]) -> UUID:
    given = args.get("id")
    return UUID(str(given)) if given else uuid4()


async def decide(house: House, args: Mapping[str, object], _out: Out) -> dict[str, object]:
    """Decide an erasure and carry it out; its protocol."""
    caller = args.get("caller")
    wanted = Wanted(
        authority=str(args["authority"]),
        rule=str(args["rule"]),
        reference=str(args["reference"]),
        purpose=str(args["purpose"]),
        cases=_texts(args["cases"]),
        caller=None if caller is None else str(caller),
    )
    asker = house.asker(str(args["as"]))
    return await house.privacy.erasures.decide(asker, wanted, _id(args))


async def again(house: House, args: Mapping[str, object], _out: Out) -> dict[str, object]:
    """Carry a kept protocol out once more: a backup from before it was put back."""
    asker = house.asker(str(args["as"]))
    path = Path(str(args["protocol"]))
    try:
        kept = json.loads(await asyncio.to_thread(path.read_text, encoding="utf-8"))
        prefix = f"case/{kept['authority']}/"
        subjects = [str(subject) for subject in kept["subjects"]]
        callers = [s.removeprefix("caller/") for s in subjects if s.startswith("caller/")]
        wanted = Wanted(
            authority=kept["authority"],
            rule=kept["rule"],
            reference=kept["reference"],
            purpose=kept["purpose"],
            cases=tuple(s.removeprefix(prefix) for s in subjects if s.startswith(prefix)),
            callers=("+".join(callers),) if kept["callers"] == 1 else tuple(callers),
            again=kept["number"],
        )
    except (ValueError, KeyError, TypeError) as e:
        said = _("{file} is not a protocol as erasure protocol --json gives it")
        raise Invalid(said.format(file=path)) from e
    return await house.privacy.erasures.decide(asker, wanted, _id(args))


async def protocol(house: House, args: Mapping[str, object], _out: Out) -> dict[str, object]:
    """One protocol, as JSON, HTML or Markdown."""
    asker = house.asker(str(args["as"]))
    found = await house.privacy.erasures.protocol(asker, str(args["number"]))
    return _shown("protocol", found, args)


def _shown(kind: str, found: dict[str, Any], args: Mapping[str, object]) -> dict[str, object]:
    form = str(args.get("form", "json"))
    if form not in _FORMS:
        said = _("{form} is no form; it may be one of: {forms}")
        raise Invalid(said.format(form=form, forms=", ".join(sorted(_FORMS))))
    return found if form == "json" else {"text": as_document(kind, found, form)}


async def protocols(house: House, args: Mapping[str, object], _out: Out) -> dict[str, object]:
    """The protocols of the rooms that the account opens."""
    asker = house.asker(str(args["as"]))
    return {"protocols": await house.privacy.erasures.protocols(asker)}


async def propose(house: House, args: Mapping[str, object], _out: Out) -> dict[str, object]:
    """What retention rules propose; nothing is done."""
    asker = house.asker(str(args["as"]))
    due = await house.privacy.due(asker, str(args["authority"]))
    return {"proposals": [proposal_row(each) for each in due]}


async def decide_due(house: House, args: Mapping[str, object], _out: Out) -> dict[str, object]:
    """Turn what a rule proposes into a decision."""
    cases = args.get("cases")
    return await house.privacy.decide_due(
        house.asker(str(args["as"])),
        str(args["authority"]),
        str(args["rule"]),
        str(args["reference"]),
        str(args["purpose"]),
        _texts(cases) or None,
        _id(args),
    )


async def export(house: House, args: Mapping[str, object], _out: Out) -> dict[str, object]:
    """Write an archive of a closed period."""
    begin, end = (datetime.fromisoformat(str(args[name])) for name in ("from", "to"))
    return await house.privacy.export(
        house.asker(str(args["as"])),
        str(args["authority"]),
        begin,
        end,
        Path(str(args["file"])),
        with_files=bool(args["attachments"]),
    )


async def disclose(house: House, args: Mapping[str, object], _out: Out) -> dict[str, object]:
    """Make a copy of a case to give out."""
    found = await house.privacy.disclose(
        house.asker(str(args["as"])),
        (str(args["authority"]), str(args["case"])),
        choices_of(args),
        str(args["purpose"]),
        None if args.get("recipient") is None else str(args["recipient"]),
        _id(args),
    )
    return _shown("disclosure", found, args)


def choices_of(args: Mapping[str, object]) -> Choices:
    """What is to be masked: `mask` holds `numbers=why`, `words=why` …. Raises: Invalid."""
    reasons: dict[Mask, str] = {}
    for text in _texts(args.get("mask")):
        name, equals, reason = text.partition("=")
        if not equals or name not in set(Mask):
            said = _("--mask {text}: write it as one of {masks}, an equals sign and the reason")
            raise Invalid(said.format(text=text, masks=", ".join(Mask)))
        reasons[Mask(name)] = reason
    return Choices(reasons, _texts(args.get("words")), frozenset(_texts(args.get("parts"))))


async def sweep(house: House, _args: Mapping[str, object], _out: Out) -> dict[str, object]:
    """Remove files that no case names, and those that were erased."""
    return {"removed": await house.privacy.files.sweep()}
