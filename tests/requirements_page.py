"""docs/requirements.md: R1 to R60, each with the tests that show it, read from the markers' source.

Reading the source, not a collection, makes it the same whichever tests are run and whatever is
installed.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

SECTIONS: Final = (
    ("Crisis and continuity", range(1, 7)),
    ("Core work and levels", range(7, 24)),
    ("Channels, callers, information", range(24, 36)),
    ("Complaints, quality, statistics", range(36, 45)),
    ("Organisation, IT, law", range(45, 61)),
)
TITLES: Final = {
    1: "Who decides what in a crisis is written down, checked and recorded",
    2: "The telephones stand a very large number of calls",
    3: "There is a way to work when telephony or the case system is down",
    4: "The work is bearable under stress: load is seen, registering is quick",
    5: "A move or a rebuilding of the house does not stop the service",
    6: "Safety calls go round the clock, with a receipt, to those who can act",
    7: "Trained agents settle what they can themselves, and it is measured",
    8: "Two levels of agents, and the specialist above them",
    9: "Every case has a type, a right owner and a place in the statistics",
    10: "An authority may join with the first level alone",
    11: "Social services and disability support: connected onward, nothing of the call kept",
    12: "A case type is a chain of steps, each with its level and owner",
    13: "Agents do not exercise public authority",
    14: "Where that border runs may be moved, step by step, by a recorded decision",
    15: "Some flows stay with their owner, on figures",
    16: "A caller can still reach one particular officer",
    17: "A call may grow: several cases, and harder ones, while it lasts",
    18: "Guiding somebody right is an outcome of its own",
    19: "Answers that may cost somebody are guarded and can be traced",
    20: "Everybody gives the same answer",
    21: "Letters and e-mail are answered by routine",
    22: "The caller's key press leads to the group that knows",
    23: "On-call experts answer what is theirs; agents only connect",
    24: "All channels are counted, the telephone among them",
    25: "It is known what kinds of callers there are, and nobody must tell",
    26: "Several numbers now, perhaps one in the end",
    27: "Callers learn of the e-services, and it shows in the volumes",
    28: "One version of the facts about the city's large projects",
    29: "Agents are up to date, and it is known when they are not",
    30: "The cost of keeping the centre informed is set against its use",
    31: "Information officers can reach every agent and see what is asked",
    32: "A business gets one contact for several authorities",
    33: "Invoices and decisions on their way out are foreseen as load",
    34: "So are yearly campaigns",
    35: "Bookings are connected onward, with fresh notices from the facilities",
    36: "A complaint reaches its owner's own system, and the receipt comes back",
    37: "There is a measurement before each transfer, compared like with like",
    38: "Key figures with their formulas beside them",
    39: "How satisfied callers are, and how much they complain",
    40: "Each owner gets its own statistics back",
    41: "Contractors are followed up by place and fault",
    42: "One definition of each figure, everywhere",
    43: "Coaching, and gaps in skill seen in what is passed on",
    44: "The officers' time that was freed is counted",
    45: "Owners order, the centre performs; a change needs the owner's yes",
    46: "Agreements are measured, and a breach is recorded",
    47: "Two centres, each configured as it is",
    48: "Several telephone exchanges at the same time",
    49: "Rights by role, and nobody else's passwords",
    50: "One adapter and one state for each neighbouring system",
    51: "Officers type nothing twice",
    52: "Looking into internal systems is read-only and leaves a trace",
    53: "Each authority's cases are a room of their own",
    54: "Provider and inspector do not see each other's cases",
    55: "Registrars get what must be registered",
    56: "A case type moves over in stages",
    57: "What was done can be priced",
    58: "Nothing starts without its agreement",
    59: "Existing routines are taken in, and what is unmapped shows",
    60: "An outside provider's log can be read, and a move simulated",
}


def shown_by(tests: Path) -> dict[int, list[tuple[str, str]]]:
    """For each requirement the tests that carry its marker, as (file, name), in order."""
    found: dict[int, list[tuple[str, str]]] = {n: [] for n in TITLES}
    for file in sorted(tests.rglob("test_*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        of_module = _numbers(_pytestmark(tree))
        _walk(tree.body, of_module, str(file.relative_to(tests.parent)), found)
    return found


def _walk(
    body: list[ast.stmt], outer: set[int], file: str, found: dict[int, list[tuple[str, str]]]
) -> None:
    for node in body:
        if isinstance(node, ast.ClassDef):
            _walk(node.body, outer | _numbers(node.decorator_list), file, found)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith(
            "test"
        ):
            for number in sorted(outer | _numbers(node.decorator_list)):
                found.setdefault(number, []).append((file, node.name))


def _pytestmark(tree: ast.Module) -> list[ast.expr]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(
            isinstance(t, ast.Name) and t.id == "pytestmark" for t in node.targets
        ):
            return node.value.elts if isinstance(node.value, ast.List) else [node.value]
    return []


def _numbers(marks: list[ast.expr]) -> set[int]:
    calls = [m for m in marks if isinstance(m, ast.Call)]
    ours = [c for c in calls if ast.unparse(c.func) == "pytest.mark.requirement"]
    return {int(ast.literal_eval(a).removeprefix("R")) for c in ours for a in c.args}


def page(root: Path) -> str:
    """The whole page."""
    found = shown_by(root / "tests")
    shown = sum(1 for tests in found.values() if tests)
    lines = [
        "# Requirements and the tests that show them",
        "",
        "Made from the tests' `requirement` markers by `make docs`; do not edit. A test under a",
        "requirement shows some part of it, seldom the whole. Where there is none, nothing is",
        "shown yet.",
        "",
        f"{shown} of {len(TITLES)} requirements have at least one test.",
    ]
    for title, numbers in SECTIONS:
        lines += ["", f"## {title}"]
        for n in numbers:
            lines += ["", f"**R{n}** {TITLES[n]}", ""]
            lines += [f"- `{file}`: {_sentence(name)}" for file, name in found[n]] or [
                "- *no test yet*"
            ]
    return "\n".join(lines) + "\n"


def _sentence(name: str) -> str:
    return name.removeprefix("test_").replace("_", " ")
