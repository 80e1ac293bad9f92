"""What holds for all cases: facts in any order, then any command by anybody."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from given import T0, agent, city, officer, recorded
from hypothesis import given
from hypothesis import strategies as st

from core import case_commands as ask
from core import cases
from core.access import Asker, Grant, Role, conflicts, require
from core.case_rules import CASES
from core.catalogue import fields_of
from core.errors import Refused
from core.overdue import overdue
from core.personal import ERASED, Personal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.case_state import CaseState
    from core.commands import Command
    from core.commit import Event

TYPES = (
    "TK-AVF-01", "TK-AVF-02", "TK-TRP-01", "TK-PAR-02", "TK-DRC-09", "ALL-KLA-01", "ALL-INF-01",
    "SBK-LOV-01", "ALL-KRI-03", "NO-SUCH",
)  # fmt: skip
ASKERS = (
    agent("anna"),
    agent("bo", level=2),
    agent("cia", "tnh_bygg"),
    officer("TK", "olle"),
    officer("SAM", "sam"),
    Asker("rut", (Grant(Role.REGISTRAR, "TK"),)),
    Asker("kk", (Grant(Role.PROGRAM, "TK"),)),
)
IDS = (UUID(int=1), UUID(int=2), UUID(int=3))
TEXTS = (Personal("Kärlet.", "case/TK/a"), Personal("Å", "case/TK/a"), ERASED)
# What a field may hold; anything else may hold any word.
WORDS: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(("agent", "officer", "registrar"), ("anna", "bo", "olle", "sam")),
    **dict.fromkeys(("handover", "delivery", "question", "promise"), tuple(map(str, IDS))),
    "case_type": TYPES,
    "type_version": (0, 1, 7),
    "step": (None, 0, 1, 2, 9),
    "receiver": ("TK", "SAM", "SBK"),
    "group": (None, "tnh_avfall", "spec_tk_avfall", "samverkan", "gone"),
    "receipt": ("sent", "received", "accepted", "returned", "lost"),
    "to_level": ("1", "2", "specialist", "jourexpert", "9"),
    "outcome": ("solved", "guided", "handed_over", "complaint", "safety", "registered"),
    "other": ("case/TK/b", "case/TK/c"),
    "kind": ("duplicate", "incident"),
    "contact": (None, "call/desk/1", "call/desk/2"),
    "authority": ("TK",),
}


def _values(item: Any) -> st.SearchStrategy[Any]:
    if item.personal:
        return st.sampled_from(TEXTS)
    if item.name in WORDS:
        return st.sampled_from(WORDS[item.name])
    named = str(item.type)
    if "datetime" in named:
        return st.sampled_from((T0, T0 + timedelta(hours=1)))
    if "bool" in named:
        return st.booleans()
    if "int" in named:
        return st.integers(0, 3)
    return st.just(()) if "tuple" in named else st.sampled_from(("a", "b"))


FACTS: st.SearchStrategy[Event] = st.one_of(
    [
        st.builds(kind, **{item.name: _values(item) for item in fields_of(kind)})
        for kind in cases.CASE_EVENTS
    ]
)
REGISTERED = cases.CaseRegistered("TK-A", "TK", "anna", "phone", "call/desk/1")
# Half of all cases begin as cases do, so that the rules are reached and not only the refusals.
BEGUN = st.sampled_from(
    [
        [],
        [REGISTERED],
        *([REGISTERED, cases.CaseCategorised(code, "anna", type_version=1)] for code in TYPES),
    ]
)
TEXT = TEXTS[0]
SAID: dict[type[Any], dict[str, tuple[Any, ...]]] = {
    ask.RegisterCase: {"contact": WORDS["contact"]},
    ask.AddContact: {"contact": WORDS["contact"]},
    ask.CategoriseCase: {"case_type": TYPES, "complaint": (False, True)},
    ask.EscalateCase: {"to_level": ("2", "specialist", "jourexpert")},
    ask.GuideCaller: {"to": ("TK", "eservice"), "article": (None, "A004")},
    ask.AnswerCase: {"article": (None, "A004", "A008"), "text": (None, TEXT)},
    ask.ConnectCaller: {"group": ("samverkan", "spec_tk_avfall")},
    ask.HandOverCase: {
        "group": (None, "spec_tk_avfall", "samverkan"),
        "receiver": (None, "TK", "SAM", "SBK", "MF"),
    },
    ask.NoteReceipt: {
        "handover": WORDS["handover"],
        "receipt": ("sent", "received", "accepted", "returned"),
        "reason": (TEXT,),
    },
    ask.TakeCase: {"instead_of": (None, "olle")},
    ask.NoteCase: {"text": (TEXT,), "private": (False, True)},
    ask.AskQuestion: {"to": ("caller", "centre"), "text": (TEXT,)},
    ask.AnswerQuestion: {"question": WORDS["question"], "text": (TEXT,)},
    ask.DecideCase: {"outcome": ("bifall", "avslag")},
    ask.SendComplaint: {},
    ask.NoteComplaintReceipt: {"delivery": WORDS["delivery"], "reference": ("KK-1", "KK-2")},
    ask.AnswerComplaint: {"delivery": WORDS["delivery"]},
    ask.PromiseCallback: {"promised_at": (T0 + timedelta(hours=1),), "group": (None, "tnh_avfall")},
    ask.KeepCallback: {"promise": WORDS["promise"], "reached": (False, True)},
    ask.LinkCases: {"other": ("b", "c"), "kind": ("duplicate", "incident")},
    ask.UnlinkCases: {"other": ("b", "c")},
    ask.ProtectCase: {"protected": (False, True)},
    ask.DecideRegistry: {"outcome": ("registered",), "registry_number": ("1", "2")},
    ask.AddAttachment: {
        "address": ("a", "b"),
        "key": ("k",),
        "size_bytes": (1,),
        "media_type": ("image/png",),
    },
    ask.DiscloseCase: {"purpose": ("TF",)},
    ask.CloseCase: {"outcome": ("solved", "guided", "handed_over", "complaint", "safety")},
    ask.ReopenCase: {"reason": (None, TEXT)},
}


@st.composite
def commands(draw: st.DrawFn) -> Command:
    """Any command, by anybody, with an id that may have been used before."""
    kind = draw(st.sampled_from(list(SAID)))
    by = draw(st.sampled_from(ASKERS))
    said = {name: draw(st.sampled_from(values)) for name, values in SAID[kind].items()}
    common = {"id": draw(st.sampled_from(IDS)), "now": T0, "actor": by.id, "asker": by}
    command: Command = kind(**common, authority="TK", case="a", agent=by.id, **said)
    return command


def told(state: CaseState, facts: Sequence[Event], since: int = 0) -> CaseState:
    """The state after facts, of which `since` came before."""
    for version, fact in enumerate(facts, start=since + 1):
        state = CASES.evolve(state, recorded(fact, version))
    return state


def test_every_command_of_cases_is_tried() -> None:
    named = {getattr(ask, name) for name in ask.__all__}
    asked = {kind for kind in named if isinstance(kind, type) and issubclass(kind, ask.CaseCommand)}
    assert set(SAID) == asked - {ask.CaseCommand}


@given(begun=BEGUN, facts=st.lists(FACTS, max_size=10), command=commands())
def test_facts_in_any_order_then_any_command(
    begun: list[Event], facts: list[Event], command: Command
) -> None:
    """No fact raises; what is decided contradicts nothing, crosses no border, and is done once."""
    before = [*begun, *facts]
    state = told(CASES.initial, before)
    for found in overdue("case/TK/a", state, T0 + timedelta(days=9)):
        silent = told(state, [found.event], len(before))
        assert state.number is None or silent.contradictions == state.contradictions
    try:
        command.check(city())
        decided = CASES.decide(state, command, city())
    except Refused:
        return
    after = told(state, decided, len(before))
    assert after.contradictions == state.contradictions
    try:
        assert not CASES.decide(after, command, city())
    except Refused as refused:
        raise AssertionError("an honest repeat is refused") from refused
    if not command.asker.is_officer_of("TK"):
        assert not any(map(of_the_owner(state), decided))


def of_the_owner(state: CaseState) -> Any:
    """Whether an event is an answer or a decision in a step across the border (R13)."""
    case_type = city().case_type(state.case_type or "")
    steps = () if case_type is None else case_type.steps

    def crosses(event: Event) -> bool:
        if not isinstance(event, cases.CaseAnswered | cases.CaseDecided):
            return False
        return event.step is not None and steps[event.step].stops_the_centre

    return crosses


@given(begun=BEGUN, facts=st.lists(FACTS, max_size=10))
def test_the_one_who_registered_a_case_is_out_of_it_for_good(
    begun: list[Event], facts: list[Event]
) -> None:
    """Once somebody else works on it nothing brings it back into that person's sight."""
    state, gone = CASES.initial, False
    for version, fact in enumerate([*begun, *facts], start=1):
        state = CASES.evolve(state, recorded(fact, version))
        gone = gone or (state.number is not None and state.registered_by is None)
        assert not (gone and state.registered_by is not None)


@given(begun=BEGUN, asked=st.lists(commands(), min_size=5, max_size=40))
def test_any_people_doing_anything(begun: list[Event], asked: list[Command]) -> None:
    """By right and by rule, one command after another: what must never be, never is."""
    state = told(CASES.initial, begun)
    version, pairs = len(begun), conflicts(city())
    for command in asked:
        try:
            command.check(city())
            require(command.asker, command.DEED, CASES.place(state, command), city())
            decided = list(CASES.decide(state, command, city()))
        except Refused:
            continue
        before, crosses = state, of_the_owner(state)
        state = told(state, decided, version)
        version += len(decided)
        assert state.contradictions == ()
        if state.outcome is not None and before.outcome is None:
            closes_rightly(before, command)
        if not command.asker.is_officer_of("TK"):
            assert not any(map(crosses, decided))
        had = {"TK", *(handover.receiver for handover in state.handovers.values())}
        assert not any(pair <= had for pair in pairs)
        assert state.officer in {None, "olle", "sam"}  # no agent takes a case


def closes_rightly(state: CaseState, command: Command) -> None:
    """Never without a type, nor before what is awaited has come (R9, R36)."""
    assert state.case_type is not None
    assert state.deliveries or not state.complaint
    assert not any(delivery.awaited is True for delivery in state.deliveries.values())
    waiting = [h.receiver for h in state.handovers.values() if h.awaited is True]
    assert all(map(command.asker.is_officer_of, waiting))
