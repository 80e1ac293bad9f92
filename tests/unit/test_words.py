"""Every word that the command line says to people has a Swedish one."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from typing import TYPE_CHECKING, Any

from babel.messages.pofile import read_po
from project import ROOT, sources

import core
from core.errors import Invalid, NotFound, Refused
from core.reserve import NumbersUsedUp
from kontaktcenter.config import KEYS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CATALOGUE = ROOT / "kontaktcenter" / "locale" / "sv" / "LC_MESSAGES" / "kontaktcenter.po"


def words_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in {"_", "plural"}:
            for argument in node.args[:2]:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield argument.value


def refusals() -> set[str]:
    """What the rules say by default when they say no: it reaches people as it stands."""
    for module in pkgutil.walk_packages(core.__path__, "core."):
        importlib.import_module(module.name)
    families = {Invalid, NotFound, NumbersUsedUp}  # they always say more than their name
    return {kind().message for kind in below(Refused) if kind not in families}


def below(kind: type[Refused]) -> Iterator[type[Refused]]:
    for each in kind.__subclasses__():
        if each.__module__.startswith("core."):
            yield each
            yield from below(each)


def test_every_word_is_in_the_swedish_catalogue_with_the_same_places_to_fill_in() -> None:
    with CATALOGUE.open("rb") as file:
        catalogue = {
            source: said
            for message in read_po(file)
            for source, said in zip(_all(message.id), _all(message.string), strict=True)
        }
    said = {word for path in sources("kontaktcenter") for word in words_of(path)}
    said |= {key.allowed for key in KEYS} | refusals()

    assert sorted(said - set(catalogue)) == []
    fields = re.compile(r"\{[^}]*\}")
    assert [
        word
        for word in said
        if sorted(fields.findall(word)) != sorted(fields.findall(catalogue[word]))
    ] == []


def test_no_word_of_the_catalogue_is_said_no_more() -> None:
    with CATALOGUE.open("rb") as file:
        known = {source for message in read_po(file) for source in _all(message.id)} - {""}
    said = {word for path in sources("kontaktcenter") for word in words_of(path)}
    said |= {key.allowed for key in KEYS} | {"import"} | refusals()

    assert sorted(known - said) == []


def _all(text: Any) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else tuple(text)
