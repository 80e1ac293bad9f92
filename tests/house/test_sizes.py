"""Sizes that a reader can hold in the head. Ruff holds the 100 columns (E501)."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest
from project import ROOT, sources

if TYPE_CHECKING:
    from pathlib import Path

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 400

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.AST) -> list[Function]:
    return [n for n in ast.walk(tree) if isinstance(n, Function)]


def too_long(text: str) -> list[str]:
    """The functions of a module that have too many lines, as `name: lines`."""
    sizes = {f.name: (f.end_lineno or f.lineno) - f.lineno + 1 for f in functions(ast.parse(text))}
    return [f"{name}: {lines}" for name, lines in sizes.items() if lines > FUNCTION_LINES_MAX]


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_no_function_is_longer_than_seventy_lines() -> None:
    found = {named(p): long for p in sources() if (long := too_long(p.read_text(encoding="utf-8")))}
    assert found == {}


def test_no_file_is_longer_than_four_hundred_lines() -> None:
    sizes = {named(p): len(p.read_text(encoding="utf-8").splitlines()) for p in sources()}
    assert {name: n for name, n in sizes.items() if n > FILE_LINES_MAX} == {}


def test_every_public_name_has_a_docstring() -> None:
    packages = [p for p in sources() if p.relative_to(ROOT).parts[0] != "tests"]
    bare = [f"{named(p)}: {name}" for p in packages for name in without_docstring(p)]
    assert bare == []


def without_docstring(path: Path) -> list[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    bare = [] if ast.get_docstring(tree) else ["the module"]
    return bare + _bare(tree.body, "")


def _bare(body: list[ast.stmt], outer: str) -> list[str]:
    found: list[str] = []
    for node in body:
        if not isinstance(node, ast.ClassDef | Function) or node.name.startswith("_"):
            continue
        if not ast.get_docstring(node) and not _is_overload(node):
            found.append(outer + node.name)
        if isinstance(node, ast.ClassDef):
            found += _bare(node.body, f"{outer}{node.name}.")
    return found


def _is_overload(node: ast.ClassDef | Function) -> bool:
    """A signature among several, or one whose meaning its base class tells."""
    names = {ast.unparse(d).rpartition(".")[2] for d in node.decorator_list}
    return bool(names & {"overload", "override"})


@pytest.mark.parametrize(("lines", "found"), [(70, []), (71, ["f: 71"])])
def test_the_rule_of_seventy_lines_can_fail(lines: int, found: list[str]) -> None:
    assert too_long("def f():\n" + "    pass\n" * (lines - 1)) == found
