"""Accounts: who signs in, what is granted, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from given import ID, T0, S, city, given, recorded

from core.access import Asker, Grant, Role
from core.account_rules import (
    ACCOUNTS,
    AccountExists,
    AccountIsClosed,
    AccountUnknown,
    BothSides,
    ChangePassword,
    CloseAccount,
    CloseTo,
    GiveGrant,
    IssueToken,
    LastAdministrator,
    LinkIdentity,
    NotToOneself,
    OpenAccount,
    SetPassword,
    UnlinkIdentity,
    WithdrawGrant,
    WithdrawToken,
    WrongKind,
)
from core.accounts import (
    Account,
    AccountClosed,
    AccountOpened,
    Accounts,
    BreakGlassUsed,
    GrantGiven,
    GrantWithdrawn,
    IdentityLinked,
    IdentityUnlinked,
    PasswordSet,
    SidesClosed,
    TokenIssued,
    TokenWithdrawn,
)
from core.errors import Invalid, Refused
from core.limits import ACCOUNT_TOKENS_MAX
from core.personal import Personal

ADMIN = Asker("root-1", (Grant(Role.ADMINISTRATOR),))
NAME = Personal("Demo Agent 1", "account/anna")
HASH = Personal("$argon2id$…", "account/anna")
OPENED = AccountOpened("anna", name=NAME)
PROGRAM = AccountOpened("exchange", "program")
OFFICER_TK = GrantGiven("anna", "case_officer", "TK")
IS_ADMIN = GrantGiven("anna", "administrator")
ISSUER = "https://sign-on.example"
YEAR = timedelta(days=365)


def ask(command: type[Any], account: str = "anna", by: Asker = ADMIN, **more: Any) -> Any:
    return command(id=ID, now=T0, actor=by.id, asker=by, account=account, **more)


def token(account: str = "exchange", **more: Any) -> Any:
    given_ = {
        "token": "1", "digest": "d1", "scopes": ("record_facts",), "rooms": (),
        "ends_at": T0 + YEAR, **more,
    }  # fmt: skip
    return ask(IssueToken, account, **given_)


# --- opening and closing --------------------------------------------------------------------------
def test_an_account_is_opened() -> None:
    given(ACCOUNTS).when(ask(OpenAccount, name=NAME)).then(OPENED)


def test_the_same_account_is_not_opened_twice() -> None:
    given(ACCOUNTS, OPENED).when(ask(OpenAccount, name=NAME)).then_nothing_happened()


def test_an_id_is_never_given_to_another_person() -> None:
    other = Personal("Demo Agent 2", "account/anna")
    given(ACCOUNTS, OPENED).when(ask(OpenAccount, name=other)).then_refused(AccountExists)
    closed = (OPENED, AccountClosed("anna"))
    given(ACCOUNTS, *closed).when(ask(OpenAccount, name=NAME)).then_refused(AccountIsClosed)


@pytest.mark.parametrize(
    "name", ["", "Anna", "anna b", "a" * 61, "../x", "å", "operator", "nobody", "-anna"]
)
def test_an_id_is_plain_and_never_one_of_the_houses_own(name: str) -> None:
    given(ACCOUNTS).when(ask(OpenAccount, name)).then_refused(Invalid)


def test_the_emergency_account_is_a_persons() -> None:
    asked = ask(OpenAccount, kind="program", break_glass=True)
    given(ACCOUNTS).when(asked).then_refused(Invalid)
    given(ACCOUNTS).when(ask(OpenAccount, kind="robot")).then_refused(Invalid)


def test_an_account_is_closed() -> None:
    given(ACCOUNTS, OPENED).when(ask(CloseAccount)).then(AccountClosed("anna"))


def test_the_last_administrator_is_not_closed() -> None:
    last = given(ACCOUNTS, OPENED, IS_ADMIN)
    last.when(ask(CloseAccount, administrators=("anna",))).then_refused(LastAdministrator)
    last.when(ask(CloseAccount, administrators=("anna", "bo"))).then(AccountClosed("anna"))


def test_a_closed_account_is_closed_once() -> None:
    given(ACCOUNTS, OPENED, AccountClosed("anna")).when(ask(CloseAccount)).then_nothing_happened()


def test_an_account_that_never_was_cannot_be_closed() -> None:
    given(ACCOUNTS).when(ask(CloseAccount)).then_refused(AccountUnknown)


# --- roles ----------------------------------------------------------------------------------------
@pytest.mark.requirement("R52")
def test_a_role_is_given_in_an_authority() -> None:
    asked = ask(GiveGrant, role="case_officer", authority="TK")
    given(ACCOUNTS, OPENED).when(asked).then(OFFICER_TK)


def test_a_role_that_somebody_has_is_not_given_again() -> None:
    asked = ask(GiveGrant, role="case_officer", authority="TK")
    given(ACCOUNTS, OPENED, OFFICER_TK).when(asked).then_nothing_happened()


def test_a_role_with_other_particulars_takes_the_place_of_the_earlier_one() -> None:
    asked = ask(GiveGrant, role="case_officer", authority="TK", approves=True)
    then = given(ACCOUNTS, OPENED, OFFICER_TK).when(asked)
    then.then(GrantGiven("anna", "case_officer", "TK", approves=True))
    state = ACCOUNTS.initial
    for version, event in enumerate((OPENED, OFFICER_TK, *then.events), start=1):
        state = ACCOUNTS.evolve(state, recorded(event, version))
    assert state.grants == (Grant(Role.CASE_OFFICER, "TK", approves=True),)


@pytest.mark.parametrize(
    "asked",
    [
        {"role": "king"},
        {"role": "program"},
        {"role": "case_officer"},
        {"role": "case_officer", "authority": "XX"},
        {"role": "case_officer", "authority": "SOC"},  # an excluded area
        {"role": "agent_1"},
        {"role": "agent_1", "groups": ("nosuch",)},
        {"role": "agent_1", "groups": ("tnh_avfall",), "authority": "TK"},
        {"role": "administrator", "authority": "TK"},
        {"role": "coordinator", "groups": ("tnh_avfall",)},
        {"role": "registrar", "authority": "TK", "approves": True},
        {"role": "coordinator", "protected": True},
    ],
)
def test_a_role_that_means_nothing_is_refused(asked: dict[str, Any]) -> None:
    given(ACCOUNTS, OPENED).when(ask(GiveGrant, **asked)).then_refused(Invalid)


@pytest.mark.requirement("R54")
def test_a_role_that_would_open_both_sides_of_a_conflict_is_refused() -> None:
    asked = ask(GiveGrant, role="case_officer", authority="MF")
    given(ACCOUNTS, OPENED, OFFICER_TK).when(asked).then_refused(BothSides, "MF and TK")
    closed = SidesClosed("anna", ("TK",))
    given(ACCOUNTS, OPENED, OFFICER_TK, closed).when(asked).then(
        GrantGiven("anna", "case_officer", "MF")
    )


@pytest.mark.requirement("R54")
def test_an_analyst_of_all_authorities_is_closed_to_one_side_first() -> None:
    given(ACCOUNTS, OPENED).when(ask(GiveGrant, role="analyst")).then_refused(BothSides)


def test_nobody_gives_rights_to_oneself() -> None:
    own = Asker("anna", (Grant(Role.ADMINISTRATOR),))
    asked = ask(GiveGrant, by=own, role="registrar", authority="TK")
    given(ACCOUNTS, OPENED, IS_ADMIN).when(asked).then_refused(NotToOneself)
    opened = given(ACCOUNTS, OPENED, IS_ADMIN, SidesClosed("anna", ("MF",)))
    opened.when(ask(CloseTo, by=own, authorities=())).then_refused(NotToOneself)


def test_a_program_has_no_roles_and_a_person_no_tokens() -> None:
    asked = ask(GiveGrant, "exchange", role="case_officer", authority="TK")
    given(ACCOUNTS, PROGRAM).when(asked).then_refused(WrongKind)
    given(ACCOUNTS, OPENED).when(token("anna")).then_refused(WrongKind)


def test_a_role_is_taken_back() -> None:
    asked = ask(WithdrawGrant, role="case_officer", authority="TK")
    given(ACCOUNTS, OPENED, OFFICER_TK).when(asked).then(
        GrantWithdrawn("anna", "case_officer", "TK")
    )
    given(ACCOUNTS, OPENED).when(asked).then_nothing_happened()
    given(ACCOUNTS).when(asked).then_refused(AccountUnknown)


def test_the_last_administrator_keeps_the_role() -> None:
    asked = ask(WithdrawGrant, role="administrator", administrators=("anna",))
    given(ACCOUNTS, OPENED, IS_ADMIN).when(asked).then_refused(LastAdministrator)


# --- sides ----------------------------------------------------------------------------------------
@pytest.mark.requirement("R54")
def test_an_account_is_closed_to_a_side() -> None:
    asked = ask(CloseTo, authorities=("MF",))
    given(ACCOUNTS, OPENED).when(asked).then(SidesClosed("anna", ("MF",)))
    given(ACCOUNTS, OPENED, SidesClosed("anna", ("MF",))).when(asked).then_nothing_happened()
    given(ACCOUNTS, OPENED).when(ask(CloseTo, authorities=("XX",))).then_refused(Invalid)


@pytest.mark.requirement("R54")
def test_a_side_is_not_opened_again_where_the_other_is_open() -> None:
    both = (OFFICER_TK, SidesClosed("anna", ("MF",)), GrantGiven("anna", "case_officer", "MF"))
    asked = ask(CloseTo, authorities=())
    given(ACCOUNTS, OPENED, *both).when(asked).then_refused(BothSides)


# --- proving who one is ---------------------------------------------------------------------------
def test_a_password_is_set() -> None:
    given(ACCOUNTS, OPENED).when(ask(SetPassword, hash=HASH)).then(PasswordSet("anna", HASH))
    given(ACCOUNTS, OPENED, PasswordSet("anna", HASH)).when(
        ask(SetPassword, hash=HASH)
    ).then_nothing_happened()
    given(ACCOUNTS, PROGRAM).when(ask(SetPassword, "exchange", hash=HASH)).then_refused(WrongKind)


def test_one_changes_ones_own_password() -> None:
    own = Asker("anna", (Grant(Role.ADMINISTRATOR),))
    asked = ask(ChangePassword, by=own, hash=HASH)
    given(ACCOUNTS, OPENED).when(asked).then(PasswordSet("anna", HASH))
    given(ACCOUNTS, OPENED, AccountClosed("anna")).when(asked).then_refused(AccountIsClosed)
    given(ACCOUNTS, OPENED, PasswordSet("anna", HASH)).when(asked).then_nothing_happened()


def test_no_password_is_part_of_what_is_asked() -> None:
    assert "argon2" not in ask(SetPassword, hash=HASH).asking()
    assert "d1" not in token().asking()


@pytest.mark.requirement("R49")
def test_an_identity_is_linked() -> None:
    asked = ask(LinkIdentity, issuer=ISSUER, identity="i1")
    linked = IdentityLinked("anna", ISSUER, "i1")
    given(ACCOUNTS, OPENED).when(asked).then(linked)
    given(ACCOUNTS, OPENED, linked).when(asked).then_nothing_happened()
    taken = ask(LinkIdentity, issuer=ISSUER, identity="i1", taken_by="bo")
    given(ACCOUNTS, OPENED).when(taken).then_refused(AccountExists)


def test_the_emergency_account_hangs_on_no_sign_on_service() -> None:
    opened = AccountOpened("anna", break_glass=True)
    asked = ask(LinkIdentity, issuer=ISSUER, identity="i1")
    given(ACCOUNTS, opened).when(asked).then_refused(WrongKind)


def test_an_identity_is_unlinked() -> None:
    linked = IdentityLinked("anna", ISSUER, "i1")
    asked = ask(UnlinkIdentity, identity="i1")
    given(ACCOUNTS, OPENED, linked).when(asked).then(IdentityUnlinked("anna", "i1"))
    given(ACCOUNTS, OPENED).when(asked).then_nothing_happened()
    given(ACCOUNTS).when(asked).then_refused(AccountUnknown)


# --- tokens ---------------------------------------------------------------------------------------
def test_a_token_is_issued_with_scopes_rooms_and_an_end() -> None:
    asked = token(scopes=("read_case", "record_facts"), rooms=("TK",))
    issued = TokenIssued("exchange", "1", "d1", T0 + YEAR, ("read_case", "record_facts"), ("TK",))
    given(ACCOUNTS, PROGRAM).when(asked).then(issued)
    given(ACCOUNTS, PROGRAM, issued).when(replace(asked, digest="d2")).then_nothing_happened()
    given(ACCOUNTS, PROGRAM, issued).when(token()).then_refused(AccountExists)


@pytest.mark.parametrize(
    "wrong",
    [
        {"scopes": ()},
        {"scopes": ("manage_accounts",)},
        {"scopes": ("anything",)},
        {"rooms": ("XX",)},
        {"rooms": ("SOC",)},
        {"ends_at": T0},
        {"ends_at": T0 + 500 * S * 86_400},
        {"ends_at": (T0 + YEAR).replace(tzinfo=None)},
    ],
)
def test_a_token_that_opens_too_much_or_for_ever_is_refused(wrong: dict[str, Any]) -> None:
    given(ACCOUNTS, PROGRAM).when(token(**wrong)).then_refused(Invalid)


@pytest.mark.requirement("R54")
def test_a_token_opens_one_side_of_a_conflict_alone() -> None:
    given(ACCOUNTS, PROGRAM).when(token(rooms=("TK", "MF"))).then_refused(BothSides)


def test_a_program_has_a_bounded_number_of_tokens() -> None:
    issued = [
        TokenIssued("exchange", str(n), f"d{n}", T0 + YEAR) for n in range(ACCOUNT_TOKENS_MAX)
    ]
    asked = token(token="more")
    given(ACCOUNTS, PROGRAM, *issued).when(asked).then_refused(Refused)


def test_a_token_is_withdrawn() -> None:
    issued = TokenIssued("exchange", "1", "d1", T0 + YEAR, ("record_facts",))
    asked = ask(WithdrawToken, "exchange", token="1")
    given(ACCOUNTS, PROGRAM, issued).when(asked).then(TokenWithdrawn("exchange", "1"))
    given(ACCOUNTS, PROGRAM).when(asked).then_nothing_happened()
    given(ACCOUNTS).when(asked).then_refused(AccountUnknown)


# --- who asks -------------------------------------------------------------------------------------
def accounts(*streams: tuple[Any, ...]) -> Accounts:
    found = {}
    for events in streams:
        state = Account()
        for version, event in enumerate(events, start=1):
            state = ACCOUNTS.evolve(state, recorded(event, version))
        found[state.id] = state
    return Accounts(found)


def test_a_person_asks_with_what_was_granted_and_not_taken_back() -> None:
    events = (
        OPENED, OFFICER_TK, GrantGiven("anna", "registrar", "FSK"),
        GrantWithdrawn("anna", "case_officer", "TK"), SidesClosed("anna", ("MF",)),
        BreakGlassUsed("anna"),
    )  # fmt: skip
    expected = Asker("anna", (Grant(Role.REGISTRAR, "FSK"),), frozenset({"MF"}))
    assert expected == accounts(events).asker("anna")


def test_nobody_asks_for_a_closed_account_or_a_program_or_one_that_never_was() -> None:
    found = accounts((OPENED, OFFICER_TK, AccountClosed("anna")), (PROGRAM,))
    assert [found.asker(name) for name in ("anna", "exchange", "bo")] == [None, None, None]


def test_a_program_asks_with_a_token_until_it_ends() -> None:
    issued = TokenIssued("exchange", "1", "d1", T0 + YEAR, ("read_case",), ("TK",))
    found = accounts((PROGRAM, issued))
    expected = Asker("exchange", (Grant(Role.PROGRAM, "TK"),), scopes=frozenset({"read_case"}))
    assert expected == found.of_token("d1", T0)
    assert found.of_token("d1", T0 + YEAR) is None
    assert found.of_token("d2", T0) is None
    gone = accounts((PROGRAM, issued, AccountClosed("exchange")))
    assert gone.of_token("d1", T0) is None


def test_an_identity_that_two_accounts_have_opens_neither() -> None:
    one = (OPENED, IdentityLinked("anna", ISSUER, "i1"))
    two = (AccountOpened("bo"), IdentityLinked("bo", ISSUER, "i1"))
    found = accounts(one).of_identity(ISSUER, "i1")
    assert found is not None
    assert found.id == "anna"
    assert accounts(one).of_identity("https://other.example", "i1") is None
    assert accounts(one, two).of_identity(ISSUER, "i1") is None
    assert accounts((*one, AccountClosed("anna")), two).of_identity(ISSUER, "i1") is not None


def test_sessions_that_are_older_than_the_password_have_ended() -> None:
    account = accounts((OPENED, PasswordSet("anna", HASH))).account("anna")
    assert account is not None
    assert account.sessions_after == T0 + 2 * S


def test_what_contradicts_the_account_is_marked_and_changes_nothing() -> None:
    account = accounts((OPENED, AccountOpened("other"))).account("anna")
    assert account is not None
    assert [found.why for found in account.contradictions] == ["the account was opened before"]


def test_a_role_of_a_later_version_opens_nothing() -> None:
    found = accounts((OPENED, GrantGiven("anna", "emperor"))).asker("anna")
    assert found == Asker("anna")


def test_the_city_has_the_pair_that_these_tests_stand_on() -> None:
    assert any(row["a"] in {"MF", "TK"} for row in city().rows("conflict_pair").values())
